import { describe, expect, it } from 'vitest'
import { parseEvent, readEvents } from '../src/data/events'
import { contrast, MAPS, PALETTES, tint } from '../src/draw/colour'
import type { Attribution, Run, Token } from '../src/data/document'
import { csvField, toCsv } from '../src/ui/export'
import { groupUnits, STEPS } from '../src/model/aggregate'
import {
  CONTINUED,
  GrowingText,
  isRest,
  joinedText,
  label,
  number,
  percent,
  probability,
  shownText,
  tokenTexts,
  visible,
} from '../src/ui/token_text'
import { assemble } from '../src/model/conversation'
import { inexactNote } from '../src/views/composer'
import { findTokens } from '../src/views/search'
import { BALANCE_LIMIT, balanceCloses, balanceRest, failureText, meanBalance, sentence } from '../src/ui/labels'
import { readFileSync } from 'node:fs'
import { runInfo } from './samples'

const part = (bytes: string): Token => ({ id: 1, text: '\ufffd', bytes, range: [0, 1], role: 'prompt', logprob: null })

describe('what is shown of a text', () => {
  it('writes out what cannot be seen', () => expect(visible('a\u0000\u202eb\u007f')).toBe('a␀‹U+202E›b␡'))
  it('is one line in a label', () => expect(label(' a\nb\t')).toBe('·a⏎b⇥'))
  it('puts cut characters together', () => {
    expect(tokenTexts([part('f09f'), part('8c8a')])).toEqual(['🌊', CONTINUED])
    expect(tokenTexts([part('ff')])).toEqual(['‹FF›'])
  })
  it('gives a character to the token where it begins, and keeps what else its other tokens hold', () => {
    expect(tokenTexts([part('61e3'), part('8182'), part('e3'), part('818462')])).toEqual(['aあ', CONTINUED, 'い', 'b'])
  })
  it('writes out a character that is not there yet, and is right when it is', () => {
    expect(tokenTexts([part('e2'), part('9b')])).toEqual(['‹E2›', '‹9B›'])
    expect(tokenTexts([part('e2'), part('9b'), part('85')])).toEqual(['⛅', CONTINUED, CONTINUED])
  })
  it('joins tokens to a text that has each character once', () => {
    const tokens = [part('61e3'), part('81'), part('82'), part('20ff')]
    const texts = tokenTexts(tokens)
    expect(texts).toEqual(['aあ', CONTINUED, CONTINUED, ' ‹FF›'])
    expect(joinedText({ tokens, texts }, 0, 3)).toBe('aあ ‹FF›')
    expect([joinedText({ tokens, texts }, 1, 2), joinedText({ tokens, texts }, 2, 3)]).toEqual([CONTINUED, ' ‹FF›'])
    expect(joinedText({ tokens: [{ text: CONTINUED }], texts: [CONTINUED] }, 0, 0)).toBe(CONTINUED)
    const groups = [0, 0, 1, 1]
    const named = (g: number) => groupUnits(groups, 2, texts, [], (k) => isRest(tokens[k], texts[k])).names(g)
    expect([named(0), named(1)]).toEqual(['aあ', `${CONTINUED} ‹FF›`])
  })
  it('reads a text from its bytes where it is not UTF-8', () =>
    expect([shownText('a'), shownText('a\ufffd', '61f09f')]).toEqual(['a', 'a‹F0›‹9F›']))
  it('grows by whole characters', () => {
    const growing = new GrowingText()
    expect([part('20e3'), part('81'), part('82')].map((t) => growing.add(t))).toEqual([' ', ' ', ' あ'])
  })
})

describe('numbers', () => {
  it('has as many digits as are worth comparing', () =>
    expect([0.08171, -1.5, 12.34, 123.4, null].map((v) => number(v))).toEqual(['0.0817', '−1.50', '12.3', '123', '–']))
  it('keeps signs where asked', () => expect(number(0.25, true)).toBe('+0.250'))
  it('says shares', () =>
    expect([0.3, 0.025, 0.0001, 1].map((v) => percent(v).replace('\u00a0', ' '))).toEqual([
      '30 %',
      '2.5 %',
      'under 0.1 %',
      '100 %',
    ]))
  it('reads probabilities', () =>
    expect([probability(0), probability('-inf'), probability(null)]).toEqual([1, 0, null]))
})

describe('events', () => {
  it('joins lines of data', () =>
    expect(parseEvent('event: a\ndata: [1,\ndata: 2]')).toEqual({ event: 'a', data: [1, 2] }))
  it('passes over comments', () => expect(parseEvent(': still here')).toBeNull())
  it('does not mind where the bytes are cut', async () => {
    const bytes = new TextEncoder().encode('event: x\ndata: "🌊"\n\nevent: y\r\ndata: 2\r\n\r\n')
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
        controller.close()
      },
    })
    const got = []
    for await (const event of readEvents(body)) got.push(event)
    expect(got).toEqual([
      { event: 'x', data: '🌊' },
      { event: 'y', data: 2 },
    ])
  })
})

it('counts spans of documents in code points', () => {
  const { prompt, spans } = assemble(
    [
      { name: 'A', text: '🌊 sea ' },
      { name: '', text: ' ' },
      { name: '', text: 'two' },
    ],
    'Q?',
  )
  expect(prompt).toBe('🌊 sea\n\ntwo\n\nQ?')
  expect(spans).toEqual([
    { name: 'A', begin: 0, end: 5 },
    { name: 'Document 3', begin: 7, end: 10 },
  ])
})

