/*
 * The sources of the answer by number: text, share, and what the answer loses without each.
 */
import type { Run } from '../data/document'
import {
  citationOf,
  documentsOf,
  fallText,
  fallWithout,
  litPassage,
  litSentence,
  pinnedPassage,
  sourcesOf,
} from '../model/first_look'
import { hovered } from '../model/store'
import { percent } from '../ui/token_text'
import { shownPassage } from './cited_answer'
import { togglePassage } from './cited_prompt'
import { Meter } from './meter'

/** Name of the document that holds most of a passage; '' if it is in none. */
function documentName(run: Run, passage: number): string {
  const named = documentsOf(run)
  const k = citationOf(run)!.prompt_groups.indexOf(passage)
  const document = named?.prompt_groups[k] ?? -1
  return document < 0 ? '' : named!.passages[document].name
}

function Source({ run, passage, share, scale }: { run: Run; passage: number; share: number; scale: number }) {
  const c = citationOf(run)!
  const fall = fallWithout(run, passage)
  const name = documentName(run, passage)
  return (
    <li>
      <button
        type="button"
        class={`source-of ${litPassage.value === passage ? 'at' : ''}`}
        aria-pressed={pinnedPassage.value === passage}
        onPointerEnter={() => (hovered.value = { run: run.key, unit: passage })}
        onPointerLeave={() => (hovered.value = null)}
        onClick={() => togglePassage(passage)}
      >
        <span class="mark" aria-hidden="true">
          {c.passages[passage].number}
        </span>
        <span class="words">
          {name && <b>{name}: </b>}
          {shownPassage(c, passage, 160)}
        </span>
        <span class="value">{percent(share)}</span>
        <Meter size={share / scale} />
        {fall !== undefined && <span class="without">without it {fallText(fall)}</span>}
      </button>
    </li>
  )
}

export function SourceList({ run }: { run: Run }) {
  const c = citationOf(run)
  if (!c) return null
  const part = litSentence.value
  const row = part >= 0 ? c.shares[part] : c.passages.map(({ share }) => share)
  const share = (passage: number) => Math.max(0, row[passage] ?? 0)
  const sources = sourcesOf(c).filter((p) => part < 0 || c.answer[part].citations.some(({ passage }) => passage === p))
  const scale = Math.max(...sources.map(share), 1e-9)
  const { model } = part >= 0 ? c.answer[part].elsewhere : c.elsewhere
  return (
    <section class="source-list" aria-label="Sources">
      <h3>
        {part >= 0 ? 'Sources of this sentence' : 'Sources'}
        <small>, shares of what raised the answer</small>
      </h3>
      <ol>
        {sources.map((passage) => (
          <Source key={passage} run={run} passage={passage} share={share(passage)} scale={scale} />
        ))}
      </ol>
      {model !== null && model > 0 && (
        <p class="note">{percent(model)} came from what the model knows, not from the prompt.</p>
      )}
    </section>
  )
}
