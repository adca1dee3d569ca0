"""The first look: the answer as prose with its sources, in reports with known numbers and with a model behind it."""

import functools
import math
import re

import numpy as np
import pytest
from conftest import accessibility_faults, plain, raw_text, token
from documents import attribution, citation, confirmed, document, run

PROMPT = ["Rye", " is", " sold", ".", " Maria", " keeps", " the", " key", ".", "\n", "Who", " keeps", " it", "?"]
ANSWER = [" Maria", " does", ".", " Rye", " too", "."]
PASSAGES = ["Rye is sold.", " Maria keeps the key.\n", "Who keeps it?"]
GROUPS = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]
SHARES = [[0.0, 0.6, 0.2], [0.5, 0.02, 0.1]]


def even(n, m):
    return attribution("logit", np.full((n, m, 1), 0.1, np.float32), m)


def cited(prompt=tuple(PROMPT), answer=tuple(ANSWER), falls=None, name=None, **changes):
    entry = run(list(prompt), list(answer), [even(len(answer), len(prompt))], name=name)
    c = citation(PASSAGES, ["Maria does.", "Rye too."], SHARES, GROUPS, [0, 0, 0, 1, 1, 1])
    entry["citations"] = [c | changes]
    if falls:
        entry["citation"] = confirmed(c, falls)
    return entry


@pytest.fixture
def open_first(open_report):
    """open_first(run, ...) opens a report of these runs on its first look."""
    return functools.partial(open_report, shows="#cited-answer")


def lit(page, where):
    """The texts that are lit, with their steps."""
    found = page.locator(f"{where} .lit")
    return {e.inner_text(): int(re.search(r"\bs(\d+)", e.get_attribute("class"))[1]) for e in found.all()}


def in_view(page, inner, outer):
    """Whether an element is inside the visible part of a frame."""
    a, b = page.locator(inner).bounding_box(), page.locator(outer).bounding_box()
    return b["y"] - 1 <= a["y"] and a["y"] + a["height"] <= b["y"] + b["height"] + 1


def test_the_result_is_what_is_seen_first(open_first):
    page = open_first(cited(falls={1: math.log(1e6), 2: 0.1}))
    summary = plain(page.locator(".in-one-sentence").inner_text())
    assert summary == "Mostly from Maria keeps the key. and Rye is sold.; without the first the answer would be " \
                      "a million times less likely."
    assert page.locator("#cited-answer").evaluate("e => getComputedStyle(e).userSelect") == "auto"
    assert page.locator("#cited-answer .marks").all_inner_texts() == ["13", "2"]
    assert lit(page, "#cited-prompt") == {"Maria keeps the key.": 32, "Rye is sold.": 26, "Who keeps it?": 15}
    listed = [plain(s.inner_text()).split("\n") for s in page.locator(".source-list li").all()]
    assert [(number, text, share) for number, text, share, *_ in listed] == [
        ("1", "Maria keeps the key.", "31 %"), ("2", "Rye is sold.", "25 %"), ("3", "Who keeps it?", "15 %")]
    assert listed[0][3] == "without it a million times less likely" and listed[2][3] == "without it about as likely"
    assert page.locator("#answer-0").count() == 0
    assert accessibility_faults(page) == []


def test_the_answer_is_copied_without_the_numbers(open_first):
    page = open_first(cited())
    copied = page.evaluate("""() => {
        getSelection().selectAllChildren(document.getElementById('cited-answer'))
        return getSelection().toString()
    }""")
    assert copied.strip() == "Maria does. Rye too."


def test_a_sentence_lights_its_sources_and_a_source_what_it_fed(open_first):
    page = open_first(cited())
    page.locator("#cited-answer [data-part='1']").hover()
    assert lit(page, "#cited-prompt") == {"Rye is sold.": 32}
    page.mouse.move(0, 0)
    page.locator("#cited-answer [data-part='0']").click()
    page.mouse.move(0, 0)
    assert set(lit(page, "#cited-prompt")) == {"Maria keeps the key.", "Who keeps it?"}
    assert "Sources of this sentence" in page.locator(".source-list").inner_text()
    page.keyboard.press("Escape")
    page.locator("#cited-prompt [data-p='0']").hover()
    assert lit(page, "#cited-answer") == {"Rye too.": 32}
    page.locator("#cited-prompt [data-p='2']").hover()
    assert lit(page, "#cited-answer") == {"Maria does.": 32, "Rye too.": 16}


