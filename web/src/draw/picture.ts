/*
 * A chart as a picture file. A caption above the chart describes it without the page: title, method with its settings,
 * tokens, layers, unit, model, and what is beyond the scale or left out.
 */
import { runTitle, type Pane } from '../model/store'
import { layersText, FILTER_LABELS } from '../ui/labels'
import { label, shorten } from '../ui/token_text'
import { FONT, tokensText, type Chart } from './chart_options'
import type { Palette } from './colour'

export interface Line {
  text: string
  size: number
  isBold: boolean
  /** Distance of the baseline from the top. */
  y: number
}

const MARGIN = 12
const TITLE = 15
const SMALL = 12
const LEADING = 1.4

/** The lines above the chart: the title first. */
export function captionOf(pane: Pane, chart: Chart, hidden: Iterable<string>): string[] {
  const a = pane.attribution.value!
  const run = pane.run.value!
  const { name, quantisation } = run.info.model
  const without = [...hidden].map((filter) => FILTER_LABELS[filter] ?? filter)
  const facts = [
    pane.name.value,
    ...(chart.ofAllTokens ? [] : [tokensText(pane)]),
    layersText(pane.range.value, a.L),
    pane.isShares.value ? 'values: shares of 1' : 'values: nats',
    ...(without.length ? [`without ${without.join(', ')}`] : []),
  ]
  const source = [`\u201c${shorten(label(runTitle(run)), 60)}\u201d`, [name, quantisation].filter(Boolean).join(', ')]
  return [chart.title, facts.filter(Boolean).join(' \u00b7 '), source.filter(Boolean).join(' \u00b7 '), ...chart.notes]
}

/** Wraps text between words, and inside words that are longer than a line. */
export function breakLines(text: string, width: number, measure: (text: string) => number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.match(/\S+\s*/gu) ?? []) {
    if (line && measure(line + word.trimEnd()) > width) {
      lines.push(line.trimEnd())
      line = ''
    }
    for (const character of word) {
      if (line && measure(line + character) > width) {
        lines.push(line)
        line = ''
      }
      line += character
    }
  }
  return line ? [...lines, line.trimEnd()] : lines
}

/** Lines of a caption in a picture `width` wide, and their height. */
export function layOut(caption: readonly string[], width: number): { lines: Line[]; height: number } {
  const context = document.createElement('canvas').getContext('2d')!
  const lines: Line[] = []
  let y = MARGIN
  caption.forEach((text, i) => {
    const size = i ? SMALL : TITLE
    context.font = fontOf({ size, isBold: !i })
    for (const part of breakLines(text, width - 2 * MARGIN, (t) => context.measureText(t).width)) {
      lines.push({ text: part, size, isBold: !i, y: y + size })
      y += size * LEADING
    }
  })
  return { lines, height: Math.ceil(y + MARGIN / 2) }
}

const fontOf = ({ size, isBold }: Pick<Line, 'size' | 'isBold'>) => `${isBold ? 'bold ' : ''}${size}px ${FONT}`

/** Characters that XML 1.0 does not allow. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu
const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

export const xmlText = (text: string) => text.replace(NOT_XML, '\ufffd').replace(/[&<>"]/g, (c) => ENTITIES[c])

/** `inner` is a complete SVG document of the chart, with the given size. */
export function composeSvg(
  inner: string,
  size: readonly [number, number],
  caption: readonly string[],
  palette: Palette,
): string {
  const [width, height] = size
  const { lines, height: top } = layOut(caption, width)
  const texts = lines.map(({ text, size: s, isBold, y }, i) => {
    const weight = isBold ? ' font-weight="bold"' : ''
    const fill = i ? palette.muted : palette.ink
    return `<text x="${MARGIN}" y="${y}" font-size="${s}"${weight} fill="${fill}">${xmlText(text)}</text>`
  })
  const chart = inner.replace(NOT_XML, '\ufffd').replace('<svg ', `<svg x="0" y="${top}" `)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top + height}" ` +
      `viewBox="0 0 ${width} ${top + height}" font-family="${xmlText(FONT)}">`,
    `<title>${xmlText(caption.slice(0, 2).join(': '))}</title>`,
    `<desc>${xmlText(caption.slice(2).join('\n'))}</desc>`,
    `<rect width="100%" height="100%" fill="${palette.paper}"/>`,
    ...texts,
    chart,
    '</svg>\n',
  ].join('\n')
}

/** The chart's pixels, `ratio` per CSS pixel, under its caption. */
export function composePng(
  chart: HTMLCanvasElement,
  ratio: number,
  caption: readonly string[],
  palette: Palette,
): Promise<Blob | null> {
  const { lines, height: top } = layOut(caption, chart.width / ratio)
  const canvas = document.createElement('canvas')
  canvas.width = chart.width
  canvas.height = chart.height + top * ratio
  const context = canvas.getContext('2d')!
  context.fillStyle = palette.paper
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(chart, 0, top * ratio)
  context.scale(ratio, ratio)
  lines.forEach((line, i) => {
    context.font = fontOf(line)
    context.fillStyle = i ? palette.muted : palette.ink
    context.fillText(line.text, MARGIN, line.y)
  })
  return new Promise((resolve) => canvas.toBlob(resolve))
}
