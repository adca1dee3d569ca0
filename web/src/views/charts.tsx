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
import { CHART_MAKERS, type Chart, type Look } from '../draw/chart_options'
import { MAPS } from '../draw/colour'
import { captionOf, composePng, composeSvg } from '../draw/picture'
import { fileName, save } from '../ui/export'
import * as state from '../model/store'
import { chart, colourMap, pinned, select, type Pane } from '../model/store'
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
  [chart.value, pane.key.value, pane.units.value.name, pane.units.value.count, state.hide.value.size].join(' ')

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
  const { unit, row } = made.pick(point)
  if (row !== undefined) select(pane.key.value, row)
  if (unit === undefined || row !== undefined) return
  pinned.value = { run: pane.key.value, unit }
  revealUnit(pane, unit)
}

function Canvas({ pane }: { pane: Pane }) {
  const root = useRef<HTMLDivElement>(null)
  const last = useRef<Chart | null>(null)
  const shown = useSignal<Chart | null>(null)
  useEffect(() => {
    const element = root.current!
    let drawn: echarts.ECharts | null = null
    let zoomed = ''
    const draw = () => {
      const maker = CHART_MAKERS[chart.value]
      if (!maker || !pane.attribution.value || !element.clientWidth) return
      const made = maker(pane, lookNow(element.clientWidth))
      last.current = shown.value = made
      element.style.height = `${made.height}px`
      element.setAttribute('aria-label', made.description)
      const isNew = zoomed !== zoomKey(pane) || !drawn
      drawn ??= echarts.init(element, null, { renderer: 'canvas' })
      drawn.resize()
      const { dataZoom, ...rest } = made.option
      drawn.setOption(isNew ? { ...rest, dataZoom } : rest, isNew ? { notMerge: true } : { replaceMerge: ['series'] })
      drawn.off('click')
      drawn.on('click', ({ data }) => onPick(pane, made, data))
      zoomed = zoomKey(pane)
    }
    const later = afterPaint(draw)
    const stop = effect(() => {
      void [
        chart.value,
        colourMap.value,
        state.palette.value,
        pane.unitValues.value,
        pane.mean.value,
        pane.hidden.value,
        pane.answer.value,
        pane.look.value,
      ]
      later.request()
    })
    const resized = new ResizeObserver(() => later.request())
    resized.observe(element)
    return () => {
      stop()
      later.cancel()
      resized.disconnect()
      drawn?.dispose()
    }
  }, [pane])
  const picture = (kind: 'png' | 'svg') =>
    last.current && void savePicture(pane, last.current, root.current!.clientWidth, kind)
  return (
    <figure class="chart">
      {state.shownPanes.value.length > 1 && (
        <figcaption>{`${state.runTitle(pane.run.value!)}, ${pane.name.value}`}</figcaption>
      )}
      <div ref={root} role="img" class="canvas" />
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

/** Draws the chart again, off the page and without animation, under a caption. */
async function savePicture(pane: Pane, made: Chart, width: number, kind: 'png' | 'svg'): Promise<void> {
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
  const series = (made.option.series as object[]).map((one) => ({ ...one, progressive: 0 }))
  other.setOption({ ...made.option, series, backgroundColor: palette.paper })
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
