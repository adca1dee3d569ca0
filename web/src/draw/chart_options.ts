/*
 * ECharts options of each chart, made from a pane. Labels are `index: token`; layers count from 1, the first at the
 * bottom. Pure except for reading the pane's signals.
 */
import type { EChartsCoreOption } from 'echarts/core'
import { contrast, DIVERGING, MAPS, type Palette, type Theme } from './colour'
import type { Pane } from '../model/store'
import { layersOfRows, scaleOf, sumByUnit, type Units } from '../model/aggregate'
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
  pick: (data: readonly number[]) => { unit?: number; row?: number }
}

/** Families without quotes, because ECharts writes them into SVG attributes unescaped. */
export const FONT = 'system-ui, Noto Sans, DejaVu Sans, sans-serif'
const LABEL_WIDTH = 14
const COLUMN_WIDTH = 15 // px that a column needs for a readable label
const MAX_COLUMNS = 400

/** Units that are not hidden. */
function shownUnits(pane: Pane): number[] {
  const hidden = pane.hiddenUnits.value
  return [...hidden.keys()].filter((u) => !hidden[u])
}

const labels = new WeakMap<Units, string[]>()

/** `index: token`, computed once for each split of a prompt. */
function unitLabel({ units: { value: units } }: Pane, u: number): string {
  let made = labels.get(units)
  if (!made) {
    made = Array.from({ length: units.count }, (_, i) => `${i}: ${shorten(label(units.names(i)), LABEL_WIDTH)}`)
    labels.set(units, made)
  }
  return made[u]
}

function axisStyle({ palette }: Look) {
  return {
    axisLine: { lineStyle: { color: palette.rule } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: palette.rule } },
    axisLabel: { color: palette.muted, fontFamily: FONT, fontSize: 11 },
  }
}

function unitAxis(pane: Pane, units: readonly number[], look: Look) {
  const style = axisStyle(look)
  return {
    type: 'category',
    data: units.map((u) => unitLabel(pane, u)),
    ...style,
    axisLabel: { ...style.axisLabel, rotate: 60, hideOverlap: true },
  }
}

