/*
 * ECharts options of each chart, made from a pane. Labels are `index: token`; layers count from 1, the first at the
 * bottom. Pure except for reading the pane's signals.
 */
import type { EChartsCoreOption } from 'echarts/core'
import type { AxisLabels } from './axis_labels'
import { beyondOf, markColour, type Cells } from './cell_canvas'
import { DIVERGING, MAPS, type Palette, type Theme } from './colour'
import { columnsOf, isBinned, shownUnits, sumByColumn, unitColumns, unitLabel, type Column } from './columns'
import { isComparable, oneScale, panes, type Pane } from '../model/store'
import { layersOfRows, scaleOf, sumByUnit } from '../model/aggregate'
import { joinedText, label, number, shorten } from '../ui/token_text'
import { amount } from '../ui/labels'

export interface Look {
  palette: Palette
  theme: Theme
  map: string
  /** Width of the chart in CSS pixels. */
  width: number
}

export interface Chart {
  option: EChartsCoreOption
  height: number
  /** Text alternative of the chart. */
  description: string
  /** A short text alternative, used as title of a picture. */
  title: string
  /** Rows are all explained tokens, not the selection. */
  ofAllTokens?: boolean
  /** Whole sentences about parts that are drawn shorter or paler than their value, or left out. */
  notes: string[]
  /** Effect of a click on a data point. */
  pick: (data: readonly number[]) => Picked
  /** The cells of a heat map, which the page draws itself; `option` then has none. */
  cells?: Cells
  /** Where the plot is: distances from the edges of the chart. */
  grid: Place
  /** Labels that the page draws itself; `option` has them, too, for files. */
  labels?: AxisLabels
  /** The data point of what is looked at, which is raised above the others; undefined: none, or it is drawn so. */
  raised?: (unit: number) => number | undefined
  /** Its values: bars have one row, lines a row each. */
  points: { columns: number; rows: number }
  /** What is said about a value. */
  tell: (column: number, row: number) => string
  /** Marks for a picture file, if `option` has none. */
  series?: () => object[]
}

/** Labels may not move the plot, which is where the cells are drawn. */
const FIXED = { outerBoundsMode: 'none' } as const

export interface Place {
  left: number
  right: number
  top: number
  bottom: number
}

export interface Picked {
  unit?: number
  row?: number
  /** A column of several units, to be opened. */
  units?: readonly number[]
}

/** Families without quotes, because ECharts writes them into SVG attributes unescaped. */
export const FONT = 'system-ui, Noto Sans, DejaVu Sans, sans-serif'
const COLUMN_WIDTH = 15 // px that a column needs for a readable label

function axisStyle({ palette }: Look) {
  return {
    axisLine: { lineStyle: { color: palette.rule } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: palette.rule } },
    axisLabel: { color: palette.muted, fontFamily: FONT, fontSize: 11 },
  }
}

/** Heights of the column labels and, where there is one, of the slider under them, in CSS pixels. */
const labelSpace = (zooms: readonly object[]) => (zooms.length ? 94 : 92)
const SLIDER = 24

function columnAxis(columns: readonly Column[], look: Look) {
  const style = axisStyle(look)
  return {
    type: 'category',
    data: columns.map(({ label }) => label),
    ...style,
    axisLabel: { ...style.axisLabel, rotate: 60, hideOverlap: true },
  }
}

/** A window on the columns, if not all labels fit; initially around the strongest. */
function zoom(pane: Pane, columns: readonly Column[], look: Look, isWhole = false) {
  const fit = Math.max(8, Math.floor((look.width - 90) / COLUMN_WIDTH))
  if (columns.length <= fit * 1.5) return []
  const strongest = pane.strongest.value.find((u) => !pane.outliers.value.has(u)) ?? -1
  const peak = Math.max(
    0,
    columns.findIndex(({ units }) => units.includes(strongest)),
  )
  const begin = isWhole ? 0 : Math.min(Math.max(0, peak - Math.floor(fit / 2)), columns.length - fit)
  const window = {
    startValue: begin,
    endValue: (isWhole ? columns.length : Math.min(columns.length, begin + fit)) - 1,
    minValueSpan: 3,
    xAxisIndex: 0,
  }
  const { palette } = look
  const slider = {
    type: 'slider',
    ...window,
    height: 18,
    bottom: 4,
    borderColor: palette.rule,
    fillerColor: `${palette.accent}30`,
    handleStyle: { color: palette.accent },
    textStyle: { color: palette.muted },
    showDetail: false,
    brushSelect: false,
  }
  return [slider, { type: 'inside', ...window, zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false }]
}

