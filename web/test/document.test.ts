import { deflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  appendRows,
  decodeAttribution,
  decodeDocument,
  explainedTokens,
  identity,
  newRun,
  replaceAttributions,
  withAttribution,
  type RawAttribution,
  type Run,
  type Token,
} from '../src/data/document'
import { settingsOf } from '../src/model/actions'
import { toCsv } from '../src/ui/export'
import { tables, variantName } from '../src/model/store'
import { diagnostics, runInfo, settings } from './samples'

const base64 = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64')
const zipped = (view: ArrayBufferView) =>
  deflateSync(Buffer.from(view.buffer, view.byteOffset, view.byteLength)).toString('base64')

function raw(first: number, bytes: Uint8Array | Int8Array, scale: number[], mean: number[]): RawAttribution {
  const dtype = bytes instanceof Int8Array ? 'i8' : 'u8'
  return {
    method: 'logit',
    settings,
    diagnostics,
    layers: [0],
    first_token: first,
    shape: [scale.length, mean.length / scale.length, 1],
    outside: scale.map(() => [0]),
    packed: {
      matrix: { dtype, order: 'nLm', scale: base64(Float32Array.from(scale)), data: zipped(bytes) },
      mean: { dtype: 'f32', data: zipped(Float32Array.from(mean)) },
    },
  }
}

const token = (text: string, role: Token['role']): Token => ({ id: 1, text, range: [0, 1], role, logprob: null })

describe('unpacking', () => {
  it('reads bytes, scales and means', async () => {
    const a = await decodeAttribution(raw(2, Uint8Array.from([255, 51]), [0.5], [127.5, 25.5]))
    expect([Array.from(a.bytes), Array.from(a.scale), Array.from(a.mean), a.signed]).toEqual([
      [255, 51],
      [0.5],
      [127.5, 25.5],
      false,
    ])
  })
  it('knows what is below 0', async () => {
    const a = await decodeAttribution(raw(2, Int8Array.from([-127, 1]), [0.5], [-63.5, 0.5]))
    expect([Array.from(a.bytes), a.signed]).toEqual([[-127, 1], true])
  })
  it('refuses what does not fit', async () => {
    const bad = raw(2, Uint8Array.from([1, 2, 3]), [0.5], [1, 2])
    await expect(decodeAttribution(bad)).rejects.toThrow('matrix: 3 bytes, 1 x 1 x 2 are needed')
    await expect(decodeDocument('{"format":"x","version":1,"runs":[]}')).rejects.toThrow('not a Headwater document')
    await expect(decodeDocument('{"format":"headwater-document","version":2,"runs":[]}')).rejects.toThrow('version 2')
  })
})

describe('rows that come one after the other', () => {
  it('are put together', async () => {
    const [a, b] = await Promise.all(
      [raw(2, Uint8Array.from([1, 2]), [1], [1, 2]), raw(3, Uint8Array.from([3, 4]), [2], [6, 8])].map(
        decodeAttribution,
      ),
    )
    const both = appendRows(a, b)
    expect([both.n, Array.from(both.bytes), Array.from(both.scale), Array.from(both.mean)]).toEqual([
      2,
      [1, 2, 3, 4],
      [1, 2],
      [1, 2, 6, 8],
    ])
  })
  it('become signed when one is', async () => {
    const [a, b] = await Promise.all(
      [raw(2, Uint8Array.from([255, 0]), [127 / 255], [127, 0]), raw(3, Int8Array.from([-127, 5]), [1], [-127, 5])].map(
        decodeAttribution,
      ),
    )
    const both = appendRows(a, b)
    expect(Array.from(both.bytes)).toEqual([127, 0, -127, 5])
    expect(both.scale[0]).toBeCloseTo(1, 6)
    expect(both.signed).toBe(true)
  })
  it('must follow', async () => {
    const a = await decodeAttribution(raw(2, Uint8Array.from([1, 2]), [1], [1, 2]))
    expect(() => appendRows(a, a)).toThrow('rows from token 2: 3 is next')
    const run = withAttribution(newRun(runInfo([token('a', 'prompt'), token('b', 'prompt')])), a)
    expect(run.attributions.length).toBe(1)
    expect(withAttribution(run, { ...a, first: 3 }).attributions[0].n).toBe(2)
  })
})

