/*
 * View settings: method, units, hidden tokens, layers. One line of controls above the text.
 */
import {
  methodInfo,
  comparing,
  depth,
  hide,
  panes,
  runs,
  runTitle,
  served,
  shownPanes,
  tables,
  unitName,
  variantName,
  formSettings,
  type Pane,
} from '../model/store'
import * as state from '../model/store'
import { busy, explainBy, explainWith, openRun } from '../model/actions'
import { cutOf, identity, type Attribution } from '../data/document'
import type { SettingValue } from '../data/api'
import { amount, FILTER_LABELS, UNIT_LABELS } from '../ui/labels'
import { plural } from '../ui/token_text'
import { SettingField } from './setting_field'

/* ------------------------------------------------------------------ method */

/** Methods that the pane's run does not have, and that the server could compute. */
function further(pane: Pane): { name: string; problem: string }[] {
  const run = pane.run.value
  if (!served.value || run?.id === undefined) return []
  const has = new Set(
    run.attributions.map((a) => [a.method, cutOf(run, a) ?? (a.settings.groups ? '?' : '')].join(' ')),
  )
  return (tables.value?.methods ?? []).filter((m) => !has.has([m.name, partsFor(m.name) ?? ''].join(' ')))
}

const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)

const runsModel = (name: string) => methodInfo(name)?.traits.includes('model') ?? false

/** Parts for a new explanation: only methods that run the model again use the shown parts. */
const partsFor = (name: string) => (runsModel(name) && unitName.value !== 'token' ? unitName.value : undefined)

function choose(pane: Pane, value: string): void {
  const [kind, name] = [value.slice(0, 1), value.slice(1)]
  const run = pane.run.value
  const chosen = run?.attributions.find((a) => variantName(run, a) === name)
  const by = partsFor(name)
  if (kind === '+') void explainBy(pane, name, by ? { by } : {})
  else if (chosen) pane.method.value = identity(chosen)
}

export function MethodPicker({ pane }: { pane: Pane }) {
  const run = pane.run.value
  const list = run?.attributions ?? []
  const now = pane.attribution.value
  const more = further(pane)
  const info = now && methodInfo(now.method)
  return (
    <div class="method">
      <select
        aria-label={comparing.value ? `Method ${pane.index === 0 ? 'on the left' : 'on the right'}` : 'Method'}
        value={now ? `=${pane.name.value}` : ''}
        disabled={busy.value !== ''}
        onChange={(e) => choose(pane, e.currentTarget.value)}
      >
        {list.map((a, i) => (
          <option value={`=${variantName(run!, a)}`}>
            {variantName(run!, a)}
            {i < 9 ? `  (${i + 1})` : ''}
          </option>
        ))}
        {more.length > 0 && (
          <optgroup label="Explain it by">
            {more.map((m) => (
              <option value={`+${m.name}`} disabled={m.problem !== ''}>
                {m.name}
                {m.problem ? ': not with this model' : ''}
              </option>
            ))}
          </optgroup>
        )}
      </select>
      {busy.value && (
        <span class="working" role="status">
          explaining by {busy.value}…
        </span>
      )}
      {info && !busy.value && (
        <span class="summary">
          {capital(info.summary)}. <span class="limitations">Does not show {info.limitations}.</span>
        </span>
      )}
      {now && served.value && run?.id !== undefined && <Settings pane={pane} a={now} />}
    </div>
  )
}

function Settings({ pane, a }: { pane: Pane; a: Attribution }) {
  const now = a.settings as unknown as Record<string, SettingValue | undefined>
  const fields = formSettings(a.method)
  if (!fields.length) return null
  return (
    <details class="method-settings">
      <summary>settings</summary>
      <div class="fields">
        {fields.map((s) => (
          <SettingField
            s={s}
            label={s.type === 'flag' ? s.label?.toLowerCase() : undefined}
            value={now[s.name] ?? s.default}
            set={(value) => void explainWith(pane, { [s.name]: value })}
          />
        ))}
      </div>
    </details>
  )
}

/* ------------------------------------------------------------------ units, filters, layers */

function UnitPicker() {
  const cuts = new Set(panes.flatMap((pane) => Object.keys(pane.run.value?.cuts.prompt ?? {})))
  const names = ['token', ...Object.keys(UNIT_LABELS).filter((name) => name !== 'token' && cuts.has(name))]
  if (panes[0].isGrouped.value) return <span class="note">by the parts it ran with</span>
  return (
    <label>
      <span>by</span>
      <select aria-label="Units" value={unitName.value} onChange={(e) => (unitName.value = e.currentTarget.value)}>
        {names.map((name) => (
          <option value={name}>{UNIT_LABELS[name].toLowerCase()}</option>
        ))}
      </select>
    </label>
  )
}

export function toggleFilter(name: string): void {
  const next = new Set(hide.value)
  if (!next.delete(name)) next.add(name)
  hide.value = next
}

