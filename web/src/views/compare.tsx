/*
 * Two runs, or two methods of one run, token by token: paired tokens, and how much was taken from each.
 */
import { signal } from '@preact/signals'
import { moved, MAX_PAIRS, pairs, showsDifference, unitNames, wantsDifference } from '../model/comparison'
import { isComparable, oneScale, panes, shownPanes, runTitle, type Pane } from '../model/store'
import { joinedText, label, plural, shorten } from '../ui/token_text'
import { amount } from '../ui/labels'
import { Meter } from './meter'

const MAX_ROWS = 12

interface Row {
  units: readonly [number, number]
  names: readonly [string, string]
  /** As fractions of full strength. */
  sizes: readonly [number, number]
}

/** Whether all rows are shown. */
const showsAll = signal(false)

interface Rows {
  shown: Row[]
  /** Rows beyond the scale on both sides, which have no bars. */
  beyond: Row[]
  /** How many weaker rows are not shown. */
  n_weaker: number
  isTooLong: boolean
}

function rowsOf(left: Pane, right: Pane): Rows {
  const names = [unitNames(left), unitNames(right)] as const
  if (!pairs.value) return { shown: [], beyond: [], n_weaker: 0, isTooLong: true }
  const size = (pane: Pane, u: number) =>
    u < 0 || pane.hiddenUnits.value[u] ? 0 : pane.unitValues.value[u] / (pane.scale.value || 1)
  const rows = pairs.value.map(
    ([i, j]): Row => ({
      units: [i, j],
      names: [i < 0 ? '' : names[0][i], j < 0 ? '' : names[1][j]],
      sizes: [size(left, i), size(right, j)],
    }),
  )
  const isOutlier = ({ units: [i, j] }: Row) =>
    left.outliers.value.has(i) &&
    right.outliers.value.has(j) &&
    (left.beyond.value.includes(i) || right.beyond.value.includes(j))
  const maxSize = ({ sizes: [a, b] }: Row) => Math.max(Math.abs(a), Math.abs(b))
  const changed = ({ names: [a, b] }: Row) => (a === b ? 0 : 1)
  const nonzero = rows.filter((row) => maxSize(row) > 0)
  const drawn = nonzero
    .filter((row) => !isOutlier(row))
    .sort((a, b) => changed(b) - changed(a) || maxSize(b) - maxSize(a))
  const shown = showsAll.value ? drawn : drawn.slice(0, MAX_ROWS)
  return { shown, beyond: nonzero.filter(isOutlier), n_weaker: drawn.length - shown.length, isTooLong: false }
}

interface Moved {
  name: string
  value: number
}

/** What the left side took more (above 0) or less than the right, largest first. Parts of one side only count in full;
 * hidden parts do not count. */
function movedRows(left: Pane, right: Pane): Moved[] {
  const names = [unitNames(left), unitNames(right)] as const
  const nameAt = (side: 0 | 1, u: number) => (u < 0 ? '' : names[side][u])
  return moved.value
    .map(({ units: [i, j], value }) => ({ name: nameOf([nameAt(0, i), nameAt(1, j)]), value }))
    .filter((row) => row.value !== 0)
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
}

/** What the table does not show, and how the prompts differ. */
function movedNotes(left: Pane, right: Pane): string[] {
  const names = [unitNames(left), unitNames(right)] as const
  const same = moved.value.filter(({ value }) => value === 0).length
  const other = moved.value.filter(({ units: [i, j] }) => i >= 0 && j >= 0 && names[0][i] !== names[1][j]).length
  const alone = moved.value.filter(({ units: [i, j] }) => i < 0 || j < 0).length
  const notes = [
    other ? `${plural(other, 'pair')} of parts ${other === 1 ? 'differs' : 'differ'} between the prompts.` : '',
    alone ? `${plural(alone, 'part')} of one prompt only: ${alone === 1 ? 'it counts' : 'they count'} in full.` : '',
    same ? `${plural(same, 'part')} took the same on both sides.` : '',
  ]
  return [...notes.filter(Boolean), ...hiddenNote(left, right)]
}

