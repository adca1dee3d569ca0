/*
 * Aggregation of an attribution: means over layers and rows, columns by group, hidden tokens, scales, ranks. Pure
 * functions.
 *
 * Everything that depends on the pointer uses `mean`, [n, m] over the chosen layers, which is computed once for each
 * choice.
 */
import type { Attribution, Cut } from '../data/document'

/** Layers [from, to) of an attribution, by index into M's layers. */
export type Range = readonly [number, number]

/** [n, m]: mean over layers [from, to). Exact for all layers, else from the quantised M. */
export function meanOverLayers(a: Attribution, [from, to]: Range): Float32Array {
  if (from <= 0 && to >= a.L) return a.mean
  const { n, m, L, bytes, scale } = a
  const out = new Float32Array(n * m)
  const share = 1 / (to - from)
  for (let i = 0; i < n; i++) {
    const row = out.subarray(i * m, (i + 1) * m)
    for (let l = from; l < to; l++) {
      const s = scale[i * L + l] * share
      if (s === 0) continue
      const at = (i * L + l) * m
      for (let k = 0; k < m; k++) row[k] += bytes[at + k] * s
    }
  }
  return out
}

/** [m]: mean of rows [from, to] of `mean` [n, m], both inclusive. */
export function meanOverRows(mean: Float32Array, m: number, from: number, to: number): Float32Array {
  const out = new Float32Array(m)
  for (let i = from; i <= to; i++) {
    const at = i * m
    for (let k = 0; k < m; k++) out[k] += mean[at + k]
  }
  const count = to - from + 1
  if (count > 1) for (let k = 0; k < m; k++) out[k] /= count
  return out
}

/** [L, m]: mean over rows [from, to], both inclusive, layer by layer. */
export function layersOfRows(a: Attribution, from: number, to: number): Float32Array {
  const { m, L, bytes, scale } = a
  const out = new Float32Array(L * m)
  const share = 1 / (to - from + 1)
  for (let i = from; i <= to; i++) {
    for (let l = 0; l < L; l++) {
      const s = scale[i * L + l] * share
      const at = (i * L + l) * m
      for (let k = 0; k < m; k++) out[l * m + k] += bytes[at + k] * s
    }
  }
  return out
}

/** [n]: what each row took from the columns for which `isIn` is true. */
export function takenFrom(mean: Float32Array, n: number, m: number, isIn: (k: number) => boolean): Float32Array {
  const out = new Float32Array(n)
  for (let k = 0; k < m; k++) {
    if (!isIn(k)) continue
    for (let i = 0; i < n; i++) out[i] += mean[i * m + k]
  }
  return out
}

/* ------------------------------------------------------------------ units: tokens, or groups of them */

/** How columns are shown: each separately, or summed by group. */
export interface Units {
  name: string
  /** [tokens of the side] the unit of each token, -1: none. */
  of: Int32Array
  count: number
  /** The first token of each unit. */
  first: Int32Array
  names: (unit: number) => string
}

function firstOf(of: Int32Array, count: number): Int32Array {
  const first = new Int32Array(count).fill(-1)
  for (let k = of.length - 1; k >= 0; k--) if (of[k] >= 0) first[of[k]] = k
  return first
}

export function tokenUnits(texts: readonly string[]): Units {
  const of = Int32Array.from(texts, (_, k) => k)
  return { name: 'token', of, count: texts.length, first: of, names: (u) => texts[u] }
}

export function cutUnits(name: string, cut: Cut, tokens: number): Units {
  const of = new Int32Array(tokens).fill(-1)
  for (let k = 0; k < Math.min(tokens, cut.groups.length); k++) {
    const g = cut.groups[k]
    if (Number.isInteger(g) && g >= 0 && g < cut.names.length) of[k] = g
  }
  return { name, of, count: cut.names.length, first: firstOf(of, cut.names.length), names: (u) => cut.names[u] }
}

/**
 * Columns of a grouped attribution, which cannot be split. A group without a name is labelled by its tokens' text;
 * `continues(k)`: token k holds only the rest of a character, which the group omits if the token before is not in it.
 */
export function groupUnits(
  groups: readonly number[],
  count: number,
  texts: readonly string[],
  named: readonly string[] = [],
  continues: (k: number) => boolean = () => false,
): Units {
  const joined = Array.from({ length: count }, () => '')
  groups.forEach(
    (g, k) => g >= 0 && g < count && !(continues(k) && groups[k - 1] === g) && (joined[g] += texts[k] ?? ''),
  )
  const names = joined.map((text, g) => named[g] || text)
  return cutUnits('group', { groups: [...groups], names }, groups.length)
}

/** [units]: sums over the tokens that are not hidden. */
export function sumByUnit(values: Float32Array, units: Units, hidden: Uint8Array): Float32Array {
  const out = new Float32Array(units.count)
  for (let k = 0; k < values.length; k++) if (units.of[k] >= 0 && !hidden[k]) out[units.of[k]] += values[k]
  return out
}

/** [units]: 1 if every token of the unit is hidden. */
export function hiddenUnits(units: Units, hidden: Uint8Array): Uint8Array {
  const out = new Uint8Array(units.count).fill(1)
  for (let k = 0; k < units.of.length; k++) if (units.of[k] >= 0 && !hidden[k]) out[units.of[k]] = 0
  return out
}

/* ------------------------------------------------------------------ filters */

