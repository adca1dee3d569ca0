/*
 * Entry point of the page. In a report the page contains a document (docs/reference/formats.md); if that is empty, the
 * page is served by a server.
 */
import { render } from 'preact'
import { followTheme } from './draw/theme'
import { keepSource } from './ui/export'
import { scheduleRendering } from './ui/frame'
import { joinPage } from './ui/framed'
import { listen } from './ui/keyboard'
import { start } from './model/actions'
import { keepDraft } from './model/draft'
import { restore } from './model/store'
import './style.css'
import './first_look.css'
import { App } from './views/app'

keepSource()
scheduleRendering()
restore()
keepDraft()
followTheme()
listen()
render(<App />, document.getElementById('app')!)
void start(document.getElementById('headwater-data')?.textContent?.trim() ?? '').then(joinPage)