function tooltip(look: Look, text: (data: number[]) => string) {
  return {
    renderMode: 'richText',
    confine: true,
    backgroundColor: look.palette.paper,
    borderColor: look.palette.rule,
    textStyle: { color: look.palette.ink, fontFamily: FONT, fontSize: 12 },
    formatter: (p: { data: number[] | { value: number[] } }) => text(Array.isArray(p.data) ? p.data : p.data.value),
  }
}

const selectedText = (pane: Pane) => {
  const chosen = pane.selection.value
  if (!chosen) return ''
  return shorten(label(joinedText(pane.answer.value, chosen[0] + pane.offset.value, chosen[1] + pane.offset.value)), 40)
}

/** Description of the selection: "completion token 3: “·sunny”". */
export function tokensText(pane: Pane): string {
  const chosen = pane.selection.value
  const run = pane.run.value
  if (!chosen || !run) return ''
  const [from, to] = [chosen[0] + pane.offset.value, chosen[1] + pane.offset.value]
  const noun = run.m < run.info.tokens.length ? 'completion token' : 'token'
  const which = from === to ? `${noun} ${from}` : `${noun}s ${from}\u2013${to}, their mean`
  return `${which}: \u201c${selectedText(pane)}\u201d`
}

/* ------------------------------------------------------------------ beyond the scale */

/** "0: The 87 %, 11: is 4.8 %": columns with their values. */
function columnsText(pane: Pane, values: readonly (readonly [label: string, value: number])[]): string {
  return values.map(([label, v]) => `${label} ${amount(v, pane.isShares.value)}`).join(', ')
}

/** For each column with values beyond the scale, the strongest one. */
function columnsBeyond(columns: readonly Column[], { values, beyond }: Cells): [string, number][] {
  const strongest = new Map<number, number>()
  for (const cell of beyond) {
    const x = cell % columns.length
    if (Math.abs(values[cell]) > Math.abs(strongest.get(x) ?? 0)) strongest.set(x, values[cell])
  }
  return [...strongest].sort(([a], [b]) => a - b).map(([x, v]) => [columns[x].label, v])
}

/** What a click on a column does. */
const pickColumn = ({ units }: Column): Picked => (units.length > 1 ? { units } : { unit: units[0] })

/** How a column is said at the pointer. */
const columnText = ({ label, units }: Column) =>
  units.length > 1 ? `${label}\n${units.length} parts; click to open` : label

/** The largest of a value of both sides if they have one scale, else that of this side. */
const common = (pane: Pane, of: (pane: Pane) => number): number =>
  isComparable.value && oneScale.value ? Math.max(...panes.map(of)) : of(pane)

/** Draws `shapes` at [x, y] of the data over the marks; not affected by the colour bar. */
const overlay = (data: readonly (readonly number[])[], renderItem: (params: unknown, api: CustomApi) => object) =>
  data.length ? [{ type: 'custom', data, renderItem, silent: true, clip: false, z: 5, encode: { x: 0, y: 1 } }] : []

interface CustomApi {
  value: (dimension: number) => number
  coord: (at: readonly number[]) => [number, number]
  size: (of: readonly number[]) => [number, number]
}

/* ------------------------------------------------------------------ bars */

