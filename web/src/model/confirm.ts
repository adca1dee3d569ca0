/*
 * The check behind the first look: the model reads the answer again without each of the strongest sources. It runs in
 * the background, and can be stopped. Beside actions.ts the only file that talks to the server.
 */
import { signal } from '@preact/signals'
import { api, type CiteEvents } from '../data/api'
import { decodeConfirmed } from '../data/citation'
import type { Run } from '../data/document'
import { lost } from './connection'
import { citationOf } from './first_look'
import { putRun, runs, served, status } from './store'

/** Sources that are left out. */
const N_CONFIRMED = 3

export interface Confirming {
  key: string
  done: number
  total: number
  stop: AbortController
}
export const confirming = signal<Confirming | null>(null)

/** Why a run could not be checked, by key. */
export const unconfirmed = signal<Record<string, string>>({})

/** Whether the server is there and has the model that made the run, and so can run it again. */
export const hasItsModel = (run: Run | undefined): boolean =>
  served.value &&
  !lost.value &&
  run?.id !== undefined &&
  run.info.model.metadata_sha256 === status.value?.model?.metadata_sha256

/** Whether the run's sources can be checked. */
export const canConfirm = (run: Run | undefined): run is Run & { id: number } =>
  hasItsModel(run) && Boolean(citationOf(run)?.passages.some((p) => p.number))

export function stopConfirming(): void {
  confirming.value?.stop.abort()
}

const note = (key: string, reason: string) => (unconfirmed.value = { ...unconfirmed.value, [key]: reason })

/** Checks the run's first sources, unless that was done before. */
export async function confirmSources(run: Run | undefined): Promise<void> {
  if (!canConfirm(run) || run.confirmed || confirming.value) return
  const { key, id } = run
  const { by, method } = citationOf(run)!
  const stop = new AbortController()
  confirming.value = { key, done: 0, total: 0, stop }
  note(key, '')
  try {
    for await (const { event, data } of api.cite(id, { by, method, confirm: N_CONFIRMED }, stop.signal)) {
      if (event === 'progress') confirming.value = { key, stop, ...(data as CiteEvents['progress']) }
      const now = runs.value.find((r) => r.key === key)
      if (event === 'done' && now)
        putRun({ ...now, confirmed: decodeConfirmed((data as CiteEvents['done']).citation, now.citations) })
    }
  } catch (cause) {
    note(key, stop.signal.aborted ? 'stopped' : cause instanceof Error ? cause.message : String(cause))
  } finally {
    confirming.value = null
  }
}
