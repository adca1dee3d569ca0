/*
 * The page: its head, the composer, the texts with details, the charts.
 */
import { toggleTheme } from '../draw/theme'
import { job, retry } from '../model/actions'
import { lost } from '../model/connection'
import { citationOf, closer, showsFirstLook } from '../model/first_look'
import {
  activePane,
  composing,
  failed,
  panes,
  problem,
  runs,
  runTitle,
  served,
  shownPanes,
  status,
  theme,
  type Pane,
} from '../model/store'
import { joinedText, label, shorten } from '../ui/token_text'
import { amount, failureText } from '../ui/labels'
import { Charts } from './charts'
import { Composer, newRun } from './composer'
import { Difference } from './compare'
import { dialog, Dialogs } from './dialogs'
import { Controls, MethodPicker, RunPicker } from './controls'
import { Contributions, Details, Strongest } from './details'
import { FirstLook, lookCloser } from './first_look'
import { Progress } from './progress'
import { Answer, Legend, Prompt } from './text_panes'
import { Search, searching } from './search'
import { TokenTip } from './token_tip'

function Head() {
  const own = panes[0].run.value?.info.model
  const model = own?.name ? own : status.value?.model
  return (
    <header class="head">
      <h1>
        Headwater <small>{model?.name ? [model.name, model.quantisation].filter(Boolean).join(', ') : ''}</small>
      </h1>
      {!served.value && shownPanes.value.length === 1 && <RunPicker pane={panes[0]} />}
      <nav aria-label="Page">
        {served.value && (
          <button type="button" class="quiet" onClick={newRun}>
            New
          </button>
        )}
        {(served.value || runs.value.length > 1) && (
          <button type="button" class="quiet" onClick={() => (dialog.value = 'runs')}>
            Runs
          </button>
        )}
        {panes[0].run.value && (
          <>
            {!showsFirstLook.value && (
              <button type="button" class="quiet" onClick={() => (searching.value = true)}>
                Search
              </button>
            )}
            <button type="button" class="quiet" onClick={() => (dialog.value = 'export')}>
              Export
            </button>
          </>
        )}
        <button type="button" class="quiet" onClick={toggleTheme}>
          {theme.value === 'light' ? 'Dark' : 'Light'}
        </button>
        <button
          type="button"
          class="quiet"
          aria-label="Help: keys, and how to read this"
          onClick={() => (dialog.value = 'help')}
        >
          ?
        </button>
      </nav>
    </header>
  )
}

/* ------------------------------------------------------------------ the texts */

function PaneHead({ pane }: { pane: Pane }) {
  return (
    <div class="pane-head">
      <RunPicker pane={pane} />
      <MethodPicker pane={pane} />
    </div>
  )
}

function ReadingPane({ pane, isAlone }: { pane: Pane; isAlone: boolean }) {
  return (
    <article class="pane" aria-label={runTitle(pane.run.value!)}>
      {!isAlone && <PaneHead pane={pane} />}
      <Answer pane={pane} />
      <Prompt pane={pane} />
      <Legend pane={pane} />
      {!isAlone && (
        <div class="pane-details">
          <Strongest pane={pane} />
          <Contributions pane={pane} />
        </div>
      )}
    </article>
  )
}

function Reading() {
  const shown = shownPanes.value
  if (!shown[0].run.value) return null
  const isAlone = shown.length === 1
  return (
    <div class={`reading ${isAlone ? 'alone' : 'beside'}`}>
      {shown.map((pane) => (
        <ReadingPane key={pane.index} pane={pane} isAlone={isAlone} />
      ))}
      {isAlone && <Details pane={shown[0]} />}
      {isAlone && <Charts />}
    </div>
  )
}

