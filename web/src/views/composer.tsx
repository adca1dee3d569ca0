/*
 * Input of a run: a prompt, documents to cite, a given completion, settings. The form keeps its content, so that a
 * prompt can be changed and run again.
 */
import { computed, signal } from '@preact/signals'
import type { ExplainRequest, RunOptions, SettingInfo, Span } from '../data/api'
import { explain, job } from '../model/actions'
import { composing, formSettings, panes, status, tables } from '../model/store'
import { codePoints, shorten } from '../ui/token_text'
import { CHOICE_LABELS } from '../ui/labels'
import { SettingField } from './setting_field'

/* ------------------------------------------------------------------ the sheet */

interface Passage {
  name: string
  text: string
}

const prompt = signal('')
const completion = signal('')
const isGiven = signal(false)
const passages = signal<Passage[]>([])
/** Options of the run that differ from their defaults, by name. */
const options = signal<RunOptions>({})
/** Another token's exact text, "second", or nothing. */
const against = signal('')
/** Settings that must be chosen before the run is made. */
const settings = signal({ measure: 'projection', aggregate: 'mean' })
const methods = signal<ReadonlySet<string>>(new Set(['logit', 'rollout', 'contribution', 'attention']))

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

const againstHelp =
  "What the chosen token's logit is compared with: the mean of all logits; distribution: their mean weighted by the " +
  "model's probabilities; second: the most probable other token of each step; or a token's exact text with its " +
  'leading space'

/** Documents first, each followed by an empty line, then the question; spans in code points. */
export function assemble(documents: readonly Passage[], question: string): { prompt: string; spans: Span[] } {
  const spans: Span[] = []
  let text = ''
  documents.forEach(({ name, text: body }, i) => {
    if (!body.trim()) return
    const begin = codePoints(text)
    text += body.trim()
    spans.push({ name: name.trim() || `Document ${i + 1}`, begin, end: codePoints(text) })
    text += '\n\n'
  })
  return { prompt: text + question, spans }
}

const assembled = computed(() => assemble(passages.value, prompt.value))

/** The options that a form offers. */
const formOptions = (): SettingInfo[] =>
  (tables.value?.options ?? []).filter(
    (o) => o.label !== null && (o.name !== 'chat' || status.value?.model?.has_chat_template !== false),
  )

/** Whether an option is about how tokens are generated, and has no effect on a given completion. */
const isSampling = ({ type }: SettingInfo) => type === 'number' || type === 'whole'

function request(): ExplainRequest {
  const { prompt: text, spans } = assembled.value
  const sent = formOptions().filter((o) => o.name in options.value && !(isGiven.value && isSampling(o)))
  return {
    prompt: text,
    ...(isGiven.value ? { completion: completion.value } : {}),
    options: {
      ...Object.fromEntries(sent.map(({ name }) => [name, options.value[name]])),
      ...(against.value ? { against: against.value } : {}),
    },
    ...(spans.length ? { spans } : {}),
    methods: [...methods.value],
    settings: settings.value,
  }
}

const canRun = computed(
  () =>
    assembled.value.prompt !== '' &&
    methods.value.size > 0 &&
    (!isGiven.value || completion.value !== '') &&
    !job.value,
)

function run(): void {
  if (!canRun.value) return
  ran = assembled.value.prompt
  void explain(request())
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

/** Copies a run's prompt and completion into the form. */
export function editRun(): void {
  const info = panes[0].run.value?.info
  inexact.value = {
    ...(info?.prompt_bytes ? { prompt: info.prompt } : {}),
    ...(info?.completion_bytes ? { completion: info.completion } : {}),
  }
  if (info && assembled.value.prompt !== info.prompt) {
    prompt.value = info.prompt
    passages.value = []
    isGiven.value = info.stop === 'given'
  }
  if (info) completion.value = info.completion
  ran = info?.prompt ?? ''
  composing.value = true
  requestAnimationFrame(() => document.getElementById('prompt-field')?.focus())
}

/** The prompt that was run last; another one is a draft, which New keeps. */
let ran = ''

export function newRun(): void {
  if (assembled.value.prompt === ran || composing.value) {
    prompt.value = completion.value = ''
    passages.value = []
    isGiven.value = false
  }
  composing.value = true
  requestAnimationFrame(() => document.getElementById('prompt-field')?.focus())
}

function fill(example: (typeof EXAMPLES)[number]): void {
  prompt.value = example.prompt
  completion.value = example.completion
  passages.value = []
}

/* ------------------------------------------------------------------ its parts */

const rowsFor = (text: string, min: number) =>
  Math.min(14, Math.max(min, text.split('\n').length + Math.floor(text.length / 80)))

function submitKey(event: KeyboardEvent): void {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
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
        {formOptions().map((o) => (
          <SettingField
            s={o}
            live
            disabled={isGiven.value && isSampling(o)}
            value={options.value[o.name] ?? o.default}
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
              value={against.value}
              onInput={(e) => (against.value = e.currentTarget.value)}
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
      <Passages />
      <label class="sr" for="prompt-field">
        Prompt
      </label>
      <textarea
        id="prompt-field"
        class="writing"
        rows={rowsFor(prompt.value, 4)}
        placeholder={passages.value.length ? 'Ask about the documents' : 'Write or paste a prompt'}
        value={prompt.value}
        onInput={(e) => (prompt.value = e.currentTarget.value)}
        autofocus
      />
      {isGiven.value && (
        <>
          <label class="given" for="completion-field">
            Completion to explain
          </label>
          <textarea
            id="completion-field"
            class="writing completion"
            rows={rowsFor(completion.value, 2)}
            value={completion.value}
            onInput={(e) => (completion.value = e.currentTarget.value)}
            placeholder=" with its leading space, if it has one"
          />
        </>
      )}
      {note && (
        <p class="note" role="status">
          {note}
        </p>
      )}
      <p class="examples">
        Try{' '}
        {EXAMPLES.map((example) => (
          <button type="button" class="example" onClick={() => fill(example)}>
            {shorten(example.prompt.replace(/\n/g, ' '), 32)}
          </button>
        ))}
      </p>
      <div class="actions">
        <button type="submit" class="primary" disabled={!canRun.value}>
          {isGiven.value ? 'Explain' : 'Write and explain'}
        </button>
        <label class="check">
          <input type="checkbox" checked={isGiven.value} onChange={(e) => (isGiven.value = e.currentTarget.checked)} />
          {' '}I write the completion
        </label>
        <button
          type="button"
          class="quiet"
          onClick={() => (passages.value = [...passages.value, { name: '', text: '' }])}
        >
          Add a document to cite
        </button>
        {panes[0].run.value && (
          <button type="button" class="quiet" onClick={() => (composing.value = false)}>
            Back to the text
          </button>
        )}
      </div>
      <Settings />
    </form>
  )
}
