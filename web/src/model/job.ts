/*
 * The run that this page makes or watches: how far it is. Its tokens are in the run itself (store.ts).
 */
import { signal } from '@preact/signals'

export interface Job {
  stage: 'loading' | 'queued' | 'prefill' | 'tokens'
  id: number | string | null
  /** Id of its run in the server's list, once it has begun. */
  run?: number
  /** Progress of prefill; the position in the queue while queued. */
  done: number
  total: number
  /** When prefill began, performance.now(). */
  since?: number
  stop: AbortController
}

export const job = signal<Job | null>(null)
