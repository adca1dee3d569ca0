/*
 * The address holds the run and how it is looked at, so that a link, a reload, back and forward show the same:
 *
 *     #run=12&view=closer&method=logit&select=2-5&layers=3-12&by=word&hide=first&chart=map
 *         &beside=7&with=rollout&difference=1
 *
 * `select` counts tokens of the answer from 0, `layers` from 1. What is as at first is left out. In a report `run`
 * counts its runs from 1. Inside another page the address is read but not written: its history is that of the
 * page around.
 */
import { effect } from '@preact/signals'
import { identity, type Run } from '../data/document'
import { wantsDifference } from './comparison'
import { closer, showsFirstLook } from './first_look'
import * as state from './store'
import { job } from './job'
import { composing, failed, panes, served, type Pane } from './store'
import { lastAfterFrame } from '../ui/frame'

/** Whether this page is inside another one. */
export const isFramed = () => window.parent !== window

const read = () => new URLSearchParams(location.hash.slice(1))

/** The run that the address names; null: none. */
export function addressedRun(): number | null {
  const id = Number(read().get('run'))
  return Number.isInteger(id) && id > 0 ? id : null
}

/** The job that the address names: a run that waited when it was written. */
export function addressedJob(): number | null {
  const id = Number(read().get('job'))
  return Number.isInteger(id) && id > 0 ? id : null
}

/** The run beside it. */
export function addressedBeside(): number | null {
  const id = Number(read().get('beside'))
  return Number.isInteger(id) && id > 0 ? id : null
}

/* ------------------------------------------------------------------ writing */

/** The pane's method; '' for its run's first. */
const methodOf = (pane: Pane): string =>
  pane.attribution.value === pane.run.value?.attributions[0] ? '' : pane.name.value

function selectionOf(pane: Pane): string {
  const chosen = pane.selection.value
  if (!chosen || !pane.isChosen.value) return ''
  return chosen.map((i) => i + pane.offset.value).join('-')
}

function layersOf(pane: Pane): string {
  const L = pane.attribution.value?.L ?? 1
  const [from, to] = pane.range.value
  return to - from === L ? '' : `${from + 1}-${to}`
}

/** In a report: the run's place, if it is not the first. */
function otherRun(pane: Pane): number | undefined {
  const at = state.runs.value.findIndex((run) => run.key === pane.key.value)
  return at > 0 ? at + 1 : undefined
}

/** The run on the server that is shown or made; undefined: none, as while one is written. */
function servedRun(left: Pane): number | undefined {
  if (composing.value) return job.value?.run
  return failed.value?.run.id ?? left.run.value?.id ?? job.value?.run
}

function written(): URLSearchParams {
  const now = new URLSearchParams()
  const set = (key: string, value: string) => value && now.set(key, value)
  const [left, right] = panes
  const making = job.value
  const id = served.value ? servedRun(left) : otherRun(left)
  if (id !== undefined) now.set('run', String(id))
  else if (making && making.id !== null) now.set('job', String(making.id))
  if (closer.value) now.set('view', 'closer')
  if (showsFirstLook.value) return now
  set('method', methodOf(left))
  set('select', selectionOf(left))
  set('layers', layersOf(left))
  set('by', state.unitName.value === 'token' ? '' : state.unitName.value)
  set('hide', [...state.hide.value].join(','))
  set('chart', state.chart.value === 'bars' ? '' : state.chart.value)
  if (state.comparing.value && right.run.value) {
    set('beside', String(right.run.value.id ?? state.runs.value.indexOf(right.run.value) + 1))
    set('with', right.name.value)
    set('difference', wantsDifference.value ? '1' : '')
  }
  return now
}

/** Whether the address is read now, and so is not written. */
let isReading = false

const urlOf = (hash: string) => (hash ? `#${hash}` : location.pathname + location.search)

function replace(hash: string): void {
  if (hash !== location.hash.slice(1)) history.replaceState(null, '', urlOf(hash))
}

/** The last of several changes is written, after what they mark is painted. */
const replaced = lastAfterFrame(replace)

/** A step to another run or layer can be gone back from; other changes replace the address. */
function write(now: URLSearchParams): void {
  const before = read()
  const hash = String(now)
  if (!before.size) return replace(hash)
  if (['run', 'view'].every((key) => before.get(key) === now.get(key))) return replaced.set(hash)
  replaced.flush()
  history.pushState(null, '', urlOf(hash))
}

/** Keeps the address up to date. */
export function keepAddress(): void {
  if (isFramed()) return
  effect(() => {
    const now = written()
    if (!isReading) write(now)
  })
}

/* ------------------------------------------------------------------ reading */

function chooseMethod(pane: Pane, name: string | null): void {
  const run = pane.run.value
  const found = name && run?.attributions.find((a) => state.variantName(run, a) === name)
  if (found) pane.method.value = identity(found)
}

const pairOf = (text: string | null): [number, number] | null => {
  const found = /^(\d{1,6})-(\d{1,6})$/.exec(text ?? '')
  return found ? [Number(found[1]), Number(found[2])] : null
}

/** Takes the layer, which shows before a run is loaded. */
export function readLayer(): void {
  closer.value = read().get('view') === 'closer'
}

/** Takes the rest for the loaded run; `beside`: the run that is put beside it. */
export function readView(beside?: Run): void {
  const [left, right] = panes
  const now = read()
  chooseMethod(left, now.get('method'))
  const select = pairOf(now.get('select'))
  if (select) state.select(left.key.value, ...select)
  const L = left.attribution.value?.L ?? 1
  const layers = pairOf(now.get('layers'))
  state.depth.value = layers && layers[0] >= 1 && layers[1] <= L ? [(layers[0] - 1) / L, layers[1] / L] : [0, 1]
  const by = now.get('by')
  state.unitName.value = by && left.run.value?.cuts.prompt[by] ? by : 'token'
  const filters = left.run.value?.filters ?? {}
  state.hide.value = new Set((now.get('hide') ?? '').split(',').filter((name) => name in filters))
  const chart = now.get('chart')
  if (chart) state.chart.value = chart
  state.comparing.value = beside !== undefined
  wantsDifference.value = now.get('difference') === '1'
  if (!beside) return
  state.show(right, beside.key)
  chooseMethod(right, now.get('with'))
}

/** Runs `task`, which loads what the address names, without writing it in between. */
export async function reading(task: () => Promise<void>): Promise<void> {
  isReading = true
  replaced.drop()
  try {
    await task()
  } finally {
    isReading = false
  }
}
