/*
 * Light and dark: the palette becomes style rules, in a sheet that the page's policy allows because a script makes it.
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
