/*
 * What is under the pointer in the prompt of the second layer: index, text, value and rank of the part.
 */
import { signal } from '@preact/signals'
import { panes, type Pane } from '../model/store'
import { effectText } from '../ui/labels'
import { label, shorten } from '../ui/token_text'

interface Tip {
  pane: number
  unit: number
  x: number
  y: number
}
const tip = signal<Tip | null>(null)

export function showTip(pane: Pane, unit: number, event: PointerEvent): void {
  tip.value = unit < 0 ? null : { pane: pane.index, unit, x: event.clientX, y: event.clientY }
}

export function hideTip(): void {
  tip.value = null
}

/** Scrolls a part of the prompt into the middle of its frame. */
export function revealUnit(pane: Pane, unit: number): void {
  document
    .getElementById(`prompt-${pane.index}`)
    ?.querySelector(`[data-k="${pane.units.value.first[unit]}"]`)
    ?.scrollIntoView({ block: 'center', inline: 'nearest' })
}

/** 1 for the largest magnitude. */
export function rankOf(values: Float32Array, unit: number): number {
  const size = Math.abs(values[unit])
  return values.reduce((rank, v) => (Math.abs(v) > size ? rank + 1 : rank), 1)
}

/** Distance from the pointer, and largest width of the tip, in CSS pixels. */
const OFFSET = 14
const WIDTH = 260

export function TokenTip() {
  const at = tip.value
  const pane = at && panes[at.pane]
  if (!at || !pane || at.unit >= pane.units.value.count) return null
  const values = pane.unitValues.value
  const left = Math.min(at.x + OFFSET, innerWidth - WIDTH)
  const style = { left: `${left}px`, top: `${at.y + OFFSET}px`, maxWidth: `${WIDTH}px` }
  return (
    <div class="tip" aria-hidden="true" style={style}>
      <b>{shorten(label(pane.units.value.names(at.unit)), 60)}</b> <small>{at.unit}</small>
      <br />
      {effectText(values[at.unit] ?? 0, pane.isShares.value)}; rank {rankOf(values, at.unit)} of {values.length}
    </div>
  )
}
