/*
 * Columns of a chart: one for each part of the prompt, or, above MAX_COLUMNS, one for each sentence. A click on a
 * sentence opens it: its parts alone are shown then.
 */
import { signal } from '@preact/signals'
import type { Pane } from '../model/store'
import { label, shorten } from '../ui/token_text'

export interface Column {
  label: string
  /** The parts in it, in order. */
  units: readonly number[]
}

export const MAX_COLUMNS = 200
const LABEL_WIDTH = 14

/** Parts [from, to] of a pane, both inclusive, that are shown alone. */
export interface Opened {
  key: string
  from: number
  to: number
}
const opened = signal<Opened | null>(null)

const keyOf = (pane: Pane) => [pane.key.value, pane.units.value.name, pane.units.value.count].join(' ')

export const openedIn = (pane: Pane): Opened | null => (opened.value?.key === keyOf(pane) ? opened.value : null)

export function openColumn(pane: Pane, units: readonly number[]): void {
  opened.value = { key: keyOf(pane), from: units[0], to: units[units.length - 1] }
}

export function closeColumn(): void {
  opened.value = null
}

/** Units that are not hidden. */
export function shownUnits(pane: Pane): number[] {
  const hidden = pane.hiddenUnits.value
  return [...hidden.keys()].filter((u) => !hidden[u])
}

export const unitLabel = (pane: Pane, u: number): string =>
  `${u}: ${shorten(label(pane.units.value.names(u)), LABEL_WIDTH)}`

export const unitColumns = (pane: Pane, units: readonly number[]): Column[] =>
  units.map((u) => ({ label: unitLabel(pane, u), units: [u] }))

function columnOf(pane: Pane, units: readonly number[]): Column {
  if (units.length === 1) return { label: unitLabel(pane, units[0]), units }
  const text = units.slice(0, LABEL_WIDTH).map((u) => pane.units.value.names(u))
  const words = shorten(label(text.join('').trim()), LABEL_WIDTH)
  return { label: `${units[0]}\u2013${units[units.length - 1]}: ${words}`, units }
}

/** Groups of neighbours with one sentence; what is in none belongs to the group before it. */
function bySentence(pane: Pane, units: readonly number[]): number[][] {
  const sentences = pane.run.value?.cuts.prompt.sentence?.groups
  const groups: number[][] = []
  let before = -2
  for (const u of units) {
    const sentence = sentences?.[pane.units.value.first[u]] ?? -1
    const isAlone = pane.outliers.value.has(u)
    if (!groups.length || isAlone || before === -3 || (sentence >= 0 && sentence !== before)) groups.push([])
    groups[groups.length - 1].push(u)
    before = isAlone ? -3 : sentence >= 0 ? sentence : before
  }
  return groups
}

/** Neighbours joined evenly until there are at most MAX_COLUMNS; outliers stay apart. */
function joined(pane: Pane, groups: readonly number[][]): number[][] {
  const size = Math.ceil(groups.length / (MAX_COLUMNS - pane.outliers.value.size))
  const out: number[][] = []
  let count = size
  for (const group of groups) {
    const isAlone = pane.outliers.value.has(group[0])
    if (isAlone || count >= size) {
      out.push([])
      count = 0
    }
    out[out.length - 1].push(...group)
    count = isAlone ? size : count + 1
  }
  return out
}

/** The columns of bars and layers. */
export function columnsOf(pane: Pane): Column[] {
  const open = openedIn(pane)
  const units = shownUnits(pane).filter((u) => !open || (u >= open.from && u <= open.to))
  if (units.length <= MAX_COLUMNS) return unitColumns(pane, units)
  const groups = open ? units.map((u) => [u]) : bySentence(pane, units)
  const fits = groups.length > 1 && groups.length <= MAX_COLUMNS
  const hasSentences = !open && groups.length > 1 + pane.outliers.value.size
  const list = fits && hasSentences ? groups : joined(pane, hasSentences ? groups : units.map((u) => [u]))
  return list.map((group) => columnOf(pane, group))
}

export const isBinned = (columns: readonly Column[]) => columns.some(({ units }) => units.length > 1)

/** [columns] sums of the values of each column's units. */
export function sumByColumn(values: ArrayLike<number>, columns: readonly Column[]): Float32Array {
  return Float32Array.from(columns, ({ units }) => {
    let sum = 0
    for (const u of units) sum += values[u]
    return sum
  })
}
