/*
 * Displayed text of tokens. Nothing from a model or a file reaches the page raw: control characters, invisible
 * characters and characters that change the direction of text are spelled out, and characters split over several tokens
 * are joined.
 */
import type { LogProb, Token } from '../data/document'

/** Control characters have pictures in Unicode; DEL has its own. */
const picture = (code: number) => String.fromCodePoint(code === 0x7f ? 0x2421 : 0x2400 + code)

const HIDING = /[\ufffe\uffff\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g

/** Text with invisible characters spelled out; line breaks and tabs are kept. */
export function visible(text: string): string {
  return text
    .replace(/\r\n/g, '\u240d\n')
    .replace(CONTROL, (c) => picture(c.charCodeAt(0)))
    .replace(HIDING, (c) => `\u2039U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}\u203a`)
}

/** For a label or a sentence: one line, spaces at the ends shown. */
export function label(text: string): string {
  const shown = visible(text).replace(/\n/g, '\u23ce').replace(/\t/g, '\u21e5')
  return shown.replace(/^ +| +$/g, (spaces) => '\u00b7'.repeat(spaces.length)) || '\u2205'
}

export function shorten(text: string, max: number): string {
  const characters = [...text]
  return characters.length <= max ? text : `${characters.slice(0, max - 1).join('')}\u2026`
}

function bytesOf(token: Pick<Token, 'text' | 'bytes'>): Uint8Array {
  if (!token.bytes) return new TextEncoder().encode(token.text)
  return Uint8Array.from(token.bytes.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}

/** Shown for the later parts of a character that several tokens share. */
export const CONTINUED = '\u02d9'

/** Number of bytes of the character that begins with this byte; 0: none begins with it. */
function lengthFrom(byte: number): number {
  if (byte < 0x80) return 1
  if (byte < 0xc2) return 0
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 0
}

const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The character at `at` of bytes that may end inside it; null: no valid or complete character. */
function characterAt(bytes: Uint8Array, at: number): { text: string; length: number } | null {
  const length = lengthFrom(bytes[at])
  if (!length || at + length > bytes.length) return null
  try {
    return { text: STRICT.decode(bytes.subarray(at, at + length)), length }
  } catch {
    return null
  }
}

const hex = (byte: number) => byte.toString(16).toUpperCase().padStart(2, '0')

/** The texts of adjacent tokens given by bytes: each character belongs to the token in which it begins. */
function textsOfBytes(parts: readonly Uint8Array[]): string[] {
  const owner = parts.flatMap((part, k) => Array<number>(part.length).fill(k))
  const bytes = Uint8Array.from(parts.flatMap((part) => [...part]))
  const texts = parts.map(() => '')
  for (let at = 0; at < bytes.length; ) {
    const found = characterAt(bytes, at)
    texts[owner[at]] += found ? found.text : `\u2039${hex(bytes[at])}\u203a`
    at += found?.length ?? 1
  }
  return texts.map((text, k) => text || (parts[k].length ? CONTINUED : ''))
}

/** End of the sequence of tokens from `from` on that are not text by themselves, and so may share characters. */
function stretchOf(tokens: readonly Pick<Token, 'bytes'>[], from: number): number {
  let to = from
  while (to < tokens.length && tokens[to].bytes) to++
  return to
}

type Bytes = Pick<Token, 'text' | 'bytes'>

/**
 * The texts of tokens. A character split over several tokens is whole in the first, and a mark in tokens that hold
 * nothing else; invalid or incomplete bytes are spelled out. For files: invisible characters are kept.
 */
export function rawTexts(tokens: readonly Bytes[]): string[] {
  const texts: string[] = []
  for (let k = 0; k < tokens.length; ) {
    const to = stretchOf(tokens, k)
    if (to === k) texts.push(tokens[k++].text)
    else texts.push(...textsOfBytes(tokens.slice(k, to).map(bytesOf)))
    k = Math.max(k, to)
  }
  return texts
}

export const tokenTexts = (tokens: readonly Bytes[]): string[] => rawTexts(tokens).map(visible)

/** Whether a token's text is only the mark of a character that began in an earlier token. */
export const isRest = (token: Bytes | undefined, text: string): boolean => text === CONTINUED && Boolean(token?.bytes)

/** The texts of tokens as parts of one text: the mark of a continued character becomes ''. */
export const textParts = (tokens: readonly Bytes[], texts: readonly string[]): string[] =>
  texts.map((text, k) => (isRest(tokens[k], text) ? '' : text))

/** The joined text of tokens [from, to], both inclusive. */
export function joinedText(
  { tokens, texts }: { tokens: readonly Bytes[]; texts: readonly string[] },
  from: number,
  to: number,
): string {
  return (
    textParts(tokens.slice(from, to + 1), texts.slice(from, to + 1)).join('') || texts.slice(from, from + 1).join('')
  )
}

/** A text from a file, with its bytes if it is not UTF-8. */
export const shownText = (text: string, bytes?: string): string => rawTexts([{ text, bytes }])[0]

/** The text of tokens that arrive one by one: returns what each adds, in whole characters. */
export class GrowingText {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  text = ''

  add(token: Token): string {
    return (this.text += this.decoder.decode(bytesOf(token), { stream: true }))
  }
}

/* ------------------------------------------------------------------ numbers */

/** Enough digits for comparisons, a typographic minus, no exponent. */
export function number(value: number | null | undefined, signed = false): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '\u2013'
  const size = Math.abs(value)
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4
  const text = size.toFixed(digits)
  const sign = value < 0 && Number(text) !== 0 ? '\u2212' : signed ? '+' : ''
  return sign + text
}

export function percent(share: number): string {
  const value = share * 100
  if (value > 0 && value < 0.1) return 'under 0.1\u00a0%'
  return `${value >= 99.95 || value === 0 ? Math.round(value) : value.toFixed(value < 10 ? 1 : 0)}\u00a0%`
}

export function probability(logprob: LogProb): number | null {
  if (logprob === null) return null
  return logprob === '-inf' ? 0 : Math.exp(logprob)
}

export const plural = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`

/** Offsets in code points, as in spans of the HTTP API. */
export const codePoints = (text: string) => [...text].length
