/*
 * The first look at a run: the answer with its sources beside the prompt that they are in. Two frames share the window,
 * and each scrolls by itself.
 */
import { signal } from '@preact/signals'
import type { Run } from '../data/document'
import { job } from '../model/actions'
import { closer, firstRun } from '../model/first_look'
import { hovered, pinned } from '../model/store'
import { STOP_REASONS } from '../ui/labels'
import { CitedAnswer } from './cited_answer'
import { CitedPrompt } from './cited_prompt'
import { ContinueButton, Reply } from './reply'
import { SourceList } from './source_list'
import { SummaryLine } from './summary'

/** Changes between the layers; what is marked in one has no meaning in the other. */
export function lookCloser(on: boolean): void {
  hovered.value = pinned.value = null
  closer.value = on
}

const copied = signal('')

async function copy(run: Run): Promise<void> {
  try {
    await navigator.clipboard.writeText(run.info.completion.trim())
    copied.value = 'Copied'
  } catch {
    copied.value = 'Not copied: the browser does not allow it'
  }
  setTimeout(() => (copied.value = ''), 3000)
}

function AnswerActions({ run }: { run: Run }) {
  return (
    <p class="answer-actions">
      <button type="button" class="closer" onClick={() => lookCloser(true)}>
        Look closer
      </button>
      <button type="button" class="quiet" onClick={() => void copy(run)}>
        Copy the answer
      </button>
      <ContinueButton run={run} />
      <span class="note" role="status">
        {copied.value}
      </span>
      <span class="note">{STOP_REASONS[run.info.stop] ?? ''}</span>
    </p>
  )
}

export function FirstLook() {
  const run = firstRun.value
  if (!run) return null
  const isGrowing = job.value !== null && run.info.stop === ''
  return (
    <div class="first">
      <section class="answer-frame" aria-label="Answer" tabIndex={0}>
        {(!isGrowing || run.citations.length > 0) && <SummaryLine run={run} />}
        <CitedAnswer run={run} />
        {!isGrowing && <AnswerActions run={run} />}
        {!isGrowing && <Reply run={run} />}
        <SourceList run={run} />
      </section>
      <CitedPrompt run={run} />
    </div>
  )
}
