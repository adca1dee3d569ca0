/*
 * The tint under a long text: a canvas behind it with one rectangle for each token, so that a change of thousands of
 * numbers changes no element and no style, and causes no layout. Only the part near the visible area is drawn. The
 * canvas lies beside the text, not in it, so that the text is not painted again with it.
 */
import { STEPS } from '../model/aggregate'

/** Extent of the canvas beyond the visible area in each direction, in screens. */
const OVERSCAN = 0.6

export class TintCanvas {
  private readonly canvas = document.createElement('canvas')
  private readonly observer: ResizeObserver
  /** Rectangles in text order: the token of each, and x, y, width, height in CSS pixels relative to the root's
   * corner. */
  private tokens = new Int32Array(0)
  private boxes = new Float32Array(0)
  private colours: readonly string[] = []
  private steps: Int8Array = new Int8Array(0)
  private top = 0
  private height = 0
  private isMeasured = false
  /** Height of the text when it was measured. */
  private whole = 0
  private readonly onMeasured = new Set<() => void>()

  /** The element around `root` must be positioned and have its own stacking context. */
  constructor(
    private readonly root: HTMLElement,
    private readonly spans: readonly HTMLElement[],
  ) {
    this.canvas.className = 'tint-canvas'
    this.canvas.setAttribute('aria-hidden', 'true')
    root.before(this.canvas)
    this.observer = new ResizeObserver(() => this.remeasure())
    this.observer.observe(root)
    document.addEventListener('scroll', this.onScroll, { passive: true, capture: true })
    addEventListener('beforeprint', this.onPrint)
  }

  close(): void {
    this.observer.disconnect()
    document.removeEventListener('scroll', this.onScroll, { capture: true })
    removeEventListener('beforeprint', this.onPrint)
    this.canvas.remove()
  }

  /** steps [tokens] -32..32; colours: of every step, from -32 on. Both are kept, not copied. */
  show(steps: Int8Array, colours: readonly string[]): void {
    this.steps = steps
    this.colours = colours
    if (!this.isMeasured || !this.covers()) this.remeasure()
    else this.draw()
  }

  /** Measures again after tokens have moved: a new width, font or element between them. */
  remeasure(): void {
    this.measure()
    this.place()
    this.draw()
  }

  /** Where token k begins, as a fraction of the text's height; undefined: it has no place. */
  placeOf(k: number): number | undefined {
    let low = 0
    let high = this.tokens.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.tokens[middle] < k) low = middle + 1
      else high = middle
    }
    return this.tokens[low] === k && this.whole ? this.boxes[low * 4 + 1] / this.whole : undefined
  }

  /** Calls `task` after each measurement, until the returned function is called. */
  follow(task: () => void): () => void {
    this.onMeasured.add(task)
    return () => this.onMeasured.delete(task)
  }

  private readonly onScroll = () => {
    if (this.covers()) return
    this.place()
    this.draw()
  }

  /** In print everything is visible. */
  private readonly onPrint = () => {
    this.place(Infinity)
    this.draw()
  }

  private measure(): void {
    const corner = this.root.getBoundingClientRect()
    const tokens: number[] = []
    const boxes: number[] = []
    this.spans.forEach((span, k) => {
      for (const box of span.getClientRects()) {
        if (box.width === 0) continue
        tokens.push(k)
        boxes.push(box.left - corner.left, box.top - corner.top, box.width, box.height)
      }
    })
    this.tokens = Int32Array.from(tokens)
    this.boxes = Float32Array.from(boxes)
    this.isMeasured = corner.width > 0
    this.whole = corner.height
    for (const task of this.onMeasured) task()
  }

  /** The visible part of the root, measured from its top. */
  private onScreen(): { from: number; to: number; all: number } {
    const { top, height } = this.root.getBoundingClientRect()
    const clip = (y: number) => Math.min(height, Math.max(0, y))
    return { from: clip(-top), to: clip(innerHeight - top), all: height }
  }

  private covers(): boolean {
    const { from, to } = this.onScreen()
    return from >= this.top && to <= this.top + this.height
  }

  private place(reach = innerHeight * OVERSCAN): void {
    const { from, to, all } = this.onScreen()
    const width = this.root.clientWidth
    this.top = Math.max(0, Math.floor(from - reach))
    this.height = Math.ceil(Math.min(all, to + reach)) - this.top
    const { style } = this.canvas
    style.top = `${this.root.offsetTop + this.top}px`
    style.left = `${this.root.offsetLeft}px`
    style.width = `${width}px`
    style.height = `${this.height}px`
    this.canvas.width = Math.ceil(width * devicePixelRatio)
    this.canvas.height = Math.ceil(this.height * devicePixelRatio)
  }

  /** The first rectangle that ends below y; rectangles are in line order. */
  private firstBelow(y: number): number {
    let low = 0
    let high = this.tokens.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.boxes[middle * 4 + 1] + this.boxes[middle * 4 + 3] < y) low = middle + 1
      else high = middle
    }
    return low
  }

  private draw(): void {
    const { tokens, boxes, steps, colours } = this
    const context = this.canvas.getContext('2d')
    if (!context || !this.height) return
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, -this.top * devicePixelRatio)
    context.clearRect(0, this.top, this.root.clientWidth, this.height)
    let shown = 0
    for (let i = this.firstBelow(this.top); i < tokens.length; i++) {
      const y = boxes[i * 4 + 1]
      if (y > this.top + this.height) break
      const step = steps[tokens[i]]
      if (!step) continue
      if (step !== shown) context.fillStyle = colours[step + STEPS]
      shown = step
      context.fillRect(boxes[i * 4], y, boxes[i * 4 + 2], boxes[i * 4 + 3])
    }
  }
}
