/*
 * A bar in a list. A bar that is longer than the scale fills it and has two gaps near its end; its value is printed
 * beside it.
 */
import { palette } from '../model/store'

/** `size`: the value as a fraction of full strength, with its sign. */
export function Meter({ size }: { size: number }) {
  const { bar, barBelow } = palette.value
  const isBroken = Math.abs(size) > 1 + 1e-6
  return (
    <span
      class={isBroken ? 'meter broken' : 'meter'}
      aria-hidden="true"
      style={{ width: `${Math.min(1, Math.abs(size)) * 100}%`, backgroundColor: size < 0 ? barBelow : bar }}
    />
  )
}