/** A window on the columns, if not all labels fit; initially around the strongest unit. */
function zoom(pane: Pane, units: readonly number[], look: Look, always = false) {
  const room = Math.max(8, Math.floor((look.width - 90) / COLUMN_WIDTH))
  if (units.length <= room * 1.5 && !always) return []
  const peak = Math.max(0, units.indexOf(pane.strongest.value.find((u) => !pane.outliers.value.has(u)) ?? units[0]))
  const begin = units.length <= room ? 0 : Math.min(Math.max(0, peak - Math.floor(room / 2)), units.length - room)
  const window = {
    startValue: begin,
    endValue: Math.min(units.length, begin + room) - 1,
    minValueSpan: 3,
    maxValueSpan: MAX_COLUMNS,
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

const isBeyond = (value: number, scale: number) => Math.abs(value) > scale * (1 + 1e-6)

/** "0: The 87 %, 11: is 4.8 %": prompt units with their values. */
function unitsText(pane: Pane, values: readonly (readonly [unit: number, value: number])[]): string {
  return values.map(([u, v]) => `${unitLabel(pane, u)} ${amount(v, pane.isShares.value)}`).join(', ')
}

/** For each column with values beyond the scale, the strongest one. */
function columnsBeyond(
  units: readonly number[],
  data: readonly [number, number, number][],
  scale: number,
): [number, number][] {
  const strongest = new Map<number, number>()
  for (const [x, , v] of data)
    if (isBeyond(v, scale) && Math.abs(v) > Math.abs(strongest.get(units[x]) ?? 0)) strongest.set(units[x], v)
  return [...strongest]
}

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

/** Limits of the scale if the outliers far exceed the other values. */
function limits(pane: Pane): { min?: number; max?: number } {
  const max = roundUp(pane.scale.value * 1.02 || 1)
  const cut = (sign: number) => pane.beyond.value.some((u) => pane.unitValues.value[u] * sign > max)
  return { ...(cut(1) ? { max } : {}), ...(cut(-1) ? { min: -max } : {}) }
}

export function bars(pane: Pane, look: Look): Chart {
  const units = shownUnits(pane)
  const values = pane.unitValues.value
  const { palette } = look
  const marked = pane.look.value
  const data = units.map((u, x) => ({
    value: [x, values[u]],
    itemStyle: {
      color: values[u] < 0 ? palette.barBelow : palette.bar,
      opacity: marked < 0 || marked === u ? 1 : 0.45,
    },
  }))
  const zooms = zoom(pane, units, look)
  const { min, max } = limits(pane)
  const ends = (v: number) => (max !== undefined && v > max ? max : min !== undefined && v < min ? min : v)
  const cut = units.flatMap((u, x): [number, number, number][] =>
    ends(values[u]) === values[u] ? [] : [[x, ends(values[u]), values[u]]],
  )
  const above = cut.some(([, , v]) => v > 0) ? 14 : 0 // the unit is above the values of broken bars
  const onAxis = (v: number) =>
    v === max ? `\u2265\u2009${number(v)}` : v === min ? `\u2264\u2009${number(v)}` : number(v)
  return {
    height: 300,
    title: `What \u201c${selectedText(pane)}\u201d took from the prompt`,
    notes: cut.length
      ? [
          `Cut at the end of the scale: ${unitsText(
            pane,
            cut.map(([x, , v]) => [units[x], v]),
          )}.`,
        ]
      : [],
    description:
      `Bars: what “${selectedText(pane)}” took from each of ${units.length} parts of the prompt, ` +
      `mean over the chosen layers, by ${pane.attribution.value?.method}`,
    pick: ([x]) => ({ unit: units[x] }),
    option: {
      animation: false,
      grid: { left: 62, right: 12, top: 24 + above, bottom: zooms.length ? 118 : 92 },
      xAxis: unitAxis(pane, units, look),
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
      tooltip: tooltip(look, ([x, v]) => `${unitLabel(pane, units[x])}\n${amount(v, pane.isShares.value)}`),
      series: [
        { type: 'bar', data, barMaxWidth: BAR_WIDTH, barCategoryGap: `${BAR_GAP * 100}%`, clip: true },
        ...brokenBars(pane, look, cut),
      ],
    },
  }
}

/* ------------------------------------------------------------------ heat maps */

interface Cells {
  pane: Pane
  look: Look
  units: number[]
  /** Labels from the bottom up. */
  rows: string[]
  data: [number, number, number][]
  scale: number
  height: number
  describe: string
  title: string
  ofAllTokens?: boolean
  rowOf: (y: number) => { row?: number }
}

/** Marks a corner of each cell whose value is beyond the scale. */
function beyondCorners(data: readonly [number, number, number][], colours: readonly string[], look: Look) {
  const { ink, paper } = look.palette
  return overlay(data, (_, api) => {
    const [x, y] = api.coord([api.value(0), api.value(1)])
    const [width, height] = api.size([1, 1])
    const side = Math.min(width, height, 9) * 0.6
    const full = api.value(2) < 0 ? colours[0] : colours[colours.length - 1]
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
      style: { fill: contrast(full, ink) > contrast(full, paper) ? ink : paper },
    }
  })
}

function heatmap({ pane, look, units, rows, data, scale, height, describe, title, ofAllTokens, rowOf }: Cells): Chart {
  const signed = data.some(([, , v]) => v < 0)
  const colours = signed ? DIVERGING[look.theme] : (MAPS[look.map] ?? MAPS.tint).stops(look.theme)
  const zooms = zoom(pane, units, look)
  const style = axisStyle(look)
  const isShares = pane.isShares.value
  const beyond = data.filter(([, , v]) => isBeyond(v, scale))
  const columns = columnsBeyond(units, data, scale)
  const maxLabel = `${beyond.some(([, , v]) => v > 0) ? '\u2265\u2009' : ''}${number(scale)}`
  const minLabel = signed ? `${beyond.some(([, , v]) => v < 0) ? '\u2264\u2009' : ''}${number(-scale)}` : '0'
  return {
    height,
    title,
    ofAllTokens,
    notes: columns.length
      ? [`Beyond the scale, marked by a corner; the strongest of each: ${unitsText(pane, columns)}.`]
      : [],
    description: describe,
    pick: ([x, y]) => ({ unit: units[x], ...rowOf(y) }),
    option: {
      animation: false,
      grid: { left: 78, right: 64, top: 10, bottom: zooms.length ? 118 : 92 },
      xAxis: unitAxis(pane, units, look),
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
        textStyle: { color: look.palette.muted, fontFamily: FONT, fontSize: 11 },
      },
      tooltip: tooltip(look, ([x, y, v]) => `${unitLabel(pane, units[x])}\n${rows[y]}\n${amount(v, isShares)}`),
      series: [
        {
          type: 'heatmap',
          data,
          progressive: 4000,
          emphasis: { itemStyle: { borderColor: look.palette.ink, borderWidth: 1 } },
        },
        ...beyondCorners(beyond, colours, look),
      ],
    },
  }
}

