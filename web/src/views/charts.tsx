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
import { LabelCanvas } from '../draw/axis_labels'
import { CellCanvas, type Window } from '../draw/cell_canvas'
import { CHART_MAKERS, FONT, type Chart, type Look } from '../draw/chart_options'
import { closeColumn, openColumn, openedIn, type Opened } from '../draw/columns'
import { MAPS } from '../draw/colour'
import { captionOf, composePng, composeSvg } from '../draw/picture'
import { fileName, save } from '../ui/export'
import { whenIdle } from '../ui/frame'
import * as state from '../model/store'
import { chart, colourMap, panes, pinned, select, type Pane } from '../model/store'
import { CHARTS } from '../ui/labels'
import { CursorMark, moved, type Cursor } from './chart_cursor'
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

/**
 * Draws a small chart off the page, once, while nothing else is done: the first drawing takes several times as long as
 * later ones, since the browser compiles ECharts for it, and an input would wait for that.
 */
function warmUp(): void {
  if (isWarm) return
  isWarm = true
  const drawn = echarts.init(document.createElement('div'), null, { width: 300, height: 200 })
  const data = Array.from({ length: 40 }, (_, x) => [x, x])
  const window = { startValue: 0, endValue: 20 }
  drawn.on('rendered', () => void setTimeout(() => drawn.dispose()))
  drawn.setOption(
    {
      animation: false,
      xAxis: { type: 'category', data: data.map(String), axisLabel: { show: false } },
      yAxis: { type: 'value', name: 'share' },
      dataZoom: [{ type: 'slider', ...window }, { type: 'inside', ...window }],
      series: [{ type: 'bar', data }],
    },
    { lazyUpdate: true },
  )
}
let isWarm = false

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
  const looked = chart.value === 'profile' ? state.shownPanes.value.map((p) => p.look.value) : [] // they have lines
  return [...look, ...numbers, pane.unitValues.value, openedIn(pane), ...looked, ...both.flat()]
}

/** Whether an input waits for the task that runs now to end, where the browser says so. */
const inputWaits = (): boolean =>
  (navigator as { scheduling?: { isInputPending?: () => boolean } }).scheduling?.isInputPending?.() ?? false

/**
 * Runs a task after the next frame is painted, once for several requests; a slow task runs only after a pause of twice
 * its duration, so that dragging stays smooth, and after an input that waits.
 */