def long_report(**changes):
    """The source of the answer lies far down in a prompt of many sentences."""
    texts = [f"Line {i} is about nothing. " for i in range(300)]
    texts[180] = "Maria keeps the key. "
    prompt = [w for text in texts for w in re.findall(r"\S+ ?", text)]
    groups = [i for i, text in enumerate(texts) for _ in re.findall(r"\S+ ?", text)]
    shares = np.full((1, 300), 0.001)
    shares[0, 180] = 0.6
    shares[0, 20] = 0.2
    entry = run(prompt, [" Maria", "."], [even(2, len(prompt))])
    entry["citations"] = [citation(texts, ["Maria."], shares, groups, [0, 0]) | changes]
    return entry


@pytest.mark.parametrize("size", [(390, 844), (1366, 768), (1920, 1080), (683, 384)], ids=lambda s: f"{s[0]}px")
def test_two_frames_share_the_window(open_first, size):
    """Nothing lies over anything; the strongest source is in view; 683 x 384 is a laptop at 200 % zoom."""
    page = open_first(long_report(), viewport={"width": size[0], "height": size[1]})
    assert in_view(page, "[data-p='180']", ".framed .frame")
    answer, prompt = (page.locator(s).bounding_box() for s in (".answer-frame", ".cited-prompt"))
    apart = answer["x"] + answer["width"] <= prompt["x"] + 1 or answer["y"] + answer["height"] <= prompt["y"] + 1
    assert apart and min(answer["height"], prompt["height"]) >= 120
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    if size[1] > 600:
        assert page.evaluate("document.documentElement.scrollHeight") <= size[1]
        assert prompt["y"] + prompt["height"] <= size[1] + 1
    page.keyboard.press("n")
    assert in_view(page, "[data-p='20']", ".framed .frame") or page.wait_for_timeout(900) or \
        in_view(page, "[data-p='20']", ".framed .frame")
    assert page.locator("#cited-prompt .marked").inner_text() == "Line 20 is about nothing."
    assert page.locator(".heat span").count() == 2
    page.locator("#cited-answer .mark").first.click()
    page.wait_for_timeout(900)
    assert in_view(page, "[data-p='180']", ".framed .frame")
    assert page.locator("#cited-prompt .marked").inner_text() == "Maria keeps the key."


def test_documents_have_their_name_at_the_margin(open_first):
    entry = cited()
    named = citation([("Shop", "Rye is sold."), ("House", "Maria keeps the key.")], ["Maria does.", "Rye too."],
                     [[0.0, 0.6], [0.5, 0.0]], [0] * 4 + [1] * 5 + [-1] * 5, [0, 0, 0, 1, 1, 1], by="passage")
    entry["citations"] = [named, *entry["citations"]]
    page = open_first(entry)
    assert page.locator(".document-name").all_inner_texts() == ["Shop", "House"]
    bars = [b.bounding_box()["width"] for b in page.locator(".document-bar").all()]
    assert bars[0] / bars[1] == pytest.approx(0.25 / 0.3, abs=0.02)
    assert page.locator(".source-list .words").first.inner_text() == "House: Maria keeps the key."
    assert page.locator(".apart:visible").inner_text() == "Who keeps it?"


def test_thinking_is_folded_and_its_share_is_said(open_first):
    entry = cited()
    for t in entry["run"]["tokens"][len(PROMPT):][:3]:
        t["thinking"] = True
    entry["citations"][0]["answer"][1]["hops"] = [0.4, 0.0]
    page = open_first(entry)
    assert page.locator("#cited-answer").inner_text().startswith("Rye too.")
    assert plain(page.locator("#cited-answer .thought").inner_text()) == "thinking 40 %"
    assert not page.locator(".thinking .text").is_visible()
    page.locator(".thinking summary").click()
    assert page.locator(".thinking .text").inner_text().startswith("Maria does.")


def test_the_second_layer_is_one_step_away(open_first):
    page = open_first(cited())
    page.get_by_role("button", name="Look closer").click()
    assert page.locator('#answer-0 [aria-selected="true"]').count() == len(ANSWER), "the whole answer is selected"
    assert page.url.endswith("#view=closer")
    token(page, 1).click()
    page.get_by_role("button", name="Back to the answer").click()
    page.keyboard.press("l")
    assert page.locator('#answer-0 [aria-selected="true"]').count() == 1
    page.reload()
    page.wait_for_selector("#answer-0")


def test_keys_alone(open_first):
    page = open_first(cited())
    page.keyboard.press("ArrowRight")
    assert page.locator("#cited-answer .chosen").inner_text() == "Maria does."
    page.keyboard.press("ArrowRight")
    assert lit(page, "#cited-prompt") == {"Rye is sold.": 32}
    page.keyboard.press("1")
    assert page.locator("#cited-prompt .marked").inner_text() == "Maria keeps the key."
    page.keyboard.press("Escape")
    assert page.locator(".marked, .chosen").count() == 0
    page.locator("#cited-answer .mark").last.focus()
    assert lit(page, "#cited-prompt") == {"Rye is sold.": 32}
    page.keyboard.press("Enter")
    assert page.locator("#cited-prompt .marked").inner_text() == "Rye is sold."