/** Announces the selection to screen readers. */
function Announcement() {
  const pane = activePane.value
  const chosen = pane.selection.value
  const isShares = pane.isShares.value
  const unit = pane.look.value
  const offset = pane.offset.value
  const name = (u: number) => label(pane.units.value.names(u))
  let text = ''
  if (unit >= 0) {
    const contributions = pane.contributions.value
    const best = contributions ? [...contributions.keys()].sort((a, b) => contributions[b] - contributions[a])[0] : -1
    text =
      `Prompt ${unit}, ${shorten(name(unit), 60)}: ${amount(pane.unitValues.value[unit] ?? 0, isShares)}. ` +
      `Contributed most to: ${label(pane.answer.value.texts[best + offset] ?? '')}`
  } else if (chosen && !job.value) {
    const selected = joinedText(pane.answer.value, chosen[0] + offset, chosen[1] + offset)
    const from = pane.strongest.value
      .slice(0, 3)
      .map((u) => `${shorten(name(u), 40)} ${amount(pane.unitValues.value[u], isShares)}`)
    text = `Selected ${label(selected)}. Came most from ${from.join(', ')}`
  }
  return (
    <p class="sr" aria-live="polite">
      {text}
    </p>
  )
}

/** The server cannot be reached: what to do; the page goes on by itself. */
function Lost() {
  if (!lost.value) return null
  const { model } = status.value ?? {}
  return (
    <section class="problem lost" role="alert" aria-label="The server does not answer">
      <p>
        Headwater does not answer at {location.host}. If it was stopped, start it again, for instance with
      </p>
      <p>
        <code>
          headwater serve -m {model?.path ?? 'MODEL.gguf'} --port {location.port || '80'}
        </code>
      </p>
      <p>This page tries again every second and then goes on by itself; what you wrote stays here.</p>
    </section>
  )
}

function Problem() {
  if (!problem.value) return null
  return (
    <p class="problem" role="alert">
      {problem.value}{' '}
      <button type="button" class="quiet" onClick={() => (problem.value = '')}>
        Dismiss
      </button>
    </p>
  )
}

/** An interrupted run: the reason, its tokens so far, and how to continue. */
function CutShort() {
  if (!failed.value || job.value) return null
  const { run } = failed.value
  return (
    <section class="cut-short" role="alert" aria-label="A run that is not finished">
      <h2>{shorten(run.name || label(run.prompt.trim()), 120)}</h2>
      <p>This run is not finished. {failureText(run.failure ?? '')}</p>
      {run.completion && (
        <p>
          It had written: <q class="token">{shorten(label(run.completion), 300)}</q>
        </p>
      )}
      <p class="actions">
        <button type="button" class="primary" onClick={() => void retry(run)}>
          Run again
        </button>
        <span class="note">
          {run.completion
            ? 'What it had written is explained then; no more is written.'
            : 'It had written nothing yet.'}
        </span>
      </p>
    </section>
  )
}

function Intro() {
  if (panes[0].run.value) return null
  return <p class="intro">Where in the prompt did each generated token come from?</p>
}

/** The second layer: tokens, methods, layers. */
function Closer() {
  const isBack = closer.value && citationOf(panes[0].run.value) !== undefined && shownPanes.value.length === 1
  return (
    <>
      {isBack && (
        <p class="back">
          <button type="button" onClick={() => lookCloser(false)}>
            Back to the answer
          </button>
        </p>
      )}
      <Controls />
      <Search />
      <Reading />
      <TokenTip />
      {shownPanes.value.length > 1 && (
        <>
          <Difference />
          <Charts />
        </>
      )}
    </>
  )
}

export function App() {
  const hasRun = panes[0].run.value !== undefined
  const writes = composing.value && served.value
  const hidesRun = failed.value !== null && !job.value && failed.value.key !== panes[0].key.value
  return (
    <>
      <a class="skip" href="#main">
        Skip to the text
      </a>
      <Head />
      <main id="main" tabIndex={-1}>
        <Lost />
        <Problem />
        {!composing.value && <CutShort />}
        <Progress />
        {writes && !job.value && (
          <>
            <Intro />
            <Composer />
          </>
        )}
        {hasRun && !(writes && !job.value) && !hidesRun && (showsFirstLook.value ? <FirstLook /> : <Closer />)}
        {!hasRun && !served.value && !problem.value && <p class="intro">Reading the report…</p>}
      </main>
      {!showsFirstLook.value && <Announcement />}
      <Dialogs />
    </>
  )
}
