/*
 * The two texts of a pane: the prompt, tinted by what the selection took from it, and the completion, in which the user
 * selects. Tinting follows the state directly, without rendering components.
 */
import { effect } from '@preact/signals'
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Run } from '../data/document'
import { tint } from '../draw/colour'
import { job } from '../model/actions'
import { paintedBeyond, paintedScale, paintedValues, showsDifference } from '../model/comparison'
import * as state from '../model/store'
import { hovered, pinned, type Pane } from '../model/store'
import { scaleOf, STEPS, steps, tokenUnits } from '../model/aggregate'
import { marksFirst } from '../ui/frame'
import { amount, runRemarks, STOP_REASONS } from '../ui/labels'
import { label, plural } from '../ui/token_text'
import { TokenSpans, tokenAt } from '../draw/token_spans'
import { TintCanvas } from '../draw/tint_canvas'
import { editRun } from './composer'
import { UnitStrip } from './heat_strip'
import { ContinueButton } from './reply'
import { found } from './search'
import { TokenSelection } from './token_selection'
import { hideTip, showTip } from './token_tip'

const NONE = new Float32Array(0)
/** Above this number of tokens a prompt scrolls in its own frame, so that related content stays near. */
const LONG = 500

/* ------------------------------------------------------------------ prompt */

/** Moves an attribute from the tokens `before` to those of these units; returns the latter. */
function markTokens(
  tokenSpans: TokenSpans,
  attribute: string,
  pane: Pane,
  units: ReadonlySet<number>,
  before: readonly number[],
): number[] {
  const now: number[] = []
  if (units.size) pane.units.value.of.forEach((u, k) => units.has(u) && now.push(k))
  for (const k of before) if (!now.includes(k)) tokenSpans.spans[k]?.removeAttribute(attribute)
  for (const k of now) tokenSpans.spans[k]?.setAttribute(attribute, '')
  return now
}

/** Keeps the prompt's text up to date until the returned function is called. */
function followPrompt(tokenSpans: TokenSpans, tintCanvas: TintCanvas, pane: Pane): () => void {
  let marked: number[] = []
  let beyond: number[] = []
  let shown = new Int8Array(0)
  const stops = [
    effect(() => {
      const run = pane.run.value
      if (run) tokenSpans.update(run.info.tokens.slice(0, run.m), pane.promptTexts.value)
      tokenSpans.paint((out) => out.fill(0), { hidden: pane.hidden.value })
      tintCanvas.remeasure()
    }),
    effect(() => {
      const values = pane.attribution.value ? paintedValues(pane) : NONE
      if (shown.length !== pane.units.value.of.length) shown = new Int8Array(pane.units.value.of.length)
      steps(shown, values, pane.units.value, paintedScale(pane))
      tintCanvas.show(shown, state.tints.value)
      beyond = markTokens(tokenSpans, 'data-beyond', pane, new Set(paintedBeyond(pane)), beyond)
    }),
    () => tintCanvas.close(),
    effect(() => {
      const unit = pane.look.value
      marked = markTokens(tokenSpans, 'data-at', pane, new Set(unit < 0 ? [] : [unit]), marked)
    }),
    effect(() => {
      const hits = found.value
      tokenSpans.spans.forEach((span, k) => span.toggleAttribute('data-found', hits.has(k)))
    }),
  ]
  return () => stops.forEach((stop) => stop())
}

function unitOf(pane: Pane, k: number): number {
  return k < 0 ? -1 : (pane.units.value.of[k] ?? -1)
}

function lookAt(pane: Pane, unit: number) {
  return unit < 0 ? null : { run: pane.key.value, unit }
}

/** Moves by `by` units; without a current unit, to the strongest one. */
function step(pane: Pane, by: number): void {
  const { count, first } = pane.units.value
  const now = pinned.value?.run === pane.key.value ? pinned.value.unit : -1
  let next = now < 0 ? (pane.strongest.value[0] ?? 0) : now + by
  while (next >= 0 && next < count && first[next] < 0) next += by
  if (next < 0 || next >= count) return
  pinned.value = lookAt(pane, next)
  document
    .getElementById(`prompt-${pane.index}`)
    ?.querySelector(`[data-k="${first[next]}"]`)
    ?.scrollIntoView({ block: 'nearest' })
}

function onPromptKey(event: KeyboardEvent, pane: Pane): void {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
  if (event.key === 'Escape') pinned.value = null
  else if (by && !event.altKey && !event.ctrlKey && !event.metaKey) step(pane, by)
  else return
  event.preventDefault()
  event.stopPropagation()
}

/** Shown before the numbers. */
export function Remarks({ run }: { run?: Run }) {
  const list = run ? runRemarks(run) : []
  if (!list.length) return null
  return (
    <ul class="remarks" aria-label="Remarks">
      {list.map((remark) => (
        <li>{remark}</li>
      ))}
    </ul>
  )
}

