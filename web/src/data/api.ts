/*
 * The server's HTTP API (docs/guide/server.md). Every failure is an ApiError whose message can be shown to the user.
 */
import type { Citation } from './citation'
import type { Check, RawAttribution, RawRun, Token } from './document'
import { readEvents, type ServerEvent } from './events'

export interface MethodInfo {
  name: string
  summary: string
  needs: string
  cost: string
  reference: string
  limitations: string
  traits: string[]
  problem: string
}

export interface Named {
  name: string
  summary: string
}

export interface FileFormat extends Named {
  extension: string
}

export type SettingValue = string | number | boolean

/** A row of the tables of the methods' settings and of a run's options. */
export interface SettingInfo {
  name: string
  /** Label in a form; null: not in forms. */
  label: string | null
  help: string
  type: 'flag' | 'number' | 'whole' | 'word' | 'text'
  default: SettingValue
  /** Traits of the methods that it applies to; empty: all methods. */
  traits: readonly string[]
  /** Text before the value in a name; null: the setting is not part of names. */
  before: string | null
  after: string | null
  words?: string[]
  min?: number
  max?: number
}

/** Rows of the library's tables. */
export interface Tables {
  methods: MethodInfo[]
  options?: SettingInfo[]
  settings?: SettingInfo[]
  filters: Named[]
  segmenters: Named[]
  measures: (string | Named)[]
  formats: FileFormat[]
}

export interface Status {
  version: string
  model: {
    name: string
    quantisation: string
    path?: string
    metadata_sha256?: string
    has_chat_template?: boolean
  } | null
  queue: number
  store: boolean
}

export interface SavedRun {
  id: number
  name: string
  created: string
  model: string | { name?: string }
  n_prompt: number
  n_completion: number
  prompt: string
  completion: string
  finished?: boolean
  /** The job that is making it. */
  job?: number
  /** Reason why the run was interrupted, if it was. */
  failure?: string
}

export interface Span {
  name: string
  begin: number
  end: number
}

/** Options of a run that differ from their defaults, by name. */
export type RunOptions = Record<string, SettingValue | undefined>

/** Values of settings, by name. */
export interface MethodSettings extends Record<string, SettingValue | undefined> {
  /** Segmenter of the columns. */
  by?: string
}

export interface Message {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export interface ExplainRequest {
  /** A text to continue; or `messages`, a conversation for the chat template. */
  prompt?: string
  messages?: Message[]
  completion?: string
  spans?: Span[]
  options?: RunOptions
  methods?: string[]
  settings?: MethodSettings
  name?: string
}

export interface CheckRequest {
  by?: string
  methods?: string[]
  settings?: MethodSettings
  tokens?: [number, number]
}

export interface CiteRequest {
  by?: string
  method?: string
  /** Leave out so many of the first passages, one by one. */
  confirm?: number
}

/** Code of the error that the server cannot be reached. */
export const NETWORK = 'network'

export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

async function failure(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    return new ApiError(error.code, error.message)
  } catch {
    return new ApiError('http', `the server answered ${response.status} ${response.statusText}`)
  }
}

async function request(
  method: string,
  path: string,
  body?: unknown,
  accept = 'application/json',
  signal?: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { Accept: accept }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let response: Response
  try {
    response = await fetch(`/api/${path}`, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError(NETWORK, 'Headwater does not answer: is `headwater serve` still running?')
  }
  if (!response.ok) throw await failure(response)
  return response
}

const json = async <T>(method: string, path: string, body?: unknown) =>
  (await (await request(method, path, body)).json()) as T

async function* received(response: Response, signal?: AbortSignal): AsyncGenerator<ServerEvent> {
  try {
    yield* readEvents(response.body!)
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError(NETWORK, 'The connection to Headwater broke.')
  }
}

/** A POST answered by a stream of events (a GET if there is no body); an `error` event is thrown. */
async function* events(path: string, body: unknown, signal?: AbortSignal): AsyncGenerator<ServerEvent> {
  const response = await request(body === undefined ? 'GET' : 'POST', path, body, 'text/event-stream', signal)
  for await (const event of received(response, signal)) {
    if (event.event === 'error') {
      const { code, message } = event.data as { code: string; message: string }
      throw new ApiError(code, message)
    }
    yield event
  }
}

export const api = {
  status: () => json<Status>('GET', 'status'),
  tables: () => json<Tables>('GET', 'methods'),
  runs: async () => (await json<{ runs: SavedRun[] }>('GET', 'runs')).runs,
  run: (id: number) => json<RawRun>('GET', `runs/${id}`),
  rename: (id: number, name: string) => request('PATCH', `runs/${id}`, { name }),
  remove: (id: number) => request('DELETE', `runs/${id}`),
  /** The request that a run was made by. */
  request: (id: number) => json<ExplainRequest>('GET', `runs/${id}/request`),
  // these three go on when the page is closed or loaded again
  explain: (body: ExplainRequest, signal?: AbortSignal) => events('explain?detached=true', body, signal),
  retry: (id: number, signal?: AbortSignal) => events(`runs/${id}/retry?detached=true`, {}, signal),
  goOn: (id: number, n_generate: number, signal?: AbortSignal) =>
    events(`runs/${id}/continue?detached=true`, { n_generate }, signal),
  /** What a job has sent so far, and the rest. */
  watch: (job: number, signal?: AbortSignal) => events(`jobs/${job}/events`, undefined, signal),
  /** Changes in the list of runs; connected when the promise resolves. */
  news: async (signal?: AbortSignal) =>
    received(await request('GET', 'events', undefined, 'text/event-stream', signal), signal),
  stop: (job: number | string) => request('POST', `jobs/${job}/stop`, {}),
  explainAgain: async (id: number, methods: string[], settings: MethodSettings) =>
    (await json<{ attributions: RawAttribution[] }>('POST', `runs/${id}/explain`, { methods, settings })).attributions,
  check: (id: number, body: CheckRequest, signal?: AbortSignal) => events(`runs/${id}/check`, body, signal),
  cite: (id: number, body: CiteRequest, signal?: AbortSignal) => events(`runs/${id}/cite`, body, signal),
  exportUrl: (id: number, format: string, choice: { attribution?: number; with?: number } = {}) => {
    const query = new URLSearchParams({ format })
    for (const [key, value] of Object.entries(choice)) if (value !== undefined) query.set(key, String(value))
    return `/api/runs/${id}/export?${query}`
  },
}

/* ------------------------------------------------------------------ payloads of events */

export interface ExplainEvents {
  queued: { job: number | string; position: number }
  prefill: { job?: number | string; done: number; total: number }
  started: { job: number; run: number }
  prompt: { tokens: Token[] }
  token: { index: number; token: Token }
  explained: { attribution: RawAttribution }
  cited: { finished: number; citations: unknown }
  done: { run: RawRun }
}

export interface CiteEvents {
  progress: { done: number; total: number }
  done: { citation: Citation }
}

export interface CheckEvents {
  progress: { done: number; total: number }
  done: { check: Check }
}
