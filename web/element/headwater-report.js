/*
 * <headwater-report>: a Headwater report inside another page. docs/guide/embedding.md describes it and the messages that
 * it exchanges with the report; a page may also exchange them itself, with an <iframe> of its own.
 *
 *     <script type="module" src="headwater-report.js"></script>
 *     <headwater-report src="report.html" theme="dark"></headwater-report>
 *
 * Attributes: src (address of the report) or srcdoc (its text), theme (light, dark), run (from 1), view (answer, closer),
 * label (name of the frame). Events, with what the report sent as `detail`: headwater-ready, headwater-shown,
 * headwater-source. The element is as high as the report, between the CSS variables --headwater-min-height and
 * --headwater-max-height.
 */

const STYLE = `
:host { display: block; }
:host([hidden]) { display: none; }
iframe { display: block; box-sizing: border-box; width: 100%; border: 1px solid #8884; border-radius: 6px;
  height: clamp(var(--headwater-min-height, 16rem), var(--height, 30rem), var(--headwater-max-height, min(90vh, 48rem))); }
`

/** Scripts of the report run, but in an origin of their own: they can neither read nor change the page around. */
const SANDBOX = 'allow-scripts allow-downloads'

export class HeadwaterReport extends HTMLElement {
  static observedAttributes = ['src', 'srcdoc', 'theme', 'run', 'view', 'label']
  #frame = document.createElement('iframe')
  #isReady = false

  constructor() {
    super()
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(STYLE)
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [sheet]
    this.#frame.setAttribute('sandbox', SANDBOX)
    this.#frame.setAttribute('allow', 'clipboard-write *')
    this.#frame.title = 'Headwater report'
    root.append(this.#frame)
  }

  connectedCallback() {
    addEventListener('message', this.#take)
  }

  disconnectedCallback() {
    removeEventListener('message', this.#take)
    this.#isReady = false
  }

  attributeChangedCallback(name, before, now) {
    if (before === now) return
    if (name === 'label') this.#frame.title = now ?? 'Headwater report'
    else if (name === 'src' || name === 'srcdoc') this.#load(name, now)
    else if (this.#isReady) this.#send([name])
  }

  #load(name, value) {
    this.#isReady = false
    if (value === null) this.#frame.removeAttribute(name)
    else this.#frame.setAttribute(name, value)
  }

  /** What is shown: run, sentence and source are counted from 1, view is 'answer' or 'closer'. */
  show({ run, view, sentence, source }) {
    this.#frame.contentWindow?.postMessage({ type: 'headwater:show', run, view, sentence, source }, '*')
  }

  #send(names) {
    if (names.includes('theme') && this.hasAttribute('theme'))
      this.#frame.contentWindow.postMessage({ type: 'headwater:theme', theme: this.getAttribute('theme') }, '*')
    const run = Number(this.getAttribute('run') ?? NaN)
    const view = this.getAttribute('view') ?? undefined
    if (names.includes('run') && run) this.show({ run })
    if (names.includes('view') && view) this.show({ view })
  }

  #take = ({ source, data }) => {
    if (source === null || source !== this.#frame.contentWindow) return
    const { type, ...detail } = data ?? {}
    if (type === 'headwater:size' && detail.height > 0) this.style.setProperty('--height', `${detail.height + 2}px`)
    if (type === 'headwater:ready') {
      this.#isReady = true
      this.#send(['theme', 'run', 'view'])
    }
    if (['headwater:ready', 'headwater:shown', 'headwater:source'].includes(type))
      this.dispatchEvent(new CustomEvent(type.replace(':', '-'), { detail, bubbles: true, composed: true }))
  }
}

if (!customElements.get('headwater-report')) customElements.define('headwater-report', HeadwaterReport)
