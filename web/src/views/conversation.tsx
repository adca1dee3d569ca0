/*
 * The turns of a conversation that is being written, above its newest message: each can be changed, and what follows a
 * changed one be dropped or kept.
 */
import { signal } from '@preact/signals'
import type { Turn } from '../model/conversation'
import { takeTurns, turns } from '../model/draft'
import { rowsFor } from './growing_field'

const NAMES: Record<Turn['role'], string> = { system: 'System message', user: 'You', assistant: 'The model' }

/** Turns that were changed since they were loaded. */
const changed = signal<ReadonlySet<number>>(new Set())

/** The conversation in the form is another one. */
export function forgetChanges(): void {
  changed.value = new Set()
}

function set(i: number, text: string): void {
  turns.value = turns.value.map((turn, at) => (at === i ? { ...turn, text } : turn))
  changed.value = new Set([...changed.value, i])
}

/** The turn becomes the message that is being written; the later ones are dropped. */
function dropAfter(i: number): void {
  const kept = turns.value.slice(0, i + 1)
  forgetChanges()
  takeTurns(kept)
  requestAnimationFrame(() => document.getElementById('prompt-field')?.focus())
}

function TurnField({ turn, i }: { turn: Turn; i: number }) {
  const name = NAMES[turn.role]
  const place = turn.role === 'system' ? name : `${name}, turn ${i + 1}`
  return (
    <div class={`turn ${turn.role}`}>
      <div class="passage-head">
        <span class="role">{name}</span>
        <button
          type="button"
          class="quiet"
          aria-label={`Remove ${place}`}
          onClick={() => (turns.value = turns.value.filter((_, at) => at !== i))}
        >
          Remove
        </button>
      </div>
      {turn.documents?.map(({ name: title }) => (
        <p class="note">with the document {title}</p>
      ))}
      <textarea
        aria-label={place}
        rows={rowsFor(turn.text, 2)}
        value={turn.text}
        onInput={(e) => set(i, e.currentTarget.value)}
      />
      {changed.value.has(i) && turn.role !== 'system' && (
        <p class="note" role="status">
          What follows was written before this change, and is kept.{' '}
          <button type="button" class="link" onClick={() => dropAfter(i)}>
            Drop what follows
          </button>
        </p>
      )}
    </div>
  )
}

function addSystem(): void {
  turns.value = [{ role: 'system', text: '' }, ...turns.value]
  requestAnimationFrame(() => document.querySelector<HTMLElement>('.turn.system textarea')?.focus())
}

export function Conversation() {
  return (
    <>
      {turns.value[0]?.role !== 'system' && (
        <p class="add-system">
          <button type="button" class="quiet" onClick={addSystem}>
            Add a system message
          </button>
        </p>
      )}
      {turns.value.length > 0 && (
        <fieldset class="turns">
          <legend class="sr">Earlier turns</legend>
          {turns.value.map((turn, i) => (
            <TurnField key={i} turn={turn} i={i} />
          ))}
        </fieldset>
      )}
    </>
  )
}
