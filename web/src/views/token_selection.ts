/*
 * Selecting tokens of the completion. Mouse and pen: pressing selects a token, dragging extends the selection. Touch: a
 * tap selects a token, a long press and drag several; else the finger scrolls.
 */
import { pinned, select, type Pane } from '../model/store'
import * as state from '../model/store'
import { tokenAt } from '../draw/token_spans'
import { marksFirst } from '../ui/frame'

/** How long a finger rests before it selects, and how far it may move in that time. */
const HOLD_MS = 400
const MAX_DRIFT = 10

export class TokenSelection {
  /** Token at which the selection begins; -1: nothing is being selected. */
  private anchor = -1
  /** The finger that has not yet decided between a tap, a long press and scrolling. */
  private touch: { k: number; x: number; y: number; timer: number } | null = null

  constructor(private readonly pane: Pane) {}

  private begin(k: number): void {
    this.anchor = k
    marksFirst(() => {
      state.active.value = this.pane.index
      pinned.value = null
    })
    this.to(k)
  }

  private to(k: number): void {
    marksFirst(() => select(this.pane.key.value, this.anchor, k))
  }

  private release(): void {
    if (this.touch) clearTimeout(this.touch.timer)
    this.touch = null
  }

  readonly down = (event: PointerEvent): void => {
    const k = tokenAt(event.target)
    if (k < 0 || event.button !== 0 || !event.isPrimary) return
    if (event.pointerType === 'touch') {
      const timer = window.setTimeout(() => {
        this.touch = null
        this.begin(k)
      }, HOLD_MS)
      this.touch = { k, x: event.clientX, y: event.clientY, timer }
      return
    }
    const chosen = this.pane.selection.value
    this.begin(k)
    if (!event.shiftKey || !chosen) return
    this.anchor = chosen[0] + this.pane.offset.value
    this.to(k)
  }

  readonly move = (event: PointerEvent): void => {
    const { touch } = this
    if (touch && Math.hypot(event.clientX - touch.x, event.clientY - touch.y) > MAX_DRIFT) this.release()
    if (this.anchor < 0 || !(event.buttons & 1)) return
    const k = tokenAt(document.elementFromPoint(event.clientX, event.clientY))
    if (k >= 0) this.to(k)
  }

  readonly up = (): void => {
    if (this.touch) this.begin(this.touch.k)
    this.cancel()
  }

  readonly cancel = (): void => {
    this.release()
    this.anchor = -1
  }

  /** While a finger selects, the page does not scroll and opens no menu. */
  readonly hold = (event: Event): void => {
    if (this.anchor >= 0 || (this.touch && event.type === 'contextmenu')) event.preventDefault()
  }

  /** Listens for what must be able to prevent scrolling; returns how to stop. */
  listen(root: HTMLElement): () => void {
    root.addEventListener('touchmove', this.hold, { passive: false })
    root.addEventListener('contextmenu', this.hold)
    return () => {
      root.removeEventListener('touchmove', this.hold)
      root.removeEventListener('contextmenu', this.hold)
    }
  }
}
