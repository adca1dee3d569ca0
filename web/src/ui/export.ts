/*
 * Files that the page makes itself, without a server: the shown data as JSON, CSV or pictures.
 */
import type { Attribution, Run } from '../data/document'
import { groupUnits, tokenUnits } from '../model/aggregate'
import { variantName } from '../model/store'
import { isRest, rawTexts } from './token_text'

export function save(name: string, type: string, content: string | Blob): void {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

let source = ''

/** Saves the page's source before anything is drawn, because a report opened from file:// cannot read itself. */
export function keepSource(): void {
  source = `<!doctype html>\n${document.documentElement.outerHTML}\n`
}

/** Saves the report that this page is, with all its runs. */
export const saveReport = (name: string) => save(name, 'text/html', source)

/** RFC 4180: quoted if necessary. */
export function csvField(value: string | number): string {
  // would be a formula in a spreadsheet; an apostrophe prevents that
  const formula = typeof value === 'string' && /^[=+\-@\t\r]/.test(value)
  const text = formula ? `'${value}` : String(value)
  return formula || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Columns as in docs/reference/formats.md; one line for each pair of tokens with its mean over layers. */
export function toCsv(run: Run, a: Attribution): string {
  const { tokens } = run.info
  const { groups, n_groups, group_names } = a.settings
  const texts = [...rawTexts(tokens.slice(0, run.m)), ...rawTexts(tokens.slice(run.m))]
  const columns =
    groups && n_groups
      ? groupUnits(groups, n_groups, texts, group_names, (k) => isRest(tokens[k], texts[k]))
      : tokenUnits(texts)
  const lines = [['completion_index', 'completion_token', 'prompt_index', 'prompt_token', 'value']] as (
    | string
    | number
  )[][]
  for (let i = 0; i < a.n; i++) {
    for (let k = 0; k < a.m; k++) {
      lines.push([i, texts[a.first + i] ?? '', k, columns.names(k), Number(a.mean[i * a.m + k].toPrecision(9))])
    }
  }
  return lines.map((line) => `${line.map(csvField).join(',')}\r\n`).join('')
}

/** Like `headwater explain -o x.json`, without the whole M. */
export function toJson(run: Run): string {
  const attributions = run.attributions.map((a) => ({
    method: a.method,
    settings: a.settings,
    diagnostics: a.diagnostics,
    layers: a.layers,
    first_token: a.first,
    shape: [a.n, a.m, a.L],
    mean: Array.from({ length: a.n }, (_, i) =>
      Array.from(a.mean.subarray(i * a.m, (i + 1) * a.m), (v) => Number(v.toPrecision(9))),
    ),
    outside: a.outside,
    ...(a.balance ? { balance: a.balance } : {}),
  }))
  return JSON.stringify({ format: 'headwater-result', version: 1, run: run.info, attributions }, null, 1)
}

export function fileName(run: Run, a: Attribution, extension: string): string {
  const name = (run.name || 'headwater').replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 40)
  return `${name}-${variantName(run, a).replace(/[^\w]+/g, '-')}${extension}`
}
