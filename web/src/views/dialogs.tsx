/*
 * Dialogs: saved runs, export, help. Native dialogs: focus stays inside, Escape closes, focus returns.
 */
import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { api } from '../data/api'
import { fileName, save, saveReport, toCsv, toJson } from '../ui/export'
import { job, openRun, removeRun, renameRun, retry } from '../model/actions'
import { activePane, panes, runs, runTitle, saved, served, show, shownPanes, status, tables } from '../model/store'
import * as state from '../model/store'
import { label, plural, shorten, shownText } from '../ui/token_text'
import { failureText, KEYS } from '../ui/labels'

export type DialogName = 'runs' | 'export' | 'help'
export const dialog = signal<DialogName | null>(null)
const close = () => (dialog.value = null)

function Sheet({ title, children }: { title: string; children: ComponentChildren }) {
  const root = useRef<HTMLDialogElement>(null)
  useLayoutEffect(() => {
    const before = document.activeElement
    root.current!.showModal()
    return () => before instanceof HTMLElement && before.focus()
  }, [])
  return (
    <dialog
      ref={root}
      aria-labelledby="sheet-title"
      onClose={close}
      onClick={(e) => e.target === root.current && close()}
    >
      <div class="sheet">
        <header>
          <h2 id="sheet-title">{title}</h2>
          <button type="button" class="quiet" onClick={close}>
            Close
          </button>
        </header>
        {children}
      </div>
    </dialog>
  )
}

/* ------------------------------------------------------------------ runs */

const renaming = signal<number | null>(null)
const removing = signal<number | null>(null)
const FOCUS = { ref: (el: HTMLElement | null) => el?.focus() }

/** Moves the focus to a button of a saved run when it is drawn; without that run, to the sheet's own. */
const focusOn = (id: number | undefined, act: string) =>
  requestAnimationFrame(() => {
    const button = document.querySelector<HTMLElement>(`[data-run="${id}"] [data-act="${act}"]`)
    ;(button ?? document.querySelector<HTMLElement>('.sheet header button'))?.focus()
  })

/** Escape ends what is under way in an entry, and not the dialog. */
function onEscape(event: KeyboardEvent, end: () => void): void {
  if (event.key !== 'Escape') return
  event.preventDefault()
  event.stopPropagation()
  end()
}

async function remove(id: number): Promise<void> {
  const list = saved.value
  const at = list.findIndex((r) => r.id === id)
  await removeRun(id)
  removing.value = null
  focusOn((list[at + 1] ?? list[at - 1])?.id, 'open')
}

function when(created: string): string {
  const date = new Date(created)
  return Number.isNaN(date.getTime())
    ? created
    : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
}

function open(id: number, pane = panes[0]): void {
  close()
  void openRun(id, pane)
}

const modelOf = ({ model }: (typeof saved.value)[number]) =>
  shorten(label(typeof model === 'string' ? model : (model?.name ?? '')), 40).replace('\u2205', '')

function SavedItem({ run }: { run: (typeof saved.value)[number] }) {
  const title = run.name || shorten(label(run.prompt.trim()), 70)
  if (renaming.value === run.id) {
    const done = (name: string) => {
      renaming.value = null
      if (name !== run.name) void renameRun(run.id, name)
      focusOn(run.id, 'rename')
    }
    return (
      <li data-run={run.id}>
        <form onSubmit={(e) => (e.preventDefault(), done(new FormData(e.currentTarget).get('name') as string))}>
          <input
            {...FOCUS}
            name="name"
            aria-label="New name"
            defaultValue={title}
            onKeyDown={(e) => onEscape(e, () => ((renaming.value = null), focusOn(run.id, 'rename')))}
          />
          <button type="submit">Save</button>
        </form>
      </li>
    )
  }
  const again = () => {
    close()
    void retry(run)
  }
  return (
    <li class={run.failure ? 'failed' : ''} data-run={run.id}>
      <button type="button" class="open" data-act="open" onClick={() => open(run.id)}>
        <strong>{title}</strong>
        {run.completion && <span class="completion">{shorten(label(run.completion), 80)}</span>}
        {run.job !== undefined && <span class="completion">Being written…</span>}
        {run.failure && <span class="failure">Not finished. {failureText(run.failure)}</span>}
        <small>
          {when(run.created)}
          {!run.failure && `, ${plural(run.n_prompt, 'token')} + ${run.n_completion}`}
          {modelOf(run) && `, ${modelOf(run)}`}
        </small>
      </button>
      <span class="acts">
        {run.failure ? (
          <button
            type="button"
            class="quiet"
            onClick={again}
            disabled={job.value !== null}
            aria-label={`Run again: ${title}`}
          >
            Run again
          </button>
        ) : (
          <button
            type="button"
            class="quiet"
            onClick={() => (open(run.id, panes[1]), (state.comparing.value = true))}
            disabled={!panes[0].run.value}
            aria-label={`Compare with ${title}`}
          >
            Compare
          </button>
        )}
        <button
          type="button"
          class="quiet"
          data-act="rename"
          onClick={() => (renaming.value = run.id)}
          aria-label={`Rename ${title}`}
        >
          Rename
        </button>
        {removing.value === run.id ? (
          <button
            {...FOCUS}
            type="button"
            class="danger"
            onClick={() => void remove(run.id)}
            onBlur={() => (removing.value = null)}
            onKeyDown={(e) => onEscape(e, () => ((removing.value = null), focusOn(run.id, 'delete')))}
          >
            Really delete
          </button>
        ) : (
          <button
            type="button"
            class="quiet"
            data-act="delete"
            onClick={() => (removing.value = run.id)}
            aria-label={`Delete ${title}`}
          >
            Delete
          </button>
        )}
      </span>
    </li>
  )
}

