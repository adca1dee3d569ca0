/*
 * Actions of the user: explaining a prompt, opening and saving runs, requesting another method, checking. For the
 * views, only this file and confirm.ts talk to the server.
 */
import { signal } from '@preact/signals'
import {
  api,
  NETWORK,
  ApiError,
  type CheckEvents,
  type ExplainEvents,
  type ExplainRequest,
  type MethodSettings,
  type SavedRun,
} from '../data/api'
import {
  cutOf,
  decodeAttribution,
  decodeDocument,
  decodeRun,
  identity,
  newRun,
  replaceAttributions,
  withAttribution,
  type Attribution,
  type Run,
  type RunInfo,
} from '../data/document'
import type { ServerEvent } from '../data/events'
import * as state from './store'
import { panes, putRun, show } from './store'
import { addressedBeside, addressedJob, addressedRun, keepAddress, reading, readLayer, readView } from './address'
import { confirmSources, stopConfirming } from './confirm'
import { followServer, lost } from './connection'
import { job, type Job } from './job'
import { chosenSentence } from './first_look'
import { decodeCitations } from '../data/citation'
import { failureText } from '../ui/labels'
import { GrowingText } from '../ui/token_text'

export { job, type Job }

export const checking = signal<{ key: string; done: number; total: number } | null>(null)
export const busy = signal('')

function report(cause: unknown): void {
  if (cause instanceof DOMException && cause.name === 'AbortError') return
  if (cause instanceof ApiError && cause.code === NETWORK) {
    lost.value = true // said by the page until it is back
    return
  }
  const message = cause instanceof Error ? cause.message : String(cause)
  state.problem.value = cause instanceof ApiError && cause.code === 'engine_ended' ? failureText(message) : message
}

/* ------------------------------------------------------------------ start */

/** Reads the report in the page, or loads the tables and runs from the server. */
export async function start(embedded: string): Promise<void> {
  const follow = () => reading(() => (embedded ? followInReport() : openAddressed()).catch(report))
  readLayer()
  try {
    if (embedded) await openReport(embedded)
    else await connect()
    await follow()
  } catch (cause) {
    report(cause)
  }
  keepAddress()
  if (!embedded) void followServer(goOnAfterLoss)
  addEventListener('popstate', () => void follow())
}

async function followInReport(): Promise<void> {
  readLayer()
  const run = state.runs.value[(addressedRun() ?? 1) - 1]
  if (run && run.key !== panes[0].key.value) show(panes[0], run.key)
  const beside = addressedBeside()
  if (panes[0].run.value) readView(beside === null ? undefined : state.runs.value[beside - 1])
}

async function openReport(text: string): Promise<void> {
  const { runs, tables } = await decodeDocument(text)
  state.tables.value = (tables as typeof state.tables.value) ?? null
  state.runs.value = runs
  state.composing.value = false
  if (runs.length) show(panes[0], runs[0].key)
  document.title = runs.length ? `${state.runTitle(runs[0])} \u00b7 Headwater` : 'Headwater'
}

async function connect(): Promise<void> {
  state.served.value = true
  const [status, tables, saved] = await Promise.all([api.status(), api.tables(), api.runs()])
  state.status.value = status
  state.tables.value = tables
  state.saved.value = saved
}

/** After the server was lost: what it knows now of the run that was being made, and what could not be loaded. */
function goOnAfterLoss(): void {
  const id = left?.run ?? addressedRun()
  left = null
  if (!state.tables.value) void connect().then(openAddressed).catch(report)
  else if (id !== null && id !== undefined && panes[0].run.value?.id !== id) void openRun(id)
}

/** The job that was in progress when the server was lost. */
let left: Job | null = null

/** Opens the run that the address names, and the one beside it, as they were looked at. */
async function openAddressed(): Promise<void> {
  const [id, beside, waiting] = [addressedRun(), addressedBeside(), addressedJob()]
  readLayer()
  if (waiting !== null && !job.value) return void watch({ job: waiting, prompt: '' })
  if (id === null) {
    state.composing.value = true
    return
  }
  const isOther = id !== panes[0].run.value?.id
  if (isOther) await openRun(id)
  else state.composing.value = false
  const right = beside === null ? undefined : await loadRun(beside)
  if (panes[0].run.value?.id !== id) return
  readView(right)
}

