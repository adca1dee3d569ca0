/*
 * A strip beside the scrollbar of a long prompt that shows where its sources are. N moves to the next one.
 */
import { useLayoutEffect, useState } from 'preact/hooks'
import type { RefObject } from 'preact'
import type { PassageSpans } from '../draw/passage_spans'
import { citation, lightOf, litSentence } from '../model/first_look'
import { showPassage } from './cited_prompt'

interface Place {
  passage: number
  /** Fractions of the text's height. */
  top: number
  height: number
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
          return [{ passage, top: from / all, height: (to - from) / all, strength: light[passage] }]
        }),
      )
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(root)
    return () => observer.disconnect()
  }, [c, part])
  if (!places.length) return null
  return (
    <div class="heat" aria-hidden="true">
      {places.map(({ passage, top, height, strength }) => (
        <span
          key={passage}
          style={{ top: `${top * 100}%`, height: `max(4px, ${height * 100}%)`, opacity: 0.35 + 0.65 * strength }}
          onClick={() => showPassage(passage)}
        />
      ))}
    </div>
  )
}
