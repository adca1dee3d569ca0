/*
 * A strip beside the scrollbar of a long prompt that shows where its sources are. N moves to the next one.
 */
import { useLayoutEffect, useState } from 'preact/hooks'
import type { RefObject } from 'preact'
import type { PassageSpans } from '../draw/passage_spans'
import type { TintCanvas } from '../draw/tint_canvas'
import { paintedScale, paintedValues } from '../model/comparison'
import { citation, lightOf, litSentence } from '../model/first_look'
import { pinned, type Pane } from '../model/store'
import { showPassage } from './cited_prompt'
import { revealUnit } from './token_tip'

interface Place {
  /** Passage, or unit. */
  of: number
  /** Fractions of the text's height. */
  top: number
  height: number
  /** 0..1; below 0: it lowered the selection. */
  strength: number
}

/** The lit passages in the order of the text. */
export function nextHot(from: number): number {
  const c = citation.value
  if (!c) return -1
  const light = lightOf(c, litSentence.value)
  const hot = [...light.keys()].filter((p) => light[p] > 0)
  return hot.find((p) => p > from) ?? hot[0] ?? -1
}

export function HeatStrip({
  frame,
  spans,
}: {
  frame: RefObject<HTMLDivElement>
  spans: () => PassageSpans | null
}) {
  const c = citation.value
  const part = litSentence.value
  const [places, setPlaces] = useState<Place[]>([])
  useLayoutEffect(() => {
    const root = frame.current
    if (!root) return
    const measure = () => {
      const all = root.scrollHeight
      const now = spans()
      if (!c || !now || all <= root.clientHeight + 1) return setPlaces([])
      const top = root.getBoundingClientRect().top - root.scrollTop
      const light = lightOf(c, part)
      setPlaces(
        [...light.keys()].flatMap((passage) => {
          const list = now.of[passage]
          if (!light[passage] || !list?.length) return []
          const from = list[0].getBoundingClientRect().top - top
          const to = list[list.length - 1].getBoundingClientRect().bottom - top
          return [{ of: passage, top: from / all, height: (to - from) / all, strength: light[passage] }]
        }),
      )
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(root)
    return () => observer.disconnect()
  }, [c, part])
  return <Strip places={places} show={showPassage} />
}

function Strip({ places, show }: { places: readonly Place[]; show: (of: number) => void }) {
  if (!places.length) return null
  return (
    <div class="heat" aria-hidden="true">
      {places.map(({ of, top, height, strength }) => (
        <span
          key={of}
          class={strength < 0 ? 'below' : ''}
          style={{
            top: `${top * 100}%`,
            height: `max(4px, ${height * 100}%)`,
            opacity: 0.35 + 0.65 * Math.min(1, Math.abs(strength)),
          }}
          onClick={() => show(of)}
        />
      ))}
    </div>
  )
}

/* ------------------------------------------------------------------ the second layer */

function showUnit(pane: Pane, unit: number): void {
  pinned.value = { run: pane.key.value, unit }
  revealUnit(pane, unit)
}

/** The next of the strongest units after the pinned one, in the order of the text. */
export function showNextUnit(pane: Pane): void {
  const at = pinned.value?.run === pane.key.value ? pinned.value.unit : -1
  const strongest = [...pane.strongest.value].sort((a, b) => a - b)
  const next = strongest.find((u) => u > at) ?? strongest[0]
  if (next !== undefined) showUnit(pane, next)
}

/** Where the strongest units of a long prompt are; `tints` has measured the text. */
export function UnitStrip({ pane, tints }: { pane: Pane; tints: TintCanvas | null }) {
  const values = paintedValues(pane)
  const scale = paintedScale(pane)
  const { first } = pane.units.value
  const [, setMeasured] = useState({})
  useLayoutEffect(() => tints?.follow(() => setMeasured({})), [tints])
  const places = pane.strongest.value.flatMap((of): Place[] => {
    const top = tints?.placeOf(first[of])
    return top === undefined ? [] : [{ of, top, height: 0, strength: values[of] / (scale || 1) }]
  })
  return <Strip places={places} show={(unit) => showUnit(pane, unit)} />
}