/** The run from the page or from the server. */
async function loadRun(id: number): Promise<Run> {
  const loaded = state.runs.value.find((r) => r.id === id)
  if (loaded) return loaded
  const run = await decodeRun(await api.run(id))
  putRun(run)
  return run
}

/* ------------------------------------------------------------------ explaining */

const EMPTY_INFO: Omit<RunInfo, 'prompt' | 'tokens'> = {
  model: { name: '', architecture: '', quantisation: '' },
  options: {},
  stop: '',
  causal: true,
  completion: '',
}

/** Applies the events of one explanation to a run, in order. */
class Growing {
  private run: Run | null = null
  private readonly completion = new GrowingText()
  /** Whether the run is whole. */
  isDone = false

  /** `earlier`: the run that this one continues, shown until this one is longer. */
  constructor(
    private readonly prompt: string,
    private readonly earlier?: Run,
  ) {}

  async take({ event, data }: ServerEvent): Promise<void> {
    const handler = this.handlers[event as keyof ExplainEvents] as ((data: unknown) => void | Promise<void>) | undefined
    await handler?.(data)
  }

  private readonly handlers: { [E in keyof ExplainEvents]: (data: ExplainEvents[E]) => void | Promise<void> } = {
    queued: ({ job: id, position }) => {
      if (job.value?.stop.signal.aborted) void api.stop(id).catch(report)
      advance(
        position > 0
          ? { stage: 'queued', id, done: position }
          : { stage: 'prefill', id, done: 0, total: 0, since: performance.now() },
      )
    },
    started: ({ run }) => advance({ run }),
    prefill: ({ done, total }) => advance({ stage: 'prefill', done, total }),
    prompt: ({ tokens }) => {
      this.put(newRun({ ...EMPTY_INFO, prompt: this.prompt, tokens }, this.earlier?.key))
      if (!this.earlier) show(panes[0], this.run!.key)
      state.composing.value = false
    },
    token: ({ token }) => {
      advance({ stage: 'tokens' })
      if (!this.run) return
      const tokens = [...this.run.info.tokens, token]
      this.put({ ...this.run, info: { ...this.run.info, tokens, completion: this.completion.add(token) } })
    },
    explained: async ({ attribution }) => {
      if (!this.run) return
      const more = await decodeAttribution(attribution)
      this.put(withAttribution(this.run, more))
    },
    cited: ({ finished, citations }) => {
      if (this.run) this.put({ ...this.run, citations: decodeCitations(citations), n_finished: finished })
    },
    done: async ({ run }) => {
      const final = await decodeRun(run, this.run?.key)
      this.isDone = true
      this.run = final
      putRun(final)
      if (panes[0].key.value !== final.key) show(panes[0], final.key)
      state.composing.value = false
      void confirmSources(final)
    },
  }

  /** Key of the run, '' before its prompt is decoded. */
  get key(): string {
    return this.run?.key ?? ''
  }

  private put(run: Run): void {
    this.run = run
    if (run.info.tokens.length >= (this.earlier?.info.tokens.length ?? 0)) putRun(run)
  }
}

function advance(change: Partial<Job>): void {
  if (job.value) job.value = { ...job.value, ...change }
}

const promptOf = ({ prompt, messages }: ExplainRequest) =>
  prompt ?? messages?.map(({ content }) => content).join('\n\n') ?? ''

export const explain = (request: ExplainRequest): Promise<void> =>
  grow({ prompt: promptOf(request) }, (signal) => api.explain(request, signal))

/** Runs a task of a view; its failure is shown. */
export const attempt = (task: () => Promise<void>): Promise<void> => task().catch(report)

/** Tokens that *Continue* adds. */
const N_CONTINUED = 128

/** Goes on with a run's answer: the longer run takes its place. */
export async function continueRun(run: Run): Promise<void> {
  if (run.id === undefined) return
  const { id } = run
  await grow({ prompt: run.info.prompt, earlier: run, run: id }, (signal) => api.goOn(id, N_CONTINUED, signal))
}

