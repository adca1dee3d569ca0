/*
 * Server-sent events parsed from the answer to a POST, which EventSource cannot send.
 */

export interface ServerEvent {
  event: string
  data: unknown
}

/** Parses a block of lines; null if it has no data (a comment that keeps the connection open). */
export function parseEvent(block: string): ServerEvent | null {
  let event = 'message'
  const data: string[] = []
  for (const line of block.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const value = line.slice(colon + 1).replace(/^ /, '')
    if (line.startsWith('event:')) event = value
    if (line.startsWith('data:')) data.push(value)
  }
  return data.length ? { event, data: JSON.parse(data.join('\n')) as unknown } : null
}

const END_OF_EVENT = /\r\n\r\n|\n\n|\r\r/

/** Events in order of arrival. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    text += decoder.decode(value, { stream: true })
    for (let end; (end = END_OF_EVENT.exec(text)); ) {
      const event = parseEvent(text.slice(0, end.index))
      text = text.slice(end.index + end[0].length)
      if (event) yield event
    }
  }
}
