import { describe, expect, it } from 'vitest'
import { decodeCitations, decodeConfirmed, type RunCitation } from '../src/data/citation'
import type { Run } from '../src/data/document'
import { fallText, fedBy, lightOf, sourcesOf, summaryOf, throughThinking, timesText } from '../src/model/first_look'
import { rateText } from '../src/views/progress'

const elsewhere = { rest: 0, answer: 0, model: 0.2, through: 0 }

function citation(shares: number[][], numbers: (number | null)[]): RunCitation {
  const whole = numbers.map((_, p) => shares.reduce((sum, row) => sum + row[p], 0) / shares.length)
  return {
    method: 'logit',
    by: 'sentence',
    answer_by: 'sentence',
    elsewhere,
    passages: numbers.map((number, p) => ({ number, name: '', text: `passage ${p}`, share: whole[p] })),
    answer: shares.map((row, i) => ({
      text: `part ${i}`,
      elsewhere,
      citations: numbers.flatMap((number, passage) =>
        number === null || row[passage] < 0.15 ? [] : [{ number, passage, share: row[passage] }],
      ),
    })),
    shares,
    prompt_groups: numbers.map((_, p) => p),
    answer_groups: shares.map((_, i) => i),
  }
}

const runWith = (c: RunCitation, confirmed?: unknown) =>
  ({ citations: [c], confirmed: confirmed && decodeConfirmed(confirmed, [c]), attributions: [] }) as unknown as Run

describe('the answer in one sentence', () => {
  it('says mostly only from half of what came from the prompt on', () => {
    const said = (shares: number[], numbers: (number | null)[]) => summaryOf(runWith(citation([shares], numbers)))
    expect(said([0.5, 0.2, 0.1], [1, 2, null])).toMatchObject({ kind: 'mostly', sources: [0] })
    expect(said([0.3, 0.2, 0.2], [1, 2, 3])).toMatchObject({ kind: 'mostly', sources: [0, 1] })
    const many = said([0.2, 0.1, 0.1, 0.1, 0.1, 0.1], [1, null, null, null, null, null])
    expect(many).toMatchObject({ kind: 'most of all', sources: [0] })
  })
  it('names what the answer loses most without first', () => {
    const c = citation([[0.3, 0.2, 0.2]], [1, 2, 3])
    const passages = c.passages.map((p, i) => ({ ...p, measured: i < 2, fall: [2, 9, 50][i] }))
    const summary = summaryOf(runWith(c, { ...c, passages }))
    expect(summary).toEqual({ kind: 'mostly', sources: [1, 0], fall: 9, standIn: undefined })
  })
  it('says when nothing of the prompt is cited', () => {
    const c = citation([[0.1, 0.1]], [null, null])
    expect(summaryOf(runWith(c)).kind).toBe('nothing')
    expect(summaryOf(runWith({ ...c, elsewhere: { ...elsewhere, model: 0.8 } })).kind).toBe('model')
  })
})

describe('words for factors', () => {
  it.each([
    [Math.E, '2.7 times'],
    [12.4, '12 times'],
    [99, 'a hundred times'],
    [903, '900 times'],
    [999, 'a thousand times'],
    [7600, '7.6 thousand times'],
    [999_999, 'a million times'],
    [5.4e7, '54 million times'],
    [3e13, '30 trillion times'],
    [1e300, 'more than a thousand trillion times'],
    [Infinity, 'more than a thousand trillion times'],
  ])('%d', (factor, words) => expect(timesText(factor)).toBe(words))
  it('claims nothing for a small change, and says when the answer becomes likelier', () => {
    expect(fallText(0.2)).toBe('about as likely')
    expect(fallText(-Math.log(300))).toBe('300 times more likely')
    expect(fallText(Math.log(1e6))).toBe('a million times less likely')
  })
})

describe('what is lit', () => {
  const c = citation(
    [
      [0, 0.6, 0.2],
      [0.5, 0.02, 0.1],
    ],
    [2, 1, 3],
  )
  it('lights cited passages of a sentence, or of the answer', () => {
    expect([...lightOf(c, 0)]).toEqual([0, 1, expect.closeTo(1 / 3)])
    expect([...lightOf(c, 1)]).toEqual([1, 0, 0])
    expect(sourcesOf(c)).toEqual([1, 0, 2])
  })
  it('lights the sentences that a passage fed', () => {
    expect([...fedBy(c, 0)]).toEqual([0, 1])
    expect([...fedBy(c, 2)]).toEqual([1, 0.5])
  })
  it('adds up what came through the thinking', () => {
    const through = { ...c, answer: [c.answer[0], { ...c.answer[1], hops: [0.4, 0] }] }
    expect(throughThinking(through, 1, new Set([0]))).toBe(0.4)
    expect(throughThinking(through, 0, new Set([0]))).toBe(0)
  })
})

describe('citations from a file', () => {
  const c = citation([[0.5, 0.1]], [1, null])
  it('drops those that do not fit', () => {
    expect(decodeCitations([c])).toHaveLength(1)
    for (const bad of [
      null,
      {},
      { ...c, shares: [] },
      { ...c, shares: [[1]] },
      { ...c, prompt_groups: [2] },
      { ...c, answer_groups: [0.5] },
      { ...c, answer: [{ ...c.answer[0], citations: [{ number: 1, passage: 9, share: 1 }] }] },
    ])
      expect(decodeCitations([bad])).toEqual([])
    expect(decodeCitations('x')).toEqual([])
  })
  it('takes a check of the same passages only', () => {
    const checked = { ...c, passages: c.passages.map((p) => ({ ...p, measured: true, fall: 1 })) }
    expect(decodeConfirmed(checked, [c])).toBe(checked)
    expect(decodeConfirmed({ ...checked, by: 'word' }, [c])).toBeUndefined()
    expect(decodeConfirmed(c, [c])).toBeUndefined()
    expect(decodeConfirmed(undefined, [c])).toBeUndefined()
  })
})

describe('reading the prompt', () => {
  it('tells rate and time left once they are steady', () => {
    expect(rateText(100, 1000, 0.1)).toBe('')
    expect(rateText(100, 1000, 2)).toBe('50 tokens a second, about 18 seconds left')
    expect(rateText(10, 1000, 5)).toBe('2.00 tokens a second, about 8 minutes left')
    expect(rateText(1000, 1000, 5)).toBe('')
  })
})
