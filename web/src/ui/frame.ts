/*
 * What waits for the next frame. An input marks the texts at once; what follows from it elsewhere (lists, charts, the
 * address) is made after the frame that shows the marks, so that a click is answered before it is explained.
 */
import { options } from 'preact'

/** Runs a task right after the next frame is painted; a page in the background has no frames, and runs it at once. */
export function afterFrame(task: () => void): void {
  if (document.hidden) return queueMicrotask(task)
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      task()
    }
    port2.postMessage(null)
  })
}

let waits = false

/** Changes signals that texts are marked by: components that depend on them are rendered after the marks' frame. */
export function marksFirst(change: () => void): void {
  waits = true
  try {
    change()
  } finally {
    waits = false
  }
}

/** Components are rendered once for several changes: after the frame for `marksFirst`, else before it. */
export function scheduleRendering(): void {
  options.debounceRendering = (render) => (waits ? afterFrame(render) : queueMicrotask(render))
}

/** Calls `task` with the last of several values after the next frame. `flush` runs it now, `drop` not at all. */
export function lastAfterFrame<T>(task: (value: T) => void) {
  let pending: { value: T } | null = null
  const flush = () => {
    const now = pending
    pending = null
    if (now) task(now.value)
  }
  return {
    set(value: T) {
      if (!pending) afterFrame(flush)
      pending = { value }
    },
    flush,
    drop: () => (pending = null),
  }
}

/** Runs a task when nothing else is to be done, or half a second later where the browser does not say when that is. */
export function whenIdle(task: () => void): void {
  if ('requestIdleCallback' in window) requestIdleCallback(task)
  else setTimeout(task, 500)
}