function afterPaint(task: () => void): { request: () => void; cancel: () => void } {
  let frame = 0
  let timer = 0
  let cost = 0
  const run = () => {
    if (inputWaits()) return request()
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

/** The plot's place in the chart, with the columns in view. */
function plotOf(drawn: echarts.ECharts, { grid }: Chart): Window {
  const { left, right, top, bottom } = grid
  const [width, height] = [drawn.getWidth() - left - right, drawn.getHeight() - top - bottom]
  const columnAt = (x: number) => Math.max(0, Math.round(drawn.convertFromPixel({ xAxisIndex: 0 }, x)))
  return { x: left, y: top, width, height, from: columnAt(left + 1), to: columnAt(left + width - 1) }
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

/** The option without the labels that the page draws. */
function withoutLabels({ option, labels }: Chart): echarts.EChartsCoreOption {
  const hidden = (axis: unknown) => ({ ...(axis as object), axisLabel: { show: false } })
  if (!labels) return option
  return { ...option, xAxis: hidden(option.xAxis), ...(labels.rows ? { yAxis: hidden(option.yAxis) } : {}) }
}

/** A chart on the page: ECharts draws axes, bars and lines, canvases over it the labels and the cells of heat maps. */
class Drawing {
  private drawn: echarts.ECharts | null = null
  private zoomed = ''
  private made: Chart | null = null
  /** Whether what is made is drawn: ECharts draws in the frame after it is given an option. */
  private isDrawn = false
  private readonly cells = new CellCanvas()
  private readonly labels = new LabelCanvas()

  constructor(
    private readonly element: HTMLElement,
    private readonly pane: Pane,
    private readonly say: (said: Said | null) => void,
    /** Called when the plot is drawn or its columns in view are others. */
    private readonly placed: (plot: Window) => void,
  ) {
    element.after(this.cells.canvas, this.labels.canvas)
  }

  /** In two tasks, so that an input waits for one of them at most; `atOnce`: in one. */
  draw(atOnce = false): Chart | null {
    const { element, pane } = this
    const maker = CHART_MAKERS[chart.value]
    if (!maker || !pane.attribution.value || !element.clientWidth) return null
    const made = (this.made = maker(pane, lookNow(element.clientWidth)))
    element.style.height = `${made.height}px`
    const isNew = this.zoomed !== zoomKey(pane) || !this.drawn
    this.drawn ??= this.begin()
    if (isNew) this.drawn.clear() // or it would be laid out once more at its new size
    if (this.drawn.getWidth() !== element.clientWidth || this.drawn.getHeight() !== made.height) this.drawn.resize()
    const { dataZoom, ...rest } = withoutLabels(made)
    this.isDrawn = false
    this.drawn.setOption(isNew ? { ...rest, dataZoom } : rest, {
      lazyUpdate: !atOnce,
      ...(isNew ? { notMerge: true } : { replaceMerge: ['series'] }),
    })
    this.zoomed = zoomKey(pane)
    this.say(null)
    if (atOnce) this.finish()
    return made
  }

  /** Draws what ECharts does not. */
  private finish(): void {
    if (this.isDrawn || !this.made) return
    this.isDrawn = true
    this.element.setAttribute('aria-label', this.made.description)
    this.cells.set(this.made.cells ?? null)
    this.place()
    this.raise()
  }

  /** Fades the other points beside the one that is looked at; the chart is not made again for it. */
  raise(): void {
    const unit = this.pane.look.value
    const { drawn, made } = this
    if (!drawn || !this.isDrawn || !made?.raised) return
    const dataIndex = unit < 0 ? undefined : made.raised(unit)
    drawn.dispatchAction({ type: 'downplay', seriesIndex: 0 })
    if (dataIndex !== undefined) drawn.dispatchAction({ type: 'highlight', seriesIndex: 0, dataIndex })
  }

  private begin(): echarts.ECharts {
    const drawn = echarts.init(this.element, null, { renderer: 'canvas' })
    drawn.on('click', ({ data }) => {
      if (this.made) onPick(this.pane, this.made, data)
    })
    drawn.on('datazoom', () => this.place())
    drawn.on('rendered', () => this.finish())
    const under = drawn.getZr()
    under.on('click', ({ offsetX, offsetY }) => {
      const cell = this.made && cellAt(drawn, this.made, offsetX, offsetY)
      if (cell) onPick(this.pane, this.made!, cell)
    })
    under.on('mousemove', ({ offsetX, offsetY, event }) => {
      const cell = this.made && cellAt(drawn, this.made, offsetX, offsetY)
      const { clientX, clientY } = event as unknown as MouseEvent
      this.say(cell ? { x: clientX, y: clientY, text: this.made!.tell(cell[0], cell[1]) } : null)
    })
    under.on('globalout', () => {
      this.say(null)
      this.raise()
    })
    return drawn
  }

  /** Puts cells and labels where the axes are. */
  private place(): void {
    const { drawn, made } = this
    if (!drawn || !made || !this.isDrawn) return
    const plot = plotOf(drawn, made)
    if (made.cells) this.cells.show(plot)
    const look = { colour: state.palette.value.muted, font: `11px ${FONT}` }
    this.labels.show(made.labels ?? null, plot, [drawn.getWidth(), drawn.getHeight()], look)
    this.placed(plot)
  }

  /** Where the plot is, with the columns in view; null: nothing is drawn. */
  plot(): Window | null {
    return this.drawn && this.made && this.isDrawn ? plotOf(this.drawn, this.made) : null
  }

  /** Moves the columns in view so that one of them is this. */
  reveal(column: number): void {
    const plot = this.plot()
    if (!plot || (column >= plot.from && column <= plot.to)) return
    const by = column < plot.from ? column - plot.from : column - plot.to
    this.drawn!.dispatchAction({ type: 'dataZoom', startValue: plot.from + by, endValue: plot.to + by })
    this.drawn!.getZr().flush()
  }

  /** What a click on a value does. */
  pick({ column, row }: Cursor): void {
    const value = this.made!.cells?.values[row * this.made!.points.columns + column] ?? 0
    onPick(this.pane, this.made!, [column, row, value])
  }

  /** The columns in view; null: all. */
  window(): [number, number] | null {
    if (!this.drawn || !this.made || !(this.made.option.dataZoom as object[] | undefined)?.length) return null
    const { from, to } = plotOf(this.drawn, this.made)
    return [from, to]
  }

  close(): void {
    this.drawn?.dispose()
    this.cells.canvas.remove()
    this.labels.canvas.remove()
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

/** A chart is drawn when it is in view or a little outside; for the first time, which takes long, a screen before. */
const NEAR = { rootMargin: '200px' }
const NEXT_SCREEN = { rootMargin: '100% 0px' }

const partsText = ({ from, to }: Opened) => `Parts ${from}\u2013${to} of the prompt`

function Canvas({ pane }: { pane: Pane }) {
  const root = useRef<HTMLDivElement>(null)
  const drawing = useRef<Drawing | null>(null)
  const redraw = useRef<(atOnce?: boolean) => void>(() => {})
  const shown = useSignal<Chart | null>(null)
  const said = useSignal<Said | null>(null)
  const cursor = useSignal<Cursor | null>(null)
  const plot = useSignal<Window | null>(null)
  useEffect(() => {
    const element = root.current!
    const one = (drawing.current = new Drawing(
      element,
      pane,
      (text) => (said.value = text),
      (placed) => (plot.value = placed),
    ))
    let isInView = false
    let isStale = true
    redraw.current = (atOnce = false) => {
      const made = one.draw(atOnce)
      if (!made) return
      isStale = false
      shown.value = made
    }
    const later = afterPaint(() => isInView && isStale && redraw.current())
    const change = () => {
      isStale = true
      later.request()
    }
    const raised = afterPaint(() => isInView && one.raise())
    const stops = [
      effect(() => {
        void inputsOf(pane)
        change()
      }),
      effect(() => {
        void pane.look.value
        raised.request()
      }),
    ]
    const seen = new IntersectionObserver(([{ isIntersecting }]) => {
      isInView = isIntersecting
      if (isInView) later.request()
    }, NEAR)
    seen.observe(element)
    const soon = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return
      soon.disconnect()
      whenIdle(() => element.isConnected && isStale && redraw.current())
    }, NEXT_SCREEN)
    soon.observe(element)
    const onPrint = () => redraw.current(true)
    addEventListener('beforeprint', onPrint)
    const resized = new ResizeObserver(change)
    resized.observe(element)
    return () => {
      stops.forEach((stop) => stop())
      later.cancel()
      raised.cancel()
      for (const observer of [resized, seen, soon]) observer.disconnect()
      removeEventListener('beforeprint', onPrint)
      one.close()
    }
  }, [pane])
  useEffect(() => {
    cursor.value = null
  }, [chart.value])
  const onKey = (event: KeyboardEvent) => {
    const one = drawing.current!
    if (!one.plot()) redraw.current(true)
    const made = shown.value
    if (!made || event.ctrlKey || event.metaKey || event.altKey) return
    const next = moved(event.key, cursor.value, made, one.plot()?.from ?? 0)
    if (next) {
      one.reveal(next.column)
      cursor.value = next
    } else if (event.key === 'Escape' && cursor.value) cursor.value = null
    else if ((event.key === 'Enter' || event.key === ' ') && cursor.value) one.pick(cursor.value)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  const isInside = ({ column, row }: Cursor, { points }: Chart) => column < points.columns && row < points.rows
  const at = cursor.value && shown.value && plot.value && isInside(cursor.value, shown.value) ? cursor.value : null
  const picture = (kind: 'png' | 'svg') => {
    redraw.current(true)
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
        <div
          ref={root}
          id={`chart-${pane.index}`}
          role="group"
          aria-roledescription="chart"
          aria-description="Arrow keys read its values, Enter chooses one."
          tabIndex={0}
          class="canvas"
          onKeyDown={onKey}
          onFocus={() => (state.active.value = pane.index)}
          onBlur={() => (cursor.value = null)}
        />
        {at && <CursorMark made={shown.value!} cursor={at} plot={plot.value!} />}
      </div>
      <p class="sr" role="status">
        {at && shown.value!.tell(at.column, at.row).replaceAll('\n', ', ')}
      </p>
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
  useEffect(() => whenIdle(warmUp), [])
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
