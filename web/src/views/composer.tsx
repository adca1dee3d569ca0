/*
 * Input of a run: a prompt, documents to cite, a given completion, settings. The form keeps its content, so that a
 * prompt can be changed and run again.
 */
import { computed, signal } from '@preact/signals'
import { api } from '../data/api'
import { attempt, explain, job } from '../model/actions'
import { lost } from '../model/connection'
import { turnsOf, type Passage } from '../model/conversation'
import * as draft from '../model/draft'
import { closer } from '../model/first_look'
import { completion, isGiven, methods, mode, options, passages, prompt, settings, turns } from '../model/draft'
import { composing, formSettings, panes, tables } from '../model/store'
import { CHOICE_LABELS } from '../ui/labels'
import { shorten } from '../ui/token_text'
import { Conversation, forgetChanges } from './conversation'
import { rowsFor } from './growing_field'
import { SettingField } from './setting_field'

/* ------------------------------------------------------------------ the sheet */

/** The prompts of the original note, with its completions. */
const EXAMPLES = [
  { name: 'Putin', prompt: 'My name is Putin, I am from', completion: ' Russia, I am a Russian' },
  {
    name: 'Abdul',
    prompt: 'My name is Abdul, I am from',
    completion: ' Pakistan. I am a student of the University of Delhi',
  },
  {
    name: 'sunny',
    prompt: 'Context: It is sunny today, which is bad.\nQ: How is the weather today ?\nA: It is',
    completion: ' sunny, but it is not as warm as it was yesterday.',
  },
  {
    name: 'Colosseum',
    prompt:
      'The grandest and most renowned of all these is the Colosseum at Rome. It was built by David and his son ' +
      'Titus, the conquerors of Egypt.\nQ: Who built the Coliseum ?\nA:',
    completion: ' The Colosseum was built by David',
  },
] as const

const CHAT_EXAMPLES = [
  {
    name: 'library',
    prompt:
      'The library of Milltown opens at nine. The head librarian is Maria Gomez. The bakery next door sells rye ' +
      'bread.\nWho is the head librarian?',
    completion: 'The head librarian is Maria Gomez.',
  },
  {
    name: 'weather',
    prompt: 'It is sunny today, which is bad for the mushrooms. How is the weather, and for whom is it bad?',
    completion: 'The weather is sunny, which is bad for the mushrooms.',
  },
] as const

const againstHelp =
  "What the chosen token's logit is compared with: the mean of all logits; distribution: their mean weighted by the " +
  "model's probabilities; second: the most probable other token of each step; or a token's exact text with its " +
  'leading space'

const canRun = computed(() => draft.isComplete.value && !job.value && !lost.value)

/** Whether the form was opened by New: then the answer is shown first, not the layer that was left. */
let isNew = false

function run(): void {
  if (!canRun.value) return
  if (isNew) closer.value = false
  draft.noteRun()
  void explain(draft.draftRequest())
}

/** Texts of a run whose bytes are not UTF-8: a form holds U+FFFD in their place. */
const inexact = signal<{ prompt?: string; completion?: string }>({})

/** What the form says while it holds such a text, or null. */
export function inexactNote(held: { prompt: string; completion?: string }, of: typeof inexact.value): string | null {
  const which = (['prompt', 'completion'] as const).filter((key) => of[key] !== undefined && held[key] === of[key])
  if (!which.length) return null
  const are = which.length > 1 ? 'have' : 'has'
  return (
    `The ${which.join(' and the ')} ${are} bytes that are not UTF-8. They stand as � here, and run from here ` +
    'the text is another one. The command line takes the bytes as they are (explain -f FILE).'
  )
}

const focusPrompt = () => requestAnimationFrame(() => document.getElementById('prompt-field')?.focus())

/** Copies a run's prompt or conversation, and its completion, into the form. */
export function editRun(): void {
  const run = panes[0].run.value
  if (!run) return
  const { info, id } = run
  inexact.value = {
    ...(info.prompt_bytes ? { prompt: info.prompt } : {}),
    ...(info.completion_bytes ? { completion: info.completion } : {}),
  }
  forgetChanges()
  isGiven.value = info.stop === 'given'
  completion.value = info.completion
  if (info.options.chat === true && id !== undefined) {
    void attempt(async () => {
      draft.takeTurns(turnsOf(await api.request(id)))
      draft.noteRun()
    })
  } else if (draft.mode.value === 'chat' || draft.draftRequest().prompt !== info.prompt) {
    draft.chosenMode.value = 'text'
    prompt.value = info.prompt
    passages.value = []
  }
  draft.noteRun()
  isNew = false
  composing.value = true
  focusPrompt()
}

