/*
 * The prompt as prose: one element for each passage, blocks with a margin for named documents. Built once for a run;
 * what is lit changes classes only.
 */
import { stepClass } from './colour'
import type { Token } from '../data/document'
import { STEPS } from '../model/aggregate'

export interface PromptParts {
  tokens: readonly Token[]
  /** What each token shows, '' for the rest of a character. */
  texts: readonly string[]
  /** [tokens] the passage of each, -1: none. */
  passages: readonly number[]
  /** [tokens] the named document of each, -1: none; empty: no documents. */
  documents: readonly number[]
  names: readonly string[]
}

const isTemplate = ({ role }: Token) => role === 'template' || role === 'special'

function documentBlock(root: HTMLElement, document: number, name: string): HTMLElement {
  const block = root.ownerDocument.createElement('div')
  block.className = document < 0 ? 'apart' : 'document'
  const text = root.ownerDocument.createElement('div')
  text.className = 'document-text'
  text.dir = 'auto'
  if (document >= 0) {
    const margin = root.ownerDocument.createElement('div')
    margin.className = 'margin'
    margin.dataset.document = String(document)
    const label = root.ownerDocument.createElement('span')
    label.className = 'document-name'
    label.textContent = name
    const bar = root.ownerDocument.createElement('span')
    bar.className = 'document-bar'
    margin.append(label, bar)
    block.append(margin)
  }
  block.append(text)
  root.append(block)
  return text
}

export class PassageSpans {
  /** The elements of each passage. */
  readonly of: HTMLElement[][] = []
  private shown: string[] = []

  constructor(
    readonly root: HTMLElement,
    parts: PromptParts,
  ) {
    root.replaceChildren()
    let into: HTMLElement = root
    let span: HTMLElement | null = null
    let space = '' // between passages: it belongs to neither, and is not lit
    let before = { passage: -2, document: -2, template: false }
    const isSame = (now: typeof before) => now.passage === before.passage && now.template === before.template
    parts.tokens.forEach((token, k) => {
      const now = {
        passage: parts.passages[k] ?? -1,
        document: parts.documents[k] ?? -1,
        template: isTemplate(token),
      }
      if (parts.documents.length && now.document !== before.document) {
        this.addSpace(into, space)
        into = documentBlock(root, now.document, parts.names[now.document] ?? '')
        ;[span, space, before] = [null, '', { ...before, document: now.document }]
      }
      const text = parts.texts[k]
      const begin = span && isSame(now) ? 0 : text.length - text.trimStart().length
      const end = Math.max(begin, text.trimEnd().length)
      if (end === begin) return void (space += text)
      if (!span || !isSame(now)) {
        this.addSpace(into, space + text.slice(0, begin))
        span = this.begin(into, now.passage, now.template)
      } else span.append(space)
      span.append(text.slice(begin, end))
      space = text.slice(end)
      before = now
    })
    this.addSpace(into, space)
    for (const block of root.querySelectorAll('.apart')) block.toggleAttribute('hidden', !block.textContent?.trim())
    root.normalize()
    for (const block of root.querySelectorAll<HTMLElement>('.document-text')) this.foldEnding(block)
  }

  /** Line breaks at the beginning of a document have no height. */
  private addSpace(into: HTMLElement, space: string): void {
    if (into === this.root || into.hasChildNodes()) return into.append(space)
    if (!space) return
    const span = this.root.ownerDocument.createElement('span')
    span.className = 'space'
    span.append(space)
    into.append(span)
  }

  /** Nor have those at its end. */
  private foldEnding(block: HTMLElement): void {
    const last = block.lastChild
    if (last?.nodeType !== Node.TEXT_NODE) return
    const span = this.root.ownerDocument.createElement('span')
    span.className = 'space'
    last.replaceWith(span)
    span.append(last)
  }

  private begin(into: HTMLElement, passage: number, isTemplate: boolean): HTMLElement {
    const span = this.root.ownerDocument.createElement('span')
    if (isTemplate) span.dataset.role = 'template'
    else if (passage >= 0) {
      span.dataset.p = String(passage)
      ;(this.of[passage] ??= []).push(span)
    }
    into.append(span)
    return span
  }

  /** [passages] strengths 0..1, and the passage that is marked, -1: none. */
  light(strengths: Float32Array, marked: number): void {
    this.of.forEach((spans, p) => {
      const step = Math.round(Math.min(1, strengths[p] ?? 0) * STEPS)
      const name = [step ? `lit ${stepClass(step)}` : '', p === marked ? 'marked' : ''].filter(Boolean).join(' ')
      if ((this.shown[p] ?? '') === name) return
      this.shown[p] = name
      for (const span of spans) span.className = name
    })
  }

  /** Scrolls a passage to the middle of the frame around the text; the page stays where it is. */
  reveal(passage: number, isSmooth: boolean): void {
    const span = this.of[passage]?.[0]
    const frame = this.root.parentElement
    if (!span || !frame) return
    const box = span.getBoundingClientRect()
    const around = frame.getBoundingClientRect()
    const by = box.top + Math.min(box.height, around.height) / 2 - (around.top + around.height / 2)
    frame.scrollBy({ top: by, behavior: isSmooth ? 'smooth' : 'auto' })
  }
}

/** The passage at which an event occurred, -1: none. */
export function passageAt(target: EventTarget | null): number {
  const span = target instanceof Element ? target.closest<HTMLElement>('[data-p]') : null
  return span ? Number(span.dataset.p) : -1
}
