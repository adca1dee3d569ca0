"""Takes the pictures of docs/guide/screenshots: the page and a report at phone, laptop and wide sizes, light and dark.

    HEADWATER_BIN=... HEADWATER_TEST_MODELS=... build/venv/bin/python tests/web/screenshots.py [FOLDER [SCENE...]]
"""

import json
import os
import pathlib
import sys
import tempfile
import urllib.request

from browser import ROOT, open_browser

sys.path.insert(0, str(ROOT / "tests" / "support"))  # as pytest.ini says; conftest needs it
from conftest import Server, raw_text, select_tokens, token
from patience import patience
from test_first_look import ARABIC, JAPANESE, LIBRARY, TOWNS

SIZES = {"phone": (390, 844), "laptop": (1366, 768), "wide": (1920, 1080)}
EXAMPLES = {line["name"]: line for line in map(json.loads, (ROOT / "examples" / "note.jsonl").read_text().splitlines())}


def cite(page, prompt, completion):
    """Explains a completion and waits for the check of its sources."""
    page.get_by_role("button", name="New").click()
    raw_text(page)
    page.get_by_label("I write the completion").check()
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Completion to explain").fill(completion)
    page.get_by_role("button", name="Explain", exact=True).click()
    page.wait_for_selector(".progress", state="detached")
    if page.locator("#cited-answer").count():
        page.wait_for_selector(".in-one-sentence strong")


def explain(page, name):
    """Explains an example, and looks closer."""
    cite(page, EXAMPLES[name]["prompt"], EXAMPLES[name]["completion"])
    if page.locator("#cited-answer").count():
        page.get_by_role("button", name="Look closer").click()
    page.wait_for_selector("#answer-0 [data-k]")


def first(page):
    cite(page, *LIBRARY)


def towns(page):
    cite(page, *TOWNS)
    page.locator("#cited-answer .mark").first.hover()


def japanese(page):
    cite(page, *JAPANESE)


def arabic(page):
    cite(page, *ARABIC)


def documents(page):
    page.get_by_role("button", name="New").click()
    raw_text(page)
    for i, (name, text) in enumerate((("Staff list", "The head librarian is Maria Gomez. Her deputy is Tom Reed."),
                                      ("Opening hours", "The library opens at nine. It closes at six."))):
        page.get_by_role("button", name="Add a document").click()
        page.get_by_label(f"Name of document {i + 1}").fill(name)
        page.get_by_label(f"Text of document {i + 1}").fill(text)
    page.get_by_label("I write the completion").check()
    page.get_by_label("Prompt", exact=True).fill("Question: Who is the head librarian?\nAnswer:")
    page.get_by_label("Completion to explain").fill(" The head librarian is Maria Gomez.")
    page.get_by_role("button", name="Explain", exact=True).click()
    page.wait_for_selector(".in-one-sentence strong")


def write(page):
    """A conversation before its second turn."""
    chat(page)
    page.get_by_role("button", name="Edit and run again").click()
    page.get_by_label("You, turn 2", exact=True).wait_for()


def chat(page):
    """A second turn, with a system message and a document."""
    page.get_by_text("Conversation", exact=True).click()
    page.get_by_role("button", name="Add a system message").click()
    page.get_by_label("System message", exact=True).fill("Answer in one short sentence.")
    page.get_by_role("button", name="Add a document").click()
    page.get_by_label("Name of document 1").fill("Staff list")
    page.get_by_label("Text of document 1").fill("The head librarian is Maria Gomez. Her deputy is Tom Reed.")
    page.get_by_label("Message", exact=True).fill("Who is the head librarian?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".in-one-sentence strong")
    page.get_by_label("Further question").fill("And who is her deputy?")
    page.keyboard.press("Enter")
    page.locator("#cited-prompt").get_by_text("And who is her deputy?").wait_for()  # no longer the first answer
    page.wait_for_selector(".progress", state="detached")
    page.wait_for_selector(".in-one-sentence strong")


def david(page):
    explain(page, "rome")
    token(page, 7).click()


def weather(page):
    explain(page, "sunny")
    token(page, 0).click()
    page.get_by_role("tab", name="Layers").click()


def names(page):
    explain(page, "putin")
    explain(page, "abdul")
    token(page, 0).click()
    page.keyboard.press("c")
    page.get_by_label("Run on the right").select_option(label="My name is Putin, I am from")
    page.wait_for_selector("#answer-1 [data-k]")
    token(page, 0, pane=1).click()


def methods(page):
    explain(page, "rome")
    select_tokens(page, 4, 7)
    page.keyboard.press("c")
    page.get_by_role("button", name="token 0").click()
    page.get_by_role("tab", name="Token map").click()


def report(page):
    """The first look of a saved report."""
    first(page)
    run = page.url.split("run=")[1]
    with tempfile.NamedTemporaryFile(suffix=".html", delete=False) as file:
        url = page.url.split("#")[0] + f"api/runs/{run}/export?format=html"
        file.write(urllib.request.urlopen(url).read())
    page.goto(pathlib.Path(file.name).as_uri())
    page.wait_for_selector(".in-one-sentence strong")
    os.unlink(file.name)


SCENES = [("first", first, "laptop", False), ("report", report, "laptop", True), ("first", first, "phone", True),
          ("first", first, "wide", True),
          ("long", towns, "laptop", False), ("long", towns, "phone", False), ("documents", documents, "laptop", False),
          ("japanese", japanese, "wide", False), ("japanese", japanese, "phone", True),
          ("arabic", arabic, "laptop", True), ("arabic", arabic, "phone", False),
          ("write", write, "laptop", False), ("chat", chat, "laptop", False), ("chat", chat, "phone", True),
          ("david", david, "laptop", False), ("david", david, "phone", False),
          ("david", david, "wide", True), ("weather", weather, "wide", False), ("weather", weather, "phone", True),
          ("names", names, "laptop", False), ("methods", methods, "laptop", True)]


def main(folder, names=()):
    folder.mkdir(parents=True, exist_ok=True)
    model = pathlib.Path(os.environ["HEADWATER_TEST_MODELS"]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
    with tempfile.TemporaryDirectory() as store, open_browser() as browser:
        server = Server(os.environ["HEADWATER_BIN"], model, pathlib.Path(store))
        server.start()
        for name, scene, size, dark in (one for one in SCENES if not names or one[0] in names):
            width, height = SIZES[size]
            page = browser.new_page(viewport={"width": width, "height": height}, dark=dark)
            page.set_default_timeout(1000 * patience(60))
            page.goto(server.url)
            page.wait_for_selector("form.composer")
            scene(page)
            if name != "long":  # the pointer is on a source
                page.mouse.move(0, 0)
            if "view=closer" in page.url:  # charts are drawn when they are in view
                page.locator(".charts").scroll_into_view_if_needed()
                page.wait_for_timeout(900)
                page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(900)
            path = folder / f"{name}-{size}{'-dark' if dark else ''}.png"
            page.screenshot(path=path, full_page="view=closer" in page.url)
            page.close()
        server.stop()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "guide" / "screenshots", sys.argv[2:])