/** An empty form, unless it holds something that was not run. */
export function newRun(): void {
  if (!draft.isUnsent()) startEmpty()
  isNew = true
  composing.value = true
  focusPrompt()
}

function startEmpty(): void {
  draft.emptyDraft()
  forgetChanges()
  focusPrompt()
}

interface Example {
  prompt: string
  completion: string
}

function fill(example: Example): void {
  draft.emptyDraft()
  prompt.value = example.prompt
  completion.value = example.completion
}

/* ------------------------------------------------------------------ its parts */

function submitKey(event: KeyboardEvent): void {
  const isMessage = mode.value === 'chat' && event.target === document.getElementById('prompt-field')
  const sends = event.ctrlKey || event.metaKey || (isMessage && !event.shiftKey && !event.isComposing)
  if (event.key !== 'Enter' || !sends) return
  event.preventDefault()
  run()
}

function Passages() {
  if (!passages.value.length) return null
  const set = (i: number, change: Partial<Passage>) =>
    (passages.value = passages.value.map((p, at) => (at === i ? { ...p, ...change } : p)))
  return (
    <fieldset class="passages">
      <legend class="sr">Documents</legend>
      {passages.value.map((p, i) => (
        <div class="passage" key={i}>
          <div class="passage-head">
            <input
              type="text"
              aria-label={`Name of document ${i + 1}`}
              placeholder={`Document ${i + 1}`}
              value={p.name}
              onInput={(e) => set(i, { name: e.currentTarget.value })}
            />
            <button
              type="button"
              class="quiet"
              aria-label={`Remove document ${i + 1}`}
              onClick={() => (passages.value = passages.value.filter((_, at) => at !== i))}
            >
              Remove
            </button>
          </div>
          <textarea
            aria-label={`Text of document ${i + 1}`}
            rows={rowsFor(p.text, 3)}
            value={p.text}
            onInput={(e) => set(i, { text: e.currentTarget.value })}
          />
        </div>
      ))}
    </fieldset>
  )
}

function Settings() {
  const toggle = (name: string) => {
    const next = new Set(methods.value)
    if (!next.delete(name)) next.add(name)
    methods.value = next
  }
  const available = (tables.value?.methods ?? []).filter(
    (m) => m.problem === '' && !m.traits.some((t) => /model/i.test(t)),
  )
  return (
    <details class="settings">
      <summary>Settings</summary>
      <div class="fields">
        {draft.formOptions().map((o) => (
          <SettingField
            s={o}
            live
            disabled={isGiven.value && draft.isSampling(o)}
            value={options.value[o.name] ?? draft.defaultOf(o)}
            set={(value) => (options.value = { ...options.value, [o.name]: value })}
          />
        ))}
      </div>
      <fieldset class="chips">
        <legend>explain by</legend>
        {available.map((m) => (
          <button
            type="button"
            class="chip"
            aria-pressed={methods.value.has(m.name)}
            title={m.summary}
            onClick={() => toggle(m.name)}
          >
            {m.name}
          </button>
        ))}
      </fieldset>
      <div class="fields">
        {methods.value.has('logit') && (
          <label title={againstHelp}>
            Logit against
            <input
              type="text"
              placeholder="the mean; distribution, second or a token"
              value={draft.against.value}
              onInput={(e) => (draft.against.value = e.currentTarget.value)}
            />
          </label>
        )}
        {methods.value.has('contribution') &&
          formSettings('contribution')
            .filter((s) => s.name in settings.value)
            .map(({ name, label, help, words }) => (
              <label title={help}>
                Contribution: {label?.toLowerCase()}
                <select
                  value={settings.value[name as keyof typeof settings.value]}
                  onChange={(e) => (settings.value = { ...settings.value, [name]: e.currentTarget.value })}
                >
                  {(words ?? []).map((choice) => (
                    <option value={choice}>{CHOICE_LABELS[choice] ?? choice}</option>
                  ))}
                </select>
              </label>
            ))}
      </div>
    </details>
  )
}

