import { describe, expect, it } from 'vitest'
import { labelStep } from '../src/draw/axis_labels'
import type { Chart } from '../src/draw/chart_options'
import { lastAfterFrame } from '../src/ui/frame'
import { moved } from '../src/views/chart_cursor'

const chart = (columns: number, rows: number) => ({ points: { columns, rows } }) as Chart

describe('the cursor of a chart', () => {
  it('begins at the first value in view, on the highest row', () => {
    expect(moved('ArrowRight', null, chart(40, 3), 12)).toEqual({ column: 12, row: 2 })
    expect(moved('End', null, chart(40, 3), 12)).toEqual({ column: 39, row: 2 })
    expect(moved('Home', null, chart(40, 3), 12)).toEqual({ column: 0, row: 2 })
  })
  it('stays inside', () => {
    expect(moved('ArrowLeft', { column: 0, row: 1 }, chart(4, 2), 0)).toEqual({ column: 0, row: 1 })
    expect(moved('ArrowUp', { column: 0, row: 1 }, chart(4, 2), 0)).toEqual({ column: 0, row: 1 })
    expect(moved('PageUp', { column: 1, row: 0 }, chart(4, 2), 0)).toEqual({ column: 3, row: 0 })
    expect(moved('ArrowDown', { column: 1, row: 1 }, chart(4, 2), 0)).toEqual({ column: 1, row: 0 })
  })
  it('leaves other keys alone', () => expect(moved('Enter', null, chart(4, 2), 0)).toBeUndefined())
})

describe('labels of an axis', () => {
  it('are left out where they would touch', () => {
    expect(labelStep(20, 15)).toBe(1)
    expect(labelStep(5, 15)).toBe(3)
    expect(labelStep(0, 15)).toBeGreaterThan(1000)
  })
})

describe('what waits for the next frame', () => {
  it('is the last of several values, once', async () => {
    const frames: (() => void)[] = []
    Object.assign(globalThis, {
      document: { hidden: false },
      requestAnimationFrame: (task: () => void) => frames.push(task),
    })
    const seen: number[] = []
    const { set, flush, drop } = lastAfterFrame((value: number) => seen.push(value))
    set(1)
    set(2)
    expect(frames.length).toBe(1)
    frames.shift()!()
    await new Promise((done) => setTimeout(done, 20))
    expect(seen).toEqual([2])
    set(3)
    flush()
    expect(seen).toEqual([2, 3])
    set(4)
    drop()
    frames.forEach((frame) => frame())
    await new Promise((done) => setTimeout(done, 20))
    expect(seen).toEqual([2, 3])
  })
})
