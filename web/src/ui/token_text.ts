/*
 * How tokens are shown. Nothing that a model or a file holds reaches the page raw: what controls, hides or turns text around is
 * written out, and characters that are cut over several tokens are put together.
 */
import type { LogProb, Token } from '../data/document'

/** Control characters have pictures in Unicode; DEL has its own. */
const picture = (code: number) => String.fromCodePoint(code === 0x7f ? 0x2421 : 0x2400 + code)

const HIDING = /[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g

/** Text with what cannot be seen written out; new lines and tabs stay. */
export function visible(text: string): string {
  return text
    .replace(/\r\n/g, '\u240d\n')
    .replace(CONTROL, (c) => picture(c.charCodeAt(0)))
    .replace(HIDING, (c) => `\u2039U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}\u203a`)
}

/** In a label or a sentence: one line, spaces at the ends shown. */
export function label(text: string): string {
  const shown = visible(text).replace(/\n/g, '\u23ce').replace(/\t/g, '\u21e5')
  return shown.replace(/^ +| +$/g, (spaces) => '\u00b7'.repeat(spaces.length)) || '\u2205'
}

export function shorten(text: string, most: number): string {
  const characters = [...text]
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}\u2026`
}

function bytesOf(token: Token): Uint8Array {
  if (!token.bytes) return new TextEncoder().encode(token.text)
  return Uint8Array.from(token.bytes.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}

function decodeStrictly(parts: Uint8Array[]): string | null {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(all)
  } catch {
    return null
  }
}

/** What stands for the later parts of a character that several tokens share. */
export const CONTINUED = '\u02d9'
const MOST_PARTS = 8

/** The texts of tokens; a character that is cut over several is whole in the first, and a mark in the others. */
export function tokenTexts(tokens: readonly Token[]): string[] {
  const texts = tokens.map((token) => visible(token.text))
  for (let k = 0; k < tokens.length; k++) {
    if (!tokens[k].bytes) continue
    for (let end = k + 2; end <= Math.min(k + MOST_PARTS, tokens.length) && tokens[end - 1].bytes; end++) {
      const whole = decodeStrictly(tokens.slice(k, end).map(bytesOf))
      if (whole === null) continue
      texts[k] = visible(whole)
      texts.fill(CONTINUED, k + 1, end)
      k = end - 1
      break
    }
  }
  return texts
}

/* ------------------------------------------------------------------ numbers */

/** Enough digits to compare by, a true minus, no exponent that a reader must decode. */
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

/** Offsets in code points, as spans of the HTTP API count. */
export const codePoints = (text: string) => [...text].length
