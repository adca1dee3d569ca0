/*
 * Data that the page draws: runs and their attributions from the server or a report (docs/reference/formats.md),
 * decoded.
 *
 * Letters as everywhere in Headwater: m prompt tokens, n explained tokens, L layers. Arrays are row-major, slowest
 * index first. Nothing here touches the page.
 */

import { decodeCitations, decodeConfirmed, type Citation, type RunCitation } from './citation'

export interface Alternative {
  text: string
  logprob: LogProb
  bytes?: string
}

/** Natural log; null: unknown; "-inf": probability 0. */
export type LogProb = number | '-inf' | null

export interface Token {
  id: number
  text: string
  /** Lower-case hexadecimal, if the text is not UTF-8. */
  bytes?: string
  range: [number, number]
  role: 'prompt' | 'completion' | 'special' | 'template' | 'thinking'
  logprob: LogProb
  alternatives?: Alternative[]
  /** Written between the marks of a thinking section. */
  thinking?: boolean
}

export interface Model {
  name: string
  architecture: string
  quantisation: string
  [field: string]: unknown
}

export interface RunInfo {
  model: Model
  options: Record<string, unknown>
  stop: string
  causal: boolean
  prompt: string
  completion: string
  /** Lower-case hexadecimal, if the prompt is not UTF-8. */
  prompt_bytes?: string
  completion_bytes?: string
  /** Tokens before the completion; older files lack it. */
  n_prompt?: number
  /** Remarks on the texts, one sentence each. */
  remarks?: string[]
  tokens: Token[]
}

/** A split of one side: the segment of each token (-1: none), and the segments' texts. */
export interface Cut {
  groups: number[]
  names: string[]
}

export interface Settings extends Partial<Record<string, unknown>> {
  row: string
  direction: string
  columns: string
  seed: string
  n_groups?: number
  groups?: number[]
  group_names?: string[]
}

export interface Diagnostics {
  first_mean: number | null
  first_last: number | null
  outside_mean: number | null
  outside_last: number | null
  position_mean: number | null
  position_last: number | null
}

export interface Balance {
  prompt: number
  completion: number
  bias: number
  mlp: number
  embedding: number
  logit: number
}

export interface CheckRow {
  method: string
  drop: Record<string, number | null>
  comprehensiveness: number | null
  sufficiency: number | null
  lds: number | null
  passes: number
}

export interface Check {
  by: string
  base: number
  passes: number
  verdict: string
  methods: CheckRow[]
}

/** A method that was asked for and gave nothing. */
export interface LeftOut {
  method: string
  reason: string
}

interface Packed {
  matrix: { dtype: 'u8' | 'i8'; order: 'nLm'; scale: string; data: string }
  mean: { dtype: 'f32'; data: string }
}

export interface RawAttribution {
  method: string
  settings: Settings
  diagnostics: Diagnostics
  layers: number[]
  first_token: number
  shape: [number, number, number]
  outside: number[][]
  balance?: Balance[]
  packed: Packed
}

export interface RawRun {
  id?: number
  name?: string
  created?: string
  run: RunInfo
  segments?: { prompt: Record<string, Cut>; completion: Record<string, Cut> }
  filters?: Record<string, number[]>
  attributions: RawAttribution[]
  left_out?: LeftOut[]
  check?: Check
  citations?: unknown
  citation?: unknown
}

export interface Document {
  format: string
  version: number
  runs: RawRun[]
  tables?: unknown
}

export interface Attribution {
  method: string
  settings: Settings
  diagnostics: Diagnostics
  /** [L] the model's own index of each layer; -1 if the method does not separate layers. */
  layers: number[]
  /** Row i explains token `first` + i of the run. */
  first: number
  n: number
  /** Columns: prompt tokens, or groups of them. */
  m: number
  L: number
  outside: number[][]
  balance?: Balance[]
  /** [n, L, m]; value = byte * scale[i * L + l]; the error is at most half a scale. */
  bytes: Uint8Array | Int8Array
  /** [n, L] */
  scale: Float32Array
  /** [n, m] over all layers, exact. */
  mean: Float32Array
  /** Whether any value is negative. */
  signed: boolean
}

