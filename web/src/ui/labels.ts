/*
 * Texts of the page: descriptions of numbers in plain words, and tables of strings.
 */
import type { Attribution, Balance, Diagnostics, Run } from '../data/document'
import { number, percent, visible } from './token_text'

/* ------------------------------------------------------------------ units, filters, charts */

export const UNIT_LABELS: Record<string, string> = {
  token: 'Tokens',
  word: 'Words',
  line: 'Lines',
  sentence: 'Sentences',
  paragraph: 'Paragraphs',
  passage: 'Passages',
}

export const FILTER_LABELS: Record<string, string> = {
  first: 'token 0',
  note: 'the note’s list',
  punctuation: 'punctuation',
  whitespace: 'white space',
  special: 'control tokens',
  template: 'chat template',
  system: 'system messages',
  user: 'the user’s messages',
  assistant: 'the model’s messages',
  stopwords: 'stop words',
}

export const CHARTS: Record<string, string> = {
  bars: 'Bars',
  layers: 'Layers',
  map: 'Token map',
  profile: 'Depth',
  sources: 'Sources',
}

/** Labels of choices; choices not listed are shown unchanged. */
export const CHOICE_LABELS: Record<string, string> = { mean: 'each by itself', rollout: 'composed' }

export const STOP_REASONS: Record<string, string> = {
  length: 'stopped at the limit',
  end: 'ended by the model',
  given: 'written by you',
  cancelled: 'stopped',
}

export const STAGES: Record<string, string> = {
  queued: 'Waiting',
  prefill: 'Reading the prompt',
  tokens: 'Writing',
  loading: 'Starting',
}

/** Beginnings of the server's reasons, and the page's wording; the rest of a reason is the known cause. */
const FAILURES: readonly (readonly [RegExp, string])[] = [
  [
    /^the engine's process ended(?: during this job)?: /,
    'The part of Headwater that runs the model ended while it worked on this. ' +
      'It was started again, and nothing else is lost',
  ],
  [/^the server ended while this run was in progress$/, 'Headwater was ended before this run was finished'],
]

/** Why a run was interrupted, in plain words. */
export function failureText(reason: string): string {
  const [pattern, words] = FAILURES.find(([begins]) => begins.test(reason)) ?? []
  if (!pattern) return sentence(reason)
  const cause = visible(reason.replace(pattern, ''))
  return cause ? `${words}. Its last sign: ${cause}.` : `${words}.`
}

/** A remark on a run's texts, with settings named as on the page. */
const remarkText = (remark: string): string =>
  sentence(remark).replace('"special" reads it', '“Read control tokens” under Settings reads it')

const listed = <T>(list?: readonly T[]): readonly T[] => (Array.isArray(list) ? list : [])

/** Remarks on a run's texts, and methods that gave nothing. */
export function runRemarks(run: Run): string[] {
  const remarks = listed(run.info.remarks).map((remark) => remarkText(String(remark)))
  return remarks.concat(listed(run.left_out).map((m) => sentence(`method ${m.method} gave nothing: ${m.reason}`)))
}

/** Turns a message of the server or a file into a sentence. */
export function sentence(text: string): string {
  const shown = visible(text.trim())
  if (!shown) return ''
  return shown.charAt(0).toUpperCase() + shown.slice(1) + (/[.!?]$/.test(shown) ? '' : '.')
}

export const KEYS: readonly (readonly [string, string])[] = [
  ['L', 'look closer, or back to the answer'],
  ['← →', 'the sentence or token before, the one after'],
  ['Shift ← →', 'select several'],
  ['Home End', 'the first, the last token'],
  ['Tab', 'to the next source, button or text; Enter or Space uses it'],
  ['↑ ↓', 'in the prompt: its parts, one by one; in the tabs of charts and lists: the next one'],
  ['Enter', 'in a conversation: ask; Shift Enter: a new line'],
  ['Ctrl Enter', 'in raw text: write and explain'],
  ['1 – 9', 'source; when looking closer: method'],
  ['N', 'the next source, or the next strong part, in the prompt'],
  ['/', 'search the prompt'],
  ['0', 'hide or show token 0'],
  ['C', 'compare: a second method or run'],
  ['B', 'when comparing: the other side, for arrows and numbers'],
  ['X', 'when comparing: the difference, or both sides'],
  ['S', 'when comparing: one scale for both sides, or each its own'],
  ['G', 'to the chart: arrows then read its values, Enter chooses one, Page Up and Page Down go ten further'],
  ['D', 'dark or light'],
  ['Esc', 'let go of a prompt token, stop generating'],
  ['?', 'this list'],
]

/* ------------------------------------------------------------------ diagnostics */

export interface Remark {
  text: string
  warns: boolean
}

const known = (value: number | null): value is number => value !== null && Number.isFinite(value)
const isOrder = (value: number | null) => known(value) && Math.abs(value) >= 0.9
const COMPOSED = new Set(['rollout', 'flow', 'uniform'])

