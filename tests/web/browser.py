"""The browser that the tests of the page drive: Debian's chromium, with nothing of its own on the network."""

import contextlib
import functools
import os
import pathlib
import tempfile

from playwright.sync_api import Error, Locator, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "build" / "page" / "index.html"
CHROMIUM = os.environ.get("HEADWATER_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


FRAME = "new Promise((shown) => { requestAnimationFrame(() => setTimeout(shown)); setTimeout(shown, 500) })"


def until_painted(page):
    """Until the frame that shows what the last input did: the page paints its marks once per frame."""
    with contextlib.suppress(Error):  # a page that the input has left or closed has no frame to wait for
        page.evaluate(FRAME)


def then_painted(action, page_of):
    @functools.wraps(action)
    def acted(*args, **options):
        result = action(*args, **options)
        until_painted(page_of(*args))
        return result

    return acted


for name in ("check", "click", "fill", "hover", "press", "select_option"):
    setattr(Locator, name, then_painted(getattr(Locator, name), lambda locator, *_: locator.page))


@contextlib.contextmanager
def open_browser():
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=CHROMIUM, args=FLAGS, accept_downloads=True, viewport={"width": 1366, "height": 768}
        )
        browser = OneProfile(context, playwright)
        yield browser
        context.close()


class OneProfile:
    """Opens pages of any size and colour scheme within one profile."""

    def __init__(self, context, playwright):
        self.context = context
        self.playwright = playwright

    def new_page(self, viewport=None, dark=False, touch=False):
        page = self.context.new_page()
        page.emulate_media(color_scheme="dark" if dark else "light")
        if viewport:
            page.set_viewport_size(viewport)
        for name in ("press", "type"):
            setattr(page.keyboard, name, then_painted(getattr(page.keyboard, name), lambda *_: page))
        return page
