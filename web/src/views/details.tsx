/*
 * Details beside the text: facts about the selected tokens, in words and short lists. They state what the tints show,
 * so that no information is in colour only.
 */
import type { Model, Token } from '../data/document'
import { check, checking, job } from '../model/actions'
import { hasItsModel } from '../model/confirm'
import { hovered, pinned, type Pane } from '../model/store'
import { joinedText, label, number, percent, plural, probability, shorten, tokenTexts } from '../ui/token_text'
import {
  amount,
  balanceCloses,
  balanceRest,
  BALANCE_LIMIT,
  BALANCE_ROWS,
  HYBRID_MLP,
  layersText,
  meanBalance,
  remarksOn,
} from '../ui/labels'
import { Meter } from './meter'
import { revealUnit } from './token_tip'

/* ------------------------------------------------------------------ the token itself */

function selectedTokens(pane: Pane): { from: number; tokens: Token[]; text: string } | null {
  const chosen = pane.selection.value
  if (!chosen) return null
  const from = chosen[0] + pane.offset.value
  const to = chosen[1] + pane.offset.value
  return { from, tokens: pane.answer.value.tokens.slice(from, to + 1), text: joinedText(pane.answer.value, from, to) }
}

function Alternatives({ token }: { token: Token }) {
  const list = token.alternatives ?? []
  if (list.length < 2) return null
  return (
    <ul class="alternatives" aria-label="What the model could have written here">
      {list.map((other) => {
        const p = probability(other.logprob) ?? 0
        return (
          <li class={other.text === token.text && other.bytes === token.bytes ? 'chosen' : ''}>
            <span class="meter" aria-hidden="true" style={{ width: `${Math.max(p * 100, 0.5)}%` }} />
            <span class="token">{label(tokenTexts([other])[0])}</span> <span class="value">{percent(p)}</span>
          </li>
        )
      })}
    </ul>
  )
}

function Chosen({ pane }: { pane: Pane }) {
  const chosen = selectedTokens(pane)
  if (!chosen || !chosen.tokens.length) return null
  const [token] = chosen.tokens
  const p = probability(token.logprob)
  const many = chosen.tokens.length > 1
  return (
    <section class="chosen" aria-label="Selection">
      <p class="headword">{shorten(label(chosen.text), 80)}</p>
      <p class="facts">
        {many ? `tokens ${chosen.from}–${chosen.from + chosen.tokens.length - 1}, their mean` : `token ${chosen.from}`}
        {!many && p !== null && <>, {percent(p)} likely</>}
        {!many && token.bytes && <>, bytes {token.bytes}</>}
      </p>
      {!many && <Alternatives token={token} />}
    </section>
  )
}

/* ------------------------------------------------------------------ where it came from */

function StrongestList({ pane, list }: { pane: Pane; list: readonly number[] }) {
  const values = pane.unitValues.value
  const { names } = pane.units.value
  const scale = pane.scale.value || 1
  return (
    <ol>
      {list.map((u) => (
        <li key={u}>
          <button
            type="button"
            class="source"
            aria-pressed={pinned.value?.run === pane.key.value && pinned.value.unit === u}
            onPointerEnter={() => (hovered.value = { run: pane.key.value, unit: u })}
            onPointerLeave={() => (hovered.value = null)}
            onClick={() => toggleUnit(pane, u)}
          >
            <span class="index">{u}</span>
            <span class="token">{shorten(label(names(u)), 90)}</span>
            <span class="value">{amount(values[u], pane.isShares.value)}</span>
            <Meter size={values[u] / scale} />
          </button>
        </li>
      ))}
    </ol>
  )
}

/** Marks a part of the prompt and scrolls to it, or lets go of it. */
function toggleUnit(pane: Pane, unit: number): void {
  const isPinned = pinned.value?.run === pane.key.value && pinned.value.unit === unit
  pinned.value = isPinned ? null : { run: pane.key.value, unit }
  if (!isPinned) revealUnit(pane, unit)
}

/** Token 0 and the explained position, which draw attention whatever they say, in one line. */
function Sinks({ pane, list }: { pane: Pane; list: readonly number[] }) {
  if (!list.length) return null
  const sum = list.reduce((total, u) => total + pane.unitValues.value[u], 0)
  return (
    <details class="sinks">
      <summary>
        Sinks: {list.map((u) => `token ${u}`).join(' and ')}, {amount(sum, pane.isShares.value)}
      </summary>
      <StrongestList pane={pane} list={list} />
    </details>
  )
}