/** Only filters that select a shown token. */
function Filters() {
  const shown = shownPanes.value
  const names = [...new Set(shown.flatMap((pane) => Object.keys(pane.run.value?.filters ?? {})))]
  const useful = names.filter(
    (name) => hide.value.has(name) || shown.some((pane) => pane.run.value?.filters[name]?.length),
  )
  if (!useful.length) return null
  return (
    <fieldset class="chips">
      <legend>hide</legend>
      {useful.map((name) => (
        <button
          type="button"
          class="chip"
          aria-pressed={hide.value.has(name)}
          title={tables.value?.filters.find((f) => f.name === name)?.summary}
          onClick={() => toggleFilter(name)}
        >
          {FILTER_LABELS[name] ?? name}
        </button>
      ))}
      {hide.value.size > 0 && <output class="mass">{hiddenText(shown)}</output>}
    </fieldset>
  )
}

function hiddenText(shown: readonly Pane[]): string {
  return shown
    .map(
      (pane) =>
        `${amount(pane.hiddenMass.value, pane.isShares.value)} in ${plural(
          pane.hidden.value.reduce((sum, h) => sum + h, 0),
          'token',
        )}`,
    )
    .map((text, i) => (shown.length > 1 ? `${i ? 'right' : 'left'} ${text}` : `hides ${text}`))
    .join('; ')
}

function Layers() {
  const a = panes[0].attribution.value
  const L = a?.L ?? 1
  if (L < 2) return null
  const [from, to] = panes[0].range.value
  const set = (begin: number, end: number) => (depth.value = [Math.min(begin, L - 1) / L, Math.max(end, begin + 1) / L])
  const thumb = (which: string, value: number, change: (v: number) => void) => (
    <input
      type="range"
      aria-label={`${which} layer`}
      min="1"
      max={L}
      step="1"
      value={value}
      onInput={(e) => change(e.currentTarget.valueAsNumber)}
    />
  )
  return (
    <div class="layers" role="group" aria-label="Layers">
      <span>
        layers {from + 1}–{to} <small>of {L}</small>
      </span>
      <span class="range" style={{ '--from': from / L, '--to': to / L }}>
        {thumb('First', from + 1, (v) => set(Math.min(v, to) - 1, to))}
        {thumb('Last', to, (v) => set(from, Math.max(v, from + 1)))}
      </span>
    </div>
  )
}

/* ------------------------------------------------------------------ comparing */

/** The second pane: another method of the same run, or another run. */
export function startComparing(): void {
  const [left, right] = panes
  if (!right.run.value || right.key.value === left.key.value) {
    const now = left.attribution.value
    const other = left.run.value?.attributions.find((a) => a !== now)
    state.show(right, left.key.value)
    if (other) right.method.value = identity(other)
  }
  comparing.value = true
}

export function stopComparing(): void {
  comparing.value = false
  state.active.value = 0
}

export function RunPicker({ pane }: { pane: Pane }) {
  const loaded = runs.value
  const others = state.saved.value.filter((s) => !s.failure && !loaded.some((r) => r.id === s.id))
  if (loaded.length + others.length < 2) return null
  const open = (value: string) =>
    value.startsWith('#') ? void openRun(Number(value.slice(1)), pane) : state.show(pane, value, panes[0])
  return (
    <span class="run-picker">
      <select
        aria-label={!comparing.value ? 'Run' : pane.index === 0 ? 'Run on the left' : 'Run on the right'}
        value={pane.key.value}
        onChange={(e) => open(e.currentTarget.value)}
      >
        {loaded.map((run) => (
          <option value={run.key}>{runTitle(run)}</option>
        ))}
        {others.length > 0 && (
          <optgroup label="Saved">
            {others.map((s) => (
              <option value={`#${s.id}`}>{s.name || s.prompt.slice(0, 60)}</option>
            ))}
          </optgroup>
        )}
      </select>
    </span>
  )
}

function Choices() {
  return (
    <div class="choices">
      <UnitPicker />
      <Layers />
      <Filters />
      {state.isComparable.value && (
        <label class="check">
          <input
            type="checkbox"
            checked={state.oneScale.value}
            onChange={(e) => (state.oneScale.value = e.currentTarget.checked)}
          />
          one scale for both
        </label>
      )}
      <button
        type="button"
        class="quiet compare"
        aria-pressed={comparing.value}
        onClick={() => (comparing.value ? stopComparing() : startComparing())}
      >
        {comparing.value ? 'Side by side: on' : 'Side by side'}
      </button>
    </div>
  )
}

function choicesText(): string {
  const L = panes[0].attribution.value?.L ?? 1
  const [from, to] = panes[0].range.value
  const layers = L < 2 ? [] : [to - from === L ? 'all layers' : `layers ${from + 1}–${to}`]
  const hidden = [...hide.value].map((name) => FILTER_LABELS[name] ?? name)
  return [
    `by ${UNIT_LABELS[unitName.value].toLowerCase()}`,
    ...layers,
    hidden.length ? `without ${hidden.join(', ')}` : 'nothing hidden',
  ].join(' · ')
}

export function Controls() {
  return (
    <div class="controls" role="region" aria-label="How to look at it">
      {!comparing.value && <MethodPicker pane={panes[0]} />}
      {state.narrow.value ? (
        <details class="folded">
          <summary>{choicesText()}</summary>
          <Choices />
        </details>
      ) : (
        <Choices />
      )}
    </div>
  )
}
