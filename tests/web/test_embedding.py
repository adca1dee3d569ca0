"""A report inside another page: the examples of docs/guide/embedding.md as they stand there, served from a folder."""

import functools
import html
import http.server
import re
import threading

import pytest
from browser import PAGE, ROOT
from conftest import plain
from documents import document, page_with
from patience import patience
from test_first_look import cited

ELEMENT = ROOT / "web" / "element" / "headwater-report.js"
EXAMPLES = re.findall(r"```html\n(.*?)```", (ROOT / "docs" / "guide" / "embedding.md").read_text("utf-8"), re.DOTALL)
REPORT = page_with(PAGE.read_text(encoding="utf-8"),
                   document(cited(name="first"), cited(name="second", answer=[" Tom", " does", ".", " Rye", "!", "."])))

# Keeps the messages of the frame, newest last; must be there before the frame is.
KEEP = """<meta charset="utf-8"><link rel="icon" href="data:,">
<script>messages = []; addEventListener('message', ({ data }) => messages.push(data))</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("host")
    (path / "report.html").write_text(REPORT, encoding="utf-8")
    (path / "headwater-report.js").write_bytes(ELEMENT.read_bytes())
    return path


@pytest.fixture(scope="module")
def site(folder):
    """The folder's address: http://127.0.0.1:PORT/; the same under localhost is another origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def open_host(open_page, folder, site, request):
    """open_host(body) opens a page with this content; gives it and the frame inside."""

    def opened(body, **options):
        name = f"{request.node.name}.html"
        (folder / name).write_text(body, encoding="utf-8")
        page = open_page(site + name, **options)
        frame = page.frame_locator("iframe")
        frame.locator("#cited-answer").wait_for(timeout=1000 * patience(10))
        return page, frame

    return opened


def of_type(page, name):
    return [m for m in page.evaluate("messages") if m.get("type") == f"headwater:{name}"]


def frame_height(page):
    return page.locator("iframe").bounding_box()["height"]


def test_the_element_of_the_guide(open_host):
    page, frame = open_host(KEEP + EXAMPLES[0], viewport={"width": 1000, "height": 900})
    frame.locator("html[data-theme=dark]").wait_for(state="attached")
    before = page.evaluate("history.length")
    page.wait_for_function("messages.some((m) => m.type === 'headwater:shown')")
    assert of_type(page, "ready") == [{"type": "headwater:ready", "version": 1, "runs": 2}]
    frame.locator("#cited-answer .mark").first.click()
    said = page.locator("#said")
    page.wait_for_function("said.textContent !== ''")
    assert said.inner_text() == "Source 1: Maria keeps the key."
    assert of_type(page, "source")[-1]["bytes"] == [12, 34]
    page.evaluate("report.show({ source: 2 })")
    page.wait_for_function("said.textContent.startsWith('Source 2')")
    assert frame.locator("#cited-prompt .marked").inner_text() == "Rye is sold."
    page.evaluate("report.setAttribute('run', '2')")
    frame.locator("#cited-answer", has_text="Tom does.").wait_for()
    page.evaluate("report.setAttribute('theme', 'light')")
    frame.locator("html[data-theme=light]").wait_for(state="attached")
    page.evaluate("report.setAttribute('view', 'closer')")
    frame.locator("#answer-0").wait_for()
    assert page.evaluate("history.length") == before and page.url.endswith("guide.html"), "the report wrote an address"


def test_runs_of_a_report_are_one_choice_away(open_host):
    page, frame = open_host(KEEP + '<iframe src="report.html"></iframe>')
    frame.get_by_label("Run", exact=True).select_option(label="second")
    assert frame.locator("#cited-answer").inner_text().startswith("Tom does.")


def test_the_frame_of_the_guide_is_as_high_as_the_report(open_host):
    """Without scrolling: the answer ends inside the frame."""
    text = html.escape(REPORT, quote=True)
    page, frame = open_host(KEEP + EXAMPLES[1].replace('srcdoc="..."', f'srcdoc="{text}"'),
                            viewport={"width": 1000, "height": 900})
    page.wait_for_function("messages.some((m) => m.type === 'headwater:size')")
    page.wait_for_function("frame.style.height !== '480px'")
    page.wait_for_timeout(300)
    height = frame_height(page)
    assert height == of_type(page, "size")[-1]["height"]
    for inner in (".answer-frame", ".framed .frame"):
        hidden = frame.locator(inner).evaluate("e => e.scrollHeight - e.clientHeight")
        assert hidden <= 1, inner
    lowest = frame.locator(".source-list").bounding_box()
    top = page.locator("iframe").bounding_box()["y"]
    assert 0 < top + height - (lowest["y"] + lowest["height"]) < 60, "the frame has empty space"
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function(f"parseFloat(frame.style.height) > {height + 40}")
    assert of_type(page, "shown")[-1] == {"type": "headwater:shown", "run": 1, "title": "first", "view": "answer"}


def test_it_can_only_be_seen_and_asked_for_what_is_public(open_host, site):
    """Another origin gets the height and no words; a sandboxed report reads nothing of the page around."""
    other = site.replace("127.0.0.1", "localhost") + "report.html"
    page, frame = open_host(KEEP + f'<iframe src="{other}" sandbox="allow-scripts"></iframe>')
    page.wait_for_function("messages.some((m) => m.type === 'headwater:size')")
    frame.locator("#cited-answer .mark").first.click()
    assert frame.locator("#cited-prompt .marked").count() == 1
    page.evaluate("frames[0].postMessage({ type: 'headwater:show', view: 'closer', run: 99, source: 'x' }, '*')")
    frame.locator("#answer-0").wait_for()
    assert {m["type"] for m in page.evaluate("messages")} == {"headwater:ready", "headwater:size"}
    assert plain(frame.locator(".headword").inner_text()), "the frame has no storage and no origin, and still works"


def test_it_takes_messages_from_the_page_around_only(open_host):
    page, frame = open_host(KEEP + '<iframe src="report.html"></iframe>')
    page.evaluate("""() => new Promise((done) => {
        const other = document.createElement('iframe')
        other.srcdoc = `<script>
            parent.frames[0].postMessage({ type: 'headwater:show', view: 'closer' }, '*')<\\/script>`
        other.onload = () => setTimeout(done, 200)
        document.body.append(other)
    })""")
    assert page.frame_locator("iframe >> nth=0").locator("#cited-answer").count() == 1
    page.evaluate("messages.length = 0; frames[0].postMessage({ type: 'headwater:hello' }, '*')")
    page.wait_for_function("messages.some((m) => m.type === 'headwater:size')")
    assert [m["type"] for m in page.evaluate("messages")][:2] == ["headwater:ready", "headwater:size"]
