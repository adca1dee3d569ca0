import { describe, expect, it } from 'vitest'
import type { Attribution } from '../src/data/document'
import * as aggregate from '../src/model/aggregate'
import { diagnostics, settings } from './samples'

/** M [2, 3, 2] as bytes [n, L, m] with scales that make every value exact. */
function toy(): Attribution {
  return {
    method: 'rollout',
    settings,
    diagnostics,
    layers: [0, 1],
    first: 3,
    n: 2,
    m: 3,
    L: 2,
    outside: [
      [0, 0],
      [0, 0],
    ],
    bytes: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    scale: Float32Array.from([1, 0.5, 2, 0.25]),
    mean: Float32Array.from([100, 100, 100, 100, 100, 100]),
    signed: false,
  }
}

const list = (values: ArrayLike<number>) => Array.from(values)
const NONE = new Uint8Array(9)

describe('means', () => {
  it('takes the exact mean for all layers', () => expect(aggregate.meanOverLayers(toy(), [0, 2])[0]).toBe(100))
  it('unpacks a range of layers', () => {
    expect(list(aggregate.meanOverLayers(toy(), [0, 1]))).toEqual([1, 2, 3, 14, 16, 18])
    expect(list(aggregate.meanOverLayers(toy(), [1, 2]))).toEqual([2, 2.5, 3, 2.5, 2.75, 3])
  })
  it('averages rows, both ends included', () => {
    const mean = Float32Array.from([1, 2, 3, 5, 6, 7])
    expect(list(aggregate.meanOverRows(mean, 3, 0, 1))).toEqual([3, 4, 5])
    expect(list(aggregate.meanOverRows(mean, 3, 1, 1))).toEqual([5, 6, 7])
  })
  it('keeps layers apart', () =>
    expect(list(aggregate.layersOfRows(toy(), 0, 1))).toEqual([7.5, 9, 10.5, 2.25, 2.625, 3]))
  it('turns the table: what a column gave to each row', () => {
    expect(list(aggregate.takenFrom(Float32Array.from([1, 2, 3, 5, 6, 7]), 2, 3, (k) => k !== 1))).toEqual([4, 12])
  })
})

describe('units', () => {
  const words = aggregate.cutUnits('word', { groups: [0, 0, 1, -1, 7], names: ['a b', 'c'] }, 6)
  it('takes only groups that exist', () => expect(list(words.of)).toEqual([0, 0, 1, -1, -1, -1]))
  it('knows where each begins', () => expect(list(words.first)).toEqual([0, 2]))
  it('aggregate what is not hidden', () => {
    const values = Float32Array.from([1, 2, 4, 8, 16, 32])
    expect(list(aggregate.sumByUnit(values, words, NONE))).toEqual([3, 4])
    expect(list(aggregate.sumByUnit(values, words, Uint8Array.from([0, 1, 0, 0, 0, 0])))).toEqual([1, 4])
  })
  it('hides a unit when all of it is', () => {
    expect(list(aggregate.hiddenUnits(words, Uint8Array.from([1, 1, 0, 0, 0, 0])))).toEqual([1, 0])
    expect(list(aggregate.hiddenUnits(words, Uint8Array.from([1, 0, 0, 0, 0, 0])))).toEqual([0, 0])
  })
  it('names groups by their tokens', () =>
    expect(aggregate.groupUnits([0, 0, -1, 1], 2, ['x', 'y', 'z', 'w']).names(0)).toBe('xy'))
  it('prefers the names that groups have', () => {
    const units = aggregate.groupUnits([0, 0, -1, 1], 2, ['x', 'y', 'z', 'w'], ['', 'Anna'])
    expect([units.names(0), units.names(1)]).toEqual(['xy', 'Anna'])
  })
})

describe('filters', () => {
  const hidden = aggregate.hiddenTokens({ first: [0], marks: [2, 9, -1] }, ['first', 'marks', 'unknown'], 4)
  it('hides what is named and exists', () => expect(list(hidden)).toEqual([1, 0, 1, 0]))
  it('says how much that is', () =>
    expect(aggregate.hiddenMass(Float32Array.from([0.5, 0.25, 0.125, 0]), hidden)).toBe(0.625))
})

describe('scale and steps', () => {
  it('is set by no outlier, unless there is nothing else', () => {
    expect(aggregate.scaleOf(Float32Array.from([9, -2, 1]), (u) => u === 0)).toBe(2)
    expect(aggregate.scaleOf(Float32Array.from([9, 0, 0]), (u) => u === 0)).toBe(9)
    expect(aggregate.scaleOf(Float32Array.from([NaN, 1]), () => false)).toBe(1)
  })
  it('rounds to steps and stays within them', () => {
    const out = new Int8Array(5)
    aggregate.steps(out, Float32Array.from([4, 2, -1, -8, 0]), aggregate.tokenUnits(['a', 'b', 'c', 'd', 'e']), 4)
    expect(list(out)).toEqual([32, 16, -8, -32, 0])
  })
  it('is nothing without a scale', () => {
    const out = new Int8Array(1)
    aggregate.steps(out, Float32Array.from([1]), aggregate.tokenUnits(['a']), 0)
    expect(list(out)).toEqual([0])
  })
  it('ranks by size, ties by place, without hidden ones and zeros', () => {
    const values = Float32Array.from([1, -3, 0, 3, 2, NaN])
    expect(aggregate.strongest(values, NONE, 9)).toEqual([1, 3, 4, 0])
    expect(aggregate.strongest(values, NONE, 2)).toEqual([1, 3])
    expect(aggregate.strongest(values, Uint8Array.from([0, 1, 0, 0, 0, 0]), 2)).toEqual([3, 4])
  })
})

it('crosses segments of both sides: rows averaged, columns summed', () => {
  const rows = aggregate.cutUnits('sentence', { groups: [0, 0, 1], names: ['p', 'q'] }, 3)
  const columns = aggregate.cutUnits('passage', { groups: [0, 0, -1, 1], names: ['A', 'B'] }, 4)
  const mean = Float32Array.from([1, 2, 4, 8, 3, 4, 4, 8, 1, 1, 1, 1])
  expect(list(aggregate.segmentMatrix(mean, 4, rows, columns, NONE))).toEqual([5, 8, 2, 1])
})

describe('common ends', () => {
  it('counts no token twice', () => {
    expect(aggregate.commonEnds(['a', 'b', 'a'], ['a', 'a'])).toEqual({ before: 1, after: 1 })
    expect(aggregate.commonEnds(['a', 'a'], ['a', 'a', 'a'])).toEqual({ before: 2, after: 0 })
  })
  it('pairs long texts that differ in one place', () => {
    const words = Array.from({ length: 40000 }, (_, k) => `w${k}`)
    const pairs = aggregate.align(words, words.with(7, 'x'))
    expect(pairs.length).toBe(40000)
    expect(pairs.every(([i, j]) => i === j)).toBe(true)
  })
})

describe('align', () => {
  it('pairs what is the same and what stands for each other', () => {
    expect(aggregate.align(['My', 'Putin', ',', 'I'], ['My', 'Abdul', ',', 'I'])).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
      [3, 3],
    ])
  })
  it('leaves gaps', () => {
    expect(aggregate.align(['a', 'b', 'c'], ['a', 'c'])).toEqual([
      [0, 0],
      [1, -1],
      [2, 1],
    ])
    expect(aggregate.align([], ['x'])).toEqual([[-1, 0]])
  })
})
