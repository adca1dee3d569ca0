"""How many clicks a newcomer needs for what people come for, counted by the page that is running."""

import functools
import math

import numpy as np
import pytest
from conftest import plain
from documents import attribution, run
from test_first_look import cited, in_view, lit, long_report


@pytest.fixture
def open_first(open_report):
    return functools.partial(open_report, shows="#cited-answer")


def count_clicks(page):
    """Counts presses from now on; returns how many there were."""
    page.evaluate("""() => {
        window.clicks = 0
        addEventListener('click', (e) => e.isTrusted && window.clicks++, { capture: true })
    }""")
    return lambda: page.evaluate("window.clicks")


def test_where_does_this_sentence_come_from(open_first):
    """Pointing at it is enough; one click keeps it, and lists its sources alone."""
    page = open_first(cited())
    clicks = count_clicks(page)
    page.locator("#cited-answer [data-part='1']").hover()
    assert lit(page, "#cited-prompt") == {"Rye is sold.": 32} and clicks() == 0
    page.locator("#cited-answer [data-part='1']").click()
    marks = [page.locator("#cited-answer .chosen").evaluate("e => getComputedStyle(e).boxShadow")]
    page.mouse.move(0, 0)
    marks.append(page.locator("#cited-answer .chosen").evaluate("e => getComputedStyle(e).boxShadow"))
    assert marks[0] == marks[1] != "none", "the mark is the same under the pointer"
    assert lit(page, "#cited-prompt") == {"Rye is sold.": 32}
    assert page.locator(".source-list .words").all_inner_texts() == ["Rye is sold."] and clicks() == 1


def test_where_does_it_come_from_in_a_long_prompt(open_first):
    """The strongest source is in view before anything is done."""
    page = open_first(long_report())
    clicks = count_clicks(page)
    assert in_view(page, "[data-p='180']", ".framed .frame") and clicks() == 0
    page.locator("#cited-answer .mark").nth(1).click()
    page.wait_for_function("""() => {
        const [a, b] = ['[data-p="20"]', '.framed .frame'].map((s) => document.querySelector(s).getBoundingClientRect())
        return a.top >= b.top && a.bottom <= b.bottom
    }""")
    assert clicks() == 1


def test_is_this_citation_right(open_first):
    """What the answer loses without each source was measured in the background: nothing is clicked to read it."""
    page = open_first(cited(falls={1: math.log(1e6), 2: 0.1}))
    clicks = count_clicks(page)
    assert "a million times less likely" in plain(page.locator(".in-one-sentence").inner_text())
    listed = [plain(item.inner_text()) for item in page.locator(".source-list li").all()]
    assert "without it a million times less likely" in listed[0] and "without it about as likely" in listed[2]
    assert clicks() == 0


def test_compare_two_names(open_report):
    """Two runs beside each other in two clicks, what one name moved in a third."""
    prompt = ["My", " name", " is", " Putin", ",", " I"]
    values = np.zeros((1, 6, 1), np.float32)
    values[0, :, 0] = (0.5, 0.01, 0.01, 0.3, 0.02, 0.01)
    putin = run(prompt, [" Russia"], [attribution("rollout", values, 6)], name="putin")
    abdul = run([" Abdul" if t == " Putin" else t for t in prompt], [" Pakistan"],
                [attribution("rollout", values / 3, 6)], name="abdul")
    page = open_report(putin, abdul)
    clicks = count_clicks(page)
    page.get_by_role("button", name="Runs").click()
    page.get_by_role("listitem").filter(has_text="abdul").get_by_role("button", name="Beside").click()
    row = page.locator(".difference tbody tr").first
    assert [part.strip() for part in plain(row.inner_text()).split("\t")] == ["30 %", "·Putin / ·Abdul", "10 %"]
    assert clicks() == 2
    page.get_by_role("button", name="The difference").click()
    assert "·Putin / ·Abdul" in page.locator(".moved tbody th").all_inner_texts() and clicks() == 3
