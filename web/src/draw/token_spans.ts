/*
 * A text of tokens whose backgrounds show numbers. Each token has one element, created once; a change of numbers is one
 * pass that modifies only the class of tokens whose step changed.
 */
import { stepClass } from './colour'
import type { Token } from '../data/document'
import { STEPS } from '../model/aggregate'
import { CONTINUED } from '../ui/token_text'

const CLASSES = Array.from({ length: 2 * STEPS + 1 }, (_, i) => (i === STEPS ? '' : stepClass(i - STEPS)))
/** Flags in a token's class besides the step; bits, so that one number holds the whole class. */
const HIDDEN = 128
const SELECTED = 256
const PENDING = 512

export interface Marks {
  hidden?: Uint8Array
  selected?: readonly [number, number] | null
  /** Tokens from here on are not explained yet. */
  pendingFrom?: number
}

/** Scripts whose letters join or combine with the next: nothing may stand between two of them. */
const SCRIPTS =
  'Arabic Syriac Nko Mongolian Hebrew Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam ' +
  'Sinhala Khmer Myanmar Thai Lao Tibetan'
const JOINING = new RegExp(`[${SCRIPTS.replace(/(\w+) ?/g, '\\p{Script=$1}')}]$`, 'u')

/** Whether token k is the rest of a letter that joins: its mark is drawn beside the text, not in it. */
function isJoined(texts: readonly string[], k: number): boolean {
  if (texts[k] !== CONTINUED) return false
  let from = k - 1
  while (from >= 0 && texts[from] === CONTINUED) from--
  return from >= 0 && JOINING.test(texts[from])
}

/** What a screen reader says for a text that shows nothing. */
const blankName = (text: string) => (/[\n\r]/.test(text) ? 'line break' : text ? 'space' : 'rest of a character')

function writeText(span: HTMLElement, texts: readonly string[], k: number): void {
  const joined = isJoined(texts, k)
  const text = joined ? '' : (texts[k] ?? '') // none: the span is about to be removed
  span.textContent = text
  span.toggleAttribute('data-newline', /[\n\r]/.test(text))
  span.toggleAttribute('data-joined', joined)
  if (span.role && !text.trim()) span.setAttribute('aria-label', blankName(text))
  else span.removeAttribute('aria-label')
}

export class TokenSpans {
  readonly spans: HTMLElement[] = []
  private state = new Int16Array(0)
  private steps = new Int8Array(0)
  private texts: readonly string[] = []

  constructor(
    readonly root: HTMLElement,
    private readonly role?: string,
  ) {}

  /**
   * Shows these tokens: appends new ones, and rewrites those whose text has changed, because a later token can complete
   * a character that began in an earlier one. Texts come from models, so they are only inserted as text.
   */
  update(tokens: readonly Token[], texts: readonly string[]): void {
    const added = document.createDocumentFragment()
    if (texts !== this.texts) this.spans.forEach((span, k) => texts[k] !== this.texts[k] && writeText(span, texts, k))
    this.texts = texts
    for (let k = this.spans.length; k < tokens.length; k++) {
      const span = document.createElement('span')
      span.dataset.k = String(k)
      if (tokens[k].role !== 'prompt' && tokens[k].role !== 'completion') span.dataset.role = tokens[k].role
      if (this.role) {
        span.setAttribute('role', this.role)
        span.id = `${this.root.id}-${k}`
      }
      writeText(span, texts, k)
      this.spans.push(span)
      added.append(span)
    }
    this.root.append(added)
    const state = new Int16Array(tokens.length)
    state.set(this.state.subarray(0, tokens.length))
    this.state = state
    this.steps = new Int8Array(tokens.length)
  }

  /** Computes the steps with `fill`, then updates the changed tokens. */
  paint(fill: (steps: Int8Array) => void, { hidden, selected, pendingFrom = Infinity }: Marks): void {
    const { steps, state, spans } = this
    fill(steps)
    for (let k = 0; k < spans.length; k++) {
      let next = steps[k] + STEPS
      if (hidden?.[k]) next = STEPS | HIDDEN
      if (selected && k >= selected[0] && k <= selected[1]) next |= SELECTED
      if (k >= pendingFrom) next |= PENDING
      if (state[k] === next) continue
      state[k] = next
      this.write(spans[k], next)
    }
  }

  private write(span: HTMLElement, state: number): void {
    const names = [
      CLASSES[state & (HIDDEN - 1)],
      state & HIDDEN && 'hidden',
      state & SELECTED && 'selected',
      state & PENDING && 'pending',
    ]
    span.className = names.filter(Boolean).join(' ')
    if (this.role) span.setAttribute('aria-selected', state & SELECTED ? 'true' : 'false')
  }
}

/** The index of the token at which an event occurred, -1: none. */
export function tokenAt(target: EventTarget | null): number {
  const span = target instanceof Element ? target.closest<HTMLElement>('[data-k]') : null
  return span ? Number(span.dataset.k) : -1
}
