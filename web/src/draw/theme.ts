/*
 * Light and dark themes: the palette becomes a style sheet made by script, which the page's content policy allows.
 */
import { effect } from '@preact/signals'
import { styleRules } from './colour'
import { palette, remember, theme } from '../model/store'

export function toggleTheme(): void {
  theme.value = theme.value === 'light' ? 'dark' : 'light'
  remember('theme', theme.value)
}

export function followTheme(): void {
  const sheet = new CSSStyleSheet()
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
  effect(() => {
    sheet.replaceSync(styleRules(palette.value))
    document.documentElement.dataset.theme = theme.value
    document.documentElement.style.colorScheme = theme.value
  })
}