/** What raised the chosen tokens, and what lowered them, if the method has signs. */
export function Strongest({ pane }: { pane: Pane }) {
  const sinks = pane.beyond.value
  const list = pane.strongest.value.filter((u) => !sinks.includes(u))
  const values = pane.unitValues.value
  if (!list.length) return <p class="note">Nothing is left to show: everything is hidden or zero.</p>
  const lowered = list.filter((u) => values[u] < 0)
  const over = layersText(pane.range.value, pane.attribution.value?.L ?? 1)
  return (
    <section class="strongest" aria-label="Where it came from">
      <h3>Came from{over && <small>, {over}</small>}</h3>
      {lowered.length > 0 && (
        <h4>
          Made it more likely <small>raised the log-odds</small>
        </h4>
      )}
      <StrongestList pane={pane} list={list.filter((u) => values[u] >= 0)} />
      {lowered.length > 0 && (
        <>
          <h4>
            Made it less likely <small>lowered the log-odds</small>
          </h4>
          <StrongestList pane={pane} list={lowered} />
        </>
      )}
      <Sinks pane={pane} list={sinks} />
    </section>
  )
}

/** Tokens that took most from a pinned part of the prompt; the part under the pointer changes nothing here. */
export function Contributions({ pane }: { pane: Pane }) {
  const contributions = pane.contributions.value
  const unit = pane.look.value
  if (!contributions || pinned.value?.run !== pane.key.value || pinned.value.unit !== unit) return null
  const { texts } = pane.answer.value
  const offset = pane.offset.value
  const order = [...contributions.keys()]
    .sort((a, b) => Math.abs(contributions[b]) - Math.abs(contributions[a]))
    .slice(0, 5)
  return (
    <section class="contributions" aria-label="What it contributed to">
      <h3>
        <q>{shorten(label(pane.units.value.names(unit)), 60)}</q> contributed to
      </h3>
      <ol>
        {order.map((i) => (
          <li>
            <span class="index">{i + offset}</span> <span class="token">{label(texts[i + offset] ?? '')}</span>{' '}
            <span class="value">{amount(contributions[i], pane.isShares.value)}</span>
          </li>
        ))}
      </ol>
    </section>
  )
}

/* ------------------------------------------------------------------ balance */

/** The contrast of the logits: an option of the run, from an untrusted file. */
function aboveWhat(against: unknown): string {
  if (typeof against !== 'string' || !against) return 'above the mean logit'
  if (against === 'distribution') return 'above the logit that the model expected'
  return against === 'second'
    ? 'above the second likeliest token'
    : `above ${shorten(label(against.replace(/^=/, '')), 30)}`
}

/** Two digits show a difference of this many nats. */
const MIN_ROUNDING = 0.005

/** Whether some blocks of the model have no attention. */
function isHybrid(pane: Pane): boolean {
  const { layers, sources, n_blocks: blocks }: Partial<Model> = pane.run.value?.info.model ?? {}
  return Array.isArray(layers) && typeof blocks === 'number' && layers.length < blocks && !sources
}

