/*
 * The answer of the first look: ordinary prose that can be selected and copied, with the numbers of its sources after
 * each sentence.
 */
import type { Run, Token } from '../data/document'
import type { RunCitation } from '../data/citation'
import { stepClass } from '../draw/colour'
import {
  chosenSentence,
  citationOf,
  fedBy,
  hoveredSentence,
  litPassage,
  litSentence,
  thoughtParts,
  throughThinking,
} from '../model/first_look'
import { STEPS } from '../model/aggregate'
import { hovered } from '../model/store'
import { label, percent, plural, shorten, textParts, tokenTexts } from '../ui/token_text'
import { togglePassage } from './cited_prompt'

/** Consecutive tokens of one part; -1: not cited, or not complete. */
interface Piece {
  part: number
  text: string
}

function piecesOf(tokens: readonly Token[], groups: readonly number[]): Piece[] {
  const texts = textParts(tokens, tokenTexts(tokens))
  const pieces: Piece[] = []
  tokens.forEach((_, i) => {
    const part = groups[i] ?? -1
    const last = pieces[pieces.length - 1]
    if (last?.part === part) last.text += texts[i]
    else pieces.push({ part, text: texts[i] })
  })
  return pieces
}

export const shownPassage = (c: RunCitation, passage: number, max: number) =>
  shorten(label(c.passages[passage].text.trim()), max)

function Chip({ c, run, part, number, passage }: {
  c: RunCitation
  run: Run
  part: number
  number: number
  passage: number
}) {
  const { name } = c.passages[passage]
  const text = shownPassage(c, passage, 120)
  return (
    <button
      type="button"
      class={`mark ${litPassage.value === passage ? 'at' : ''}`}
      aria-label={`Source ${number}: ${name ? `${name}, ` : ''}${text}`}
      title={text}
      onPointerEnter={() => {
        hovered.value = { run: run.key, unit: passage }
        hoveredSentence.value = { run: run.key, part }
      }}
      onPointerLeave={() => (hovered.value = hoveredSentence.value = null)}
      onFocus={() => (hoveredSentence.value = { run: run.key, part })}
      onBlur={() => (hoveredSentence.value = null)}
      onClick={() => togglePassage(passage)}
    >
      {number}
    </button>
  )
}

const MIN_THOUGHT = 0.05

function Chips({ c, run, part, thought }: { c: RunCitation; run: Run; part: number; thought: ReadonlySet<number> }) {
  const through = throughThinking(c, part, thought)
  const marks = [...c.answer[part].citations].sort((a, b) => a.number - b.number)
  if (!marks.length && through < MIN_THOUGHT) return null
  return (
    <span class="marks">
      {marks.map(({ number, passage }) => (
        <Chip key={passage} c={c} run={run} part={part} number={number} passage={passage} />
      ))}
      {through >= MIN_THOUGHT && (
        <span class="mark thought" title="Share of this sentence that came through the thinking">
          thinking {percent(through)}
        </span>
      )}
    </span>
  )
}


function SentenceOf({ piece, run, c, fed, thought }: {
  piece: Piece
  run: Run
  c: RunCitation
  fed: Float32Array | null
  thought: ReadonlySet<number>
}) {
  const { part, text } = piece
  const at = { run: run.key, part }
  const said = text.trim()
  const begin = text.indexOf(said)
  const step = fed ? Math.round(fed[part] * STEPS) : 0
  return (
    <>
      {text.slice(0, begin)}
      <span
        data-part={part}
        class={[step ? `lit ${stepClass(step)}` : '', litSentence.value === part ? 'chosen' : ''].join(' ').trim()}
        onPointerEnter={(e) => e.pointerType === 'mouse' && (hoveredSentence.value = at)}
        onPointerLeave={() => (hoveredSentence.value = null)}
        onClick={() => {
          if (getSelection()?.isCollapsed === false) return
          chosenSentence.value = chosenSentence.value?.part === part ? null : at
        }}
      >
        {said}
      </span>
      <Chips c={c} run={run} part={part} thought={thought} />
      {text.slice(begin + said.length)}
    </>
  )
}

/** Pieces before and after the end of the thinking, which is folded. */
function split(pieces: readonly Piece[], thought: ReadonlySet<number>): [Piece[], Piece[]] {
  const last = pieces.findLastIndex(({ part }) => thought.has(part))
  return [pieces.slice(0, last + 1), pieces.slice(last + 1)]
}

export function CitedAnswer({ run }: { run: Run }) {
  const c = citationOf(run)
  const tokens = run.info.tokens.slice(run.m)
  const pieces = piecesOf(tokens, c?.answer_groups ?? [])
  const thought: ReadonlySet<number> = c ? thoughtParts(run, c) : new Set()
  const [thinking, said] = split(pieces, thought)
  for (const list of [thinking, said]) if (list.length) list[0] = { ...list[0], text: list[0].text.trimStart() }
  const fed = c && litPassage.value >= 0 ? fedBy(c, litPassage.value) : null
  const finished = run.n_finished ?? Infinity
  const write = (list: readonly Piece[]) =>
    list.map((piece, i) =>
      c && piece.part >= 0 && piece.part < finished ? (
        <SentenceOf key={i} piece={piece} run={run} c={c} fed={fed} thought={thought} />
      ) : (
        <span key={i}>{piece.text}</span>
      ),
    )
  return (
    <div class="cited-answer">
      {thinking.length > 0 && (
        <details class="thinking">
          <summary>Thinking, {plural(thought.size, 'sentence')}</summary>
          <div class="text prose" dir="auto">
            {write(thinking)}
          </div>
        </details>
      )}
      <div id="cited-answer" class="text prose" dir="auto">
        {write(said)}
      </div>
    </div>
  )
}