it('finds text that lies over several tokens', () => {
  const { starts, all } = findTokens(['The', ' riv', 'er', ' The', ' river'], 'river')
  expect([starts, [...all]]).toEqual([
    [1, 4],
    [1, 2, 4],
  ])
})

it('averages balances', () => {
  const rows = [1, 3].map((v) => ({ prompt: v, completion: 0, bias: 0, mlp: -v, embedding: 0, logit: 0 }))
  expect(meanBalance(rows, 0, 1)).toMatchObject({ prompt: 2, mlp: -2 })
})

it('quotes CSV as RFC 4180 says', () =>
  expect(['a', 'a,b', 'a"b', '\n'].map(csvField)).toEqual(['a', '"a,b"', '"a""b"', '"\n"']))
it('says of text that it is no formula', () =>
  expect(['=1+1', '-x', '+', '@a', -1].map(csvField)).toEqual(['"\'=1+1"', '"\'-x"', '"\'+"', '"\'@a"', '-1']))

it('writes no half of a character into CSV', () => {
  const tokens = [part('61f0'), part('9f8c8a'), { ...part('ff'), role: 'completion' as const }]
  const info = runInfo(tokens)
  const run: Run = {
    key: '',
    name: '',
    info,
    m: 2,
    cuts: { prompt: {}, completion: {} },
    filters: {},
    attributions: [], citations: [],
  }
  const a = { first: 2, n: 1, m: 2, L: 1, mean: Float32Array.of(0.25, 0.5), settings: {} } as unknown as Attribution
  expect(toCsv(run, a).split('\r\n').slice(1, 3)).toEqual(['0,‹FF›,0,a🌊,0.25', `0,‹FF›,1,${CONTINUED},0.5`])
})

describe('reasons of the server', () => {
  it('are said in plain words', () => {
    expect(failureText("the engine's process ended: signal 9 (Killed)")).toMatch(
      /^The part of Headwater that runs the model ended .* Its last sign: signal 9 \(Killed\)\.$/,
    )
    expect(failureText("the engine's process ended during this job: it gave up: x")).toContain(
      'Its last sign: it gave up: x.',
    )
    expect(failureText('the server ended while this run was in progress')).toBe(
      'Headwater was ended before this run was finished.',
    )
    expect(failureText('something \u001b else')).toBe('Something ␛ else.')
  })
  it('are sentences', () =>
    expect([sentence('the prompt is long'), sentence('Ends.'), sentence('')]).toEqual([
      'The prompt is long.',
      'Ends.',
      '',
    ]))
})

describe('colours', () => {
  const steps = Array.from({ length: 2 * STEPS + 1 }, (_, i) => i - STEPS)
  it.each(['light', 'dark'] as const)('keep the text readable on every tint: %s', (theme) => {
    const palette = PALETTES[theme]
    for (const step of steps) expect(contrast(palette.ink, tint(palette, step))).toBeGreaterThan(4.5)
    for (const colour of [palette.muted, palette.accent]) expect(contrast(palette.paper, colour)).toBeGreaterThan(4.5)
    for (const colour of [palette.bar, palette.barBelow]) expect(contrast(palette.paper, colour)).toBeGreaterThan(3)
  })
  it('have maps whose lightness never turns back', () => {
    for (const [name, { stops }] of Object.entries(MAPS)) {
      for (const theme of ['light', 'dark'] as const) {
        const lightness = stops(theme).map((c) => contrast(c, '#000000'))
        const turns = lightness.slice(1).map((v, i) => Math.sign(v - lightness[i]))
        expect(new Set(turns).size, name).toBe(1)
      }
    }
  })
})

describe('a balance that does not close', () => {
  const sheet = { prompt: 10, completion: 0.5, bias: 0, mlp: -2, embedding: 0.5, logit: 9 }
  it('has no rest where it adds up', () => expect([balanceRest(sheet), balanceCloses(sheet)]).toEqual([0, true]))
  it('is bounded by the sizes of its parts', () => {
    expect(balanceCloses({ ...sheet, logit: 9 + 13 * BALANCE_LIMIT * 0.99 })).toBe(true)
    expect(balanceCloses({ ...sheet, logit: 9 + 13 * BALANCE_LIMIT * 1.01 })).toBe(false)
    expect(balanceCloses({ ...sheet, logit: NaN })).toBe(false)
  })
  it('has the bound of the library', () => {
    const header = readFileSync(new URL('../../include/headwater.h', import.meta.url), 'utf8')
    expect(Number(/#define HW_BALANCE_LIMIT ([\d.]+)/.exec(header)?.[1])).toBe(BALANCE_LIMIT)
  })
})

describe('a text whose bytes are not UTF-8, taken into the form', () => {
  const run = { prompt: 'caf\ufffd', completion: ' b\ufffd' }
  it('is said to be another one while the form holds it', () => {
    expect(inexactNote({ prompt: 'caf\ufffd' }, run)).toMatch(/^The prompt has bytes that are not UTF-8\./)
    expect(inexactNote(run, run)).toMatch(/^The prompt and the completion have bytes that are not UTF-8\./)
    expect(inexactNote({ prompt: 'x', completion: ' b\ufffd' }, run)).toMatch(/^The completion has/)
  })
  it('is not mentioned once it was changed, or where nothing is lost', () => {
    expect(inexactNote({ prompt: 'caf\u00e9' }, run)).toBeNull()
    expect(inexactNote({ prompt: 'caf\ufffd' }, {})).toBeNull()
  })
})
