/*
 * A conversation for the chat template: its turns, and the documents that stand before a question. The server's run has
 * one prompt, the contents of all messages with a blank line between two; spans are characters of that.
 */
import type { ExplainRequest, Message, Span } from '../data/api'
import { codePoints } from '../ui/token_text'

export interface Passage {
  name: string
  text: string
}

export interface Turn {
  role: Message['role']
  text: string
  /** Before the text, each ended by a blank line. */
  documents?: Passage[]
}

const BETWEEN = '\n\n'

/** Documents first, each followed by an empty line, then the question; spans in code points. */
export function assemble(documents: readonly Passage[], question: string): { prompt: string; spans: Span[] } {
  const spans: Span[] = []
  let text = ''
  documents.forEach(({ name, text: body }, i) => {
    if (!body.trim()) return
    const begin = codePoints(text)
    text += body.trim()
    spans.push({ name: name.trim() || `Document ${i + 1}`, begin, end: codePoints(text) })
    text += BETWEEN
  })
  return { prompt: text + question, spans }
}

/** Messages without empty turns, and the spans of their documents in the run's prompt. */
export function messagesOf(turns: readonly Turn[]): { messages: Message[]; spans: Span[] } {
  const messages: Message[] = []
  const spans: Span[] = []
  let at = 0
  for (const { role, text, documents = [] } of turns) {
    const { prompt, spans: own } = assemble(documents, text.trim())
    const content = prompt.trim()
    if (!content) continue
    spans.push(...own.map(({ name, begin, end }) => ({ name, begin: at + begin, end: at + end })))
    messages.push({ role, content })
    at += codePoints(content) + BETWEEN.length
  }
  return { messages, spans }
}

/** The documents at the beginning of a content that starts at `at`, and the rest; none if they stand otherwise. */
function withDocuments(role: Turn['role'], content: string, at: number, spans: readonly Span[]): Turn {
  const characters = [...content]
  const own = spans.filter(({ begin, end }) => begin >= at && end <= at + characters.length)
  const documents = own.map(({ name, begin, end }) => ({ name, text: characters.slice(begin - at, end - at).join('') }))
  const last = own[own.length - 1]
  const text = last ? characters.slice(last.end - at).join('').trimStart() : content
  const isSame = assemble(documents, text).prompt.trim() === content
  return documents.length && isSame ? { role, text, documents } : { role, text: content }
}

/** The turns of a request. */
export function turnsOf({ messages = [], spans = [] }: ExplainRequest): Turn[] {
  let at = 0
  return messages.map(({ role, content }) => {
    const turn = withDocuments(role, content, at, spans)
    at += content ? codePoints(content) + BETWEEN.length : 0
    return turn
  })
}
