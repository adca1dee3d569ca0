/*
 * The first look at a run: its answer in sentences, what each came from, and the one sentence that sums it up. Values
 * here are derived from the citations that the run has (data/citation.ts) and from what is selected.
 */
import { computed, signal } from '@preact/signals'
import { thinkingTokens, type RunCitation } from '../data/citation'
import type { Run } from '../data/document'
import { hovered, panes, pinned, shownPanes } from './store'

/** Whether the second layer is shown: tokens, methods, layers. */
export const closer = signal(false)

/** Sentences [index] of the answer of the run with this key. */
interface Sentence {
  run: string
  part: number
}
export const hoveredSentence = signal<Sentence | null>(null)
export const chosenSentence = signal<Sentence | null>(null)

const byPassage = (c: RunCitation) => c.by === 'passage'

/** The citation by sentence, or by word. */
export const citationOf = (run: Run | undefined): RunCitation | undefined => run?.citations.find((c) => !byPassage(c))

/** The citation by named documents. */
export const documentsOf = (run: Run | undefined): RunCitation | undefined => run?.citations.find(byPassage)

export const firstRun = computed(() => panes[0].run.value)
export const citation = computed(() => citationOf(firstRun.value))

/** Whether the first look is shown; a run that cannot be cited has the second layer only. */
export const showsFirstLook = computed(() => {
  const run = firstRun.value
  const canBeCited = run !== undefined && (run.citations.length > 0 || run.info.stop === '')
  return canBeCited && !closer.value && shownPanes.value.length === 1
})

const indexIn = (at: Sentence | null): number => (at && at.run === panes[0].key.value ? at.part : -1)

/** The sentence of the answer whose sources are lit; -1: the whole answer. */
export const litSentence = computed(() => {
  const pointed = indexIn(hoveredSentence.value)
  return pointed >= 0 ? pointed : indexIn(chosenSentence.value)
})

/** The passage of the prompt whose effects are lit: under the pointer, or pinned; -1: none. */
export const litPassage = computed(() => {
  for (const look of [hovered.value, pinned.value])
    if (look?.run === panes[0].key.value && look.unit < (citation.value?.passages.length ?? 0)) return look.unit
  return -1
})
export const pinnedPassage = computed(() => (pinned.value?.run === panes[0].key.value ? pinned.value.unit : -1))

/* ------------------------------------------------------------------ shares */

const MAX_LIT = 3
/** Relative to the strongest: weaker passages are not lit. */
const MIN_LIT = 0.1

const positive = (value: number | null | undefined) => (value && value > 0 ? value : 0)

/** [passages] how strongly each passage is lit, 0..1: those that are cited, for a sentence or the whole answer. */
export function lightOf(c: RunCitation, part: number): Float32Array {
  const light = new Float32Array(c.passages.length)
  const marks =
    part >= 0
      ? c.answer[part].citations
      : c.passages.flatMap(({ number, share }, passage) => (number === null ? [] : [{ number, passage, share }]))
  const list = [...marks].sort((a, b) => positive(b.share) - positive(a.share)).slice(0, MAX_LIT)
  const max = Math.max(...list.map(({ share }) => positive(share)), 1e-9)
  for (const { passage, share } of list)
    if (positive(share) >= MIN_LIT * max) light[passage] = Math.max(0.25, positive(share) / max)
  return light
}

/** [parts] what each sentence of the answer took from a passage, relative to the largest. */
export function fedBy(c: RunCitation, passage: number): Float32Array {
  const shares = Float32Array.from(c.shares, (row) => positive(row[passage]))
  const max = Math.max(...shares, 1e-9)
  return shares.map((share) => (share >= MIN_LIT * max ? share / max : 0))
}

/** Cited passages by number. */
export const sourcesOf = (c: RunCitation): number[] =>
  c.passages
    .flatMap(({ number }, passage) => (number === null ? [] : [{ number, passage }]))
    .sort((a, b) => a.number - b.number)
    .map(({ passage }) => passage)

