/*
 * Citations of a run's answer (docs/reference/formats.md): the passages of the prompt that each sentence of the answer
 * came from. A citation whose parts do not fit its run is dropped.
 */
import type { RunInfo } from './document'

export interface CitedPassage {
  /** The passage's number, from 1; null: it is not cited. */
  number: number | null
  name: string
  text: string
  share: number | null
  /** Nats that the answer loses without the passage; only in a confirmed citation. */
  fall?: number | null
  /** Whether `fall` was measured without this passage alone. */
  measured?: boolean
  /** A passage with the same information. */
  stand_in?: number | null
}

export interface CitedMark {
  number: number
  passage: number
  share: number | null
}

/** Shares that no passage has. `through`: of all, what came through the answer's earlier tokens. */
export interface Elsewhere {
  rest: number | null
  answer: number | null
  model: number | null
  through: number | null
}

export interface CitedPart {
  text: string
  citations: CitedMark[]
  elsewhere: Elsewhere
  /** Share that came through each part of the answer. */
  hops?: (number | null)[]
}

export interface Citation {
  method: string
  by: string
  answer_by: string
  elsewhere: Elsewhere
  passages: CitedPassage[]
  answer: CitedPart[]
  /** [parts, passages] */
  shares: (number | null)[][]
}

/** With the passage of each prompt token and the part of each completion token, -1: none. */
export interface RunCitation extends Citation {
  prompt_groups: number[]
  answer_groups: number[]
}

const isBelow = (list: unknown, count: number) =>
  Array.isArray(list) && list.every((g) => Number.isInteger(g) && g >= -1 && g < count)

function isWhole(c: Citation): boolean {
  const fits = Array.isArray(c?.passages) && Array.isArray(c.answer) && c.shares?.length === c.answer.length
  if (!fits || !c.elsewhere || !c.shares.every((row) => row?.length === c.passages.length)) return false
  const inside = ({ passage }: CitedMark) => passage >= 0 && passage < c.passages.length
  return c.answer.every((part) => part?.elsewhere && Array.isArray(part.citations) && part.citations.every(inside))
}

/** Citations of a run's member `citations`, from an untrusted file. */
export function decodeCitations(raw: unknown): RunCitation[] {
  const fits = (c: RunCitation) =>
    isWhole(c) && isBelow(c.prompt_groups, c.passages.length) && isBelow(c.answer_groups, c.answer.length)
  return Array.isArray(raw) ? (raw as RunCitation[]).filter(fits) : []
}

/** The confirmed citation of a run, if its passages are those of one of `citations`. */
export function decodeConfirmed(raw: unknown, citations: readonly RunCitation[]): Citation | undefined {
  const c = raw as Citation
  if (!isWhole(c) || !c.passages.some((p) => p.measured)) return undefined
  const isSame = (one: RunCitation) =>
    one.by === c.by && one.method === c.method && one.passages.length === c.passages.length
  return citations.some(isSame) ? c : undefined
}

/** Indices of the completion tokens that the model thought in. */
export const thinkingTokens = (info: RunInfo, m: number): Set<number> =>
  new Set(info.tokens.slice(m).flatMap((t, i) => (t.thinking || t.role === 'thinking' ? [i] : [])))