export interface Run {
  /** Unchanged while the run grows, is renamed or explained again. */
  key: string
  id?: number
  name: string
  created?: string
  info: RunInfo
  /** Tokens before the completion. */
  m: number
  cuts: { prompt: Record<string, Cut>; completion: Record<string, Cut> }
  filters: Record<string, number[]>
  attributions: Attribution[]
  left_out?: LeftOut[]
  check?: Check
  /** By passage, if there are named ones, and by sentence or word. */
  citations: RunCitation[]
  /** Parts of the answer whose citations are complete, while it grows. */
  n_finished?: number
  /** One of `citations` with what the answer loses without its first passages. */
  confirmed?: Citation
}

export class FormatError extends Error {}

const FORMAT = 'headwater-document'
const VERSION = 1

/* ------------------------------------------------------------------ packed numbers */

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** Little-endian floats, independent of this machine's byte order. */
function floats(bytes: Uint8Array<ArrayBuffer>, count: number, what: string): Float32Array {
  if (bytes.length !== count * 4) throw new FormatError(`${what}: ${bytes.length} bytes, ${count * 4} are needed`)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const out = new Float32Array(count)
  for (let i = 0; i < count; i++) out[i] = view.getFloat32(i * 4, true)
  return out
}

function anyNegative(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] < 0) return true
  return false
}

export async function decodeAttribution(raw: RawAttribution): Promise<Attribution> {
  const [n, m, L] = raw.shape
  const { matrix, mean } = raw.packed
  if (matrix.order !== 'nLm') throw new FormatError(`matrix order ${matrix.order}: nLm is known`)
  const data = await inflate(fromBase64(matrix.data))
  if (data.length !== n * L * m) throw new FormatError(`matrix: ${data.length} bytes, ${n} x ${L} x ${m} are needed`)
  const bytes = matrix.dtype === 'i8' ? new Int8Array(data.buffer) : data
  return {
    method: raw.method,
    settings: raw.settings,
    diagnostics: raw.diagnostics,
    layers: raw.layers,
    first: raw.first_token,
    n,
    m,
    L,
    outside: raw.outside,
    balance: raw.balance,
    bytes,
    scale: floats(fromBase64(matrix.scale), n * L, 'scale'),
    mean: floats(await inflate(fromBase64(mean.data)), n * m, 'mean'),
    signed: matrix.dtype === 'i8' && anyNegative(bytes),
  }
}

/* ------------------------------------------------------------------ runs */

function countPrompt(info: RunInfo, attributions: { first: number }[]): number {
  if (info.n_prompt !== undefined) return info.n_prompt
  const completion = info.tokens.findIndex((t) => t.role === 'completion')
  if (completion >= 0) return completion
  return attributions[0]?.first || info.tokens.length
}

let made = 0

export async function decodeRun(raw: RawRun, key?: string): Promise<Run> {
  const attributions = await Promise.all(raw.attributions.map(decodeAttribution))
  const citations = decodeCitations(raw.citations)
  return {
    key: key ?? (raw.id === undefined ? `run-${++made}` : `saved-${raw.id}`),
    id: raw.id,
    name: raw.name ?? '',
    created: raw.created,
    info: raw.run,
    m: countPrompt(raw.run, attributions),
    cuts: { prompt: raw.segments?.prompt ?? {}, completion: raw.segments?.completion ?? {} },
    filters: raw.filters ?? {},
    attributions,
    left_out: raw.left_out,
    check: raw.check,
    citations,
    confirmed: decodeConfirmed(raw.citation, citations),
  }
}

export async function decodeDocument(text: string): Promise<{ runs: Run[]; tables?: unknown }> {
  const document = JSON.parse(text) as Document
  if (document.format !== FORMAT)
    throw new FormatError(`this is not a Headwater document (format ${String(document.format)})`)
  if (document.version > VERSION)
    throw new FormatError(`the document has version ${document.version}; this page reads up to ${VERSION}`)
  return { runs: await Promise.all(document.runs.map((run) => decodeRun(run))), tables: document.tables }
}

/* ------------------------------------------------------------------ runs that grow */

/** A run with its prompt's tokens only. */
export function newRun(info: RunInfo, key = `run-${++made}`): Run {
  const cuts = { prompt: {}, completion: {} }
  const lists = { filters: {}, attributions: [], citations: [] }
  return { key, name: '', info, m: info.tokens.length, cuts, ...lists }
}

