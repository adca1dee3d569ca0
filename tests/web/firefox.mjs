/*
 * One flow in Firefox, driven over WebDriver BiDi: first look, click on a source, look closer, report.
 *
 *     node tests/web/firefox.mjs FIREFOX ADDRESS   the page of a server, which a run is made with
 *
 * Prints a line for each step; a step that fails ends it with exit status 1.
 */
import { createRequire } from 'node:module'
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import assert from 'node:assert/strict'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const puppeteer = (await import(require.resolve('puppeteer-core'))).default

const [, , executablePath, address] = process.argv
const folder = mkdtempSync(join(tmpdir(), 'headwater-firefox-'))
const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath,
  headless: true,
  extraPrefsFirefox: { 'toolkit.telemetry.enabled': false, 'app.update.enabled': false },
})
const errors = []

async function open(url) {
  const page = await browser.newPage()
  page.setDefaultTimeout(120_000)
  page.on('pageerror', (e) => errors.push(String(e)))
  page.on('console', (m) => m.type() === 'error' && errors.push(m.text()))
  await page.setViewport({ width: 1366, height: 768 })
  await page.goto(url)
  return page
}

const textOf = (page, selector) => page.$eval(selector, (e) => e.textContent.replaceAll('\u00a0', ' ').trim())
const isInView = (page, inner, outer) =>
  page.evaluate(
    (a, b) => {
      const [x, y] = [a, b].map((s) => document.querySelector(s).getBoundingClientRect())
      return y.top - 1 <= x.top && x.bottom <= y.bottom + 1
    },
    inner,
    outer,
  )

async function button(page, name) {
  const found = await page.waitForSelector(`::-p-xpath(//button[normalize-space(.)="${name}"])`)
  await found.click()
}

async function firstLook(page) {
  await page.waitForSelector('#prompt-field')
  await page.type(
    '#prompt-field',
    'The bakery sells rye bread. The head librarian is Maria Gomez. Who is the head librarian?',
  )
  await button(page, 'Ask')
  await page.waitForSelector('.answer-actions')
  await page.waitForSelector('#cited-answer .mark')
  assert.match(await textOf(page, '#cited-answer'), /Maria Gomez/)
  console.log('first look')
}

async function clickSource(page) {
  const mark = await page.$('#cited-answer .mark')
  await mark.click()
  await page.waitForSelector('#cited-prompt .marked')
  assert.ok(await isInView(page, '#cited-prompt .marked', '.framed .frame'))
  console.log('click on a source')
}

async function lookCloser(page) {
  await button(page, 'Look closer')
  await page.waitForSelector('#answer-0 [data-k]')
  const box = await (await page.$('#answer-0 [data-k="1"]')).boundingBox()
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2)
  assert.equal(await page.$$eval('#answer-0 [aria-selected="true"]', (list) => list.length), 1)
  assert.ok((await page.$$('.strongest li')).length > 0)
  const painted = await page.$eval('canvas.tint-canvas:has(+ #prompt-0)', (canvas) =>
    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v > 0),
  )
  assert.ok(painted, 'the prompt is not tinted')
  console.log('look closer')
}

async function report(page) {
  const run = /run=(\d+)/.exec(page.url())[1]
  const file = join(folder, 'report.html')
  writeFileSync(file, await (await fetch(`${address}api/runs/${run}/export?format=html`)).text())
  const opened = await open(`file://${file}`)
  await opened.waitForSelector('#cited-answer .mark')
  assert.equal(await textOf(opened, '#cited-answer'), await textOf(page, '#cited-answer'))
  console.log('report')
}

try {
  const page = await open(address)
  await firstLook(page)
  await clickSource(page)
  await lookCloser(page)
  await page.keyboard.press('l')
  await page.waitForSelector('#cited-answer')
  await report(page)
  assert.deepEqual(errors, [])
} finally {
  await browser.close()
  rmSync(folder, { recursive: true, force: true })
}
