/*
 * The prompt of the first look: prose in which the sources are lit. Its sentences are marked by a click on them, on a
 * chip or in the list of sources; named documents have their name and a bar in the margin.
 */
import { effect } from '@preact/signals'
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import type { Run } from '../data/document'
import { passageAt, PassageSpans, type PromptParts } from '../draw/passage_spans'
import { job } from '../model/actions'
import {
  citation,
  citationOf,
  documentsOf,
  lightOf,
  litPassage,
  litSentence,
  pinnedPassage,
  sourcesOf,
} from '../model/first_look'
import { hovered, panes, pinned, served } from '../model/store'
import { percent, plural, textParts, tokenTexts } from '../ui/token_text'
import { editRun } from './composer'
import { HeatStrip } from './heat_strip'
import { Remarks } from './text_panes'

let shown: PassageSpans | null = null

/** Marks a passage and scrolls to it. */
export function showPassage(passage: number): void {
  pinned.value = { run: panes[0].key.value, unit: passage }
  shown?.root.parentElement?.scrollIntoView({ block: 'nearest' })
  shown?.reveal(passage, !matchMedia('(prefers-reduced-motion: reduce)').matches)
}

/** Marks a passage, or lets go of it. */
export function togglePassage(passage: number): void {
  if (pinnedPassage.value === passage) pinned.value = null
  else showPassage(passage)
}

function partsOf(run: Run): PromptParts {
  const tokens = run.info.tokens.slice(0, run.m)
  const documents = documentsOf(run)
  return {
    tokens,
    texts: textParts(tokens, tokenTexts(tokens)),
    passages: citationOf(run)?.prompt_groups ?? [],
    documents: documents?.prompt_groups ?? [],
    names: documents?.passages.map(({ name, text }) => name || text) ?? [],
  }
}

/** The length of each document's bar: its share of the answer. */
function fillMargins(root: HTMLElement, run: Run): void {
  const documents = documentsOf(run)
  if (!documents) return
  const share = (d: number) => Math.max(0, documents.passages[d]?.share ?? 0)
  const max = Math.max(...documents.passages.map((_, d) => share(d)), 1e-9)
  for (const margin of root.querySelectorAll<HTMLElement>('.margin')) {
    const d = Number(margin.dataset.document)
    const bar = margin.querySelector<HTMLElement>('.document-bar')!
    bar.style.width = `${(share(d) / max) * 100}%`
    margin.title = `${percent(share(d))} of what raised the answer`
  }
}

/** Moves from passage to passage. */
function step(by: number): void {
  const n = citation.value?.passages.length ?? 0
  const next = litPassage.value < 0 ? (sourcesOf(citation.value!)[0] ?? 0) : litPassage.value + by
  if (next >= 0 && next < n) showPassage(next)
}

function onKey(event: KeyboardEvent): void {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
  if (!by || event.altKey || event.ctrlKey || event.metaKey || !citation.value) return
  step(by)
  event.preventDefault()
  event.stopPropagation()
}

const NONE = new Float32Array(0)

/** Keeps what is lit up to date until the returned function is called. */
function follow(spans: PassageSpans): () => void {
  let isRevealed = false
  const stops = [
    effect(() => {
      const c = citation.value
      const light = c ? lightOf(c, litSentence.value) : NONE
      if (c && litPassage.value >= 0) light[litPassage.value] = Math.max(light[litPassage.value], 0.4)
      spans.light(light, pinnedPassage.value)
    }),
    effect(() => {
      const c = citation.value
      const first = c && !job.value ? sourcesOf(c)[0] : undefined
      if (first === undefined || isRevealed) return
      isRevealed = true
      if (pinnedPassage.value < 0) spans.reveal(first, false)
    }),
  ]
  return () => stops.forEach((stop) => stop())
}

export function CitedPrompt({ run }: { run: Run }) {
  const root = useRef<HTMLDivElement>(null)
  const frame = useRef<HTMLDivElement>(null)
  const c = citationOf(run)
  const documents = documentsOf(run)
  // the prompt stays the same while the answer grows; its cuts come with the first citations
  const cut = `${run.key} ${run.m} ${c ? c.by : ''} ${documents ? documents.passages.length : 0}`
  const parts = useMemo(() => partsOf(run), [cut])
  useLayoutEffect(() => {
    const spans = new PassageSpans(root.current!, parts)
    shown = spans
    const stop = follow(spans)
    return () => {
      stop()
      if (shown === spans) shown = null
    }
  }, [parts])
  useLayoutEffect(() => fillMargins(root.current!, run), [parts, documents])
  const look = (e: PointerEvent) => {
    const unit = passageAt(e.target)
    hovered.value = unit < 0 ? null : { run: run.key, unit }
  }
  return (
    <section class="cited-prompt" aria-label="Prompt">
      <h2>
        Prompt <small>{plural(run.m, 'token')}</small>
        {served.value && !job.value && (
          <button type="button" class="quiet edit" onClick={editRun}>
            Edit and run again
          </button>
        )}
      </h2>
      <Remarks run={run} />
      <div class="framed">
        <div class="frame" ref={frame}>
          <div
            id="cited-prompt"
            class={`text prose ${documents ? 'with-documents' : ''}`}
            ref={root}
            dir="auto"
            tabIndex={0}
            role="group"
            aria-label="Prompt text. Arrow keys move through its parts and light what each fed."
            onKeyDown={onKey}
            onPointerMove={(e) => e.pointerType === 'mouse' && look(e)}
            onPointerLeave={() => (hovered.value = null)}
            onClick={(e) => {
              const unit = passageAt(e.target)
              if (unit >= 0 && getSelection()?.isCollapsed !== false) togglePassage(unit)
            }}
          />
        </div>
        <HeatStrip frame={frame} spans={() => shown} />
      </div>
    </section>
  )
}
