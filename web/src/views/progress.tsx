/*
 * What a run is doing: its place in the queue, how far the prompt is read, at what rate and for how long still.
 */
import { job, stop, type Job } from '../model/actions'
import { number, plural } from '../ui/token_text'
import { STAGES } from '../ui/labels'

/** Seconds after which a rate is steady enough to be shown. */
const MIN_SECONDS = 0.7

function secondsText(seconds: number): string {
  if (seconds < 1.5) return 'about a second left'
  if (seconds < 90) return `about ${Math.round(seconds)} seconds left`
  return `about ${Math.round(seconds / 60)} minutes left`
}

/** Tokens a second and the time left; '' at first. */
export function rateText(done: number, total: number, seconds: number): string {
  if (seconds < MIN_SECONDS || done <= 0 || done >= total) return ''
  const rate = done / seconds
  return `${rate >= 10 ? Math.round(rate) : number(rate)} tokens a second, ${secondsText((total - done) / rate)}`
}

function progressText({ stage, done, total, since }: Job): string {
  if (stage === 'queued') return `${STAGES.queued}: ${plural(done, 'other')} before you`
  if (stage !== 'prefill' || !total) return STAGES[stage]
  const rate = since === undefined ? '' : rateText(done, total, (performance.now() - since) / 1000)
  return `${STAGES.prefill}: ${done} of ${plural(total, 'token')}${rate ? `, ${rate}` : ''}`
}

export function Progress() {
  const now = job.value
  if (!now) return null
  const known = now.stage === 'prefill' && now.total > 0
  return (
    <div class="progress" role="status">
      <progress max={now.total || 1} value={known ? now.done : undefined} aria-label={STAGES[now.stage]} />
      <span>{progressText(now)}…</span>
      <button type="button" onClick={() => void stop()}>
        Stop
      </button>
    </div>
  )
}