export function BalanceSheet({ pane }: { pane: Pane }) {
  const rows = pane.attribution.value?.balance
  const chosen = pane.selection.value
  if (!rows || !chosen) return null
  const mean = meanBalance(rows, ...chosen)
  const above = aboveWhat(pane.run.value?.info.options.against)
  const closes = balanceCloses(mean) && rows.slice(chosen[0], chosen[1] + 1).every(balanceCloses)
  const rest = balanceRest(mean)
  const parts = BALANCE_ROWS.map(([key, name]) => ({
    name: key === 'mlp' && isHybrid(pane) ? HYBRID_MLP : name,
    value: mean[key],
  }))
  if (!closes) parts.push({ name: 'In none of these', value: rest })
  else if (Math.abs(rest) >= MIN_ROUNDING) parts.push({ name: 'Rounding of the output product', value: rest })
  const max = Math.max(...parts.map(({ value }) => Math.abs(value)), 1e-9)
  return (
    <section class="balance">
      <h3>
        What raised its logit<small>, all layers together</small>
      </h3>
      <table>
        <caption class="sr">Parts of the logit {above}, in nats</caption>
        <tbody>
          {parts.map(({ name, value }) => (
            <tr>
              <th scope="row">{name}</th>
              <td class="bar" aria-hidden="true">
                <span class={value < 0 ? 'below' : 'above'} style={{ width: `${(Math.abs(value) / max) * 50}%` }} />
              </td>
              <td class="value">{number(value, true)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{above}, nats</th>
            <td />
            <td class="value">{number(mean.logit, true)}</td>
          </tr>
        </tfoot>
      </table>
      {!closes && (
        <p class="open" role="note">
          The parts do not add up to the logit: more than {percent(BALANCE_LIMIT)} of their sizes is missing, which
          rounding does not explain. They are not the whole of where it came from.
        </p>
      )}
    </section>
  )
}

/* ------------------------------------------------------------------ how far to trust it */

const CHECKS_BY = ['passage', 'sentence', 'line', 'word']

/** The finest split with few parts: a check runs the model without each of them. */
function checkedBy(pane: Pane): string | null {
  const cuts = pane.run.value?.cuts.prompt ?? {}
  const fits = (name: string) => cuts[name]?.names.length >= 2 && cuts[name].names.length <= 200
  return CHECKS_BY.find((name) => fits(name) && cuts[name].names.length >= 4) ?? CHECKS_BY.findLast(fits) ?? null
}

function CheckFigures({ pane }: { pane: Pane }) {
  const result = pane.run.value?.check
  if (!result) return null
  return (
    <>
      <p class="verdict">{result.verdict}</p>
      <details>
        <summary>figures, by {result.by}</summary>
        <div class="scrolls" tabIndex={0} role="group" aria-label="Figures of the check">
          <table class="figures">
            <thead>
              <tr>
                <th scope="col">method</th>
                <th scope="col" title="nats that the answer loses without the strongest part; higher is better">
                  drop@1
                </th>
                <th scope="col" title="mean loss without the strongest 1 to 50 %; higher is better">
                  compr.
                </th>
                <th scope="col" title="mean loss with only those; lower is better">
                  suff.
                </th>
                <th scope="col" title="rank agreement over random cuts of the prompt; 1 is best">
                  LDS
                </th>
              </tr>
            </thead>
            <tbody>
              {result.methods.map((row) => (
                <tr>
                  <th scope="row">{row.method}</th>
                  <td>{number(row.drop['1'])}</td>
                  <td>{number(row.comprehensiveness)}</td>
                  <td>{number(row.sufficiency)}</td>
                  <td>{number(row.lds)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p class="note">
          drop@1: nats lost without the strongest part (higher is better). compr.: the same for the strongest 1–50 %.
          suff.: with only those (lower is better). LDS: rank agreement over random cuts.{' '}
          {plural(result.passes, 'forward pass', 'forward passes')}.
        </p>
      </details>
    </>
  )
}

/** Whether the model can be run without parts of the prompt: not for columns that are the completion's too. */
const canCheck = (pane: Pane) =>
  hasItsModel(pane.run.value) &&
  !job.value &&
  pane.run.value!.m < pane.run.value!.info.tokens.length &&
  pane.attribution.value?.settings.columns !== 'all'

export function Trust({ pane }: { pane: Pane }) {
  const a = pane.attribution.value
  const run = pane.run.value
  if (!a || !run) return null
  const remarks = remarksOn(a, pane.isShares.value)
  const by = checkedBy(pane)
  const running = checking.value?.key === run.key ? checking.value : null
  return (
    <section class="trust">
      <h3>How far to trust it</h3>
      <ul>
        {remarks.map((r) => (
          <li class={r.warns ? 'warns' : ''}>{r.text}</li>
        ))}
      </ul>
      <CheckFigures pane={pane} />
      {canCheck(pane) && by && !running && (
        <button type="button" onClick={() => void check(pane, by)} disabled={checking.value !== null}>
          {run.check ? 'Check again' : `Check it: run the model without each ${by}`}
        </button>
      )}
      {running && (
        <p role="status">
          <progress max={running.total || 1} value={running.total ? running.done : undefined} aria-label="Check" />{' '}
          {running.total ? `${running.done} of ${plural(running.total, 'forward pass', 'forward passes')}` : 'starting'}
        </p>
      )}
    </section>
  )
}

/** Above this number of tokens a prompt may be higher than a screen: then the details stay visible beside it. */
const TALL = 250

export function Details({ pane }: { pane: Pane }) {
  return (
    <aside class={`details ${(pane.run.value?.m ?? 0) > TALL ? 'stays' : ''}`} aria-label="The selected tokens">
      <Chosen pane={pane} />
      <Strongest pane={pane} />
      <Contributions pane={pane} />
      <BalanceSheet pane={pane} />
      <Trust pane={pane} />
    </aside>
  )
}
