/*
 * Search in the prompt: marks tokens that contain part of a match, and moves from match to match.
 */
import { computed, signal } from '@preact/signals'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { activePane, pinned, type Pane } from '../model/store'
import { textParts } from '../ui/token_text'

export const searching = signal(false)
const query = signal('')
const at = signal(-1)

/** First tokens of the matches in the prompt of the active pane, in order. */
export function findTokens(texts: readonly string[], wanted: string): { starts: number[]; all: Set<number> } {
  const starts: number[] = []
  const all = new Set<number>()
  if (!wanted) return { starts, all }
  const whole = texts.join('').toLowerCase()
  const begins: number[] = []
  texts.reduce((sum, text) => (begins.push(sum), sum + text.length), 0)
  let token = 0
  for (let from = whole.indexOf(wanted); from >= 0; from = whole.indexOf(wanted, from + wanted.length)) {
    while (token + 1 < begins.length && begins[token + 1] <= from) token++
    starts.push(token)
    for (let k = token; k < begins.length && begins[k] < from + wanted.length; k++) all.add(k)
  }
  return { starts, all }
}

const promptParts = (pane: Pane) => textParts(pane.run.value?.info.tokens ?? [], pane.promptTexts.value)
const hits = computed(() =>
  findTokens(promptParts(activePane.value), searching.value ? query.value.trim().toLowerCase() : ''),
)
export const found = computed(() => hits.value.all)

function go(pane: Pane, by: number): void {
  const { starts } = hits.value
  if (!starts.length) return
  at.value = (at.value + by + starts.length) % starts.length
  const k = starts[at.value]
  pinned.value = { run: pane.key.value, unit: pane.units.value.of[k] }
  document.getElementById(`prompt-${pane.index}`)?.querySelector(`[data-k="${k}"]`)?.scrollIntoView({ block: 'center' })
}

function close(): void {
  searching.value = false
  query.value = ''
  at.value = -1
}

export function Search() {
  const field = useRef<HTMLInputElement>(null)
  // runs before the next key event; an effect after painting would miss it
  useLayoutEffect(() => {
    if (!searching.value) return
    const before = document.activeElement
    field.current?.focus()
    return () => before instanceof HTMLElement && before.focus()
  }, [searching.value])
  if (!searching.value) return null
  const { starts } = hits.value
  return (
    <form class="search" role="search" onSubmit={(e) => (e.preventDefault(), go(activePane.value, 1))}>
      <input
        ref={field}
        type="search"
        aria-label="Search the prompt"
        placeholder="Search the prompt"
        value={query.value}
        onInput={(e) => {
          query.value = e.currentTarget.value
          at.value = -1
        }}
        onKeyDown={(e) => {
          if (e.key === 'Escape') close()
          else if (e.key === 'Enter' && e.shiftKey) go(activePane.value, -1)
          else return
          e.preventDefault()
          e.stopPropagation()
        }}
      />
      <output>
        {query.value
          ? starts.length
            ? `${Math.max(0, at.value) + 1} of ${starts.length}`
            : 'not there'
          : 'Enter: next'}
      </output>
      <button type="button" class="quiet" onClick={close}>
        Close
      </button>
    </form>
  )
}
