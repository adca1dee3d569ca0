"""Measures the page at the size of a long prompt: from a click until what it changes is painted, and how long the token
map takes to open. Input events are the browser's own: Playwright moves and presses the mouse of a real Chromium.

    build/venv/bin/python bench/page_click.py [REPORT.html] [--clicks N] [--load N]

REPORT is a saved report; without one a report of random numbers is made (1,848 prompt tokens, 100 completion tokens, 30
layers). --load starts that many processes that only compute, so that the machine is busy. For each kind of click:

  painted  from the event's time stamp to the end of the main thread's work for the frame that shows the marks in the
           texts: median, worst
  listed   the same for the details beside them, which follow in the next task: median
  browser  the browser's own measure (PerformanceEventTiming: until the next paint, in steps of 8 ms, 16 ms at the
           least): worst

Clicks come at random intervals of 60 to 400 ms, so that they also fall into the drawing of charts that a click before
them started.
"""

import argparse
import contextlib
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "web"))
from browser import PAGE, open_browser  # noqa: E402
from documents import citation, document, page_with, synthetic  # noqa: E402

SIZE = {"width": 1366, "height": 768}
TOKENS, GENERATED, LAYERS = 1848, 100, 30

# Notes, for each press, when it was made and when the frame after it was painted.
LISTENER = """() => {
  window.painted = []
  window.listed = []
  window.byBrowser = []
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) if (e.name === 'pointerdown' || e.name === 'click') byBrowser.push(e.duration)
  }).observe({ type: 'event', durationThreshold: 16 })
  const frame = (made, times) => requestAnimationFrame(() => {
    const channel = new MessageChannel()
    channel.port1.onmessage = () => times.push(performance.now() - made)
    channel.port2.postMessage(null)
  })
  let unlisted = 0
  addEventListener(window.kindOfEvent, (e) => frame(unlisted = e.timeStamp, painted), { capture: true })
  const details = document.querySelector('.details, .source-list')
  const changes = { subtree: true, childList: true, characterData: true, attributes: true }
  new MutationObserver(() => {
    if (unlisted) frame(unlisted, listed)
    unlisted = 0
  }).observe(details, changes)
}"""

# The time of the last change of the chart's pixels after the press, once they have been the same for 600 ms.
MAP_OPENED = """() => new Promise((done) => {
  const tab = document.getElementById('tab-map')
  tab.addEventListener('pointerdown', (e) => {
    const small = new OffscreenCanvas(96, 64).getContext('2d', { willReadFrequently: true })
    let [before, changed] = ['', e.timeStamp]
    const look = () => {
      const now = performance.now()
      small.clearRect(0, 0, 96, 64)
      for (const canvas of document.querySelectorAll('.chart canvas')) small.drawImage(canvas, 0, 0, 96, 64)
      const pixels = small.getImageData(0, 0, 96, 64).data.join()
      if (pixels !== before) changed = now
      before = pixels
      if (now - changed > 600) window.opened = changed - e.timeStamp
      else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  }, { once: true })
  done()
})"""


@contextlib.contextmanager
def busy(n):
    """Runs n processes that only compute."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for process in running:
            process.kill()


def made_report(folder):
    """Random numbers, with a citation by sentences of twelve tokens."""
    entry = synthetic(TOKENS, GENERATED, LAYERS)
    groups = [k // 12 for k in range(TOKENS)]
    texts = ["".join(t["text"] for t in entry["run"]["tokens"][12 * g : 12 * g + 12]) for g in range(groups[-1] + 1)]
    shares = [[0.6 if g == 40 * p + 3 else 0.001 for g in range(len(texts))] for p in range(4)]
    entry["citations"] = [citation(texts, ["Part"] * 4, shares, groups, [i // 25 for i in range(GENERATED)])]
    entry["segments"]["prompt"]["sentence"] = {"groups": groups, "names": texts}
    path = folder / "report.html"
    path.write_text(page_with(PAGE.read_text(encoding="utf-8"), document(entry)), encoding="utf-8")
    return path


def place(page, selector, i):
    """Scrolls the i-th element of its kind into view; its middle."""
    box = page.evaluate("""([selector, i]) => {
        const all = document.querySelectorAll(selector)
        const one = all[i % all.length]
        one.scrollIntoView({ block: 'nearest' })
        const box = one.getClientRects()[0]
        return [box.left + box.width / 2, box.top + box.height / 2]
    }""", [selector, i])
    return box


# Name, what is clicked, the event that acts, whether it is of the second layer, and the chart that is open.
KINDS = [("source number", "#cited-answer .mark", "click", None),
         ("sentence of the prompt", "#cited-prompt [data-p]", "click", None),
         ("completion token, bars", "#answer-0 [data-k]", "pointerdown", "bars"),
         ("prompt token, bars", "#prompt-0 [data-k]", "click", "bars"),
         ("completion token, layers", "#answer-0 [data-k]", "pointerdown", "layers"),
         ("completion token, map", "#answer-0 [data-k]", "pointerdown", "map")]


def measure(browser, url, kind, clicks):
    _, selector, event, chart = kind
    rng = random.Random(1)
    page = browser.new_page(viewport=SIZE)
    page.goto(url + (f"#view=closer&chart={chart}" if chart else ""))
    page.wait_for_selector(selector)
    page.wait_for_timeout(2500)  # the first chart
    page.evaluate(f"window.kindOfEvent = '{event}'")
    page.evaluate(LISTENER)
    for i in range(clicks):
        x, y = place(page, selector, 37 * i + 1)
        page.mouse.move(x, y)
        page.wait_for_timeout(rng.uniform(60, 400))
        page.mouse.down()
        page.mouse.up()
    page.wait_for_timeout(800)
    times = page.evaluate("[painted, listed, byBrowser]")
    page.close()
    return times


def open_map(browser, url, times=5):
    """Milliseconds until the token map is drawn after a press on its tab."""
    out = []
    for _ in range(times):
        page = browser.new_page(viewport=SIZE)
        page.goto(url + "#view=closer")
        page.wait_for_selector("#answer-0 [data-k]")
        page.wait_for_timeout(1500)
        page.locator("#tab-map").scroll_into_view_if_needed()
        page.evaluate(MAP_OPENED)
        page.locator("#tab-map").click()
        while (opened := page.evaluate("window.opened")) is None:
            page.wait_for_timeout(200)
        out.append(opened)
        page.close()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("report", nargs="?", type=pathlib.Path)
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument("--load", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser, busy(given.load):
        url = (given.report or made_report(pathlib.Path(folder))).resolve().as_uri()
        print(f"{'click on':<26}{'n':>4}{'median':>8}{'worst':>8}{'listed':>8}{'browser':>9}   ms")
        for kind in KINDS:
            painted, listed, by_browser = measure(browser, url, kind, given.clicks)
            print(f"{kind[0]:<26}{len(painted):>4}{statistics.median(painted):>8.1f}{max(painted):>8.1f}"
                  f"{statistics.median(listed or [0]):>8.1f}{max(by_browser, default=0):>9.0f}", flush=True)
        opened = open_map(browser, url)
        print(f"token map opens: {statistics.median(opened):.0f} ms (median of {len(opened)}, worst {max(opened):.0f})")


if __name__ == "__main__":
    main()
