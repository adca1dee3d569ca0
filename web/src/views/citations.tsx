/*
 * Citations: how much each part of the answer took from each part of the prompt. Named passages are cited by name.
 */
import { signal } from '@preact/signals'
import { tint } from '../draw/colour'
import { palette, pinned, select, unitName, type Pane } from '../model/store'
import { cutUnits, segmentMatrix, scaleOf, STEPS, tokenUnits, type Units } from '../model/aggregate'
import { label, shorten } from '../ui/token_text'
import { amount, UNIT_LABELS } from '../ui/labels'
import { revealUnit } from './token_tip'

const PREFERRED_COLUMNS = ['passage', 'paragraph', 'sentence', 'line', 'word']
const MAX_PARTS = 60
const PREFERRED_ROWS = ['sentence', 'line', 'word']
const chosenRows = signal('')
const chosenColumns = signal('')

/** The requested split, or the first with at least `minParts` parts and no more than a page can show. */
function pick(
  cuts: Record<string, { names: string[] }>,
  requested: string,
  preferred: string[],
  minParts: number,
): string {
  if (cuts[requested]) return requested
  const names = preferred.filter((name) => cuts[name])
  return (
    names.find((name) => cuts[name].names.length >= minParts && cuts[name].names.length <= MAX_PARTS) ?? names[0] ?? ''
  )
}

function Picker({ name, now, cuts, set }: { name: string; now: string; cuts: string[]; set: (v: string) => void }) {
  return (
    <label>
      {name}{' '}
      <select value={now} onChange={(e) => set(e.currentTarget.value)}>
        {cuts.map((cut) => (
          <option value={cut}>{(UNIT_LABELS[cut] ?? cut).toLowerCase()}</option>
        ))}
      </select>
    </label>
  )
}

interface Grid {
  rows: Units
  columns: Units
  /** [rows, columns] */
  values: Float32Array
  scale: number
}

function grid(pane: Pane, rowCut: string, columnCut: string): Grid | null {
  const run = pane.run.value
  const a = pane.attribution.value
  if (!run || !a || pane.isGrouped.value) return null
  const { tokens, texts } = pane.answer.value
  const cut = run.cuts.completion[rowCut]
  const rows = cut ? cutUnits(rowCut, cut, tokens.length) : tokenUnits(texts)
  const promptCut = run.cuts.prompt[columnCut]
  const columns = promptCut ? cutUnits(columnCut, promptCut, run.m) : pane.units.value
  const values = segmentMatrix(pane.mean.value, a.m, rows, columns, pane.hidden.value)
  return { rows, columns, values, scale: scaleOf(values, () => false) }
}

const MAX_CITED = 3
const MIN_SHARE = 0.15 // relative to the row's strongest: smaller shares are not cited

function cited({ columns, values }: Grid, row: number): number[] {
  const of = [...values.subarray(row * columns.count, (row + 1) * columns.count)]
  const max = Math.max(...of, 0)
  const order = of.map((_, c) => c).sort((x, y) => of[y] - of[x])
  return order.filter((c) => of[c] > 0 && of[c] >= max * MIN_SHARE).slice(0, MAX_CITED)
}

/** Selects the tokens of a row, and shows the prompt in the same parts. */
function lookAt(pane: Pane, { rows, columns }: Grid, row: number, column?: number): void {
  const inside = [...rows.of.keys()].filter((i) => rows.of[i] === row)
  if (inside.length) select(pane.key.value, inside[0], inside[inside.length - 1])
  unitName.value = columns.name
  pinned.value = column === undefined ? null : { run: pane.key.value, unit: column }
  if (column !== undefined) revealUnit(pane, column)
}

const NAME_WIDTH = 28
const short = (units: Units, u: number) => shorten(label(units.names(u)), NAME_WIDTH)

export function Sources({ pane }: { pane: Pane }) {
  const run = pane.run.value
  const rowCuts = ['token', ...Object.keys(run?.cuts.completion ?? {}).filter((name) => name !== 'token')]
  const columnCuts = Object.keys(run?.cuts.prompt ?? {}).filter((name) => name !== 'token')
  const rowCut =
    chosenRows.value === 'token' ? 'token' : pick(run?.cuts.completion ?? {}, chosenRows.value, PREFERRED_ROWS, 1)
  const columnCut = pick(run?.cuts.prompt ?? {}, chosenColumns.value, PREFERRED_COLUMNS, 2)
  const made = grid(pane, rowCut, columnCut)
  if (!made || !columnCut)
    return <p class="note">This explanation cannot be cut into parts of the answer and parts of the prompt.</p>
  const isShares = pane.isShares.value
  const { rows, columns, values, scale } = made
  const cellColour = (v: number) => tint(palette.value, Math.round(Math.max(-1, Math.min(1, v / (scale || 1))) * STEPS))
  const at = (r: number, c: number) => values[r * columns.count + c]
  return (
    <div class="sources">
      <p class="pickers">
        <Picker name="answer by" now={rowCut} cuts={rowCuts} set={(v) => (chosenRows.value = v)} />
        <Picker name="prompt by" now={columnCut} cuts={columnCuts} set={(v) => (chosenColumns.value = v)} />
      </p>
      <ol class="citations">
        {Array.from({ length: rows.count }, (_, r) => (
          <li key={r}>
            <span class="said">{label(rows.names(r)).replace(/^·/, '')}</span>{' '}
            {cited(made, r).map((c) => (
              <button type="button" class="cite" onClick={() => lookAt(pane, made, r, c)}>
                {shorten(label(columns.names(c)), NAME_WIDTH)} <small>{amount(at(r, c), isShares)}</small>
              </button>
            ))}
          </li>
        ))}
      </ol>
      <details open={columns.count <= 12}>
        <summary>all {rows.count * columns.count} pairs</summary>
        <div class="scrolls" tabIndex={0} role="group" aria-label="Answer by prompt">
          <table class="grid">
            <thead>
              <tr>
                <th scope="col">
                  <span class="sr">answer</span>
                </th>
                {Array.from({ length: columns.count }, (_, c) => (
                  <th scope="col">{short(columns, c)}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {Array.from({ length: rows.count }, (_, r) => (
                <tr>
                  <th scope="row">{short(rows, r)}</th>
                  {Array.from({ length: columns.count }, (_, c) => (
                    <td style={{ backgroundColor: cellColour(at(r, c)) }}>
                      <button
                        type="button"
                        aria-label={`${short(rows, r)}, from ${short(columns, c)}: ${amount(at(r, c), isShares)}`}
                        onClick={() => lookAt(pane, made, r, c)}
                      >
                        {amount(at(r, c), isShares)}
                      </button>
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </div>
  )
}