function MovedTable({ left, right, heading }: { left: Pane; right: Pane; heading: (pane: Pane) => string }) {
  const rows = movedRows(left, right)
  const shown = showsAll.value ? rows : rows.slice(0, MAX_ROWS)
  const max = Math.abs(shown[0]?.value ?? 0) || 1
  const all = rows.reduce((sum, row) => sum + row.value, 0)
  const isShares = left.isShares.value
  return (
    <>
      <table class="moved">
        <caption>
          Took more: {heading(left)} (orange), {heading(right)} (blue)
        </caption>
        <tbody>
          {shown.map(({ name, value }) => (
            <tr>
              <th scope="row">{name}</th>
              <td class="bar" aria-hidden="true">
                <span class={value < 0 ? 'below' : 'above'} style={{ width: `${(Math.abs(value) / max) * 50}%` }} />
              </td>
              <td class="value">{amount(value, isShares)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">all parts together</th>
            <td />
            <td class="value">{amount(all, isShares)}</td>
          </tr>
        </tfoot>
      </table>
      {movedNotes(left, right).map((note) => (
        <p class="note">{note}</p>
      ))}
      <More n={rows.length - shown.length} />
    </>
  )
}

/** Says how many rows are not shown, and shows them. */
function More({ n }: { n: number }) {
  if (n <= 0 && !showsAll.value) return null
  return (
    <p class="note">
      {n > 0 && `${plural(n, 'weaker row')} not shown. `}
      <button type="button" class="link" onClick={() => (showsAll.value = !showsAll.value)}>
        {n > 0 ? 'Show all rows' : 'Show the strongest rows only'}
      </button>
    </p>
  )
}

const nameOf = ([a, b]: readonly [string, string]) =>
  a === b ? label(a) : `${a ? label(a) : '\u2013'} / ${b ? label(b) : '\u2013'}`

function valueOf(pane: Pane, unit: number): string {
  return unit < 0 ? '\u2013' : amount(pane.unitValues.value[unit], pane.isShares.value)
}

/** Describes what has no row. */
function leftOut({ beyond, isTooLong }: Rows, left: Pane, right: Pane): string[] {
  if (isTooLong)
    return [
      `The prompts differ in more than ${Math.sqrt(MAX_PAIRS)} x ${Math.sqrt(MAX_PAIRS)} parts, ` +
        'which are not set side by side: choose larger units.',
    ]
  const texts = beyond.map(
    ({ units: [i, j], names }) => `${i}: ${nameOf(names)} (${valueOf(left, i)} and ${valueOf(right, j)})`,
  )
  return [
    ...(texts.length ? [`Without bars, since the others would be flat beside them: ${texts.join(', ')}.`] : []),
    ...hiddenNote(left, right),
  ]
}

function hiddenNote(left: Pane, right: Pane): string[] {
  const hides = Math.max(...[left, right].map((pane) => pane.hiddenUnits.value.reduce((sum, h) => sum + h, 0)))
  return hides ? [`${plural(hides, 'part')} of the prompt hidden.`] : []
}

function Side({ pane, side, row }: { pane: Pane; side: 0 | 1; row: Row }) {
  const size = row.sizes[side]
  const unit = row.units[side]
  return (
    <td class={side ? 'right' : 'left'}>
      <span class="side">
        <span class="track">
          <Meter size={size} />
        </span>
        <span class="value">{unit < 0 ? '' : valueOf(pane, unit)}</span>
      </span>
    </td>
  )
}

const selectedText = (pane: Pane) => {
  const chosen = pane.selection.value
  if (!chosen) return ''
  return label(joinedText(pane.answer.value, chosen[0] + pane.offset.value, chosen[1] + pane.offset.value))
}

export function Difference() {
  if (shownPanes.value.length < 2) return null
  const [left, right] = panes
  const rows = rowsOf(left, right)
  const isMoved = showsDifference.value
  if (!rows.shown.length && !leftOut(rows, left, right).length) return null
  const heading = (pane: Pane) =>
    left.key.value === right.key.value ? pane.name.value : shorten(runTitle(pane.run.value!), 36)
  return (
    <section class="difference" aria-label="Difference">
      <h3>{isMoved ? 'The difference' : 'Side by side'}</h3>
      {isComparable.value ? (
        <p class="tables">
          {[false, true].map((wants) => (
            <button
              type="button"
              class="quiet"
              aria-pressed={wantsDifference.value === wants}
              onClick={() => (wantsDifference.value = wants)}
            >
              {wants ? 'The difference' : 'Both sides'}
            </button>
          ))}
        </p>
      ) : (
        <p class="note">The sides have different methods: a difference needs one method on both.</p>
      )}
      {isMoved ? (
        <MovedTable left={left} right={right} heading={heading} />
      ) : (
        <SidesTable rows={rows} left={left} right={right} heading={heading} />
      )}
    </section>
  )
}

function SidesTable({ rows, left, right, heading }: {
  rows: Rows
  left: Pane
  right: Pane
  heading: (pane: Pane) => string
}) {
  return (
    <>
      <table>
        <thead>
          <tr>
            <th scope="col" class="left">
              {heading(left)}: <q>{shorten(selectedText(left), 24)}</q>
            </th>
            <th scope="col">took from</th>
            <th scope="col" class="right">
              {heading(right)}: <q>{shorten(selectedText(right), 24)}</q>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.shown.map((row) => (
            <tr class={row.names[0] === row.names[1] ? '' : 'changed'}>
              <Side pane={left} side={0} row={row} />
              <th scope="row">{nameOf(row.names)}</th>
              <Side pane={right} side={1} row={row} />
            </tr>
          ))}
        </tbody>
      </table>
      {leftOut(rows, left, right).map((note) => (
        <p class="note">{note}</p>
      ))}
      <More n={rows.n_weaker} />
      {!(isComparable.value && oneScale.value) && (
        <p class="note">Bars are shares of each side’s own full strength.</p>
      )}
    </>
  )
}
