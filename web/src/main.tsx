/*
 * Where the page begins. It holds a document (docs/reference/formats.md) where it is a report; where that is empty, a server is behind it.
 */
import { render } from 'preact'
import { followTheme } from './draw/theme'
import { keepSource } from './ui/export'
import { listen } from './ui/keyboard'
import { start } from './model/actions'
import { restore } from './model/store'
import './style.css'
import { App } from './views/app'

keepSource()
restore()
followTheme()
listen()
render(<App />, document.getElementById('app')!)
void start(document.getElementById('headwater-data')?.textContent?.trim() ?? '')