const BAR_WIDTH = 26
const BAR_GAP = 0.18
/** Of the bars beside the one that is looked at. */
const FADED = 0.45
const BAR = {
  type: 'bar',
  barMaxWidth: BAR_WIDTH,
  barCategoryGap: `${BAR_GAP * 100}%`,
  clip: true,
  emphasis: { focus: 'self', blurScope: 'series', itemStyle: { color: 'inherit' } },
  blur: { itemStyle: { opacity: FADED } },
}
/** px from the end of a broken bar to its two gaps. */
const BREAKS = [5, 10] as const

/** Two slanted gaps near the end of a bar that exceeds the scale, and its value above it, because the axis labels are
 * below the plot. data: [column, end, value]. */
function brokenBars(pane: Pane, look: Look, data: readonly [number, number, number][]) {
  return overlay(data, (_, api) => {
    const [x, y] = api.coord([api.value(0), api.value(1)])
    const value = api.value(2)
    const [, zero] = api.coord([api.value(0), 0])
    const down = value < 0 ? -1 : 1
    const half = Math.min(BAR_WIDTH, api.size([1, 0])[0] * (1 - BAR_GAP)) / 2 + 2
    const gap = (at: number) => ({
      type: 'line',
      shape: { x1: x - half, y1: y + down * at + 2, x2: x + half, y2: y + down * at - 2 },
      style: { stroke: look.palette.paper, lineWidth: 2 },
    })
    const text = {
      type: 'text',
      style: {
        text: amount(value, pane.isShares.value),
        x,
        y: (value < 0 ? zero : y) - 3,
        align: 'center',
        verticalAlign: 'bottom',
        fill: look.palette.ink,
        font: `11px ${FONT}`,
      },
    }
    return { type: 'group', children: [...BREAKS.map(gap), text] }
  })
}

/** The smallest of 1, 2, 2.5, 5, 10 times a power of ten that is at least `value`. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 2, 2.5, 5].find((step) => step * power >= value) ?? 10)
}

interface ColumnValues {
  columns: Column[]
  values: Float32Array
  isOutlier: (column: number) => boolean
}

function barValues(pane: Pane): ColumnValues {
  const columns = columnsOf(pane)
  const isOutlier = (x: number) => columns[x].units.length === 1 && pane.outliers.value.has(columns[x].units[0])
  return { columns, values: sumByColumn(pane.unitValues.value, columns), isOutlier }
}

const barScale = (pane: Pane): number => {
  const { values, isOutlier } = barValues(pane)
  return scaleOf(values, isOutlier)
}

/** Limits of the scale if outliers far exceed the other values, or if another chart beside has the same scale. */
function limits(pane: Pane, { values, isOutlier }: ColumnValues): { min?: number; max?: number } {
  const isShared = isComparable.value && oneScale.value
  const max = roundUp(common(pane, barScale) * 1.02 || 1)
  const isCut = (sign: number) => values.some((v, x) => isOutlier(x) && v * sign > max)
  const hasLower = isShared && panes.some((p) => p.unitValues.value.some((v) => v < 0))
  return { ...(isShared || isCut(1) ? { max } : {}), ...(hasLower || isCut(-1) ? { min: -max } : {}) }
}

