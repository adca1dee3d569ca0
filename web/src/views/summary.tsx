/*
 * The first look in one sentence: where the answer mostly came from, and what it would be without.
 */
import type { Run } from '../data/document'
import { canConfirm, confirming, confirmSources, stopConfirming, unconfirmed } from '../model/confirm'
import { citationOf, fallText, summaryOf, type Summary } from '../model/first_look'
import { sentence } from '../ui/labels'
import { showPassage } from './cited_prompt'
import { shownPassage } from './cited_answer'

const BEGINNINGS: Record<Summary['kind'], string> = {
  mostly: 'Mostly from ',
  'most of all': 'From many places, most of all from ',
  model: 'Mostly from what the model knows: no part of the prompt stands out.',
  nothing: 'No part of the prompt stands out.',
}

function Quotes({ run, sources }: { run: Run; sources: readonly number[] }) {
  const c = citationOf(run)!
  return (
    <>
      {sources.map((passage, i) => (
        <>
          {i > 0 && ' and '}
          <span
            role="button"
            tabIndex={0}
            class="quoted"
            dir="auto"
            onClick={() => showPassage(passage)}
            onKeyDown={(e) => (e.key === 'Enter' || e.key === ' ') && (e.preventDefault(), showPassage(passage))}
          >
            {shownPassage(c, passage, 140)}
          </span>
        </>
      ))}
    </>
  )
}

/** "; without it the answer would be ...", or what is done to find that out. */
function Without({ run, summary }: { run: Run; summary: Summary }) {
  const it = summary.sources.length > 1 ? 'the first' : 'it'
  if (summary.fall !== undefined) {
    const other = summary.standIn === undefined ? '' : ': another part of the prompt says the same'
    return (
      <>
        ; without {it} the answer would be <strong>{fallText(summary.fall)}</strong>
        {other}.
      </>
    )
  }
  const last = shownPassage(citationOf(run)!, summary.sources[summary.sources.length - 1], 140)
  return <>{/[.?!…。？！]$/.test(last) ? '' : '.'}</>
}

/** The check that is running, or that can be started. */
function CheckState({ run }: { run: Run }) {
  const now = confirming.value?.key === run.key ? confirming.value : null
  if (now)
    return (
      <p class="confirming">
        <progress max={now.total || 1} value={now.total ? now.done : undefined} aria-label="Checking the sources" />
        <span>Reading the answer again without each source…</span>
        <button type="button" class="quiet" onClick={stopConfirming}>
          Stop the check
        </button>
      </p>
    )
  if (run.confirmed || !canConfirm(run)) return null
  const reason = unconfirmed.value[run.key]
  return (
    <p class="confirming">
      {reason && reason !== 'stopped' && <span>Not checked. {sentence(reason)}</span>}
      <button type="button" class="quiet" onClick={() => void confirmSources(run)}>
        How much less likely without it?
      </button>
    </p>
  )
}

export function SummaryLine({ run }: { run: Run }) {
  const summary = summaryOf(run)
  return (
    <>
      <p class="in-one-sentence" role="status">
        {BEGINNINGS[summary.kind]}
        {summary.sources.length > 0 && (
          <>
            <Quotes run={run} sources={summary.sources} />
            <Without run={run} summary={summary} />
          </>
        )}
      </p>
      {summary.sources.length > 0 && <CheckState run={run} />}
    </>
  )
}
