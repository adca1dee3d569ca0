"""Measures the time from a click on a completion token until the tinted prompt is painted, in the browser.

    build/venv/bin/python tests/web/measure_click.py [TOKENS ...]

For each number of prompt tokens: a report of random numbers (100 completion tokens, 30 layers) is opened at 1366 x 768,
50 tokens are clicked. Printed are medians in milliseconds of

  tint     the work of the click itself, until every token has its new class
  frame    that, and style, layout and paint of the frame that shows it, without the wait for that frame to begin
  painted  from the click to the end of that frame's main-thread work, the wait (up to 16.7 ms at 60 Hz) included
"""

import pathlib
import statistics
import sys
import tempfile

from browser import PAGE, open_browser
from documents import document, page_with, synthetic

N_CLICKS = 50
SCRIPT = """
async (clicks) => {
  const spans = [...document.querySelectorAll('#answer-0 [data-k]')]
  const afterFrame = () => new Promise((done) => requestAnimationFrame((began) => {
    const channel = new MessageChannel()
    const ready = performance.now()
    channel.port1.onmessage = () => done(performance.now() - ready)
    channel.port2.postMessage(null)
  }))
  const out = []
  for (let i = 0; i < clicks + 5; i++) {
    const span = spans[(i * 37 + 1) % spans.length]
    const begin = performance.now()
    for (const type of ['pointerdown', 'pointerup', 'click'])
      span.dispatchEvent(new PointerEvent(type, { bubbles: true, button: 0, buttons: type === 'pointerdown' ? 1 : 0 }))
    const tint = performance.now() - begin
    const frame = await afterFrame()
    const painted = performance.now() - begin
    if (i >= 5) out.push([tint, tint + frame, painted])
    await new Promise((done) => setTimeout(done, 120))
  }
  return out
}
"""


def measure(browser, m, folder):
    path = folder / f"{m}.html"
    path.write_text(page_with(PAGE.read_text(encoding="utf-8"), document(synthetic(m, 100, 30))), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.goto(path.as_uri())
    page.wait_for_selector("#answer-0 [data-k]")
    page.wait_for_timeout(1500)  # the first chart
    times = page.evaluate(SCRIPT, N_CLICKS)
    page.close()
    return [statistics.median(column) for column in zip(*times)]


def main(sizes):
    print(f"{'prompt tokens':>13}  {'tint':>6}  {'frame':>6}  {'painted':>7}   ms, median of {N_CLICKS}")
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        for m in sizes:
            tint, frame, painted = measure(browser, m, pathlib.Path(folder))
            print(f"{m:>13}  {tint:6.1f}  {frame:6.1f}  {painted:7.1f}", flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1000, 4000])
