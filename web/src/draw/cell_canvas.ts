/*
 * The cells of a heat map, drawn once: an image with one pixel a cell, of which a canvas over the plot shows a window.
 * To move or to zoom is to draw the image again at another place.
 */
import { contrast, mix } from './colour'

/** The plot in CSS pixels, and the first and last column in it. */
export interface Window {
  x: number
  y: number
  width: number
  height: number
  from: number
  to: number
}

export interface Cells {
  columns: number
  rows: number
  /** [rows, columns], the lowest row first. */
  values: Float32Array
  scale: number
  /** Indices of the values beyond the scale. */
  beyond: readonly number[]
  signed: boolean
  colours: readonly string[]
  /** Colours of the marks of cells beyond the scale, of which the one with more contrast is taken. */
  marks: readonly [string, string]
}

const LEVELS = 255

/** Colours of all levels as pixels, [LEVELS + 1]. */
function levelsOf(colours: readonly string[]): Uint32Array {
  const out = new Uint8ClampedArray(4 * (LEVELS + 1)).fill(255)
  for (let i = 0; i <= LEVELS; i++) {
    const colour = parseInt(mix(colours, i / LEVELS).slice(1), 16)
    out.set([colour >> 16, (colour >> 8) & 255, colour & 255], 4 * i)
  }
  return new Uint32Array(out.buffer)
}

/** The level of a value is `value * factor + base`, limited to 0..LEVELS. */
function levelScale({ scale, signed }: Cells): { factor: number; base: number } {
  const factor = scale > 0 ? LEVELS / scale : 0
  return signed ? { factor: factor / 2, base: LEVELS / 2 } : { factor, base: 0 }
}

function imageOf(cells: Cells): HTMLCanvasElement {
  const { columns, rows, values } = cells
  const image = document.createElement('canvas')
  ;[image.width, image.height] = [columns, rows]
  const context = image.getContext('2d')!
  const data = context.createImageData(columns, rows)
  const pixels = new Uint32Array(data.data.buffer)
  const levels = levelsOf(cells.colours)
  const { factor, base } = levelScale(cells)
  for (let row = 0; row < rows; row++) {
    const from = row * columns
    const to = (rows - 1 - row) * columns
    for (let column = 0; column < columns; column++) {
      const level = values[from + column] * factor + base
      pixels[to + column] = levels[level < 0 ? 0 : level > LEVELS ? LEVELS : Math.round(level)]
    }
  }
  context.putImageData(data, 0, 0)
  return image
}

/** Indices of the values beyond the scale. */
export function beyondOf(values: Float32Array, scale: number): number[] {
  const found: number[] = []
  const limit = scale * (1 + 1e-6)
  for (let cell = 0; cell < values.length; cell++) if (Math.abs(values[cell]) > limit) found.push(cell)
  return found
}

export class CellCanvas {
  readonly canvas = document.createElement('canvas')
  private image: HTMLCanvasElement | null = null
  private cells: Cells | null = null

  constructor() {
    this.canvas.className = 'cells'
    this.canvas.setAttribute('aria-hidden', 'true')
  }

  /** null: nothing is drawn. */
  set(cells: Cells | null): void {
    if (cells === this.cells) return
    this.cells = cells
    this.image = cells && cells.columns && cells.rows ? imageOf(cells) : null
    this.canvas.hidden = !this.image
  }

  show({ x, y, width, height, from, to }: Window): void {
    const { cells, image, canvas } = this
    if (!cells || !image || width <= 0 || height <= 0) return
    const { style } = canvas
    ;[style.left, style.top, style.width, style.height] = [x, y, width, height].map((v) => `${v}px`)
    canvas.width = Math.round(width * devicePixelRatio)
    canvas.height = Math.round(height * devicePixelRatio)
    const context = canvas.getContext('2d')!
    const count = to - from + 1
    context.imageSmoothingEnabled = count > canvas.width
    context.drawImage(image, from, 0, count, cells.rows, 0, 0, canvas.width, canvas.height)
    context.scale(devicePixelRatio, devicePixelRatio)
    this.markBeyond(context, cells, { x, y, width, height, from, to })
  }

  /** A corner of each cell whose value is beyond the scale. */
  private markBeyond(context: CanvasRenderingContext2D, cells: Cells, { width, height, from, to }: Window): void {
    const [cellWidth, cellHeight] = [width / (to - from + 1), height / cells.rows]
    const side = Math.min(cellWidth, cellHeight, 9) * 0.6
    for (const cell of cells.beyond) {
      const column = cell % cells.columns
      if (column < from || column > to) continue
      const right = (column - from + 1) * cellWidth
      const top = height - (Math.floor(cell / cells.columns) + 1) * cellHeight
      context.fillStyle = markColour(cells, cells.values[cell])
      context.beginPath()
      context.moveTo(right - side, top)
      context.lineTo(right, top)
      context.lineTo(right, top + side)
      context.fill()
    }
  }
}

/** The mark's colour on a cell of full strength. */
export function markColour({ colours, marks: [a, b] }: Pick<Cells, 'colours' | 'marks'>, value: number): string {
  const full = value < 0 ? colours[0] : colours[colours.length - 1]
  return contrast(full, a) > contrast(full, b) ? a : b
}