/** [m]: 1 for tokens that one of the chosen filters selects. */
export function hiddenTokens(filters: Record<string, number[]>, chosen: Iterable<string>, m: number): Uint8Array {
  const out = new Uint8Array(m)
  for (const name of chosen) for (const k of filters[name] ?? []) if (k >= 0 && k < m) out[k] = 1
  return out
}

export function hiddenMass(values: Float32Array, hidden: Uint8Array): number {
  let sum = 0
  for (let k = 0; k < values.length; k++) if (hidden[k]) sum += values[k]
  return sum
}

/* ------------------------------------------------------------------ scales and ranks */

/**
 * The value of full strength: the largest magnitude among the shown units. Two kinds of tokens are ignored: token 0,
 * the attention sink of causal models, and `own`, the explained position. They are used only if no others are left.
 */
export function scaleOf(values: Float32Array, isOutlier: (unit: number) => boolean): number {
  let all = 0
  let max = 0
  for (let u = 0; u < values.length; u++) {
    const size = Math.abs(values[u])
    if (!Number.isFinite(size)) continue
    if (size > all) all = size
    if (size > max && !isOutlier(u)) max = size
  }
  return max || all
}

export const STEPS = 32

/** One pass over tokens: the step -32..32 of each token's unit; 0 for tokens in no unit. */
export function steps(out: Int8Array, values: Float32Array, units: Units, scale: number): void {
  const factor = scale > 0 ? STEPS / scale : 0
  for (let k = 0; k < out.length; k++) {
    const unit = units.of[k]
    const step = unit < 0 ? 0 : Math.round(values[unit] * factor)
    out[k] = step > STEPS ? STEPS : step < -STEPS ? -STEPS : step || 0
  }
}

/** Units by descending magnitude, ties by index; without hidden ones and zeros. */
export function strongest(values: Float32Array, isHidden: Uint8Array, count: number): number[] {
  const best: number[] = []
  for (let u = 0; u < values.length; u++) {
    const size = Math.abs(values[u])
    if (isHidden[u] || !(size > 0) || size === Infinity) continue
    let at = best.length
    while (at > 0 && Math.abs(values[best[at - 1]]) < size) at--
    if (at >= count) continue
    best.splice(at, 0, u)
    if (best.length > count) best.pop()
  }
  return best
}

/* ------------------------------------------------------------------ segments of both sides */

/** [rows, columns]: rows of a segment averaged, columns of a segment summed. */
export function segmentMatrix(
  mean: Float32Array,
  m: number,
  rows: Units,
  columns: Units,
  hidden: Uint8Array,
): Float32Array {
  const out = new Float32Array(rows.count * columns.count)
  const counts = new Float32Array(rows.count)
  const n = Math.min(rows.of.length, mean.length / m)
  for (let i = 0; i < n; i++) {
    const r = rows.of[i]
    if (r < 0) continue
    counts[r]++
    for (let k = 0; k < m; k++)
      if (columns.of[k] >= 0 && !hidden[k]) out[r * columns.count + columns.of[k]] += mean[i * m + k]
  }
  for (let r = 0; r < rows.count; r++) {
    for (let c = 0; c < columns.count; c++) out[r * columns.count + c] /= counts[r] || 1
  }
  return out
}

/* ------------------------------------------------------------------ two runs beside each other */

/** Lengths of the longest common subsequences of a[i..] and b[j..], [a.length + 1, b.length + 1]. */
function commonLengths(a: readonly string[], b: readonly string[]): Uint16Array {
  const width = b.length + 1
  const lengths = new Uint16Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const skip = Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1])
      lengths[i * width + j] = a[i] === b[j] ? lengths[(i + 1) * width + j + 1] + 1 : skip
    }
  }
  return lengths
}

/** How many tokens two texts have in common at the beginning and, after that, at the end. */
export function commonEnds(a: readonly string[], b: readonly string[]): { before: number; after: number } {
  const length = Math.min(a.length, b.length)
  let before = 0
  while (before < length && a[before] === b[before]) before++
  let after = 0
  while (after < length - before && a[a.length - 1 - after] === b[b.length - 1 - after]) after++
  return { before, after }
}

/**
 * Pairs the tokens of two texts: equal tokens of a longest common subsequence, and the tokens between those, one to one
 * (Putin and Abdul). -1 if a side has no token. Common ends are paired first: the rest takes time proportional to the
 * product of both lengths.
 */
export function align(a: readonly string[], b: readonly string[]): [number, number][] {
  const { before, after } = commonEnds(a, b)
  const middle = alignMiddle(a.slice(before, a.length - after), b.slice(before, b.length - after))
  const moved = (at: number) => (at < 0 ? -1 : at + before)
  return [
    ...Array.from({ length: before }, (_, at): [number, number] => [at, at]),
    ...middle.map(([i, j]): [number, number] => [moved(i), moved(j)]),
    ...Array.from({ length: after }, (_, at): [number, number] => [a.length - after + at, b.length - after + at]),
  ]
}

function alignMiddle(a: readonly string[], b: readonly string[]): [number, number][] {
  const lengths = commonLengths(a, b)
  const width = b.length + 1
  const pairs: [number, number][] = []
  let onlyA: number[] = []
  let onlyB: number[] = []
  const flush = () => {
    for (let at = 0; at < Math.max(onlyA.length, onlyB.length); at++) pairs.push([onlyA[at] ?? -1, onlyB[at] ?? -1])
    onlyA = []
    onlyB = []
  }
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      flush()
      pairs.push([i++, j++])
    } else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]))
      onlyA.push(i++)
    else onlyB.push(j++)
  }
  flush()
  return pairs
}
