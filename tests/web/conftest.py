"""What the tests of the page share: a browser, reports with known numbers, a server with a real model.

$HEADWATER_BIN is the program, $HEADWATER_TEST_MODELS the folder of GGUF models; both must be set. Every page that a
test opens must end without an error on its console, and reports without a request to anything but their own file.
"""

import contextlib
import hashlib
import re
import subprocess
import time

import pytest

from browser import PAGE, ROOT, open_browser
from documents import document, page_with
from patience import HANG_S, patience
from program import program, smollm  # noqa: F401

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


def sources_hash():
    """As scripts/setup-web.sh computes it."""
    web = ROOT / "web"
    names = ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"]
    names += [str(path.relative_to(web)) for path in (web / "src").rglob("*") if path.is_file()]
    sums = "".join(f"{hashlib.sha256((web / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(names))
    return hashlib.sha256(sums.encode()).hexdigest()


@pytest.fixture(scope="session", autouse=True)
def current_page(program):
    """A test of an older page would wait for what is not on it until its limit."""
    newest = max(path.stat().st_mtime for path in (ROOT / "web" / "src").rglob("*"))
    stamp = PAGE.with_name("sources.sha256")
    built = PAGE.stat().st_mtime >= newest or stamp.is_file() and stamp.read_text().split()[0] == sources_hash()
    if not built or PAGE.read_bytes() not in program.read_bytes():
        pytest.exit(f"the page in {program} is older than web/src: scripts/setup-web.sh, then build it", returncode=3)


@pytest.fixture(scope="session")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture
def open_page(browser):
    """open_page(url, ...) gives a page; an error on its console fails the test, but for what holds a part of
    `allowed`."""
    pages, errors = [], []

    def opened(url, allowed=(), **options):
        page = browser.new_page(**options)
        page.set_default_timeout(1000 * patience(60))
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on(
            "console",
            lambda m: m.type == "error" and not any(part in m.text for part in allowed) and errors.append(m.text),
        )
        page.requests = []
        page.on("request", lambda r: page.requests.append(r.url))
        page.goto(url)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert errors == []


@pytest.fixture
def open_report(open_page, tmp_path):
    """open_report(run, ...) opens a report of these runs from its file, and waits for `shows`."""

    def opened(*runs, shows="#answer-0 [data-k]", **options):
        path = tmp_path / "report.html"
        path.write_text(page_with(PAGE.read_text(encoding="utf-8"), document(*runs)), encoding="utf-8")
        page = open_page(path.as_uri(), **options)
        page.wait_for_selector(shows)
        return page

    return opened


class Server:
    """`headwater serve` in a folder of its own; it can be stopped and started on the same store."""

    def __init__(self, program, model, folder):
        self.command = [str(program), "serve", "-m", str(model), "--store", str(folder / "runs.sqlite"), "--port", "0"]
        self.process = None
        self.url = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        self.url = re.search(r"http://127\.0\.0\.1:\d+/", line)[0]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=HANG_S)


@contextlib.contextmanager
def serving(program, model, folder):
    running = Server(program, model, folder)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def server(program, smollm, tmp_path_factory):
    with serving(program, smollm, tmp_path_factory.mktemp("serve")) as running:
        yield running


@pytest.fixture
def apart(program, smollm, tmp_path):
    """A server of its own, for a test that ends it or its engine."""
    with serving(program, smollm, tmp_path) as running:
        yield running


def until(page, true):
    """Until `true` holds: a function, or an expression for the page, whose policy forbids wait_for_function()."""
    end = time.monotonic() + patience(60)
    while not (page.evaluate(true) if isinstance(true, str) else true()):
        assert time.monotonic() < end, f"never true: {true}"
        page.wait_for_timeout(50)


# ---------------------------------------------------------------- what a person sees


def raw_text(page):
    """The form for a text that is continued as it stands; a conversation is what it shows first."""
    page.get_by_text("Raw text", exact=True).click()


def token(page, k, side="answer", pane=0):
    return page.locator(f'#{side}-{pane} [data-k="{k}"]')


def plain(text):
    """With the spaces that do not break written as the others."""
    return text.replace("\u00a0", " ")


def sources(page, pane=0):
    """The list "Came from": (index, text, value as written)."""
    root = page.locator(".strongest").nth(pane)
    return [tuple(part.strip() for part in plain(item.inner_text()).split("\n") if part.strip())
            for item in root.locator("> ol > li").all()]


def sinks(page, pane=0):
    """The line that the sinks are folded into; '' where there is none."""
    line = page.locator(".strongest").nth(pane).locator(".sinks summary")
    return plain(line.inner_text()) if line.count() else ""


def tint_of(page, k, pane=0):
    """The colour that is painted behind a prompt token, '' where none is."""
    return page.evaluate("""([k, pane]) => {
        const root = document.getElementById(`prompt-${pane}`)
        const canvas = root.parentElement.querySelector('canvas')
        const box = root.querySelector(`[data-k="${k}"]`).getClientRects()[0]
        const origin = canvas.getBoundingClientRect()
        const scale = canvas.width / origin.width
        const at = [(box.left + box.width / 2 - origin.left) * scale, (box.top + box.height / 2 - origin.top) * scale]
        const [r, g, b, a] = canvas.getContext('2d').getImageData(Math.floor(at[0]), Math.floor(at[1]), 1, 1).data
        return a ? '#' + [r, g, b].map((c) => c.toString(16).padStart(2, '0')).join('') : ''
    }""", [k, pane])


def select_tokens(page, first, last, pane=0):
    """Drags over the completion."""
    for k, act in ((first, page.mouse.down), (last, page.mouse.up)):
        box = token(page, k, pane=pane).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        act()


def accessibility_faults(page):
    """What axe-core finds against WCAG 2 A and AA: (rule, places)."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})")
    return [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found["violations"]]
