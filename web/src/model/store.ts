/*
 * State of the page: the loaded runs, the view settings, and values derived from both.
 *
 * A pane is one run with one method. There are two; the second is shown for comparing methods or runs. All numbers that
 * a pane draws are computed here with the pure functions of aggregate.ts when their inputs change.
 */
import { computed, effect, signal } from '@preact/signals'
import type { SettingInfo, SettingValue, MethodInfo, SavedRun, Status, Tables } from '../data/api'
import { PALETTES, tint, type Theme } from '../draw/colour'
import { cutOf, explainedTokens, identity, type Attribution, type Run } from '../data/document'
import * as aggregate from './aggregate'
import { isRest, label, shownText, tokenTexts } from '../ui/token_text'

/* ------------------------------------------------------------------ what there is */

/** Whether the page is served by a server; a report is not. */
export const served = signal(false)
export const status = signal<Status | null>(null)
export const tables = signal<Tables | null>(null)
export const saved = signal<SavedRun[]>([])
export const runs = signal<Run[]>([])
export const problem = signal('')
/** The interrupted run that is shown; `key`: its tokens so far, '' if the page has none. */
export const failed = signal<{ run: SavedRun; key: string } | null>(null)

export const methodInfo = (name: string): MethodInfo | undefined => tables.value?.methods.find((m) => m.name === name)

export function putRun(run: Run): void {
  const at = runs.value.findIndex((r) => r.key === run.key)
  runs.value = at < 0 ? [...runs.value, run] : runs.value.map((r, i) => (i === at ? run : r))
}

export function dropRun(key: string): void {
  runs.value = runs.value.filter((r) => r.key !== key)
  for (const pane of panes) if (pane.key.value === key) pane.key.value = ''
}

/** A long prompt is abbreviated to its beginning. */
export const runTitle = (run: Run) =>
  run.name || label(shownText(run.info.prompt, run.info.prompt_bytes).trim().slice(0, 60)) || 'Untitled'

/* ------------------------------------------------------------------ how it is looked at */

export const composing = signal(true)
export const unitName = signal('token')
export const hide = signal<ReadonlySet<string>>(new Set())
/** The chosen layers as fractions of the depth, 0..1. */
export const depth = signal<readonly [number, number]>([0, 1])
export const comparing = signal(false)
/** The pane that keyboard commands apply to. */
export const active = signal(0)
export const chart = signal('bars')
/** On a phone controls are folded. */
export const narrow = signal(false)
export const colourMap = signal('tint')
export const theme = signal<Theme>('light')
export const palette = computed(() => PALETTES[theme.value])
/** The colour of every step, from -STEPS on. */
export const tints = computed(() =>
  Array.from({ length: 2 * aggregate.STEPS + 1 }, (_, i) => tint(palette.value, i - aggregate.STEPS)),
)

/** Rows [from, to] of the selection, by run: two methods of one run share it. */
const selections = signal<Record<string, readonly [number, number]>>({})

export function select(key: string, from: number, to = from): void {
  const now = selections.value[key]
  if (now && now[0] === Math.min(from, to) && now[1] === Math.max(from, to)) return
  selections.value = { ...selections.value, [key]: [Math.min(from, to), Math.max(from, to)] }
}

/** The highlighted prompt unit: under the pointer, or pinned by a click or the keyboard. */
export interface Look {
  run: string
  unit: number
}
export const hovered = signal<Look | null>(null)
export const pinned = signal<Look | null>(null)

/* ------------------------------------------------------------------ attributions by name */

const settingTable = (): SettingInfo[] => tables.value?.settings ?? []

/** Whether a setting changes the result of a method; a report without tables does not know. */
export function isApplied(method: string, { traits }: SettingInfo): boolean {
  const of = methodInfo(method)?.traits
  return !traits.length || !of || traits.some((trait) => of.includes(trait))
}

/** The settings of a method shown in forms. */
export const formSettings = (method: string): SettingInfo[] =>
  settingTable().filter((s) => s.label !== null && isApplied(method, s))

/** The text that a non-default setting adds to a name; '' if it adds none. */
function settingText(s: SettingInfo, value: SettingValue | undefined): string {
  if (s.before === null || value === undefined || String(value) === String(s.default)) return ''
  return s.type === 'flag' ? s.before : `${s.before}${String(value)}${s.after ?? ''}`
}

function grouping(run: Run, a: Attribution): string[] {
  if (!a.settings.groups) return []
  const cut = cutOf(run, a)
  return [cut ? `by ${cut}` : `in ${a.settings.n_groups} parts`]
}