export function bars(pane: Pane, look: Look): Chart {
  const all = barValues(pane)
  const { columns, values } = all
  const { palette } = look
  const data = columns.map((_, x) => ({
    value: [x, values[x]],
    itemStyle: { color: values[x] < 0 ? palette.barBelow : palette.bar },
  }))
  const raised = (unit: number) => {
    const at = columns.findIndex(({ units }) => units.includes(unit))
    return at < 0 ? undefined : at
  }
  const zooms = zoom(pane, columns, look, isBinned(columns))
  const { min, max } = limits(pane, all)
  const ends = (v: number) => (max !== undefined && v > max ? max : min !== undefined && v < min ? min : v)
  const cut = columns.flatMap((_, x): [number, number, number][] =>
    ends(values[x]) === values[x] ? [] : [[x, ends(values[x]), values[x]]],
  )
  const above = cut.some(([, , v]) => v > 0) ? 14 : 0 // the unit is above the values of broken bars
  const hasCut = (end?: number) => cut.some(([, at]) => at === end)
  const onAxis = (v: number) =>
    v === max && hasCut(max)
      ? `\u2265\u2009${number(v)}`
      : v === min && hasCut(min)
        ? `\u2264\u2009${number(v)}`
        : number(v)
  const cutText = columnsText(
    pane,
    cut.map(([x, , v]) => [columns[x].label, v]),
  )
  const opacityOf = (x: number) => {
    const marked = pane.look.value
    return marked < 0 || columns[x].units.includes(marked) ? 1 : FADED
  }
  const tell = (x: number) => `${columnText(columns[x])}\n${amount(values[x], pane.isShares.value)}`
  const series = (list: object[]) => [{ ...BAR, data: list }, ...brokenBars(pane, look, cut)]
  const place = { left: 62, right: 12, top: 24 + above, bottom: labelSpace(zooms) + (zooms.length ? SLIDER : 0) }
  return {
    height: 300,
    title: `What \u201c${selectedText(pane)}\u201d took from the prompt`,
    notes: cut.length ? [`Cut at the end of the scale: ${cutText}.`] : [],
    description:
      `Bars: what “${selectedText(pane)}” took from each of ${columns.length} parts of the prompt, ` +
      `mean over the chosen layers, by ${pane.attribution.value?.method}`,
    pick: ([x]) => pickColumn(columns[x]),
    grid: place,
    labels: { columns: columns.map(({ label }) => label), below: labelSpace(zooms) },
    points: { columns: columns.length, rows: 1 },
    tell,
    raised,
    series: () => series(data.map((one, x) => ({ ...one, itemStyle: { ...one.itemStyle, opacity: opacityOf(x) } }))),
    option: {
      animation: false,
      grid: { ...FIXED, ...place },
      xAxis: columnAxis(columns, look),
      yAxis: {
        type: 'value',
        min,
        max,
        name: pane.isShares.value ? 'share' : 'nats',
        nameGap: 8 + above,
        nameTextStyle: { color: look.palette.muted, fontFamily: FONT, fontSize: 11, align: 'right' },
        ...axisStyle(look),
        axisLabel: { ...axisStyle(look).axisLabel, formatter: onAxis },
      },
      dataZoom: zooms,
      tooltip: tooltip(look, ([x]) => tell(x)),
      series: series(data),
    },
  }
}

/* ------------------------------------------------------------------ heat maps */

/** The numbers of a heat map. */
interface Grid {
  columns: Column[]
  /** [rows, columns], the lowest row first. */
  values: Float32Array
  /** Whether a cell does not set the scale. */
  isOutlier: (row: number, column: number) => boolean
}

/** Full strength; outliers set it only if there is nothing else. */
function gridScale({ columns, values, isOutlier }: Grid): number {
  let [max, all] = [0, 0]
  const width = columns.length
  for (let row = 0, cell = 0; cell < values.length; row++) {
    for (let column = 0; column < width; column++, cell++) {
      const size = Math.abs(values[cell])
      if (size > all && size < Infinity) all = size
      if (size > max && size < Infinity && !isOutlier(row, column)) max = size
    }
  }
  return max || all
}

interface HeatMap {
  pane: Pane
  look: Look
  grid: Grid
  scale: number
  /** Labels from the bottom up. */
  rows: string[]
  height: number
  describe: string
  title: string
  ofAllTokens?: boolean
  rowOf: (y: number) => { row?: number }
}

/** Marks a corner of each cell whose value is beyond the scale. */
function beyondCorners(data: readonly [number, number, number][], cells: Cells) {
  return overlay(data, (_, api) => {
    const [x, y] = api.coord([api.value(0), api.value(1)])
    const [width, height] = api.size([1, 1])
    const side = Math.min(width, height, 9) * 0.6
    const [right, top] = [x + width / 2, y - height / 2]
    return {
      type: 'polygon',
      shape: {
        points: [
          [right - side, top],
          [right, top],
          [right, top + side],
        ],
      },
      style: { fill: markColour(cells, api.value(2)) },
    }
  })
}

