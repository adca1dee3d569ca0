"""The page for everyone: fingers, keys alone, screen readers' names, scripts whose letters join."""

import numpy as np
import pytest
from browser import until_painted
from conftest import accessibility_faults, plain, sources, token
from documents import attribution, run
from test_report import PROMPT, SEGMENTS, river


def finger(page):
    """Touch events as a phone sends them: begin, move and end of one finger."""
    devtools = page.context.new_cdp_session(page)

    def send(kind, *points):
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
        until_painted(page)

    return send


def middle(page, k):
    box = token(page, k).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def selected(page):
    return page.locator('#answer-0 [aria-selected="true"]').all_inner_texts()


def test_a_long_press_and_drag_selects(open_report):
    page = open_report(river(), viewport={"width": 390, "height": 844})
    touch = finger(page)
    touch("touchStart", middle(page, 1))
    touch("touchEnd")
    assert selected(page) == [" is"], "a tap selects a token"
    touch("touchStart", middle(page, 0))
    page.wait_for_timeout(600)
    assert selected(page) == [" It"], "a long press begins"
    touch("touchMove", middle(page, 1))
    touch("touchMove", middle(page, 2))
    touch("touchEnd")
    assert selected(page) == [" It", " is", " river"]
    x, y = middle(page, 0)
    touch("touchStart", (x, y))
    touch("touchMove", (x, y - 40))
    touch("touchMove", (x, y - 80))
    touch("touchEnd")
    assert len(selected(page)) == 3, "a finger that moves at once scrolls"


ARABIC = [("م", "d985"), ("ر", "d8b1"), ("ح", "d8ad"), ("ب", "d8a8"), ("ا", "d8a7")]


def in_bytes(letters):
    """A run whose prompt has each letter in two tokens, as byte-level tokenizers have them."""
    pieces = [part for _, code in letters for part in (code[:2], code[2:])]
    entry = run(["?"] * len(pieces), [" ok"], [attribution("rollout", np.full((1, len(pieces), 1), 0.1, np.float32),
                                                           len(pieces))])
    for k, part in enumerate(pieces):
        entry["run"]["tokens"][k] |= {"text": "\ufffd", "bytes": part}
    entry["run"]["prompt"] = "".join(letter for letter, _ in letters)
    return entry


def width(page, text):
    return page.evaluate("""(text) => {
        const line = document.createElement('span')
        line.textContent = text
        document.getElementById('prompt-0').append(line)
        const { width } = line.getBoundingClientRect()
        line.remove()
        return width
    }""", text)


def test_arabic_letters_join_over_the_tokens_that_share_them(open_report):
    page = open_report(in_bytes(ARABIC))
    word = "".join(letter for letter, _ in ARABIC)
    left = min(token(page, k, "prompt").bounding_box()["x"] for k in range(0, 10, 2))
    boxes = [token(page, k, "prompt").bounding_box() for k in range(0, 10, 2)]
    right = max(b["x"] + b["width"] for b in boxes)
    assert right - left == pytest.approx(width(page, word), abs=1.5), "something stands between the letters"
    apart = sum(width(page, letter) for letter, _ in ARABIC)
    assert abs(apart - width(page, word)) > 4, "the font has no joined forms: this test says nothing"
    assert page.locator("#prompt-0").inner_text() == word
    token(page, 1, "prompt").dispatch_event("click")
    assert token(page, 1, "prompt").get_attribute("data-at") == "", "its second token can still be chosen"


def test_arabic_outside_its_text_is_in_its_own_direction(open_report):
    """The full stop after a word is on its left, in lists and headings too."""
    word = " القاهرة."
    page = open_report(run(["عاصمة", word], [word], [attribution("rollout", np.full((1, 2, 1), 0.5, np.float32), 2)]))
    for place in (".strongest li:nth-child(2) .token", ".headword"):
        letter, stop = page.locator(place).evaluate("""(e) => [2, e.textContent.length - 1].map((at) => {
            const range = document.createRange()
            range.setStart(e.firstChild, at)
            range.setEnd(e.firstChild, at + 1)
            return range.getBoundingClientRect().left
        })""")
        assert stop < letter, place


def test_every_token_has_a_name(open_report):
    page = open_report(run(["A", "\n", " "], ["\n", " ", "", " x"],
                           [attribution("rollout", np.full((4, 3, 1), 0.1, np.float32), 3)]))
    assert accessibility_faults(page) == []
    names = [t.get_attribute("aria-label") for t in page.locator("#answer-0 [data-k]").all()]
    assert names == ["line break", "space", "rest of a character", None]