/** Shows a run that is being made, by this page or another. */
async function watch({ job: id, run, prompt }: { job: number; run?: number; prompt: string }): Promise<void> {
  const earlier = state.saved.value.find((r) => r.id === run)?.finished ? await loadRun(run!) : undefined
  if (earlier) show(panes[0], earlier.key)
  await grow({ prompt, earlier, run }, (signal) => api.watch(id, signal))
}

interface Grown {
  prompt: string
  /** Its id, if that is known. */
  run?: number
  earlier?: Run
}

async function grow(
  { prompt, earlier, run }: Grown,
  begin: (signal: AbortSignal) => AsyncGenerator<ServerEvent>,
): Promise<void> {
  if (job.value) return
  stopConfirming()
  chosenSentence.value = null
  state.problem.value = ''
  state.failed.value = null
  const controller = new AbortController()
  job.value = { stage: 'loading', id: null, run, done: 0, total: 0, stop: controller }
  const growing = new Growing(prompt, earlier)
  try {
    for await (const event of begin(controller.signal)) await growing.take(event)
    state.saved.value = await api.runs()
  } catch (cause) {
    left = lost.value || isNetwork(cause) ? job.value : null
    await reportCutShort(cause, growing.key)
  }
  await endJob(growing, earlier)
}

const isNetwork = (cause: unknown) => cause instanceof ApiError && cause.code === NETWORK

/** What is not whole is dropped, unless the reason is shown with it; a job that ended unseen has saved its run. */
async function endJob(growing: Growing, earlier?: Run): Promise<void> {
  const ended = job.value
  job.value = null
  if (growing.isDone || state.failed.value || lost.value) return
  if (earlier) putRun(earlier)
  else if (growing.key) state.dropRun(growing.key)
  if (!earlier && ended?.run !== undefined && !state.problem.value) return openRun(ended.run)
  if (!panes[0].run.value) state.composing.value = true
}

/** If the server has saved the interrupted run, shows that run with its reason; else only the error. */
async function reportCutShort(cause: unknown, key: string): Promise<void> {
  if (!(cause instanceof ApiError) || cause.code !== 'engine_ended') return report(cause)
  const made = job.value?.run
  const before = new Set(state.saved.value.filter((r) => r.failure).map((r) => r.id))
  state.saved.value = await api.runs().catch(() => state.saved.value)
  // The list may have named the failure already: the server tells every page of it.
  const run = state.saved.value.find((r) => r.failure && (made === undefined ? !before.has(r.id) : r.id === made))
  if (!run) return report(cause)
  showFailed(run, key)
}

function showFailed(run: SavedRun, key = ''): void {
  state.failed.value = { run, key }
  state.composing.value = false
}

/** Repeats an interrupted run from its tokens so far. */
export async function retry(run: SavedRun): Promise<void> {
  if (job.value) return
  if (state.failed.value?.key) state.dropRun(state.failed.value.key)
  state.saved.value = state.saved.value.map((r) => (r.id === run.id ? { ...r, failure: undefined } : r))
  await grow({ prompt: run.prompt, run: run.id }, (signal) => api.retry(run.id, signal))
}

/** Ends generation; the tokens so far are explained and saved. */
export async function stop(): Promise<void> {
  const running = job.value
  if (!running) return
  try {
    if (running.id === null) running.stop.abort()
    else await api.stop(running.id)
  } catch (cause) {
    running.stop.abort()
    report(cause)
  }
}

/* ------------------------------------------------------------------ other methods, checks */

const GROUPING = new Set(['groups', 'n_groups', 'group_names'])

function ungrouped({ settings }: Attribution): MethodSettings {
  const kept = Object.entries(settings).filter(([key]) => !GROUPING.has(key))
  return { ...Object.fromEntries(kept), seed: Number(settings.seed) }
}

/** The settings of an attribution in the form of a request, its grouping by name; null: its columns are parts that have
 * no name here. */
