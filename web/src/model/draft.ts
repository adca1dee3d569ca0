/*
 * What is being written: a conversation or a raw text, documents, a given completion, settings. It stays until it is
 * emptied: New, a reload, a look at another run and a lost server leave it.
 */
import { computed, effect, signal } from '@preact/signals'
import type { ExplainRequest, RunOptions, SettingInfo } from '../data/api'
import { assemble, messagesOf, type Passage, type Turn } from './conversation'
import { remember, remembered, status, tables } from './store'

/** Raw text is continued as it stands; a conversation goes through the model's chat template. */
export type Mode = 'chat' | 'text'

export const chosenMode = signal<Mode>('chat')
export const hasTemplate = computed(() => status.value?.model?.has_chat_template === true)
export const mode = computed<Mode>(() => (hasTemplate.value ? chosenMode.value : 'text'))

/** Turns before the message that is being written. */
export const turns = signal<Turn[]>([])
/** The raw text, or the message that is being written. */
export const prompt = signal('')
export const completion = signal('')
export const isGiven = signal(false)
export const passages = signal<Passage[]>([])
/** Options of the run that differ from their defaults, by name. */
export const options = signal<RunOptions>({})
/** Another token's exact text, "second", or nothing. */
export const against = signal('')
/** Settings that must be chosen before the run is made. */
export const settings = signal({ measure: 'projection', aggregate: 'mean' })
export const methods = signal<ReadonlySet<string>>(new Set(['logit', 'rollout', 'contribution', 'attention']))

/** Tokens of a chat's answer, unless chosen: an answer is longer than a completion. */
const CHAT_TOKENS = 128

/** The default of an option in the form. */
export const defaultOf = (o: SettingInfo) =>
  o.name === 'n_generate' && mode.value === 'chat' ? CHAT_TOKENS : o.default

/** The options that a form offers; the mode says whether the template is applied. */
export const formOptions = (): SettingInfo[] =>
  (tables.value?.options ?? []).filter(
    (o) => o.label !== null && o.name !== 'chat' && (o.name !== 'thinking' || mode.value === 'chat'),
  )

/** Whether an option is about how tokens are generated, and has no effect on a given completion. */
export const isSampling = ({ type }: SettingInfo) => type === 'number' || type === 'whole'

const allTurns = (): Turn[] => [...turns.value, { role: 'user', text: prompt.value, documents: passages.value }]

/** What is asked: a prompt or messages, with the spans of the documents. */
function text(): Pick<ExplainRequest, 'prompt' | 'messages' | 'spans'> {
  const { spans, ...made } =
    mode.value === 'chat' ? messagesOf(allTurns()) : assemble(passages.value, prompt.value)
  return { ...made, ...(spans.length ? { spans } : {}) }
}

function chosenOptions(): RunOptions {
  const sent = formOptions().filter(
    (o) => (o.name in options.value || defaultOf(o) !== o.default) && !(isGiven.value && isSampling(o)),
  )
  return Object.fromEntries(sent.map((o) => [o.name, options.value[o.name] ?? defaultOf(o)]))
}

export function draftRequest(): ExplainRequest {
  return {
    ...text(),
    ...(isGiven.value ? { completion: completion.value } : {}),
    options: { ...chosenOptions(), ...(against.value ? { against: against.value } : {}) },
    methods: [...methods.value],
    settings: settings.value,
  }
}

/** Whether there is something to ask: in a conversation its last turn must be a message to answer. */
export const isComplete = computed(() => {
  const { prompt: written = '', messages } = text()
  const asks = messages ? messages[messages.length - 1]?.role === 'user' : written !== ''
  return asks && methods.value.size > 0 && (!isGiven.value || completion.value !== '')
})

/** The text of the draft, for comparing it with what was run. */
export const written = computed(() => JSON.stringify(text()))
export const isEmpty = computed(
  () => !turns.value.length && !passages.value.length && !prompt.value && !completion.value,
)

/** What was run last; anything else is a draft, which New keeps. */
let ran = ''

export function noteRun(): void {
  ran = written.value
}

export const isUnsent = () => written.value !== ran && !isEmpty.value

export function emptyDraft(): void {
  turns.value = []
  passages.value = []
  prompt.value = completion.value = ''
  isGiven.value = false
}

/** Takes the turns of a conversation: the last message of the user is the one that is being written. */
export function takeTurns(all: readonly Turn[]): void {
  const last = all[all.length - 1]
  const isAsked = last?.role === 'user'
  chosenMode.value = 'chat'
  turns.value = isAsked ? all.slice(0, -1) : [...all]
  prompt.value = isAsked ? last.text : ''
  passages.value = isAsked ? (last.documents ?? []) : []
}

/* ------------------------------------------------------------------ kept in this tab */

const KEY = 'headwater-draft'
const KEPT = { turns, prompt, completion, isGiven, passages, options, against }

function readKept(): void {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as Record<string, unknown>
    for (const [name, at] of Object.entries(KEPT))
      if (typeof kept[name] === typeof at.value) (at as { value: unknown }).value = kept[name]
  } catch {
    emptyDraft() // not what this page wrote
  }
}

export function keepDraft(): void {
  readKept()
  chosenMode.value = remembered('writing') === 'text' ? 'text' : 'chat'
  effect(() => remember('writing', chosenMode.value))
  effect(() => {
    const kept = Object.fromEntries(Object.entries(KEPT).map(([name, { value }]) => [name, value]))
    try {
      sessionStorage.setItem(KEY, JSON.stringify(kept))
    } catch {
      return // full, or not allowed
    }
  })
}
