/*
 * The labels of a chart's columns and rows, drawn by the page: ECharts would measure each of them at every drawing,
 * which takes longer than all the rest. Pictures for files have ECharts' own labels.
 */
import type { Window } from './cell_canvas'
import { shorten } from '../ui/token_text'

export interface AxisLabels {
  /** Of each column, below the plot, slanted. */
  columns: readonly string[]
  /** Height that they have, in CSS pixels. */
  below: number
  /** Of each row from the bottom up, left of the plot; none: the rows are numbers, which ECharts labels. */
  rows?: readonly string[]
}

export interface LabelLook {
  colour: string
  /** CSS font. */
  font: string
}

/** Of neighbouring labels, in CSS pixels: more are left out. */
const MIN_COLUMN_GAP = 15
const MIN_ROW_GAP = 13
/** From the plot. */
const DISTANCE = 8
const SLANT = -Math.PI / 3
/** What the height of a slanted line of text needs below its end. */
const LINE = 8

/** A text cut to a width. */
function cutTo(context: CanvasRenderingContext2D, text: string, width: number): string {
  const all = context.measureText(text).width
  if (all <= width) return text
  let n = Math.floor((text.length * width) / all)
  while (n > 1 && context.measureText(shorten(text, n)).width > width) n--
  return shorten(text, n)
}

/** How many columns share a label. */
export const labelStep = (gap: number, minGap: number): number => Math.max(1, Math.ceil(minGap / Math.max(gap, 1e-3)))

export class LabelCanvas {
  readonly canvas = document.createElement('canvas')

  constructor() {
    this.canvas.className = 'labels'
    this.canvas.setAttribute('aria-hidden', 'true')
  }

  /** `width`, `height`: of the chart in CSS pixels. */
  show(labels: AxisLabels | null, plot: Window, [width, height]: readonly [number, number], look: LabelLook): void {
    const { canvas } = this
    canvas.hidden = !labels
    if (!labels) return
    ;[canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`]
    ;[canvas.width, canvas.height] = [width, height].map((v) => Math.round(v * devicePixelRatio))
    const context = canvas.getContext('2d')!
    context.scale(devicePixelRatio, devicePixelRatio)
    ;[context.fillStyle, context.font] = [look.colour, look.font]
    ;[context.textAlign, context.textBaseline] = ['right', 'middle']
    this.showColumns(context, labels, plot)
    this.showRows(context, labels.rows ?? [], plot)
  }

  private showColumns(context: CanvasRenderingContext2D, { columns, below }: AxisLabels, plot: Window): void {
    const longest = (below - DISTANCE - LINE) / Math.sin(-SLANT)
    const gap = plot.width / (plot.to - plot.from + 1)
    const step = labelStep(gap, MIN_COLUMN_GAP)
    for (let c = Math.ceil(plot.from / step) * step; c <= plot.to; c += step) {
      context.save()
      context.translate(plot.x + (c - plot.from + 0.5) * gap, plot.y + plot.height + DISTANCE)
      context.rotate(SLANT)
      context.fillText(cutTo(context, columns[c] ?? '', longest), 0, 0)
      context.restore()
    }
  }

  private showRows(context: CanvasRenderingContext2D, rows: readonly string[], plot: Window): void {
    const gap = plot.height / Math.max(1, rows.length)
    const step = labelStep(gap, MIN_ROW_GAP)
    for (let r = (rows.length - 1) % step; r < rows.length; r += step)
      context.fillText(rows[r], plot.x - DISTANCE, plot.y + plot.height - (r + 0.5) * gap)
  }
}