it('explains all tokens where there is no completion', () => {
  const run = newRun(runInfo([token('a', 'prompt'), token('b', 'prompt')]))
  expect(explainedTokens({ ...run, attributions: [] }).first).toBe(2)
  const grown = { ...run, info: runInfo([token('a', 'prompt'), token('b', 'prompt'), token('c', 'completion')]) }
  expect(explainedTokens(grown).tokens.map((t) => t.text)).toEqual(['c'])
})

describe('which attribution is which', () => {
  const with_ = (settings: object) =>
    decodeAttribution({
      ...raw(2, Uint8Array.from([1, 2]), [1], [1, 2]),
      settings: { ...raw(2, Uint8Array.from([1, 2]), [1], [1, 2]).settings, ...settings },
    })
  const settings = [
    {},
    { discard: 0.5 },
    { remove_sink: true },
    { n_groups: 1, groups: [0, 0] },
    { n_groups: 2, groups: [0, 1] },
    { a_setting_of_tomorrow: 1 },
  ]
  it('is its method with all settings, in any order', async () => {
    const made = await Promise.all(settings.map(with_))
    expect(new Set(made.map(identity)).size).toBe(settings.length)
    const turned = { ...made[1], settings: Object.fromEntries(Object.entries(made[1].settings).reverse()) as never }
    expect(identity(turned)).toBe(identity(made[1]))
  })
  it('none takes the place of another, and a new version that of the old', async () => {
    const made = await Promise.all(settings.map(with_))
    const run: Run = newRun(runInfo([token('a', 'prompt'), token('b', 'prompt')]))
    const all = made.reduce((now, a) => replaceAttributions(now, [a]), run)
    expect(all.attributions).toEqual(made)
    const again = await with_({ discard: 0.5 })
    expect(replaceAttributions(all, [again]).attributions.indexOf(again)).toBe(1)
  })
  it('has names that tell them apart, groups by the name of their cut', async () => {
    const row = { label: null, help: '', traits: [], after: '' } as const
    tables.value = {
      methods: [],
      filters: [],
      segmenters: [],
      measures: [],
      formats: [],
      settings: [
        { ...row, name: 'discard', type: 'number', default: 0, before: 'lowest ', after: ' discarded' },
        { ...row, name: 'remove_sink', type: 'flag', default: false, before: 'sink removed' },
        { ...row, name: 'direction', type: 'word', default: 'input', before: 'direction ' },
      ],
    }
    const made = await Promise.all(
      [...settings, { n_groups: 2, groups: [1, 0] }, { n_groups: 2, groups: [0, 1], direction: 'output' }].map(with_),
    )
    const cuts = { prompt: { word: { groups: [0, -1], names: ['a'] } }, completion: {} }
    const run = { ...newRun(runInfo([token('a', 'prompt'), token('b', 'prompt')])), cuts, attributions: made }
    const names = made.map((a) => variantName(run, a))
    expect(new Set(names).size).toBe(names.length)
    expect(names.slice(0, 5)).toEqual([
      'logit',
      'logit, lowest 0.5 discarded',
      'logit, sink removed',
      'logit, in 1 parts',
      'logit, by word',
    ])
  })
  it('has its groups in CSV by name, or by their text', async () => {
    const a = await with_({ n_groups: 2, groups: [0, 1], group_names: ['Anna, "A"', ''] })
    const run = newRun(runInfo([token('a', 'prompt'), token('b', 'prompt'), token('c', 'completion')]))
    expect(toCsv(run, a).split('\r\n').slice(1, 3)).toEqual(['0,c,0,"Anna, ""A""",1', '0,c,1,b,2'])
  })
  it('asks again with all settings and the grouping', async () => {
    const cuts = { prompt: { word: { groups: [0, -1], names: ['a'] } }, completion: {} }
    const run = { ...newRun(runInfo([token('a', 'prompt'), token('b', 'prompt')])), cuts, attributions: [] }
    expect(
      settingsOf(run, await with_({ n_groups: 2, groups: [0, 1], discard: 0.25, remove_sink: true })),
    ).toMatchObject({ by: 'word', discard: 0.25, remove_sink: true, seed: 0 })
    expect(settingsOf(run, await with_({ n_groups: 1, groups: [0, 0] }))).toBeNull()
  })
})