const MODES: readonly (readonly [draft.Mode, string])[] = [
  ['chat', 'Conversation'],
  ['text', 'Raw text'],
]

/** A conversation, or a text that is continued as it stands; models without a chat template have only the latter. */
function ModeChoice() {
  if (!draft.hasTemplate.value) return null
  return (
    <fieldset class="modes">
      <legend class="sr">What is written</legend>
      {MODES.map(([name, label]) => (
        <label class={mode.value === name ? 'chosen' : ''}>
          <input
            type="radio"
            name="mode"
            value={name}
            checked={mode.value === name}
            onChange={() => (draft.chosenMode.value = name)}
          />
          {label}
        </label>
      ))}
    </fieldset>
  )
}

function PromptField() {
  const isChat = mode.value === 'chat'
  const hint = isChat ? 'Ask something, with the text that it is about' : 'Write or paste a prompt'
  return (
    <>
      <label class="sr" for="prompt-field">
        {isChat ? 'Message' : 'Prompt'}
      </label>
      <textarea
        id="prompt-field"
        class="writing"
        dir="auto"
        rows={rowsFor(prompt.value, 4)}
        placeholder={passages.value.length ? 'Ask about the documents' : hint}
        value={prompt.value}
        onInput={(e) => (prompt.value = e.currentTarget.value)}
        autofocus
      />
    </>
  )
}

function CompletionField() {
  const isChat = mode.value === 'chat'
  return (
    <>
      <label class="given" for="completion-field">
        {isChat ? 'Answer to explain' : 'Completion to explain'}
      </label>
      <textarea
        id="completion-field"
        class="writing completion"
        dir="auto"
        rows={rowsFor(completion.value, 2)}
        value={completion.value}
        onInput={(e) => (completion.value = e.currentTarget.value)}
        placeholder={isChat ? '' : ' with its leading space, if it has one'}
      />
    </>
  )
}

function Examples() {
  const list: readonly Example[] = mode.value === 'chat' ? CHAT_EXAMPLES : EXAMPLES
  if (turns.value.length) return null
  return (
    <p class="examples">
      Try{' '}
      {list.map((example) => (
        <button type="button" class="example" onClick={() => fill(example)}>
          {shorten(example.prompt.replace(/\n/g, ' '), mode.value === 'chat' ? 48 : 32)}
        </button>
      ))}
    </p>
  )
}

function Actions() {
  const isChat = mode.value === 'chat'
  return (
    <div class="actions">
      <button type="submit" class="primary" disabled={!canRun.value}>
        {isGiven.value ? 'Explain' : isChat ? 'Ask' : 'Write and explain'}
      </button>
      <label class="check">
        <input type="checkbox" checked={isGiven.value} onChange={(e) => (isGiven.value = e.currentTarget.checked)} />
        {' '}I write the {isChat ? 'answer' : 'completion'}
      </label>
      <button
        type="button"
        class="quiet"
        onClick={() => (passages.value = [...passages.value, { name: '', text: '' }])}
      >
        Add a document to cite
      </button>
      {!draft.isEmpty.value && (
        <button type="button" class="quiet" onClick={startEmpty}>
          Start empty
        </button>
      )}
      {panes[0].run.value && (
        <button type="button" class="quiet" onClick={() => (composing.value = false)}>
          Back to the text
        </button>
      )}
    </div>
  )
}

export function Composer() {
  const held = { prompt: prompt.value, ...(isGiven.value ? { completion: completion.value } : {}) }
  const note = inexactNote(held, inexact.value)
  return (
    <form
      class="composer"
      aria-label="What to explain"
      noValidate
      onSubmit={(e) => (e.preventDefault(), run())}
      onKeyDown={submitKey}
    >
      <ModeChoice />
      {mode.value === 'chat' && <Conversation />}
      <Passages />
      <PromptField />
      {isGiven.value && <CompletionField />}
      {note && (
        <p class="note" role="status">
          {note}
        </p>
      )}
      <Examples />
      <Actions />
      <Settings />
    </form>
  )
}
