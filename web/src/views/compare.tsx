/*
 * Two runs, or two methods of one, token by token: what stands in the same place, and how much was taken from it.
 */
import { palette, panes, shownPanes, variantName, runTitle, type Pane } from '../model/store'
import { align } from '../model/aggregate'
import { label, shorten } from '../ui/token_text'
import { amount } from '../ui/labels'

const MOST_ROWS = 12
const MOST_TOKENS = 1500 // the alignment takes the product of both lengths

interface Row {
  units: readonly [number, number]
  names: readonly [string, string]
  /** As shares of full strength. */
  sizes: readonly [number, number]
}

const namesOf = (pane: Pane) => Array.from({ length: pane.units.value.count }, (_, u) => pane.units.value.names(u))

/** Of one method both sides have one scale; methods in different units have each their own. */
const isOneScale = (left: Pane, right: Pane) => left.attribution.value?.method === right.attribution.value?.method

function rowsOf(left: Pane, right: Pane): Row[] {
  const names = [namesOf(left), namesOf(right)] as const
  if (names[0].length > MOST_TOKENS || names[1].length > MOST_TOKENS) return []
  const common = isOneScale(left, right) ? Math.max(left.scale.value, right.scale.value) : 0
  const size = (pane: Pane, u: number) => (u < 0 || pane.hiddenUnits.value[u] ? 0 : pane.unitValues.value[u] / (common || pane.scale.value || 1))
  const rows = align(...names).map(([i, j]): Row => ({
    units: [i, j],
    names: [i < 0 ? '' : names[0][i], j < 0 ? '' : names[1][j]],
    sizes: [size(left, i), size(right, j)],
  }))
  const isOut = ({ units: [i, j] }: Row) => left.outliers.value.has(i) && right.outliers.value.has(j)
  const most = ({ sizes: [a, b] }: Row) => Math.max(Math.abs(a), Math.abs(b))
  const changed = ({ names: [a, b] }: Row) => (a === b ? 0 : 1)
  return rows
    .filter((row) => !isOut(row) && most(row) > 0)
    .sort((a, b) => changed(b) - changed(a) || most(b) - most(a))
    .slice(0, MOST_ROWS)
}

function Side({ pane, side, row }: { pane: Pane; side: 0 | 1; row: Row }) {
  const size = row.sizes[side]
  const unit = row.units[side]
  const width = `${Math.min(100, Math.abs(size) * 100)}%`
  return (
    <td class={side ? 'right' : 'left'}>
      <span class="meter" aria-hidden="true" style={{ width, backgroundColor: size < 0 ? palette.value.barBelow : palette.value.bar }} />
      <span class="value">{unit < 0 ? '' : amount(pane.unitValues.value[unit], pane.isShares.value)}</span>
    </td>
  )
}

const said = (pane: Pane) => {
  const chosen = pane.selection.value
  if (!chosen) return ''
  return label(pane.answer.value.texts.slice(chosen[0] + pane.offset.value, chosen[1] + pane.offset.value + 1).join(''))
}

export function Difference() {
  if (shownPanes.value.length < 2) return null
  const [left, right] = panes
  const rows = rowsOf(left, right)
  if (!rows.length) return null
  const heading = (pane: Pane) => (left.key.value === right.key.value ? variantName(pane.attribution.value!) : shorten(runTitle(pane.run.value!), 36))
  return (
    <section class="difference" aria-label="Difference">
      <h3>Side by side</h3>
      <table>
        <thead>
          <tr>
            <th scope="col" class="left">
              {heading(left)}: <q>{shorten(said(left), 24)}</q>
            </th>
            <th scope="col">took from</th>
            <th scope="col" class="right">
              {heading(right)}: <q>{shorten(said(right), 24)}</q>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr class={row.names[0] === row.names[1] ? '' : 'changed'}>
              <Side pane={left} side={0} row={row} />
              <th scope="row">{row.names[0] === row.names[1] ? label(row.names[0]) : `${row.names[0] ? label(row.names[0]) : '–'} / ${row.names[1] ? label(row.names[1]) : '–'}`}</th>
              <Side pane={right} side={1} row={row} />
            </tr>
          ))}
        </tbody>
      </table>
      {!isOneScale(left, right) && <p class="note">Bars are shares of each side’s own full strength.</p>}
    </section>
  )
}