export function Prompt({ pane }: { pane: Pane }) {
  const root = useRef<HTMLDivElement>(null)
  const [tints, setTints] = useState<TintCanvas | null>(null)
  const key = pane.key.value
  useLayoutEffect(() => {
    root.current!.replaceChildren()
    const tokenSpans = new TokenSpans(root.current!)
    const canvas = new TintCanvas(tokenSpans.root, tokenSpans.spans)
    setTints(canvas)
    return followPrompt(tokenSpans, canvas, pane)
  }, [key, pane])
  const run = pane.run.value
  return (
    <section class={`prompt ${(run?.m ?? 0) > LONG ? 'long' : ''}`} aria-label="Prompt">
      <h2>
        Prompt <small>{plural(run?.m ?? 0, 'token')}</small>
        {state.served.value && !job.value && pane.index === 0 && (
          <button type="button" class="quiet edit" onClick={editRun}>
            Edit and run again
          </button>
        )}
      </h2>
      <Remarks run={run} />
      <div class="framed">
        <div class="frame">
          <div
            id={`prompt-${pane.index}`}
            class="text"
            ref={root}
            dir="auto"
            tabIndex={0}
            role="group"
            aria-label="Prompt text. Arrow keys move through it and announce what each part contributed to."
            onKeyDown={(e) => onPromptKey(e, pane)}
            onFocus={() => (state.active.value = pane.index)}
            onPointerMove={(e) => {
              if (e.pointerType !== 'mouse') return
              const unit = unitOf(pane, tokenAt(e.target))
              marksFirst(() => (hovered.value = lookAt(pane, unit)))
              showTip(pane, unit, e)
            }}
            onPointerLeave={() => {
              marksFirst(() => (hovered.value = null))
              hideTip()
            }}
            onClick={(e) => {
              const unit = unitOf(pane, tokenAt(e.target))
              const isPinned = pinned.value?.unit === unit && pinned.value.run === key
              marksFirst(() => (pinned.value = isPinned ? null : lookAt(pane, unit)))
            }}
          />
        </div>
        {(run?.m ?? 0) > LONG && <UnitStrip pane={pane} tints={tints} />}
      </div>
    </section>
  )
}

/* ------------------------------------------------------------------ completion */

/** Tints by what each token took from a highlighted prompt unit, and shows the selection. */
function followAnswer(tokenSpans: TokenSpans, pane: Pane): () => void {
  return effect(() => {
    const { tokens, texts } = pane.answer.value
    tokenSpans.update(tokens, texts)
    const offset = pane.offset.value
    const chosen = pane.selection.value
    const contributions = pane.contributions.value
    const shown = new Float32Array(tokens.length)
    if (contributions) shown.set(contributions, offset)
    const scale = scaleOf(shown, () => false)
    tokenSpans.paint((out) => steps(out, shown, tokenUnits(texts), scale), {
      selected: chosen && [chosen[0] + offset, chosen[1] + offset],
      pendingFrom: offset + (pane.attribution.value?.n ?? 0),
    })
    tokenSpans.root.toggleAttribute('data-contributions', contributions !== null)
    if (chosen) tokenSpans.root.setAttribute('aria-activedescendant', `${tokenSpans.root.id}-${chosen[1] + offset}`)
  })
}

export function Answer({ pane }: { pane: Pane }) {
  const root = useRef<HTMLDivElement>(null)
  const key = pane.key.value
  const selection = useMemo(() => new TokenSelection(pane), [pane])
  useLayoutEffect(() => {
    root.current!.replaceChildren()
    return followAnswer(new TokenSpans(root.current!, 'option'), pane)
  }, [key, pane])
  useLayoutEffect(() => selection.listen(root.current!), [selection])
  const run = pane.run.value
  const { tokens } = pane.answer.value
  const isCompletion = run && run.m < run.info.tokens.length
  return (
    <section class="answer" aria-label="Completion">
      <h2>
        {isCompletion || job.value ? 'Completion' : 'Explained tokens'}{' '}
        <small>
          {plural(tokens.length, 'token')}
          {run && STOP_REASONS[run.info.stop] ? `, ${STOP_REASONS[run.info.stop]}` : ''}
        </small>
        <Hint pane={pane} />
        {run && pane.index === 0 && <ContinueButton run={run} />}
      </h2>
      <div
        id={`answer-${pane.index}`}
        class="text"
        ref={root}
        dir="auto"
        tabIndex={0}
        role="listbox"
        aria-multiselectable="true"
        aria-label="Completion tokens"
        onFocus={() => (state.active.value = pane.index)}
        onPointerDown={selection.down}
        onPointerMove={selection.move}
        onPointerUp={selection.up}
        onPointerCancel={selection.cancel}
      />
    </section>
  )
}

/** Explains the tint of the completion while a part of the prompt is highlighted. */
function Hint({ pane }: { pane: Pane }) {
  const unit = pane.look.value
  if (unit < 0) return <span class="hint">click or drag over it</span>
  return (
    <span class="hint">
      what <q>{label(pane.units.value.names(unit)).slice(0, 40)}</q> contributed to
    </span>
  )
}

/* ------------------------------------------------------------------ scale */

export function Legend({ pane }: { pane: Pane }) {
  const isShares = pane.isShares.value
  const [values, scale] = [paintedValues(pane), paintedScale(pane)]
  const signed = values.some((v) => v < 0)
  const palette = state.palette.value
  const ramp = Array.from({ length: 9 }, (_, i) =>
    tint(palette, Math.round(signed ? (i / 4 - 1) * STEPS : (i / 8) * STEPS)),
  )
  const beyond = paintedBeyond(pane)
  const sign = (side: number, text: string) => (beyond.some((u) => values[u] * side > 0) ? text : '')
  return (
    <p class="legend">
      {showsDifference.value && <span>More than the {pane.index ? 'left' : 'right'} side:</span>}
      <span>{signed ? sign(-1, '\u2264\u2009') + amount(-scale, isShares) : '0'}</span>
      <span class="ramp" aria-hidden="true" style={{ backgroundImage: `linear-gradient(90deg, ${ramp.join(', ')})` }} />
      <span>{sign(1, '\u2265\u2009') + amount(scale, isShares)}</span>
      {beyond.length > 0 && (
        <span class="beyond">
          <span class="outlined">beyond the scale</span>:{' '}
          {beyond
            .map((u) => `${u}: ${label(pane.units.value.names(u))} ${amount(values[u], isShares)}`)
            .join(', ')}
        </span>
      )}
    </p>
  )
}