/** The largest cell value without the outliers. */
function cellScale(pane: Pane, units: readonly number[], data: readonly [number, number, number][]): number {
  return scaleOf(
    Float32Array.from(data, ([, , v]) => v),
    (cell) => pane.outliers.value.has(units[data[cell][0]]),
  )
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

export function layers(pane: Pane, look: Look): Chart {
  const units = shownUnits(pane)
  const { first, layers: rows } = valuesByLayer(pane)
  const data = rows.flatMap((row, y) => units.map((u, x): [number, number, number] => [x, y, row[u]]))
  return heatmap({
    pane,
    look,
    units,
    rows: rows.map((_, y) => `layer ${first + y + 1}`),
    data,
    scale: cellScale(pane, units, data),
    height: Math.max(260, Math.min(640, rows.length * 13)) + 100,
    title: `What \u201c${selectedText(pane)}\u201d took from the prompt, layer by layer`,
    describe:
      `Heat map: what “${selectedText(pane)}” took from each part of the prompt, layer by layer, ` +
      `${rows.length} layers from the bottom up`,
    rowOf: () => ({}),
  })
}

/** Rows are explained tokens from the top down. */
export function map(pane: Pane, look: Look): Chart {
  const a = pane.attribution.value!
  const units = shownUnits(pane)
  const { texts } = pane.answer.value
  const offset = pane.offset.value
  const data: [number, number, number][] = []
  for (let i = 0; i < a.n; i++) {
    const row = pane.mean.value.subarray(i * a.m, (i + 1) * a.m)
    const values = pane.isGrouped.value ? row : sumByUnit(row, pane.units.value, pane.hidden.value)
    units.forEach((u, x) => data.push([x, a.n - 1 - i, values[u]]))
  }
  const rows = Array.from({ length: a.n }, (_, y) => {
    const i = a.n - 1 - y + offset
    return `${i}: ${shorten(label(texts[i] ?? ''), 9)}`
  })
  return heatmap({
    pane,
    look,
    units,
    rows,
    data,
    scale: cellScale(pane, units, data),
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

/** The layers from which the values of the strongest parts come. */
export function profile(pane: Pane, look: Look): Chart {
  const { first, layers: rows } = valuesByLayer(pane)
  const marked = pane.look.value
  const strongest = pane.strongest.value.filter((u) => !pane.outliers.value.has(u))
  const units = [...new Set([...(marked >= 0 ? [marked] : []), ...strongest])].slice(0, LINES)
  const style = axisStyle(look)
  const left = [...pane.outliers.value].filter(
    (u) => !units.includes(u) && !pane.hiddenUnits.value[u] && pane.unitValues.value[u] !== 0,
  )
  const notes = left.length
    ? [
        `Not drawn, since the others would be flat beside it: ${unitsText(
          pane,
          left.map((u) => [u, pane.unitValues.value[u]]),
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
    option: {
      animation: false,
      color: [...LINE_COLOURS[look.theme]],
      grid: { left: 62, right: 16, top: 44, bottom: 44 },
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
      yAxis: { type: 'value', ...style, axisLabel: { ...style.axisLabel, formatter: (v: number) => number(v) } },
      tooltip: tooltip(look, ([x, v]) => `layer ${first + x + 1}\n${amount(v, pane.isShares.value)}`),
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