def test_keys_alone_do_everything_and_are_listed(open_report):
    page = open_report(river(name="one"), river(name="two"))
    page.keyboard.press("?")
    listed = page.locator(".keys kbd").all_inner_texts()
    keys = {"L", "← →", "Shift ← →", "Home End", "1 – 9", "N", "/", "0", "B", "C", "D", "G", "S", "X", "Esc", "?",
            "Tab", "↑ ↓"}
    assert keys <= set(listed)
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    assert len(selected(page)) == 2
    page.keyboard.press("2")
    assert page.get_by_label("Method", exact=True).input_value() == "=logit"
    page.get_by_role("button", name="Search").focus()
    page.keyboard.press("/")
    page.keyboard.type("river")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.locator("#prompt-0 [data-at]").inner_text() == " river"
    assert page.evaluate("document.activeElement.textContent") == "Search", "focus returns to what opened the search"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(document.activeElement.ariaLabel || document.activeElement.textContent).trim()"))
    assert {"Runs", "Export", "Units", "Side by side", "Completion tokens"} <= reached
    assert any("Prompt text" in name for name in reached)


def test_the_prompt_is_read_by_keys(open_report):
    page = open_report(run(PROMPT, [" It"], [attribution("rollout", np.eye(1, 8)[:, :, None] + 0.01, 8)], SEGMENTS))
    page.locator("#prompt-0").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#prompt-0 [data-at]").count() == 1
    assert "Contributed most to" in page.locator("[aria-live]").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#prompt-0 [data-at]").count() == 0 and sources(page)


def said(page, pane=0):
    """What a screen reader says of the chart's value."""
    return plain(page.locator(".chart").nth(pane).get_by_role("status").inner_text())


def test_charts_are_read_and_used_by_keys(open_report):
    page = open_report(river())
    page.keyboard.press("Home")
    for key in ("g", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    page.wait_for_selector('.canvas[aria-label*="Bars:"]')
    assert page.evaluate("document.activeElement.getAttribute('aria-roledescription')") == "chart"
    assert said(page) == "1: ·old, 30 %" and page.locator(".chart-cursor").count() == 1
    assert accessibility_faults(page) == []
    page.keyboard.press("End")
    assert said(page).startswith("7: ?")
    page.keyboard.press("ArrowRight")
    assert said(page).startswith("7: ?"), "there is nothing behind the last"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert page.locator("#prompt-0 [data-at]").inner_text() == "The", "Enter does what a click does"
    page.keyboard.press("Escape")
    assert said(page) == "" and page.locator("#prompt-0 [data-at]").count() == 1, "Escape takes one step"
    page.keyboard.press("Escape")
    assert page.locator("#prompt-0 [data-at]").count() == 0
    page.get_by_role("tab", name="Token map").click()
    page.wait_for_selector('.canvas[aria-label*="completion tokens took"]')
    page.locator(".canvas").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert said(page) == "2: ·river, 1: ·is, 30 %"
    page.keyboard.press("Enter")
    assert selected(page) == [" is"]
    page.get_by_role("tab", name="Depth").click()
    page.wait_for_selector('.canvas[aria-label*="Lines:"]')
    page.locator(".canvas").focus()
    page.keyboard.press("ArrowRight")
    assert said(page) == "2: ·river, layer 1, 50 %"
    page.keyboard.press("ArrowDown")
    assert said(page) == "6: ·name, layer 1, 5.0 %"


def test_comparing_by_keys(open_report):
    other = river(name="two")
    page = open_report(river(name="one"), other)
    page.keyboard.press("c")
    page.get_by_label("Run on the right").focus()
    page.keyboard.type("two")
    page.get_by_label("Method on the left").focus()
    page.get_by_label("Method on the right").select_option("=rollout")
    page.locator("#answer-0").focus()
    page.keyboard.press("x")
    assert page.get_by_role("button", name="The difference").get_attribute("aria-pressed") == "true"
    page.keyboard.press("x")
    assert page.get_by_role("button", name="Both sides").get_attribute("aria-pressed") == "true"
    scale = page.get_by_label("one scale for both")
    page.keyboard.press("s")
    assert not scale.is_checked()
    page.keyboard.press("s")
    assert scale.is_checked()
    page.keyboard.press("b")
    assert page.evaluate("document.activeElement.id") == "answer-1"
    page.keyboard.press("2")
    assert page.get_by_label("Method on the right").input_value() == "=logit"
    assert page.get_by_label("Method on the left").input_value() == "=rollout"
    page.keyboard.press("End")
    assert page.locator('#answer-1 [aria-selected="true"]').all_inner_texts() == [" river"]
    page.keyboard.press("g")
    assert page.evaluate("document.activeElement.id") == "chart-1"