def test_citations_that_do_not_fit_their_run_are_dropped(open_report):
    """A report is an untrusted file: the page then has the second layer only."""
    entry = cited()
    entry["citations"] = [entry["citations"][0] | {"prompt_groups": [7]}, {"by": "sentence"}, None]
    page = open_report(entry)
    assert page.get_by_role("button", name="Look closer").count() == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe(open_first, dark):
    page = open_first(cited(falls={1: 5.0}), viewport={"width": 390, "height": 844}, dark=dark)
    page.locator("#cited-answer .mark").first.click()
    assert accessibility_faults(page) == []


# ---------------------------------------------------------------- with a model

# Prompts and answers, also of the screenshots.
LIBRARY = ("The library of Milltown opens at nine. The head librarian is Maria Gomez. The bakery next door sells rye "
           "bread.\nQuestion: Who is the head librarian?\nAnswer:", " The head librarian is Maria Gomez.")
PLACES = [f"In {1800 + i} the town of place number {i} had {100 + i * 7} houses over its river." for i in range(26)]
BELL = "The mayor of Milltown, Edith Crane, keeps the silver bell in the attic of the mill."
TOWNS = (" ".join([*PLACES[:16], BELL, *PLACES[16:]])
         + "\nQuestion: Where is the silver bell kept?\nAnswer: The silver bell is kept",
         " in the attic of the mill. It belongs to the mayor, Edith Crane.")
JAPANESE = ("東京タワーの高さは三百三十三メートルです。京都には古い寺が多い。大阪は食べ物で有名です。質問：東京タワーの高さは？答え：",
            "東京タワーの高さは三百三十三メートルです。")
ARABIC = ("عاصمة مصر هي القاهرة. يقع نهر النيل في أفريقيا. تشتهر باريس ببرج إيفل.\nسؤال: ما هي عاصمة مصر؟\nجواب:",
          " عاصمة مصر هي القاهرة. هذا هو الجواب.")


def test_a_run_shows_its_prompt_at_once_and_cites_as_it_comes(open_page, server):
    page = open_page(server.url)
    page.evaluate("""() => {
        window.seen = []
        new MutationObserver(() => {
            const said = document.getElementById('cited-answer')?.textContent ?? ''
            const prompt = document.getElementById('cited-prompt')?.textContent ?? ''
            const marks = document.querySelectorAll('#cited-answer .mark').length
            if (document.querySelector('.progress')) window.seen.push([prompt.length, said.length, marks])
        }).observe(document.body, { subtree: true, childList: true, characterData: true })
    }""")
    raw_text(page)
    page.get_by_label("Prompt", exact=True).fill(LIBRARY[0])
    page.locator("details.settings summary").click()
    page.get_by_label("Tokens", exact=True).fill("24")
    page.get_by_role("button", name="Write and explain").click()
    page.wait_for_selector(".answer-actions")
    seen = page.evaluate("window.seen")
    assert any(prompt > 100 and said == 0 for prompt, said, _ in seen), "the prompt came with the answer only"
    assert any(marks for _, _, marks in seen), "sources came at the end only"
    page.wait_for_selector(".in-one-sentence strong")  # the background check
    summary = plain(page.locator(".in-one-sentence").inner_text())
    assert "The head librarian is Maria Gomez." in summary and summary.endswith("less likely.")
    assert re.search(r"#run=\d+$", page.url)
    page.reload()
    page.wait_for_selector(".in-one-sentence strong")
    assert plain(page.locator(".in-one-sentence").inner_text()) == summary, "the check is kept with the run"


def test_the_check_can_be_stopped_and_made_later(open_page, server):
    page = open_page(server.url)
    raw_text(page)
    page.get_by_label("Prompt", exact=True).fill("The sea is wide. " * 60 + LIBRARY[0])
    page.get_by_label("I write the completion").check()
    page.get_by_label("Completion to explain").fill(" Maria Gomez.")
    page.get_by_role("button", name="Explain", exact=True).click()
    page.get_by_role("button", name="Stop the check").click()
    again = page.get_by_role("button", name="How much less likely without it?")
    again.wait_for()
    assert page.locator(".in-one-sentence strong").count() == 0 and page.get_by_role("alert").count() == 0
    again.click()
    page.wait_for_selector(".in-one-sentence strong")
