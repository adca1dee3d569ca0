/*
 * The charts under the text, drawn by ECharts on canvas after the text was tinted, and as SVG for files.
 */
import { effect, useSignal } from '@preact/signals'
import { BarChart, CustomChart, HeatmapChart, LineChart } from 'echarts/charts'
import {
  DataZoomComponent,
  GridComponent,
  LegendComponent,
  LegendScrollComponent,
  TooltipComponent,
  VisualMapComponent,
} from 'echarts/components'
import * as echarts from 'echarts/core'
import { CanvasRenderer, SVGRenderer } from 'echarts/renderers'
import { useEffect, useRef } from 'preact/hooks'
import { CellCanvas } from '../draw/cell_canvas'
import { CHART_MAKERS, type Chart, type Look } from '../draw/chart_options'
import { closeColumn, openColumn, openedIn, type Opened } from '../draw/columns'
import { MAPS } from '../draw/colour'
import { captionOf, composePng, composeSvg } from '../draw/picture'
import { fileName, save } from '../ui/export'
import * as state from '../model/store'
import { chart, colourMap, panes, pinned, select, type Pane } from '../model/store'
import { CHARTS } from '../ui/labels'
import { Sources } from './citations'
import { revealUnit } from './token_tip'

echarts.use([
  BarChart,
  CustomChart,
  HeatmapChart,
  LineChart,
  GridComponent,
  TooltipComponent,
  VisualMapComponent,
  DataZoomComponent,
  LegendComponent,
  LegendScrollComponent,
  CanvasRenderer,
  SVGRenderer,
])

const lookNow = (width: number): Look => ({
  palette: state.palette.value,
  theme: state.theme.value,
  map: colourMap.value,
  width,
})

/** Identifies the initial window of the columns; the user's zoom is kept while it is unchanged. */
const zoomKey = (pane: Pane) =>
  [
    chart.value,
    pane.key.value,
    pane.units.value.name,
    pane.units.value.count,
    state.hide.value.size,
    openedIn(pane)?.from,
  ].join(' ')

/** What a chart is drawn from; the token map is not drawn again for another selection. */
function inputsOf(pane: Pane): unknown[] {
  const look = [chart.value, colourMap.value, state.palette.value, state.oneScale.value, state.shownPanes.value]
  const numbers = [pane.mean.value, pane.hidden.value, pane.answer.value, pane.units.value]
  const both = state.isComparable.value ? panes.map((p) => [p.unitValues.value, p.mean.value]) : []
  if (chart.value === 'map') return [...look, ...numbers, ...both.map(([, mean]) => mean)]
  return [...look, ...numbers, pane.unitValues.value, openedIn(pane), pane.look.value, ...both.flat()]
}

/**
 * Runs a task after the next frame is painted, once for several requests; a slow task runs only after a pause of twice
 * its duration, so that dragging stays smooth.
 */
function afterPaint(task: () => void): { request: () => void; cancel: () => void } {
  let frame = 0
  let timer = 0
  let cost = 0
  const run = () => {
    const began = performance.now()
    task()
    cost = performance.now() - began
  }
  const cancel = () => {
    cancelAnimationFrame(frame)
    clearTimeout(timer)
  }
  const request = () => {
    cancel()
    frame = requestAnimationFrame(() => (timer = window.setTimeout(run, Math.min(400, 20 + 2 * cost))))
  }
  return { request, cancel }
}

function onPick(pane: Pane, made: Chart, data: unknown): void {
  const point = Array.isArray(data) ? (data as number[]) : ((data as { value?: number[] })?.value ?? [])
  const { unit, row, units } = made.pick(point)
  if (row !== undefined) return select(pane.key.value, row)
  if (units) {
    openColumn(pane, units)
    return revealUnit(pane, units[0])
  }
  if (unit === undefined) return
  pinned.value = { run: pane.key.value, unit }
  revealUnit(pane, unit)
}

/** The columns in view, of `count`. */
function windowOf(drawn: echarts.ECharts, count: number): [number, number] {
  const [zoom] = (drawn.getOption().dataZoom ?? []) as { startValue?: number; endValue?: number }[]
  return [zoom?.startValue ?? 0, zoom?.endValue ?? count - 1]
}

/** The plot's place in the chart, with the columns in view. */
function plotOf(drawn: echarts.ECharts, { grid, cells }: Chart) {
  const { left, right, top, bottom } = grid!
  const [from, to] = windowOf(drawn, cells!.columns)
  return { x: left, y: top, width: drawn.getWidth() - left - right, height: drawn.getHeight() - top - bottom, from, to }
}

/** The cell [column, row, value] at a place of the chart; null: none. */
function cellAt(drawn: echarts.ECharts, made: Chart, x: number, y: number): [number, number, number] | null {
  if (!made.cells || !drawn.containPixel('grid', [x, y])) return null
  const plot = plotOf(drawn, made)
  const { columns, rows, values } = made.cells
  const column = plot.from + Math.floor(((x - plot.x) / plot.width) * (plot.to - plot.from + 1))
  const row = Math.floor((1 - (y - plot.y) / plot.height) * rows)
  if (column < 0 || column >= columns || row < 0 || row >= rows) return null
  return [column, row, values[row * columns + column]]
}

