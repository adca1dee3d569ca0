import { render } from 'preact'
import './style.css'

render(<main>Headwater</main>, document.getElementById('app')!)