/** The cells as marks of a picture file. */
function cellSeries(cells: Cells): object[] {
  const data = Array.from(cells.values, (v, cell): [number, number, number] => [
    cell % cells.columns,
    Math.floor(cell / cells.columns),
    v,
  ])
  const beyond = cells.beyond.map((cell) => data[cell])
  return [{ type: 'heatmap', data }, ...beyondCorners(beyond, cells)]
}

function heatmap({ pane, look, grid, scale, rows, height, describe, title, ofAllTokens, rowOf }: HeatMap): Chart {
  const { columns, values } = grid
  const signed = common(pane, (p) => (p.attribution.value?.signed ? 1 : 0)) > 0
  const colours = signed ? DIVERGING[look.theme] : (MAPS[look.map] ?? MAPS.tint).stops(look.theme)
  const zooms = zoom(pane, columns, look, isBinned(columns))
  const style = axisStyle(look)
  const { ink, paper, muted } = look.palette
  const cells: Cells = {
    columns: columns.length,
    rows: rows.length,
    values,
    scale,
    beyond: beyondOf(values, scale),
    signed,
    colours,
    marks: [ink, paper],
  }
  const beyond = columnsBeyond(columns, cells)
  const maxLabel = `${beyond.some(([, v]) => v > 0) ? '\u2265\u2009' : ''}${number(scale)}`
  const minLabel = signed ? `${beyond.some(([, v]) => v < 0) ? '\u2264\u2009' : ''}${number(-scale)}` : '0'
  const place = { left: 96, right: 64, top: 10, bottom: labelSpace(zooms) + (zooms.length ? SLIDER : 0) }
  return {
    height,
    title,
    ofAllTokens,
    cells,
    grid: place,
    labels: { columns: columns.map(({ label }) => label), below: labelSpace(zooms), rows },
    series: () => cellSeries(cells),
    points: { columns: columns.length, rows: rows.length },
    tell: (x, y) =>
      `${columnText(columns[x])}\n${rows[y]}\n${amount(values[y * columns.length + x], pane.isShares.value)}`,
    notes: beyond.length
      ? [`Beyond the scale, marked by a corner; the strongest of each: ${columnsText(pane, beyond)}.`]
      : [],
    description: describe,
    pick: ([x, y]) => ({ ...pickColumn(columns[x]), ...rowOf(y) }),
    option: {
      animation: false,
      grid: { ...FIXED, ...place },
      xAxis: columnAxis(columns, look),
      yAxis: { type: 'category', data: rows, ...style, axisLabel: { ...style.axisLabel, hideOverlap: true } },
      dataZoom: zooms,
      visualMap: {
        type: 'continuous',
        min: signed ? -scale : 0,
        max: scale || 1,
        inRange: { color: [...colours] },
        right: 0,
        top: 10,
        itemHeight: Math.min(140, height - 150),
        itemWidth: 10,
        text: [maxLabel, minLabel],
        seriesIndex: 0,
        textGap: 6,
        hoverLink: false,
        textStyle: { color: muted, fontFamily: FONT, fontSize: 11 },
      },
      series: [{ type: 'heatmap', data: [] }],
    },
  }
}

/** [L][units] for the selection: layers of the chosen range. */
function valuesByLayer(pane: Pane): { first: number; layers: Float32Array[] } {
  const a = pane.attribution.value!
  const chosen = pane.selection.value ?? [0, 0]
  const all = layersOfRows(a, ...chosen)
  const [from, to] = pane.range.value
  const layers: Float32Array[] = []
  for (let l = from; l < to; l++) {
    const row = all.subarray(l * a.m, (l + 1) * a.m)
    layers.push(pane.isGrouped.value ? row : sumByUnit(row, pane.units.value, pane.hidden.value))
  }
  return { first: from, layers }
}