function positionText(value: number): string {
  const towards = value > 0 ? 'late' : 'early'
  const size = Math.abs(value)
  if (size < 0.2) return 'Position in the prompt explains almost nothing of the ranking'
  if (size < 0.5) return `The ranking leans a little towards ${towards} tokens`
  if (size < 0.9) return `The ranking leans towards ${towards} tokens`
  return `The ranking is almost only the order of the tokens, ${towards} ones first, whatever they say`
}

function sinkRemark(d: Diagnostics, isComposed: boolean): Remark[] {
  if (!known(d.first_mean)) return []
  const remarks: Remark[] = []
  if (Math.abs(d.first_mean) >= 0.01) {
    const text =
      `Token 0 holds ${percent(d.first_mean)} of the mass. Models use it as a sink for unused attention: ` +
      'it says little about the text.'
    remarks.push({ text, warns: d.first_mean >= 0.5 })
  }
  if (isComposed && known(d.first_last) && d.first_last >= 0.9) {
    remarks.push({
      text: `At full depth it is ${percent(d.first_last)}: the rest carries little information there.`,
      warns: true,
    })
  }
  return remarks
}

/** Limits of the explanation, over all explained tokens. */
export function remarksOn(a: Attribution, isShares: boolean): Remark[] {
  const d = a.diagnostics
  const composed = COMPOSED.has(a.method) && a.L > 1
  const remarks = isShares ? sinkRemark(d, composed) : []
  if (a.m < 4) return remarks
  if (known(d.position_mean)) {
    remarks.push({
      text: `${positionText(d.position_mean)} (correlation ${number(d.position_mean, true)}).`,
      warns: isOrder(d.position_mean),
    })
  }
  if (composed && isOrder(d.position_last) && !isOrder(d.position_mean)) {
    remarks.push({ text: 'At full depth the ranking is almost only the order of the tokens.', warns: true })
  }
  if (isShares && known(d.outside_mean) && d.outside_mean >= 0.005) {
    remarks.push({
      text: `${percent(d.outside_mean)} came from the completion itself, not from the prompt.`,
      warns: d.outside_mean >= 0.5,
    })
  }
  return remarks
}

/* ------------------------------------------------------------------ the balance sheet of a logit */

export const BALANCE_ROWS: readonly (readonly [keyof Balance, string])[] = [
  ['prompt', 'Attention to the prompt'],
  ['completion', 'Attention to the completion so far'],
  ['mlp', 'MLPs: what the weights know'],
  ['embedding', 'The last token’s embedding'],
  ['bias', 'Biases, which belong to no token'],
]

/** For models in which some blocks have no attention: their contribution is counted with the MLPs. */
export const HYBRID_MLP = 'MLPs, and blocks without attention'

/** The logit minus the sum of its parts. */
export const balanceRest = (b: Balance) => b.logit - (b.prompt + b.completion + b.bias + b.mlp + b.embedding)

/** HW_BALANCE_LIMIT of the library: the share of the parts' sizes that rounding can explain. */
export const BALANCE_LIMIT = 0.06

export function balanceCloses(b: Balance): boolean {
  const sizes = BALANCE_ROWS.reduce((sum, [key]) => sum + Math.abs(b[key]), 0)
  return Math.abs(balanceRest(b)) <= BALANCE_LIMIT * sizes
}

/** Mean over rows [from, to], both inclusive. */
export function meanBalance(rows: readonly Balance[], from: number, to: number): Balance {
  const mean = { prompt: 0, completion: 0, bias: 0, mlp: 0, embedding: 0, logit: 0 }
  for (let i = from; i <= to; i++)
    for (const key of Object.keys(mean) as (keyof Balance)[]) mean[key] += rows[i][key] / (to - from + 1)
  return mean
}

/** Which layers [from, to) out of L values are averaged over; '' for a single layer. */
export function layersText([from, to]: readonly [number, number], L: number): string {
  if (L < 2) return ''
  if (to - from === L) return `mean over ${L} layers`
  return to - from === 1 ? `layer ${to}` : `mean over layers ${from + 1}\u2013${to}`
}

/** A value with its unit: a share, or nats. */
export const amount = (value: number, isShares: boolean) =>
  isShares ? percentOf(value) : `${number(value, true)} nats`

/** What a value means, in plain words with the term behind them. */
export function effectText(value: number, isShares: boolean): string {
  if (isShares) return `${percentOf(value)} came from here`
  if (value === 0) return 'changed nothing'
  return `made it ${value > 0 ? 'more' : 'less'} likely: ${value > 0 ? 'raised' : 'lowered'} the log-odds by ${number(
    Math.abs(value),
  )} nats`
}

const percentOf = (value: number) => (value < 0 ? `\u2212${percent(-value)}` : percent(value))
