/*
 * A chart by keys alone: arrows move from value to value, which is shown and announced; Enter does what a click does.
 */
import type { Chart } from '../draw/chart_options'
import type { Window } from '../draw/cell_canvas'

/** A value of a chart. */
export interface Cursor {
  column: number
  row: number
}

const STEPS: Record<string, readonly [columns: number, rows: number]> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
  PageUp: [10, 0],
  PageDown: [-10, 0],
  Home: [-Infinity, 0],
  End: [Infinity, 0],
}

const inside = (at: number, count: number) => Math.min(count - 1, Math.max(0, at))

/** The cursor after a key; undefined: the key does not move it. Without a cursor, the first value in view. */
export function moved(key: string, now: Cursor | null, { points }: Chart, from: number): Cursor | undefined {
  const step = STEPS[key]
  if (!step) return undefined
  const [columns, rows] = step
  if (!now) return { column: inside(Number.isFinite(columns) ? from : columns, points.columns), row: points.rows - 1 }
  return { column: inside(now.column + columns, points.columns), row: inside(now.row + rows, points.rows) }
}

interface Shown {
  made: Chart
  cursor: Cursor
  plot: Window
}

/** Marks the value, a cell or a column, and says it beside. */
export function CursorMark({ made, cursor: { column, row }, plot }: Shown) {
  const width = plot.width / (plot.to - plot.from + 1)
  const left = plot.x + (column - plot.from) * width
  const height = made.cells ? plot.height / made.points.rows : plot.height
  const top = made.cells ? plot.y + plot.height - (row + 1) * height : plot.y
  const isRight = left > plot.x + plot.width / 2
  const x = isRight ? { right: `calc(100% - ${left - 8}px)` } : { left: `${left + width + 8}px` }
  const y = top > plot.y + plot.height / 2 ? { bottom: `calc(100% - ${top}px)` } : { top: `${top}px` }
  return (
    <>
      <div
        class="chart-cursor"
        aria-hidden="true"
        style={{ left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` }}
      />
      <div class="tip at-cursor" aria-hidden="true" style={{ ...x, ...y }}>
        {made.tell(column, row)}
      </div>
    </>
  )
}