function joined<T extends Float32Array | Uint8Array | Int8Array>(a: T, b: T, empty: T): T {
  empty.set(a as never)
  empty.set(b as never, a.length)
  return empty
}

/** One step of unsigned bytes in steps of signed bytes: 255 / 127. */
const SIGNED_STEP = 255 / 127

/** The same values as signed bytes, at half the resolution. */
function asSigned(a: Attribution): Attribution {
  if (a.bytes instanceof Int8Array) return a
  return {
    ...a,
    bytes: Int8Array.from(a.bytes, (v) => Math.round(v / SIGNED_STEP)),
    scale: a.scale.map((s) => s * SIGNED_STEP),
  }
}

/** Bytes and scales of both; signed if one of them is. */
function joinedBytes(a: Attribution, b: Attribution): Pick<Attribution, 'bytes' | 'scale'> {
  const unsigned = a.bytes instanceof Uint8Array && b.bytes instanceof Uint8Array
  if (!unsigned) [a, b] = [asSigned(a), asSigned(b)]
  const length = a.bytes.length + b.bytes.length
  const empty = unsigned ? new Uint8Array(length) : new Int8Array(length)
  return {
    bytes: joined(a.bytes, b.bytes, empty),
    scale: joined(a.scale, b.scale, new Float32Array(a.scale.length + b.scale.length)),
  }
}

/** Appends `more`, whose rows follow those of `a`. */
export function appendRows(a: Attribution, more: Attribution): Attribution {
  if (more.first !== a.first + a.n || more.m !== a.m || more.L !== a.L) {
    throw new FormatError(`rows from token ${more.first}: ${a.first + a.n} is next`)
  }
  return {
    ...a,
    ...joinedBytes(a, more),
    diagnostics: more.diagnostics,
    n: a.n + more.n,
    outside: [...a.outside, ...more.outside],
    balance: a.balance && more.balance ? [...a.balance, ...more.balance] : undefined,
    mean: joined(a.mean, more.mean, new Float32Array(a.mean.length + more.mean.length)),
    signed: a.signed || more.signed,
  }
}

type Identified = Pick<Attribution, 'method' | 'settings'>

/** Identity of an attribution within its run: the method with all its settings. */
export const identity = ({ method, settings }: Identified) =>
  JSON.stringify([method, Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))])

const isSame = (a: Identified, b: Identified) => identity(a) === identity(b)

/** The run with these whole attributions: each replaces an earlier version of itself, or is appended. */
export function replaceAttributions(run: Run, added: readonly Attribution[]): Run {
  const kept = run.attributions.map((a) => added.find((b) => isSame(a, b)) ?? a)
  return { ...run, attributions: [...kept, ...added.filter((b) => !kept.includes(b))] }
}

/** The run with a new attribution, or with new rows of an existing one. */
export function withAttribution(run: Run, more: Attribution): Run {
  const same = run.attributions.findIndex((a) => isSame(a, more) && a.first + a.n === more.first)
  if (same < 0) return { ...run, attributions: [...run.attributions, more] }
  return { ...run, attributions: run.attributions.map((a, i) => (i === same ? appendRows(a, more) : a)) }
}

/** The split of the prompt that has the attribution's columns as parts, except that tokens in no part form one more
 * column; undefined: no known split. */
export function cutOf(run: Run, { settings }: Pick<Attribution, 'settings'>): string | undefined {
  const { groups } = settings
  if (!groups) return undefined
  const isIt = (cut: Cut) =>
    cut.groups.length === groups.length &&
    cut.groups.every((g, k) => groups[k] === g || (g < 0 && groups[k] === cut.names.length))
  return Object.keys(run.cuts.prompt).find((name) => isIt(run.cuts.prompt[name]))
}

/** The tokens that rows of an attribution explain: the completion, or all tokens if there is none. */
export function explainedTokens(run: Run): { first: number; tokens: Token[] } {
  const hasCompletion = run.m < run.info.tokens.length
  const first = hasCompletion ? run.m : (run.attributions[0]?.first ?? run.m)
  return { first, tokens: run.info.tokens.slice(first) }
}