function LoadedItem({ run }: { run: (typeof runs.value)[number] }) {
  return (
    <li>
      <button type="button" class="open" onClick={() => (show(panes[0], run.key), close())}>
        <strong>{runTitle(run)}</strong>
        <span class="completion">{shorten(label(shownText(run.info.completion, run.info.completion_bytes)), 80)}</span>
      </button>
      <span class="acts">
        <button
          type="button"
          class="quiet"
          onClick={() => (show(panes[1], run.key), (state.comparing.value = true), close())}
        >
          Beside
        </button>
      </span>
    </li>
  )
}

function Runs() {
  return (
    <Sheet title={served.value ? 'Saved runs' : 'Runs in this report'}>
      {served.value && !saved.value.length && (
        <p class="note">
          {status.value?.store === false ? 'This server keeps no runs.' : 'None yet. What you explain is kept here.'}
        </p>
      )}
      <ul class="runs">
        {served.value
          ? saved.value.map((run) => <SavedItem key={run.id} run={run} />)
          : runs.value.map((run) => <LoadedItem key={run.key} run={run} />)}
      </ul>
    </Sheet>
  )
}

/* ------------------------------------------------------------------ export */

function Export() {
  const pane = activePane.value
  const run = pane.run.value
  const a = pane.attribution.value
  if (!run || !a) return null
  const id = run.id
  const other = shownPanes.value.find((p) => p.run.value?.id !== undefined && p.run.value.id !== id)?.run.value?.id
  return (
    <Sheet title="Export">
      <ul class="exports">
        {served.value && id !== undefined && (
          <>
            {(tables.value?.formats ?? []).map((f) => (
              <li>
                <a
                  href={api.exportUrl(
                    id,
                    f.name,
                    f.name === 'html'
                      ? { with: other }
                      : f.name === 'trace'
                        ? {}
                        : { attribution: run.attributions.indexOf(a) },
                  )}
                  download={fileName(run, a, f.extension)}
                >
                  {f.name.toUpperCase()}
                </a>{' '}
                {f.name === 'html' && other !== undefined ? 'the page with both runs inside, in one file' : f.summary}
              </li>
            ))}
          </>
        )}
        {!served.value && (
          <>
            <li>
              <button type="button" class="link" onClick={() => saveReport(fileName(run, a, '.html'))}>
                HTML
              </button>{' '}
              this report again{runs.value.length > 1 && `, with all ${runs.value.length} runs`}
            </li>
            <li>
              <button
                type="button"
                class="link"
                onClick={() => save(fileName(run, a, '.json'), 'application/json', toJson(run))}
              >
                JSON
              </button>{' '}
              tokens and means over layers, all methods
            </li>
            <li>
              <button
                type="button"
                class="link"
                onClick={() => save(fileName(run, a, '.csv'), 'text/csv', toCsv(run, a))}
              >
                CSV
              </button>{' '}
              {pane.name.value}, one line for each pair of tokens
            </li>
          </>
        )}
      </ul>
      <p class="note">Each chart has its own PNG and SVG, below it.</p>
    </Sheet>
  )
}

/* ------------------------------------------------------------------ help */

function Help() {
  return (
    <Sheet title="How to read this">
      <p>
        Select part of the completion: the prompt is tinted by what it took from each token, orange for more, blue for
        less than nothing. Point at a part of the prompt: the completion shows what each token took from it.
      </p>
      <p>
        A method is a measurement of the model, not a proof of why it answered. The limitations of each method are shown
        beside its name; how far this explanation can be trusted, beside the text.
      </p>
      <table class="keys">
        <caption class="sr">Keys</caption>
        <tbody>
          {KEYS.map(([key, what]) => (
            <tr>
              <th scope="row">
                <kbd>{key}</kbd>
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Sheet>
  )
}

const SHEETS = { runs: Runs, export: Export, help: Help }

export function Dialogs() {
  const Shown = dialog.value && SHEETS[dialog.value]
  return Shown ? <Shown /> : null
}
