/*
 * Keyboard commands, active except in input fields. Prompt text and tabs have their own arrow keys.
 */
import { toggleTheme } from '../draw/theme'
import { job, stop } from '../model/actions'
import { wantsDifference } from '../model/comparison'
import { active, activePane, comparing, isComparable, oneScale, pinned, runs, select } from '../model/store'
import { identity } from '../data/document'
import { dialog } from '../views/dialogs'
import { startComparing, stopComparing, toggleFilter } from '../views/controls'
import { searching } from '../views/search'
import { showPassage } from '../views/cited_prompt'
import { lookCloser } from '../views/first_look'
import { nextHot, showNextUnit } from '../views/heat_strip'
import { stopConfirming } from '../model/confirm'
import { marksFirst } from './frame'
import {
  chosenSentence,
  citation,
  closer,
  litPassage,
  litSentence,
  showsFirstLook,
  sourcesOf,
} from '../model/first_look'

/** Moves the selection to token `to` of the completion; `extend` keeps its other end. */
function move(to: number, extend: boolean): void {
  const pane = activePane.value
  const chosen = pane.selection.value
  const n = pane.attribution.value?.n ?? 0
  if (!chosen || !n) return
  const offset = pane.offset.value
  const end = Math.min(n - 1, Math.max(0, to))
  marksFirst(() => select(pane.key.value, (extend ? anchor(chosen, end) : end) + offset, end + offset))
  document.getElementById(`answer-${pane.index}-${end + offset}`)?.scrollIntoView({ block: 'nearest' })
}

/** The end of the selection that is farther from the end being moved. */
const anchor = ([from, to]: readonly [number, number], end: number) =>
  Math.abs(end - from) >= Math.abs(end - to) ? from : to

/** From the whole answer, which is selected at first, to its first or last token. */
function byArrow(event: KeyboardEvent, by: number): void {
  if (showsFirstLook.value) return stepSentence(by)
  const chosen = activePane.value.selection.value
  if (!chosen) return
  if (!activePane.value.isChosen.value) move(by > 0 ? 0 : Infinity, false)
  else move((by > 0 ? chosen[1] : chosen[0]) + by, event.shiftKey)
}

/** Selects the sentence before or after; beyond the ends the whole answer. */
function stepSentence(by: number): void {
  const n = citation.value?.answer.length ?? 0
  const now = litSentence.value
  const next = now < 0 ? (by > 0 ? 0 : n - 1) : now + by
  chosenSentence.value = next >= 0 && next < n ? { run: activePane.value.key.value, part: next } : null
}

function showNextSource(): void {
  const next = nextHot(litPassage.value)
  if (next >= 0) showPassage(next)
}

/** Marks the source with this number. */
function chooseSource(index: number): void {
  const c = citation.value
  const passage = c && sourcesOf(c)[index]
  if (passage !== undefined) showPassage(passage)
}

function chooseMethod(index: number): void {
  const pane = activePane.value
  const a = pane.run.value?.attributions[index]
  if (a) pane.method.value = identity(a)
}

function release(): void {
  if (job.value) void stop()
  else stopConfirming()
  pinned.value = null
  chosenSentence.value = null
  searching.value = false
}

/** Numbers and arrows are for the other side then. */
function toOtherSide(): void {
  if (!comparing.value) return
  active.value = 1 - active.value
  document.getElementById(`answer-${active.value}`)?.focus()
}

/** Sources have no chart but a list. */
function toChart(): void {
  const panel = document.getElementById('chart-panel')
  const chart = document.getElementById(`chart-${active.value}`) ?? panel?.querySelector<HTMLElement>('button, select')
  chart?.focus()
}

type Action = (event: KeyboardEvent) => void

const ACTIONS: Record<string, Action> = {
  ArrowRight: (e) => byArrow(e, 1),
  ArrowLeft: (e) => byArrow(e, -1),
  Home: (e) => move(0, e.shiftKey),
  End: (e) => move(Infinity, e.shiftKey),
  '/': () => (searching.value = !showsFirstLook.value),
  l: () => lookCloser(!closer.value),
  n: () => (showsFirstLook.value ? showNextSource() : showNextUnit(activePane.value)),
  '?': () => (dialog.value = 'help'),
  '0': () => toggleFilter('first'),
  c: () => (comparing.value ? stopComparing() : startComparing()),
  b: toOtherSide,
  x: () => isComparable.value && (wantsDifference.value = !wantsDifference.value),
  s: () => isComparable.value && (oneScale.value = !oneScale.value),
  g: toChart,
  d: toggleTheme,
  Escape: release,
}
for (let i = 0; i < 9; i++)
  ACTIONS[String(i + 1)] = () => (showsFirstLook.value ? chooseSource(i) : chooseMethod(i))

const NEEDS_RUN = new Set(['b', 'c', '/', '0', 'g', 'l', 'n', 's', 'x'])
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
