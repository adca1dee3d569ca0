/*
 * What can be done after an answer: go on with it after the limit of tokens, ask further, change and ask again.
 */
import { signal } from '@preact/signals'
import { thinkingTokens } from '../data/citation'
import { api } from '../data/api'
import type { Run } from '../data/document'
import { attempt, continueRun, explain, job } from '../model/actions'
import { hasItsModel } from '../model/confirm'
import { turnsOf } from '../model/conversation'
import { draftRequest, isGiven, noteRun, takeTurns } from '../model/draft'
import { tokenTexts } from '../ui/token_text'
import { rowsFor } from './growing_field'

const question = signal('')

/** Whether the run is of the model that is loaded, which is there and has no other work from this page. */
const isAtHand = (run: Run) => hasItsModel(run) && !job.value

/** Whether the model had not ended its answer. */
const isCut = (run: Run) => ['length', 'cancelled', 'given'].includes(run.info.stop) && run.m < run.info.tokens.length

export function ContinueButton({ run }: { run: Run }) {
  if (!isAtHand(run) || !isCut(run)) return null
  return (
    <button type="button" onClick={() => void continueRun(run)}>
      Continue
    </button>
  )
}

/** The answer without its thinking, which templates leave out of earlier turns. */
export function saidText(run: Run): string {
  const thought = thinkingTokens(run.info, run.m)
  if (!thought.size) return run.info.completion.trim()
  const tokens = run.info.tokens.slice(run.m).filter((_, i) => !thought.has(i))
  return tokenTexts(tokens).join('').trim()
}

/** Sends the question as the next turn of the run's conversation. */
async function askFurther(run: Run): Promise<void> {
  const text = question.value
  await attempt(async () => {
    const turns = turnsOf(await api.request(run.id!))
    takeTurns([...turns, { role: 'assistant', text: saidText(run) }, { role: 'user', text }])
    question.value = ''
    isGiven.value = false
    noteRun()
    await explain(draftRequest())
  })
}

/** A further question to a run of a conversation. */
export function Reply({ run }: { run: Run }) {
  if (!isAtHand(run) || run.info.options.chat !== true) return null
  const send = () => question.value.trim() && void askFurther(run)
  return (
    <form class="reply" aria-label="Ask further" onSubmit={(e) => (e.preventDefault(), send())}>
      <textarea
        aria-label="Further question"
        placeholder="Ask further"
        rows={rowsFor(question.value, 1)}
        value={question.value}
        onInput={(e) => (question.value = e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return
          e.preventDefault()
          send()
        }}
      />
      <button type="submit" disabled={!question.value.trim()}>
        Ask
      </button>
    </form>
  )
}
