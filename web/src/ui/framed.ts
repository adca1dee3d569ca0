/*
 * A report inside another page (docs/guide/embedding.md). It sends the page around it the height of its content and
 * what was chosen in it, and takes from it the theme and what to show. Messages are objects with
 * `type: "headwater:..."`.
 *
 * Height and number of runs go to any page around. What holds words of the report goes only to a page that has the
 * report itself: one that gave it as `srcdoc`, or of the same origin.
 */
import { effect } from '@preact/signals'
import { isFramed } from '../model/address'
import { chosenSentence, citationOf, closer, documentsOf, pinnedPassage, sourcesOf } from '../model/first_look'
import { panes, runs, runTitle, show, theme } from '../model/store'
import { showPassage } from '../views/cited_prompt'
import { lookCloser } from '../views/first_look'

const VERSION = 1

const originOf = (url: string) => (url ? new URL(url).origin : '')

/** Whether the page around has this report anyway. A sandbox changes neither address. */
function isTrusted(): boolean {
  if (location.href === 'about:srcdoc') return true
  const around = location.ancestorOrigins ? location.ancestorOrigins[0] : originOf(document.referrer)
  return /^https?:/.test(location.href) && around === originOf(location.href)
}

const send = (type: string, fields: object) => parent.postMessage({ type: `headwater:${type}`, ...fields }, '*')

/* ------------------------------------------------------------------ height */

const px = (text: string) => parseFloat(text) || 0

/** Height of an element's content, however high the element itself is. */
function contentHeight(element: Element): number {
  const style = getComputedStyle(element)
  const top = element.getBoundingClientRect().top - element.scrollTop
  const last = element.lastElementChild?.getBoundingClientRect().bottom ?? top
  return last - top + px(style.paddingBottom)
}

/** What the first look needs to show everything without scrolling: both frames beside, or below each other. */
function firstLookHeight(first: Element): number {
  const answer = first.querySelector('.answer-frame')!
  const prompt = first.querySelector('.framed .frame')!
  const above = prompt.getBoundingClientRect().top - prompt.closest('.cited-prompt')!.getBoundingClientRect().top
  const heights = [contentHeight(answer), above + contentHeight(prompt)]
  const isBeside = getComputedStyle(first).gridTemplateColumns.split(' ').length > 1
  return isBeside ? Math.max(...heights) : heights[0] + heights[1]
}

function naturalHeight(): number {
  const app = document.getElementById('app')!
  const first = app.querySelector('.first')
  if (!first) return app.getBoundingClientRect().height
  return first.getBoundingClientRect().top + scrollY + firstLookHeight(first)
}

let sentHeight = 0

function sendHeight(): void {
  const height = Math.ceil(naturalHeight())
  if (Math.abs(height - sentHeight) < 2) return
  sentHeight = height
  send('size', { height })
}

function followHeight(): void {
  let frame = 0
  const later = () => {
    cancelAnimationFrame(frame)
    frame = requestAnimationFrame(sendHeight)
  }
  new ResizeObserver(later).observe(document.getElementById('app')!)
  new MutationObserver(later).observe(document.getElementById('app')!, { subtree: true, childList: true })
  later()
}

/* ------------------------------------------------------------------ what was chosen */

/** The bytes of the prompt that a passage takes. */
function bytesOf(passage: number): [number, number] | null {
  const run = panes[0].run.value
  const groups = citationOf(run)?.prompt_groups ?? []
  const [first, last] = [groups.indexOf(passage), groups.lastIndexOf(passage)]
  return run && first >= 0 ? [run.info.tokens[first].range[0], run.info.tokens[last].range[1]] : null
}

function documentOf(passage: number): string {
  const run = panes[0].run.value
  const named = documentsOf(run)
  const k = citationOf(run)?.prompt_groups.indexOf(passage) ?? -1
  const document = k < 0 ? -1 : (named?.prompt_groups[k] ?? -1)
  return document < 0 ? '' : named!.passages[document].name
}

function followChoice(): void {
  effect(() => {
    const run = panes[0].run.value
    if (!run) return
    const at = runs.value.findIndex((r) => r.key === run.key)
    send('shown', { run: at + 1, title: runTitle(run), view: closer.value ? 'closer' : 'answer' })
  })
  effect(() => {
    const passage = closer.value ? -1 : pinnedPassage.value
    const cited = citationOf(panes[0].run.value)?.passages[passage]
    if (!cited) return
    const { number, text, share } = cited
    send('source', { number, text, share, document: documentOf(passage), bytes: bytesOf(passage) })
  })
}

/* ------------------------------------------------------------------ what the page around sends */

interface Sent {
  type?: unknown
  theme?: unknown
  run?: unknown
  view?: unknown
  sentence?: unknown
  source?: unknown
}

const isIndex = (value: unknown, count: number): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= count

function greet(): void {
  sentHeight = 0
  send('ready', { version: VERSION, runs: runs.value.length })
  sendHeight()
}

function take(message: Sent): void {
  if (message.type === 'headwater:hello') return greet()
  if (message.type === 'headwater:theme') {
    if (message.theme === 'light' || message.theme === 'dark') theme.value = message.theme
    return
  }
  if (message.type !== 'headwater:show') return
  const { run, view, sentence, source } = message
  if (isIndex(run, runs.value.length)) show(panes[0], runs.value[run - 1].key)
  if (view === 'answer' || view === 'closer') lookCloser(view === 'closer')
  const c = citationOf(panes[0].run.value)
  if (!c) return
  if (isIndex(sentence, c.answer.length)) chosenSentence.value = { run: panes[0].key.value, part: sentence - 1 }
  if (isIndex(source, sourcesOf(c).length)) showPassage(sourcesOf(c)[source - 1])
}

/** Called once the report is shown. */
export function joinPage(): void {
  if (!isFramed()) return
  document.documentElement.dataset.framed = ''
  addEventListener('message', ({ source, data }: MessageEvent<unknown>) => {
    if (source === parent && typeof data === 'object' && data !== null) take(data as Sent)
  })
  greet()
  followHeight()
  if (isTrusted()) followChoice()
}
