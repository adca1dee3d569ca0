/*
 * Keyboard commands, active except in input fields. Prompt text and tabs have their own arrow keys.
 */
import { toggleTheme } from '../draw/theme'
import { job, stop } from '../model/actions'
import { activePane, comparing, following, pinned, runs, select } from '../model/store'
import { identity } from '../data/document'
import { dialog } from '../views/dialogs'
import { startComparing, stopComparing, toggleFilter } from '../views/controls'
import { searching } from '../views/search'

/** Moves the selection to token `to` of the completion; `extend` keeps its other end. */
function move(to: number, extend: boolean): void {
  const pane = activePane.value
  const chosen = pane.selection.value
  const n = pane.attribution.value?.n ?? 0
  if (!chosen || !n) return
  const offset = pane.offset.value
  const end = Math.min(n - 1, Math.max(0, to))
  following.value = false
  select(pane.key.value, (extend ? anchor(chosen, end) : end) + offset, end + offset)
  document.getElementById(`answer-${pane.index}-${end + offset}`)?.scrollIntoView({ block: 'nearest' })
}

/** The end of the selection that is farther from the end being moved. */
const anchor = ([from, to]: readonly [number, number], end: number) =>
  Math.abs(end - from) >= Math.abs(end - to) ? from : to

function byArrow(event: KeyboardEvent, by: number): void {
  const chosen = activePane.value.selection.value
  if (chosen) move((by > 0 ? chosen[1] : chosen[0]) + by, event.shiftKey)
}

function chooseMethod(index: number): void {
  const pane = activePane.value
  const a = pane.run.value?.attributions[index]
  if (a) pane.method.value = identity(a)
}

function release(): void {
  if (job.value) void stop()
  pinned.value = null
  searching.value = false
}

type Action = (event: KeyboardEvent) => void

const ACTIONS: Record<string, Action> = {
  ArrowRight: (e) => byArrow(e, 1),
  ArrowLeft: (e) => byArrow(e, -1),
  Home: (e) => move(0, e.shiftKey),
  End: (e) => move(Infinity, e.shiftKey),
  '/': () => (searching.value = true),
  '?': () => (dialog.value = 'help'),
  '0': () => toggleFilter('first'),
  c: () => (comparing.value ? stopComparing() : startComparing()),
  d: toggleTheme,
  Escape: release,
}
for (let i = 1; i <= 9; i++) ACTIONS[String(i)] = () => chooseMethod(i - 1)

const NEEDS_RUN = new Set(['c', '/', '0'])
const isField = (target: EventTarget | null) =>
  target instanceof Element && target.closest('input, textarea, select, dialog, summary, [contenteditable]') !== null

export function listen(): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isField(event.target)) return
    const action = ACTIONS[event.key]
    if (!action || (NEEDS_RUN.has(event.key) && !runs.value.length)) return
    event.preventDefault()
    action(event)
  })
}