function describe(run: Run, a: Attribution): string {
  const settings = a.settings as unknown as Record<string, SettingValue | undefined>
  const changed = settingTable()
    .filter((s) => isApplied(a.method, s))
    .map((s) => settingText(s, settings[s.name]))
  return [a.method, ...grouping(run, a), ...changed.filter(Boolean)].join(', ')
}

const names = new WeakMap<Run, Map<Attribution, string>>()

function namesOf(run: Run): Map<Attribution, string> {
  const known = names.get(run)
  if (known) return known
  const made = new Map<Attribution, string>()
  const uses = new Map<string, number>()
  for (const a of run.attributions) {
    const name = describe(run, a)
    const use = (uses.get(name) ?? 0) + 1
    uses.set(name, use)
    made.set(a, use > 1 ? `${name} (${use})` : name)
  }
  names.set(run, made)
  return made
}

/** "rollout", or "rollout, own row" for a non-default setting: unique within a run. */
export const variantName = (run: Run, a: Attribution): string => namesOf(run).get(a) ?? describe(run, a)

/* ------------------------------------------------------------------ panes */

const NONE = new Float32Array(0)

export class Pane {
  readonly key = signal('')
  /** identity() of the attribution. */
  readonly method = signal('')

  constructor(readonly index: number) {}

  readonly run = computed(() => runs.value.find((r) => r.key === this.key.value))

  readonly attribution = computed<Attribution | undefined>(() => {
    const list = this.run.value?.attributions ?? []
    return list.find((a) => identity(a) === this.method.value) ?? list[0]
  })

  /** The attribution's name within its run. */
  readonly name = computed(() =>
    this.run.value && this.attribution.value ? variantName(this.run.value, this.attribution.value) : '',
  )

  /** Texts of the m prompt tokens, and of the tokens that rows explain. */
  readonly promptTexts = computed(() => tokenTexts(this.run.value?.info.tokens.slice(0, this.run.value.m) ?? []))
  readonly answer = computed(() => {
    const run = this.run.value
    if (!run) return { first: 0, tokens: [], texts: [] as string[] }
    const { first, tokens } = explainedTokens(run)
    return { first, tokens, texts: tokenTexts(tokens) }
  })

  /** The first explained token's index in `answer`: 0 unless the file explains only some tokens. */
  readonly offset = computed(() => (this.attribution.value?.first ?? 0) - this.answer.value.first)

  readonly range = computed<aggregate.Range>(() => {
    const L = this.attribution.value?.L ?? 1
    const from = Math.min(L - 1, Math.round(depth.value[0] * L))
    return [from, Math.max(from + 1, Math.round(depth.value[1] * L))]
  })

  /** [n, m] over the chosen layers. */
  readonly mean = computed(() =>
    this.attribution.value ? aggregate.meanOverLayers(this.attribution.value, this.range.value) : NONE,
  )

  /** Whether the user selected rows; else the whole answer is. */
  readonly isChosen = computed(() => this.key.value in selections.value)

  /** Selected rows, both inclusive, as far as they are explained; null: none. */
  readonly selection = computed<readonly [number, number] | null>(() => {
    const a = this.attribution.value
    const chosen = selections.value[this.key.value]
    if (!a || a.n === 0) return null
    const [from, to] = chosen ?? [0, Infinity]
    const inside = (i: number) => Math.min(a.n - 1, Math.max(0, i - this.offset.value))
    return [inside(from), inside(to)]
  })

  readonly values = computed(() => {
    const chosen = this.selection.value
    return chosen ? aggregate.meanOverRows(this.mean.value, this.attribution.value!.m, ...chosen) : NONE
  })

  /* How prompt tokens are grouped; a method that was run on groups has those and no others. */
  readonly units = computed<aggregate.Units>(() => {
    const run = this.run.value
    const texts = this.promptTexts.value
    const { groups, n_groups, group_names } = this.attribution.value?.settings ?? {}
    if (groups && n_groups)
      return aggregate.groupUnits(groups, n_groups, texts, group_names, (k) => isRest(run?.info.tokens[k], texts[k]))
    const cut = run?.cuts.prompt[unitName.value]
    return run && cut && unitName.value !== 'token'
      ? aggregate.cutUnits(unitName.value, cut, run.m)
      : aggregate.tokenUnits(texts)
  })

  readonly isGrouped = computed(() => Boolean(this.attribution.value?.settings.groups))

  readonly hidden = computed(() =>
    aggregate.hiddenTokens(this.run.value?.filters ?? {}, hide.value, this.run.value?.m ?? 0),
  )
  readonly hiddenUnits = computed(() => aggregate.hiddenUnits(this.units.value, this.hidden.value))

