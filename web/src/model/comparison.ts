/*
 * Two panes beside each other: which of their parts belong together, and what one took more than the other. The
 * difference can be painted on both prompts instead of their own values.
 */
import { computed, signal } from '@preact/signals'
import { align, commonEnds, scaleOf } from './aggregate'
import { isComparable, panes, shownPanes, type Pane } from './store'

/** Whether the difference is asked for; it is shown where both sides have values of one method. */
export const wantsDifference = signal(false)
export const showsDifference = computed(() => wantsDifference.value && isComparable.value && pairs.value !== null)

/** What differs may have this many pairs of parts: the alignment takes time proportional to it. */
export const MAX_PAIRS = 4e6

export const unitNames = (pane: Pane): string[] =>
  Array.from({ length: pane.units.value.count }, (_, u) => pane.units.value.names(u))

const names = panes.map((pane) => computed(() => unitNames(pane)))

/** Units of both sides in the same place; -1: a side has none there. null: too long, or not side by side. */
export const pairs = computed<[number, number][] | null>(() => {
  if (shownPanes.value.length < 2) return null
  const [a, b] = names.map((list) => list.value)
  const { before, after } = commonEnds(a, b)
  const middle = (list: readonly string[]) => list.length - before - after
  return middle(a) * middle(b) > MAX_PAIRS ? null : align(a, b)
})

const valueAt = (pane: Pane, u: number) => (u < 0 || pane.hiddenUnits.value[u] ? 0 : (pane.unitValues.value[u] ?? 0))

/** For each pair what the left side took more than the right. */
export const moved = computed(() =>
  (pairs.value ?? []).map(([i, j]) => ({ units: [i, j] as const, value: valueAt(panes[0], i) - valueAt(panes[1], j) })),
)

/** [units] of each side: what it took more than the other. */
const differences = panes.map((pane, side) =>
  computed(() => {
    const out = new Float32Array(pane.units.value.count)
    for (const { units, value } of moved.value) if (units[side] >= 0) out[units[side]] = side ? -value : value
    return out
  }),
)

/** What does not set the scale on either side. */
const isOutlierPair = ([i, j]: readonly [number, number]) =>
  panes[0].outliers.value.has(i) || panes[1].outliers.value.has(j)

const differenceScale = computed(() =>
  scaleOf(
    Float32Array.from(moved.value, ({ value }) => value),
    (at) => isOutlierPair(moved.value[at].units),
  ),
)

/** The values painted on a pane's prompt, and their full strength. */
export const paintedValues = (pane: Pane): Float32Array =>
  showsDifference.value ? differences[pane.index].value : pane.unitValues.value
export const paintedScale = (pane: Pane): number =>
  showsDifference.value ? differenceScale.value : pane.scale.value

/** Units whose painted value is beyond full strength. */
export const paintedBeyond = (pane: Pane): number[] => {
  const [values, scale] = [paintedValues(pane), paintedScale(pane)]
  return [...pane.outliers.value].filter((u) => Math.abs(values[u]) > scale * (1 + 1e-6))
}