export function settingsOf(run: Run, a: Attribution): MethodSettings | null {
  const by = cutOf(run, a)
  if (a.settings.groups && !by) return null
  return { ...ungrouped(a), ...(by ? { by } : {}) }
}

/** Explains the pane's run by its method again, with one setting changed. */
export async function explainWith(pane: state.Pane, change: MethodSettings): Promise<void> {
  const run = pane.run.value
  const a = pane.attribution.value
  if (!run || !a) return
  const settings = settingsOf(run, a)
  if (settings) await explainBy(pane, a.method, { ...settings, ...change })
  else
    report(
      new Error(
        'This explanation used parts of the prompt that have no name in this run: ' +
          'its settings cannot be changed here.',
      ),
    )
}

/** Explains the pane's run by a method that it does not have yet, from the data stored on the server. */
export async function explainBy(pane: state.Pane, method: string, settings: MethodSettings): Promise<void> {
  const run = pane.run.value
  if (!run?.id || busy.value) return
  stopConfirming()
  busy.value = method
  state.problem.value = ''
  try {
    const added = await Promise.all((await api.explainAgain(run.id, [method], settings)).map(decodeAttribution))
    putRun(replaceAttributions(state.runs.value.find((r) => r.key === run.key) ?? run, added))
    if (added.length) pane.method.value = identity(added[0])
  } catch (cause) {
    const isMissing = cause instanceof ApiError && cause.code === 'unsupported'
    report(isMissing ? new Error(`${cause.message}. Choose it under Settings of “Edit and run again”.`) : cause)
  } finally {
    busy.value = ''
  }
}

export async function check(pane: state.Pane, by: string): Promise<void> {
  const run = pane.run.value
  const a = pane.attribution.value
  if (!run?.id || !a || checking.value) return
  stopConfirming()
  checking.value = { key: run.key, done: 0, total: 0 }
  state.problem.value = ''
  try {
    for await (const { event, data } of api.check(run.id, { by, methods: [a.method], settings: ungrouped(a) })) {
      if (event === 'progress') checking.value = { key: run.key, ...(data as CheckEvents['progress']) }
      if (event === 'done')
        putRun({
          ...(state.runs.value.find((r) => r.key === run.key) ?? run),
          check: (data as CheckEvents['done']).check,
        })
    }
  } catch (cause) {
    report(cause)
  } finally {
    checking.value = null
  }
}

/* ------------------------------------------------------------------ saved runs */

export async function openRun(id: number, pane = panes[0]): Promise<void> {
  try {
    const find = () => state.saved.value.find((r) => r.id === id)
    if (find()?.job) state.saved.value = await api.runs() // it may have ended since
    const entry = find()
    if (entry?.failure) return showFailed(entry)
    state.failed.value = null
    if (entry?.job && pane === panes[0] && !job.value) {
      state.composing.value = false
      return void watch({ job: entry.job, run: id, prompt: entry.prompt })
    }
    const run = await loadRun(id)
    show(pane, run.key)
    state.composing.value = false
    if (pane !== panes[0]) state.comparing.value = true
    else void confirmSources(run)
  } catch (cause) {
    report(
      cause instanceof ApiError && cause.code === 'not_found' ? new Error('That run is not there any more.') : cause,
    )
  }
}

export async function renameRun(id: number, name: string): Promise<void> {
  try {
    await api.rename(id, name)
    state.saved.value = state.saved.value.map((r) => (r.id === id ? { ...r, name } : r))
    state.runs.value = state.runs.value.map((r) => (r.id === id ? { ...r, name } : r))
  } catch (cause) {
    report(cause)
  }
}

export async function removeRun(id: number): Promise<void> {
  try {
    await api.remove(id)
    state.saved.value = state.saved.value.filter((r) => r.id !== id)
    const loaded = state.runs.value.find((r) => r.id === id)
    if (loaded) state.dropRun(loaded.key)
    if (state.failed.value?.run.id === id) {
      state.dropRun(state.failed.value.key)
      state.failed.value = null
    }
    if (!panes[0].run.value) state.composing.value = true
  } catch (cause) {
    report(cause)
  }
}