  /** [units] for the selection, without hidden tokens. */
  readonly unitValues = computed(() => {
    const values = this.values.value
    if (!this.isGrouped.value) return aggregate.sumByUnit(values, this.units.value, this.hidden.value)
    return values.map((v, u) => (this.hiddenUnits.value[u] ? 0 : v))
  })

  readonly hiddenMass = computed(() =>
    aggregate.hiddenMass(this.values.value, this.isGrouped.value ? this.hiddenUnits.value : this.hidden.value),
  )

  /** Units that do not set the scale: that of token 0, and that of the explained position at the end of the prompt. */
  readonly outliers = computed(() => {
    const of = this.units.value.of
    const out = new Set<number>()
    if (unitName.value !== 'token' || this.isGrouped.value || of.length < 3) return out
    out.add(of[0])
    const own =
      this.attribution.value?.settings.row === 'own' ? -1 : this.selection.value?.[0] === 0 ? of.length - 1 : -1
    if (own >= 0) out.add(of[own])
    return out
  })

  /** Full strength of this pane's values alone. */
  readonly ownScale = computed(() => aggregate.scaleOf(this.unitValues.value, (u) => this.outliers.value.has(u)))
  readonly scale = computed(() => commonScale.value || this.ownScale.value)

  /** The outliers beyond full strength. */
  readonly beyond = computed(() =>
    [...this.outliers.value].filter((u) => Math.abs(this.unitValues.value[u]) > this.scale.value),
  )

  readonly strongest = computed(() => aggregate.strongest(this.unitValues.value, this.hiddenUnits.value, 10))

  /** The unit under the pointer, else the pinned one. */
  readonly look = computed(() => {
    for (const look of [hovered.value, pinned.value])
      if (look?.run === this.key.value && look.unit < this.units.value.count) return look.unit
    return -1
  })

  /** [n] what each explained token took from the highlighted unit; null: no unit is highlighted. */
  readonly contributions = computed(() => {
    const a = this.attribution.value
    const unit = this.look.value
    if (unit < 0 || !a) return null
    const of = this.units.value.of
    return aggregate.takenFrom(
      this.mean.value,
      a.n,
      a.m,
      this.isGrouped.value ? (k) => k === unit : (k) => of[k] === unit,
    )
  })

  readonly isShares = computed(() => isShares(this.attribution.value?.method ?? ''))
}

const NATS = new Set(['logit', 'leave-one-out', 'ablation'])
const GIVES_SHARES = /shares/i

/** Whether values are shares of 1; else they are nats. */
function isShares(method: string): boolean {
  const info = methodInfo(method)
  return info ? info.traits.some((t) => GIVES_SHARES.test(t)) : !NATS.has(method)
}

export const panes = [new Pane(0), new Pane(1)] as const
export const shownPanes = computed(() => (comparing.value && panes[1].run.value ? [...panes] : [panes[0]]))
/** Whether two panes with values of one method share a scale. */
export const oneScale = signal(true)

/** Whether both panes are shown, with values of the same kind. */
export const isComparable = computed(() => {
  const [left, right] = panes
  return shownPanes.value.length > 1 && left.attribution.value?.method === right.attribution.value?.method
})
const commonScale = computed(() =>
  oneScale.value && isComparable.value ? Math.max(...panes.map((pane) => pane.ownScale.value)) : 0,
)
export const activePane = computed(() => shownPanes.value[active.value] ?? panes[0])

/** Shows a run in a pane, with the method and settings shown in `like`, else with one of the same name, else with the
 * run's first. */
export function show(pane: Pane, key: string, like = pane): void {
  const { name } = like
  const [method, called] = [like.attribution.value && identity(like.attribution.value), name.value]
  const run = runs.value.find((r) => r.key === key)
  const list = run?.attributions ?? []
  const found =
    list.find((a) => identity(a) === method) ?? list.find((a) => run && variantName(run, a) === called) ?? list[0]
  pane.key.value = key
  pane.method.value = found ? identity(found) : ''
  pinned.value = hovered.value = null
}

/* ------------------------------------------------------------------ remembered between visits */

export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(`headwater-${key}`)
  } catch {
    return null // a report opened from file:// may have no storage
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`headwater-${key}`, value)
  } catch {
    return
  }
}

export function restore(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const chosen = remembered('theme')
  theme.value = chosen === 'dark' || chosen === 'light' ? chosen : dark.matches ? 'dark' : 'light'
  dark.addEventListener('change', () => remembered('theme') || (theme.value = dark.matches ? 'dark' : 'light'))
  const phone = matchMedia('(max-width: 44rem)')
  narrow.value = phone.matches
  phone.addEventListener('change', () => (narrow.value = phone.matches))
  colourMap.value = remembered('map') ?? colourMap.value
  effect(() => remember('map', colourMap.value))
}
