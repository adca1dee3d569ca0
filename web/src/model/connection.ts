/*
 * The connection to the server: what changes in its list of runs is followed while the page is visible; when the server
 * cannot be reached the page says so, and goes on by itself when it is back.
 */
import { signal } from '@preact/signals'
import { api } from '../data/api'
import * as state from './store'

/** Whether the server cannot be reached. */
export const lost = signal(false)

/** Between two tries to reach a lost server, and after a change before the list is read: several come together. */
const RETRY_MS = 1000
const GATHER_MS = 60

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms))

/** A browser gives one server six connections: hidden pages hold none. */
function visible(): Promise<void> {
  if (!document.hidden) return Promise.resolve()
  return new Promise((done) => document.addEventListener('visibilitychange', () => done(), { once: true }))
}

function abortWhenHidden(controller: AbortController): () => void {
  const hide = () => document.hidden && controller.abort()
  document.addEventListener('visibilitychange', hide)
  return () => document.removeEventListener('visibilitychange', hide)
}

async function refresh(): Promise<void> {
  const [status, saved] = await Promise.all([api.status(), api.runs()])
  state.status.value = status
  state.saved.value = saved
}

async function readNews(signal: AbortSignal, back: () => void): Promise<void> {
  const news = await api.news(signal)
  await refresh()
  if (lost.value) {
    lost.value = false
    back()
  }
  let waits = false
  for await (const { event } of news) {
    if (event !== 'runs' || waits) continue
    waits = true
    setTimeout(() => {
      waits = false
      void refresh().catch(() => undefined)
    }, GATHER_MS)
  }
}

/** Follows the server until the page is closed; `back`: it can be reached again. */
export async function followServer(back: () => void): Promise<never> {
  for (;;) {
    await visible()
    const controller = new AbortController()
    const release = abortWhenHidden(controller)
    try {
      await readNews(controller.signal, back)
    } catch {
      lost.value = lost.value || !controller.signal.aborted
    } finally {
      release()
    }
    await pause(RETRY_MS)
  }
}