/** What is said at the pointer over a heat map. */
interface Said {
  x: number
  y: number
  text: string
}

/** A chart on the page: ECharts draws axes, bars and lines, a canvas over it the cells of heat maps. */
class Drawing {
  private drawn: echarts.ECharts | null = null
  private zoomed = ''
  private made: Chart | null = null
  private readonly cells = new CellCanvas()

  constructor(
    private readonly element: HTMLElement,
    private readonly pane: Pane,
    private readonly say: (said: Said | null) => void,
  ) {
    element.after(this.cells.canvas)
  }

  draw(): Chart | null {
    const { element, pane } = this
    const maker = CHART_MAKERS[chart.value]
    if (!maker || !pane.attribution.value || !element.clientWidth) return null
    const made = (this.made = maker(pane, lookNow(element.clientWidth)))
    element.style.height = `${made.height}px`
    element.setAttribute('aria-label', made.description)
    const isNew = this.zoomed !== zoomKey(pane) || !this.drawn
    this.drawn ??= this.begin()
    if (isNew) this.drawn.clear() // or it would be laid out once more at its new size
    if (this.drawn.getWidth() !== element.clientWidth || this.drawn.getHeight() !== made.height) this.drawn.resize()
    const { dataZoom, ...rest } = made.option
    this.drawn.setOption(
      isNew ? { ...rest, dataZoom } : rest,
      isNew ? { notMerge: true } : { replaceMerge: ['series'] },
    )
    this.zoomed = zoomKey(pane)
    this.say(null)
    this.cells.set(made.cells ?? null)
    this.place()
    return made
  }

  private begin(): echarts.ECharts {
    const drawn = echarts.init(this.element, null, { renderer: 'canvas' })
    drawn.on('click', ({ data }) => {
      if (this.made) onPick(this.pane, this.made, data)
    })
    drawn.on('datazoom', () => this.place())
    const under = drawn.getZr()
    under.on('click', ({ offsetX, offsetY }) => {
      const cell = this.made && cellAt(drawn, this.made, offsetX, offsetY)
      if (cell) onPick(this.pane, this.made!, cell)
    })
    under.on('mousemove', ({ offsetX, offsetY, event }) => {
      const cell = this.made && cellAt(drawn, this.made, offsetX, offsetY)
      const { clientX, clientY } = event as unknown as MouseEvent
      this.say(cell ? { x: clientX, y: clientY, text: this.made!.tell!(cell) } : null)
    })
    under.on('globalout', () => this.say(null))
    return drawn
  }

  /** Puts the cells where the axes are. */
  private place(): void {
    if (this.drawn && this.made?.cells) this.cells.show(plotOf(this.drawn, this.made))
  }

  /** The columns in view; null: all. */
  window(): [number, number] | null {
    if (!this.drawn || !(this.made?.option.dataZoom as object[] | undefined)?.length) return null
    return windowOf(this.drawn, Infinity)
  }

  close(): void {
    this.drawn?.dispose()
    this.cells.canvas.remove()
  }
}

/** Says which sentence is open, and goes back to all. */
function Back({ pane }: { pane: Pane }) {
  const open = openedIn(pane)
  if (!open || chart.value === 'map' || chart.value === 'profile') return null
  return (
    <p class="note opened">
      {partsText(open)} only.{' '}
      <button type="button" class="link" onClick={closeColumn}>
        Back to all
      </button>
    </p>
  )
}

/** A chart is drawn when it is in view or a little outside. */
const NEAR = { rootMargin: '200px' }

const partsText = ({ from, to }: Opened) => `Parts ${from}\u2013${to} of the prompt`

function Canvas({ pane }: { pane: Pane }) {
  const root = useRef<HTMLDivElement>(null)
  const drawing = useRef<Drawing | null>(null)
  const redraw = useRef<() => void>(() => {})
  const shown = useSignal<Chart | null>(null)
  const said = useSignal<Said | null>(null)
  useEffect(() => {
    const element = root.current!
    const one = (drawing.current = new Drawing(element, pane, (text) => (said.value = text)))
    let isInView = false
    const later = afterPaint(() => isInView && redraw.current())
    redraw.current = () => (shown.value = one.draw() ?? shown.value)
    const stop = effect(() => {
      void inputsOf(pane)
      later.request()
    })
    const seen = new IntersectionObserver(([{ isIntersecting }]) => {
      isInView = isIntersecting
      if (isInView) later.request()
    }, NEAR)
    seen.observe(element)
    const onPrint = () => redraw.current()
    addEventListener('beforeprint', onPrint)
    const resized = new ResizeObserver(() => later.request())
    resized.observe(element)
    return () => {
      stop()
      later.cancel()
      resized.disconnect()
      seen.disconnect()
      removeEventListener('beforeprint', onPrint)
      one.close()
    }
  }, [pane])
  const picture = (kind: 'png' | 'svg') => {
    redraw.current()
    const made = shown.value
    const [width, window] = [root.current!.clientWidth, drawing.current!.window()]
    if (made) void savePicture({ pane, made, width, window }, kind)
  }
  return (
    <figure class="chart">
      {state.shownPanes.value.length > 1 && (
        <figcaption>{`${state.runTitle(pane.run.value!)}, ${pane.name.value}`}</figcaption>
      )}
      <Back pane={pane} />
      <div class="plot">
        <div ref={root} role="img" class="canvas" />
      </div>
      {said.value && (
        <div class="tip" aria-hidden="true" style={{ left: `${said.value.x + 14}px`, top: `${said.value.y + 14}px` }}>
          {said.value.text}
        </div>
      )}
      <Notes chart={shown.value} />
      <p class="downloads">
        Save as{' '}
        <button type="button" class="quiet" onClick={() => picture('png')}>
          PNG
        </button>
        <button type="button" class="quiet" onClick={() => picture('svg')}>
          SVG
        </button>
      </p>
    </figure>
  )
}