/** Rows of values by unit as rows by column. */
function gridOf(columns: Column[], rows: readonly Float32Array[], isOutlier: Grid['isOutlier']): Grid {
  const values = new Float32Array(rows.length * columns.length)
  const isPlain = columns.every(({ units }, x) => units.length === 1 && units[0] === x)
  rows.forEach((row, y) =>
    values.set(isPlain ? row.subarray(0, columns.length) : sumByColumn(row, columns), y * columns.length),
  )
  return { columns, values, isOutlier }
}

function layerGrid(pane: Pane): Grid {
  const columns = columnsOf(pane)
  const { layers: rows } = valuesByLayer(pane)
  return gridOf(columns, rows, (_, x) => columns[x].units.some((u) => pane.outliers.value.has(u)))
}

export function layers(pane: Pane, look: Look): Chart {
  const grid = layerGrid(pane)
  const [first, end] = pane.range.value
  const n = end - first
  return heatmap({
    pane,
    look,
    grid,
    scale: common(pane, (p) => gridScale(p === pane ? grid : layerGrid(p))),
    rows: Array.from({ length: n }, (_, y) => `layer ${first + y + 1}`),
    height: Math.max(260, Math.min(640, n * 13)) + 100,
    title: `What \u201c${selectedText(pane)}\u201d took from the prompt, layer by layer`,
    describe:
      `Heat map: what “${selectedText(pane)}” took from each part of the prompt, layer by layer, ` +
      `${n} layers from the bottom up`,
    rowOf: () => ({}),
  })
}

/** Rows are explained tokens from the top down. Token 0 does not set the scale, nor what the first explained token
 * takes from its own position, the last one. */
function tokenGrid(pane: Pane): Grid {
  const a = pane.attribution.value!
  const columns = unitColumns(pane, shownUnits(pane))
  const [first, last] = [pane.units.value.of[0], pane.units.value.of[pane.units.value.of.length - 1]]
  const isTokens = pane.outliers.value.size > 0
  const isOutlier = (y: number, x: number) =>
    isTokens && (columns[x].units[0] === first || (y === a.n - 1 && columns[x].units[0] === last))
  const isUnitEach = pane.isGrouped.value || (pane.units.value.name === 'token' && !pane.hidden.value.includes(1))
  const rows = Array.from({ length: a.n }, (_, y) => {
    const i = a.n - 1 - y
    const row = pane.mean.value.subarray(i * a.m, (i + 1) * a.m)
    return isUnitEach ? row : sumByUnit(row, pane.units.value, pane.hidden.value)
  })
  return gridOf(columns, rows, isOutlier)
}

export function map(pane: Pane, look: Look): Chart {
  const a = pane.attribution.value!
  const { texts } = pane.answer.value
  const offset = pane.offset.value
  const grid = tokenGrid(pane)
  const rows = Array.from({ length: a.n }, (_, y) => {
    const i = a.n - 1 - y + offset
    return `${i}: ${shorten(label(texts[i] ?? ''), 9)}`
  })
  return heatmap({
    pane,
    look,
    grid,
    scale: common(pane, (p) => gridScale(p === pane ? grid : tokenGrid(p))),
    rows,
    height: Math.max(160, Math.min(900, a.n * 18)) + 100,
    title: 'What each completion token took from the prompt',
    ofAllTokens: true,
    describe:
      `Heat map: what each of ${a.n} completion tokens took from each part of the prompt, ` +
      'mean over the chosen layers',
    rowOf: (y) => ({ row: a.n - 1 - y + offset }),
  })
}

/* ------------------------------------------------------------------ depth */

const LINES = 5
const DASHES = ['solid', [8, 4], [2, 3], [10, 3, 2, 3], [5, 2]] as const
/** Okabe and Ito's colours, which differ without seeing red or green; dashes distinguish lines without colour. */
const LINE_COLOURS: Record<Theme, readonly string[]> = {
  light: ['#b34a00', '#0061a6', '#00775a', '#a23b7b', '#5c5a00'],
  dark: ['#f0a35c', '#6cbcf0', '#4fd1ab', '#e69ac6', '#e5d94b'],
}

