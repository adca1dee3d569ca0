/*
 * Colours. Token backgrounds range between the page's colour and one strong tint that keeps the text readable; heat
 * maps have their own colour maps. All sequential maps have monotonic lightness, so that they can be read without
 * colour.
 */
import { STEPS } from '../model/aggregate'

type Rgb = readonly [number, number, number]
export type Theme = 'light' | 'dark'

const parse = (hex: string): Rgb => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)) as unknown as Rgb
const hex = (colour: Rgb) => `#${colour.map((c) => Math.round(c).toString(16).padStart(2, '0')).join('')}`

/** Piecewise linear interpolation between equally spaced stops; t in 0..1. */
export function mix(stops: readonly string[], t: number): string {
  const at = Math.min(1, Math.max(0, t)) * (stops.length - 1)
  const i = Math.min(stops.length - 2, Math.floor(at))
  const a = parse(stops[i])
  const b = parse(stops[i + 1])
  return hex([0, 1, 2].map((c) => a[c] + (b[c] - a[c]) * (at - i)) as unknown as Rgb)
}

function luminance(colour: string): number {
  const [r, g, b] = parse(colour).map((c) => {
    const s = c / 255
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

/** WCAG contrast ratio, 1 to 21. */
export function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (high + 0.05) / (low + 0.05)
}

export interface Palette {
  paper: string
  ink: string
  muted: string
  rule: string
  accent: string
  /** Stops from zero to full strength: positive values, negative values. */
  above: readonly string[]
  below: readonly string[]
  /** Bars and lines, which carry no text: contrast 3:1 against the paper. */
  bar: string
  barBelow: string
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    paper: '#fbfaf7',
    ink: '#1f1e1b',
    muted: '#67635b',
    rule: '#e3dfd6',
    accent: '#0a635f',
    above: ['#fbfaf7', '#fbdcae', '#f5a94f', '#e67b2e'],
    below: ['#fbfaf7', '#cfe1f2', '#94bfe4', '#5d9bd3'],
    bar: '#c95f14',
    barBelow: '#3a7cbd',
  },
  dark: {
    paper: '#151619',
    ink: '#ece9e2',
    muted: '#a5a097',
    rule: '#303137',
    accent: '#74cbc2',
    above: ['#151619', '#4a2c14', '#7a4011', '#9e4e0d'],
    below: ['#151619', '#16304b', '#1d4a78', '#2464a4'],
    bar: '#e08a35',
    barBelow: '#5ea3e0',
  },
}

/** The tint of a step -32..32. */
export function tint(palette: Palette, step: number): string {
  return mix(step < 0 ? palette.below : palette.above, Math.abs(step) / STEPS)
}

/** Colour maps of the charts. The first is the default; the last is the original note's. Signed values always use the
 * diverging map. */
export const MAPS: Record<string, { label: string; stops: (theme: Theme) => readonly string[] }> = {
  tint: {
    label: 'Amber',
    stops: (theme) =>
      theme === 'light'
        ? ['#f6f3ec', '#fbd39a', '#f0953b', '#c24f10', '#6e2405']
        : ['#1d1e22', '#57310f', '#a9540f', '#ee9435', '#fde3b5'],
  },
  viridis: {
    label: 'Viridis',
    stops: () => [
      '#440154',
      '#482878',
      '#3e4989',
      '#31688e',
      '#26828e',
      '#1f9e89',
      '#35b779',
      '#6ece58',
      '#b5de2b',
      '#fde725',
    ],
  },
  cividis: {
    label: 'Cividis',
    stops: () => [
      '#00224e',
      '#123570',
      '#3b496c',
      '#575d6d',
      '#707173',
      '#8a8678',
      '#a59c74',
      '#c3b369',
      '#e1cc55',
      '#fee838',
    ],
  },
  plasma: {
    label: 'Plasma, as in the note',
    stops: () => [
      '#0d0887',
      '#46039f',
      '#7201a8',
      '#9c179e',
      '#bd3786',
      '#d8576b',
      '#ed7953',
      '#fb9f3a',
      '#fdca26',
      '#f0f921',
    ],
  },
}

export const DIVERGING: Record<Theme, readonly string[]> = {
  light: ['#0b3c72', '#3f83c4', '#a9cdea', '#f6f3ec', '#fbc98a', '#dd7421', '#7c2c05'],
  dark: ['#b5d9f7', '#4b94d6', '#1c4a78', '#1d1e22', '#6b3a10', '#dd8126', '#fde0b0'],
}

const VARIABLES = [
  ['paper', 'paper'],
  ['ink', 'ink'],
  ['muted', 'muted'],
  ['rule', 'rule'],
  ['accent', 'accent'],
  ['bar', 'bar'],
  ['bar-below', 'barBelow'],
] as const

/** Style rules of all steps as classes s-32..s32, and the palette as variables. */
export function styleRules(palette: Palette): string {
  const variables = VARIABLES.map(([name, key]) => `--${name}:${palette[key]}`)
  const rules = [`:root{${variables.join(';')}}`]
  for (let step = -STEPS; step <= STEPS; step++)
    if (step) rules.push(`.${stepClass(step)}{background-color:${tint(palette, step)}}`)
  return rules.join('\n')
}

export const stepClass = (step: number) => (step < 0 ? `n${-step}` : `s${step}`)