/** Lists what the chart cuts or leaves out. */
function Notes({ chart: made }: { chart: Chart | null }) {
  return (
    <>
      {made?.notes.map((note) => (
        <p class="note">{note}</p>
      ))}
    </>
  )
}

interface Shown {
  pane: Pane
  made: Chart
  width: number
  /** The columns in view; null: all. */
  window: [number, number] | null
}

/** Draws the chart again, with the columns in view, off the page and without animation, under a caption. */
async function savePicture({ pane, made, width, window }: Shown, kind: 'png' | 'svg'): Promise<void> {
  const palette = state.palette.value
  const caption = captionOf(pane, made, state.hide.value)
  const name = fileName(pane.run.value!, pane.attribution.value!, `-${chart.value}.${kind}`)
  const other = echarts.init(document.createElement('div'), null, {
    renderer: kind === 'svg' ? 'svg' : 'canvas',
    ssr: kind === 'svg',
    devicePixelRatio: RATIO,
    width,
    height: made.height,
  })
  const series = (made.series?.() ?? (made.option.series as object[])).map((one) => ({ ...one, progressive: 0 }))
  const zooms = made.option.dataZoom as object[]
  const dataZoom = window ? zooms?.map((one) => ({ ...one, startValue: window[0], endValue: window[1] })) : zooms
  other.setOption({ ...made.option, series, dataZoom, backgroundColor: palette.paper })
  if (kind === 'svg')
    save(name, 'image/svg+xml', composeSvg(other.renderToSVGString(), [width, made.height], caption, palette))
  else {
    const blob = await composePng(other.renderToCanvas({ pixelRatio: RATIO }), RATIO, caption, palette)
    if (blob) save(name, 'image/png', blob)
    else
      state.problem.value =
        'The picture could not be made: there is not enough memory, or it is too large for this browser.'
  }
  other.dispose()
}

/** Pixels of a picture per pixel of the page. */
const RATIO = 2

/* ------------------------------------------------------------------ choosing */

function onTabKey(event: KeyboardEvent, names: string[]): void {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
  if (!by) return
  chart.value = names[(names.indexOf(chart.value) + by + names.length) % names.length]
  event.preventDefault()
  event.stopPropagation()
  document.getElementById(`tab-${chart.value}`)?.focus()
}

export function Charts() {
  const shown = state.shownPanes.value
  const names = Object.keys(CHARTS)
  const isLayered = shown.some((pane) => (pane.attribution.value?.L ?? 1) > 1)
  const usable = names.filter((name) => isLayered || (name !== 'layers' && name !== 'profile'))
  if (!usable.includes(chart.value)) chart.value = 'bars'
  return (
    <section class="charts" aria-label="Charts">
      <div class="tabs">
        <div role="tablist" aria-label="Charts" onKeyDown={(e) => onTabKey(e, usable)}>
          {usable.map((name) => (
            <button
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-selected={chart.value === name}
              aria-controls="chart-panel"
              tabIndex={chart.value === name ? 0 : -1}
              onClick={() => (chart.value = name)}
            >
              {CHARTS[name]}
            </button>
          ))}
        </div>
        {(chart.value === 'layers' || chart.value === 'map') && (
          <label class="map-picker">
            colours{' '}
            <select value={colourMap.value} onChange={(e) => (colourMap.value = e.currentTarget.value)}>
              {Object.entries(MAPS).map(([name, { label }]) => (
                <option value={name}>{label}</option>
              ))}
            </select>
          </label>
        )}
      </div>
      <div
        role="tabpanel"
        id="chart-panel"
        aria-labelledby={`tab-${chart.value}`}
        class={shown.length > 1 ? 'two' : 'one'}
      >
        {shown.map((pane) =>
          chart.value === 'sources' ? (
            <Sources key={pane.index} pane={pane} />
          ) : (
            <Canvas key={pane.index} pane={pane} />
          ),
        )}
      </div>
    </section>
  )
}