/* ------------------------------------------------------------------ thinking */

/** Parts of the answer that the model thought. */
export function thoughtParts(run: Run, c: RunCitation): Set<number> {
  const thought = thinkingTokens(run.info, run.m)
  const parts = new Set<number>()
  c.answer_groups.forEach((part, i) => part >= 0 && thought.has(i) && parts.add(part))
  return parts
}

/** Share of a part that came through the thinking. */
export const throughThinking = (c: RunCitation, part: number, thought: ReadonlySet<number>): number =>
  thought.has(part)
    ? 0
    : (c.answer[part].hops ?? []).reduce<number>((sum, hop, from) => sum + (thought.has(from) ? positive(hop) : 0), 0)

/* ------------------------------------------------------------------ in one sentence */

export interface Summary {
  kind: 'mostly' | 'most of all' | 'model' | 'nothing'
  /** Passages: those that the answer loses most without come first, where that is measured. */
  sources: number[]
  /** Nats that it loses without the first source; undefined: not measured. */
  fall?: number
  /** A passage that says the same as the first source. */
  standIn?: number
}

export function summaryOf(run: Run): Summary {
  const c = citationOf(run)
  if (!c) return { kind: 'nothing', sources: [] }
  const share = (passage: number) => positive(c.passages[passage].share)
  const sources = sourcesOf(c)
  if (!sources.length) return { kind: positive(c.elsewhere.model) > 0.5 ? 'model' : 'nothing', sources }
  const all = c.passages.reduce((sum, p) => sum + positive(p.share), positive(c.elsewhere.rest))
  const isMost = (count: number) => sources.slice(0, count).reduce((sum, p) => sum + share(p), 0) >= all / 2
  const [kind, count]: [Summary['kind'], number] = isMost(1)
    ? ['mostly', 1]
    : isMost(2)
      ? ['mostly', Math.min(2, sources.length)]
      : ['most of all', 1]
  const fall = (passage: number) => fallWithout(run, passage) ?? -Infinity
  const named = sources.slice(0, count).sort((a, b) => fall(b) - fall(a))
  const standIn = run.confirmed?.passages[named[0]]?.stand_in ?? undefined
  return { kind, sources: named, fall: fallWithout(run, named[0]), standIn }
}

/** Nats that the answer loses without a passage; undefined: not measured. */
export function fallWithout(run: Run, passage: number): number | undefined {
  const c = citationOf(run)
  const checked = c && run.confirmed?.by === c.by ? run.confirmed.passages[passage] : undefined
  return checked?.measured && typeof checked.fall === 'number' ? checked.fall : undefined
}

const WORDS: readonly (readonly [number, string])[] = [
  [1e12, 'trillion'],
  [1e9, 'billion'],
  [1e6, 'million'],
  [1e3, 'thousand'],
]

const rounded = (value: number) => String(Number(value.toPrecision(value < 100 ? 2 : 1)))

/** "54 million times", "a thousand times", "3 times". */
export function timesText(factor: number): string {
  if (!(factor < 1e15)) return 'more than a thousand trillion times'
  const [unit, word] = WORDS.find(([size]) => factor >= size * 0.95) ?? [1, '']
  const count = Math.max(1, factor / unit)
  if (!word && factor >= 95 && factor < 105) return 'a hundred times'
  if (!word) return `${rounded(factor < 10 ? factor : Math.round(factor))} times`
  return count < 1.5 ? `a ${word} times` : `${rounded(count)} ${word} times`
}

/** Below this change in nats nothing is claimed. */
const MIN_FALL = 0.4

/** What the answer loses without a passage, in words. */
export function fallText(fall: number): string {
  if (Math.abs(fall) < MIN_FALL) return 'about as likely'
  return `${timesText(Math.exp(Math.abs(fall)))} ${fall > 0 ? 'less' : 'more'} likely`
}