/** The parts that have a line: the one that is looked at, and the strongest. */
function lineUnits(pane: Pane): number[] {
  const marked = pane.look.value
  const strongest = pane.strongest.value.filter((u) => !pane.beyond.value.includes(u))
  return [...new Set([...(marked >= 0 ? [marked] : []), ...strongest])].slice(0, LINES)
}

/** The largest value of a pane's lines in one direction, at least 0. */
function lineEnd(pane: Pane, sign: 1 | -1): number {
  const units = lineUnits(pane)
  return Math.max(0, ...valuesByLayer(pane).layers.flatMap((row) => units.map((u) => row[u] * sign)))
}

/** Limits of the value axis if another chart beside has the same scale. */
function lineLimits(pane: Pane): { min?: number; max?: number } {
  if (!isComparable.value || !oneScale.value) return {}
  const [above, below] = ([1, -1] as const).map((sign) => common(pane, (p) => lineEnd(p, sign)))
  return above || below ? { max: above && roundUp(above), min: below && -roundUp(below) } : {}
}

/** The layers from which the values of the strongest parts come. */
export function profile(pane: Pane, look: Look): Chart {
  const { first, layers: rows } = valuesByLayer(pane)
  const units = lineUnits(pane)
  const place = { left: 62, right: 16, top: 44, bottom: 44 }
  const tellLayer = (x: number, v: number) => `layer ${first + x + 1}\n${amount(v, pane.isShares.value)}`
  const style = axisStyle(look)
  const left = pane.beyond.value.filter((u) => !units.includes(u))
  const notes = left.length
    ? [
        `Not drawn, since the others would be flat beside it: ${columnsText(
          pane,
          left.map((u) => [unitLabel(pane, u), pane.unitValues.value[u]]),
        )}.`,
      ]
    : []
  const all = shownUnits(pane).length - left.length
  if (units.length < all) notes.unshift(`The ${units.length} strongest of ${all} parts of the prompt.`)
  return {
    height: 320,
    title: `Layers in which \u201c${selectedText(pane)}\u201d took its strongest sources`,
    notes,
    description:
      `Lines: how much of ${units.map((u) => `“${label(pane.units.value.names(u))}”`).join(', ')} ` +
      `each layer brought to “${selectedText(pane)}”`,
    pick: () => ({}),
    grid: place,
    points: { columns: rows.length, rows: units.length },
    tell: (x, y) => {
      const unit = units[units.length - 1 - y] // the first line is the highest row
      return `${unitLabel(pane, unit)}\n${tellLayer(x, rows[x][unit])}`
    },
    option: {
      animation: false,
      color: [...LINE_COLOURS[look.theme]],
      grid: { ...FIXED, ...place },
      legend: {
        top: 0,
        type: 'scroll',
        textStyle: { color: look.palette.ink, fontFamily: FONT, fontSize: 12 },
        itemWidth: 34,
      },
      xAxis: {
        type: 'category',
        name: 'layer',
        nameLocation: 'middle',
        nameGap: 28,
        nameTextStyle: { color: look.palette.muted },
        data: rows.map((_, y) => String(first + y + 1)),
        ...style,
      },
      yAxis: {
        type: 'value',
        ...lineLimits(pane),
        ...style,
        axisLabel: { ...style.axisLabel, formatter: (v: number) => number(v) },
      },
      tooltip: tooltip(look, ([x, v]) => tellLayer(x, v)),
      series: units.map((u, i) => ({
        type: 'line',
        name: unitLabel(pane, u),
        symbol: 'circle',
        symbolSize: 5,
        lineStyle: { width: 2, type: DASHES[i] },
        data: rows.map((row, x) => [x, row[u]]),
      })),
    },
  }
}

export const CHART_MAKERS: Record<string, (pane: Pane, look: Look) => Chart> = { bars, layers, map, profile }
