/*
 * Where the page begins. It holds a document (docs/formats.md) where it is a report; where that is empty, a server is behind it.
 */
import { render } from 'preact'
import { followTheme } from './appearance'
import { keepSource } from './files'
import { listen } from './keyboard'
import { start } from './session'
import { restore } from './state'
import './style.css'
import { App } from './views/app'

keepSource()
restore()
followTheme()
listen()
render(<App />, document.getElementById('app')!)
void start(document.getElementById('headwater-data')?.textContent?.trim() ?? '')
