"""A report, opened from its file: every number that is shown is one that was put in."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import plain, select_tokens, sinks, sources, tint_of, token
from documents import attribution, run

STRONGEST = "#e67b2e"  # of the light palette, colour.ts
PROMPT = ["The", " old", " river", " runs", ".", " Its", " name", "?"]
COMPLETION = [" It", " is", " river"]

# M [3, 8, 2]: token i of the completion takes 0.5 from prompt token i + 1 at layer 0 and 0.1 at layer 1, 0.8 from token
# 0.
M = np.zeros((3, 8, 2), np.float32)
for i in range(3):
    M[i, 0] = 0.8
    M[i, i + 1] = (0.5, 0.1)
    M[i, 6] = 0.05

SIGNED = M * np.array([1, -1, 1, -1, 1, 1, 1, 1])[None, :, None]
SEGMENTS = {
    "prompt": {"word": {"groups": [0, 1, 2, 3, -1, 4, 5, -1], "names": ["The", "old", "river", "runs", "Its", "name"]},
               "sentence": {"groups": [0, 0, 0, 0, 0, 1, 1, 1], "names": ["The old river runs.", " Its name?"]}},
    "completion": {"word": {"groups": [0, 1, 2], "names": ["It", "is", "river"]},
                   "sentence": {"groups": [0, 0, 0], "names": [" It is river"]}},
}
FILTERS = {"first": [0], "punctuation": [4, 7], "template": []}
BALANCE = [
    {"prompt": 2.0 + i, "completion": 0.5, "bias": 0.0, "mlp": -1.0, "embedding": 0.25, "logit": 1.75 + i}
    for i in range(3)
]


def river(**changes):
    return run(PROMPT, COMPLETION, [attribution("rollout", M, 8), attribution("logit", SIGNED, 8, balance=BALANCE)],
               SEGMENTS, FILTERS, **changes)


@pytest.fixture
def report(open_report):
    return open_report(river())


def test_it_asks_for_nothing_but_itself(report):
    report.get_by_role("tab", name="Layers").click()
    report.wait_for_timeout(300)
    assert {url.split(":")[0] for url in report.requests} <= {"file", "data"}


def test_click_tints_the_prompt_at_once(report):
    token(report, 1).click()
    assert sinks(report) == "Sinks: token 0, 80 %"
    assert sources(report) == [("2", "·river", "30 %"), ("6", "·name", "5.0 %")]
    assert tint_of(report, 2) == STRONGEST
    assert tint_of(report, 0) == STRONGEST  # beyond the scale, which it does not set
    assert tint_of(report, 3) == ""
    assert "beyond the scale: 0: The 80 %" in plain(report.locator(".legend").inner_text()).replace("\n", " ")
    assert token(report, 1).get_attribute("aria-selected") == "true"
    mark = token(report, 1).evaluate("e => getComputedStyle(e).boxShadow")
    assert "-3px" in mark, "the mark of the selection is seen under the pointer"


def test_drag_shows_the_mean(report):
    select_tokens(report, 0, 1)
    assert sources(report)[:2] == [("1", "·old", "15 %"), ("2", "·river", "15 %")]
    assert "tokens 0–1, their mean" in report.locator(".chosen").inner_text()
    token(report, 2).click(modifiers=["Shift"])
    assert sources(report)[0] == ("1", "·old", "10 %")


def test_pointing_at_the_prompt_shows_what_it_fed(report):
    token(report, 2, "prompt").hover()
    assert "s32" in token(report, 1).get_attribute("class").split()
    assert token(report, 0).get_attribute("class") in ("", "selected")
    token(report, 2, "prompt").click()
    assert "1\n·is\n30 %" in "\n".join(
        s.strip() for s in plain(report.locator(".contributions").inner_text()).split("\n") if s.strip()
    )


def test_filters_say_what_they_hide(report):
    token(report, 1).click()
    chip = report.get_by_role("button", name="token 0")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    assert plain(report.locator(".mass").inner_text()) == "hides 80 % in 1 token"
    assert sources(report)[0] == ("2", "·river", "30 %") and sinks(report) == ""
    assert tint_of(report, 0) == ""
    assert report.get_by_role("button", name="chat template").count() == 0  # it hides nothing here
    report.keyboard.press("0")
    assert sinks(report) == "Sinks: token 0, 80 %"
    report.locator(".sinks summary").click()
    report.locator(".sinks .source").click()
    assert token(report, 0, "prompt").get_attribute("data-at") == ""


def test_layers(report):
    token(report, 1).click()
    report.get_by_label("Last layer").fill("1")
    assert "layers 1–1 of 2" in report.locator(".layers").inner_text()
    assert sources(report)[0] == ("2", "·river", "50 %")
    report.get_by_label("Last layer").fill("2")
    report.get_by_label("First layer").fill("2")
    assert sources(report)[0] == ("2", "·river", "10 %")


def test_methods_by_key_and_menu(report):
    token(report, 1).click()
    report.keyboard.press("2")
    assert report.get_by_label("Method", exact=True).input_value() == "=logit"
    assert sinks(report) == "Sinks: token 0, +0.800 nats"
    token(report, 0).click()
    assert ("1", "·old", "−0.300 nats") in sources(report)
    assert tint_of(report, 1) == "#5d9bd3"
    report.get_by_label("Method", exact=True).select_option("=rollout")
    assert sources(report)[0] == ("1", "·old", "30 %")


def test_raised_and_lowered_are_two_lists(report):
    token(report, 1).click()
    report.keyboard.press("2")
    root = report.locator(".strongest")
    token(report, 0).click()
    assert root.locator("h4").all_inner_texts() == ["Made it more likely raised the log-odds",
                                                     "Made it less likely lowered the log-odds"]
    lists = [[plain(b.inner_text()).split("\n")[-1] for b in ol.locator("li").all()]
             for ol in root.locator("> ol").all()]
    assert len(lists) == 2 and all(v.startswith("+") for v in lists[0]) and all(v.startswith("−") for v in lists[1])
    report.keyboard.press("1")
    assert root.locator("h4").count() == 0


def test_balance_sheet(report):
    report.keyboard.press("2")
    select_tokens(report, 0, 2)
    rows = [row.inner_text().split("\t") for row in report.locator(".balance tr").all()]
    assert [(r[0], r[-1].strip()) for r in rows][0] == ("Attention to the prompt", "+3.00")
    assert rows[-1][-1].strip() == "+2.75"
    report.keyboard.press("1")
    assert report.locator(".balance").count() == 0


def test_a_balance_that_does_not_close_is_said(open_report):
    def shown(change, blocks=2):
        entry = run(
            PROMPT,
            COMPLETION,
            [attribution("logit", SIGNED, 8, balance=[b | {"logit": b["logit"] + change} for b in BALANCE])],
        )
        entry["run"]["model"] |= {"layers": [0, 1], "n_blocks": blocks}
        page = open_report(entry)
        select_tokens(page, 0, 0)
        return plain(page.locator(".balance").inner_text())

    whole, rounded, open_sheet, hybrid = shown(0), shown(0.1), shown(1), shown(0, blocks=8)
    assert "Rounding" not in whole and "add up" not in whole and "The last token’s embedding" in whole
    assert "Rounding of the output product" in rounded and "+0.100" in rounded and "add up" not in rounded
    assert "In none of these" in open_sheet and "+1.00" in open_sheet and "Rounding of" not in open_sheet
    assert "The parts do not add up to the logit: more than 6.0 % of their sizes is missing" in open_sheet
    assert "blocks without attention" in hybrid and "blocks without attention" not in whole


def test_units_sum_their_tokens(report):
    token(report, 1).click()
    report.get_by_label("Units").select_option("sentence")
    assert sources(report) == [("0", "The old river runs.", "110 %"), ("1", "·Its name?", "5.0 %")]
    assert tint_of(report, 3) == tint_of(report, 2) == STRONGEST
    report.get_by_role("button", name="token 0").click()
    assert sources(report)[0][-1] == "30 %"


def test_sources_cite(report):
    report.get_by_role("tab", name="Sources").click()
    cites = report.locator(".citations li").first.inner_text()
    assert "The old river runs." in cites
    report.locator(".cite").first.click()
    assert report.get_by_label("Units").input_value() == "sentence"
    assert "tokens 0–2, their mean" in report.locator(".chosen").inner_text()


def test_a_cell_of_the_sources_marks_what_it_is_about(report):
    report.get_by_role("tab", name="Sources").click()
    cell = report.locator(".grid td button").nth(1)
    assert cell.get_attribute("aria-label").startswith("·It is river, from ·Its name?: ")
    cell.click()
    assert "".join(report.locator("#prompt-0 [data-at]").all_inner_texts()) == " Its name?"
    assert "tokens 0–2, their mean" in report.locator(".chosen").inner_text()


def test_the_tip_says_index_token_value_and_rank(report):
    token(report, 1).click()
    token(report, 2, "prompt").hover()
    assert plain(report.locator(".tip").inner_text()) == "·river 2\n30 % came from here; rank 2 of 8"
    report.mouse.move(0, 0)
    assert report.locator(".tip").count() == 0
    report.keyboard.press("2")
    token(report, 3, "prompt").hover()
    token(report, 1, "prompt").hover()
    assert "changed nothing" in report.locator(".tip").inner_text()
    token(report, 0).click()
    token(report, 1, "prompt").hover()
    assert "made it less likely: lowered the log-odds by 0.300 nats" in plain(report.locator(".tip").inner_text())


def test_side_by_side_methods(report):
    report.keyboard.press("c")
    assert report.get_by_label("Method on the left").input_value() == "=rollout"
    assert report.get_by_label("Method on the right").input_value() == "=logit"
    token(report, 1, pane=1).click()
    assert token(report, 1, pane=0).get_attribute("aria-selected") == "true"  # one run, one selection
    assert sources(report, 0)[0] == ("2", "·river", "30 %")
    assert sources(report, 1)[0] == ("2", "·river", "+0.300 nats")


def test_two_runs_compared(open_report):
    prompt = ["My", " name", " is", " Putin", ",", " I"]
    values = np.zeros((1, 6, 1), np.float32)
    values[0, :, 0] = (0.5, 0.01, 0.01, 0.3, 0.02, 0.01)
    left = run(prompt, [" Russia"], [attribution("rollout", values, 6)], name="putin")
    right = run(
        [" Abdul" if t == " Putin" else t for t in prompt],
        [" Pakistan"],
        [attribution("rollout", values / 3, 6)],
        name="abdul",
    )
    page = open_report(left, right)
    page.keyboard.press("c")
    page.get_by_label("Run on the right").select_option(label="abdul")
    assert page.locator(".strongest h3").first.inner_text() == "Came from"  # one layer: no mean to speak of
    row = page.locator(".difference tbody tr").first
    assert [part.strip() for part in plain(row.inner_text()).split("\t")] == ["30 %", "·Putin / ·Abdul", "10 %"]
    assert page.locator("#answer-1").inner_text().strip() == "Pakistan"


WANTED = [["·Putin / ·Abdul", "24 %"], ["·of", "−2.0 %"], ["·am", "1.0 %"], ["all parts together", "23 %"]]


def test_one_scale_and_the_difference(open_report):
    """Two runs by one method: a shared scale that can be switched off, and what one took more than the other."""
    values = np.zeros((1, 4, 1), np.float32)
    values[0, :, 0] = (0.5, 0.02, 0.3, 0.01)
    other = values * np.array([1, 0.5, 0.2, 3], np.float32)[None, :, None]
    prompt = ["I", " am", " Putin", " of"]
    left = run(prompt, [" Russia"], [attribution("rollout", values, 4)], name="putin")
    right = run(["I", " am", " Abdul", " of"], [" Delhi"], [attribution("rollout", other, 4)], name="abdul")
    page = open_report(left, right)
    page.keyboard.press("c")
    page.get_by_label("Run on the right").select_option(label="abdul")

    def scales():
        return [plain(x.inner_text()).split("\n")[1].replace("\u2009", " ") for x in page.locator(".legend").all()]

    assert scales() == ["≥ 30 %", "≥ 30 %"] and "own full strength" not in page.locator(".difference").inner_text()
    page.get_by_label("one scale for both").uncheck()
    assert scales() == ["≥ 30 %", "≥ 6.0 %"] and "own full strength" in page.locator(".difference").inner_text()
    page.get_by_role("button", name="The difference").click()
    rows = [[part.strip() for part in plain(r.inner_text()).split("\t") if part.strip()]
            for r in page.locator(".moved tbody tr, .moved tfoot tr").all()]
    assert rows == WANTED
    bars = [b.bounding_box()["width"] for b in page.locator(".moved .bar span").all()]
    assert bars[1] / bars[0] == pytest.approx(0.02 / 0.24, abs=0.02)


def test_the_address_holds_the_view(report):
    """A reload shows the same: method, selection, layers, hidden tokens, chart, and what is side by side."""
    def shown():
        return (sources(report), report.locator(".layers").inner_text(), report.locator(".mass").inner_text(),
                report.locator('#answer-0 [aria-selected="true"]').all_inner_texts())

    report.keyboard.press("2")
    select_tokens(report, 1, 2)
    report.get_by_label("Last layer").fill("1")
    report.get_by_role("button", name="token 0").click()
    report.get_by_role("tab", name="Depth").click()
    before = shown()
    report.reload()
    report.wait_for_selector("#answer-0 [data-k]")
    report.wait_for_selector(".mass")
    assert shown() == before
    assert report.get_by_role("tab", name="Depth").get_attribute("aria-selected") == "true"
    report.keyboard.press("c")
    report.get_by_label("Method on the right").select_option("=rollout")
    report.reload()
    report.wait_for_selector("#answer-1 [data-k]")
    assert report.get_by_label("Method on the left").input_value() == "=logit"
    assert report.get_by_label("Method on the right").input_value() == "=rollout"


def test_keyboard_alone(report):
    assert report.locator('#answer-0 [aria-selected="true"]').count() == 3, "the whole answer at first"
    report.keyboard.press("ArrowRight")
    assert report.locator('#answer-0 [aria-selected="true"]').all_inner_texts() == [" It"]
    report.keyboard.press("ArrowRight")
    assert token(report, 1).get_attribute("aria-selected") == "true"
    report.keyboard.press("Shift+ArrowRight")
    assert report.locator('#answer-0 [aria-selected="true"]').count() == 2
    report.keyboard.press("Home")
    assert "Selected ·It. Came most from The 80" in report.locator(".sr[aria-live]").inner_text()
    report.locator("#prompt-0").focus()
    report.keyboard.press("ArrowRight")  # from nowhere: the strongest
    assert token(report, 0, "prompt").get_attribute("data-at") == ""
    report.keyboard.press("ArrowRight")
    assert token(report, 1, "prompt").get_attribute("data-at") == ""
    assert "Prompt 1, ·old" in report.locator(".sr[aria-live]").inner_text()
    report.keyboard.press("Escape")
    assert report.locator("[data-at]").count() == 0
    report.keyboard.press("?")
    report.get_by_role("dialog").wait_for()
    report.keyboard.press("Escape")
    report.get_by_role("dialog").wait_for(state="detached")


def test_search(report):
    report.keyboard.press("/")
    report.keyboard.type("river run")
    assert report.locator("[data-found]").all_inner_texts() == [" river", " runs"]
    report.keyboard.press("Enter")
    assert token(report, 2, "prompt").get_attribute("data-at") == ""
    report.keyboard.press("Escape")
    assert report.locator("[data-found]").count() == 0


HOSTILE = [
    "<img src=x onerror=\"document.title='owned'\">", "</script><script>document.title='owned'</script>",
    "\u202eabc", "a\u0000b", "{a|b}", "%s\n"
]


def test_tokens_are_only_ever_text(open_report):
    values = np.full((2, 6, 1), 0.1, np.float32)
    page = open_report(run(HOSTILE, HOSTILE[:2], [attribution("rollout", values, 6)]))
    for name in ("Bars", "Token map", "Sources"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(150)
    assert page.title() != "owned"
    assert page.locator("#prompt-0 img").count() == 0
    assert token(page, 0, "prompt").inner_text() == HOSTILE[0]
    assert token(page, 2, "prompt").inner_text() == "‹U+202E›abc"
    assert token(page, 3, "prompt").inner_text() == "a␀b"


def test_a_character_cut_in_two_is_whole(open_report):
    entry = run(["a", "?", "?"], [" b"], [attribution("rollout", np.full((1, 3, 1), 0.1, np.float32), 3)])
    for k, part in ((1, "f09f"), (2, "8c8a")):
        entry["run"]["tokens"][k] |= {"text": "\ufffd", "bytes": part}
    page = open_report(entry)
    assert page.locator("#prompt-0").inner_text() == "a🌊˙"


def test_groups_and_selections_have_each_character_once(open_report):
    """A group of the method, the selection's headline and the search: no dot and no sign of replacement inside a
    character."""
    grouped = attribution("rollout", np.full((2, 2, 1), 0.1, np.float32), 3)
    grouped["settings"] = grouped["settings"] | {"groups": [0, 0, 1], "n_groups": 2}
    entry = run(["?", "?", " x"], ["?", "?"], [grouped])
    for k, part in ((0, "61f09f"), (1, "8c8a"), (3, "f09f"), (4, "a682")):
        entry["run"]["tokens"][k] |= {"text": "\ufffd", "bytes": part}
    entry["run"] |= {"completion": "\ufffd", "completion_bytes": "f09fa682"}
    page = open_report(entry)
    assert sources(page)[0][1] == "a🌊"
    select_tokens(page, 0, 1)
    assert page.locator(".headword").inner_text() == "🦂"
    assert "\ufffd" not in page.locator("body").inner_text()


def test_remarks_on_the_texts_are_shown(open_report):
    entry = run(["a", "b"], [" c"], [attribution("rollout", np.full((1, 2, 1), 0.1, np.float32), 2)])
    entry["run"]["remarks"] = ["the prompt has lines that end in CRLF, the first at byte 3", "<b>x</b>\u202e"]
    page = open_report(entry)
    said = page.get_by_label("Remarks", exact=True).locator("li").all_inner_texts()
    assert said == ["The prompt has lines that end in CRLF, the first at byte 3.", "<b>x</b>‹U+202E›."]
    plain_one = open_report(run(["a", "b"], [" c"], [attribution("rollout", np.full((1, 2, 1), 0.1, np.float32), 2)]))
    assert plain_one.get_by_label("Remarks", exact=True).count() == 0


def test_methods_that_gave_nothing_are_named(open_report):
    entry = river()
    entry["left_out"] = [{"method": "rollout", "reason": "the model has no attention layers"}]
    page = open_report(entry)
    assert page.get_by_label("Remarks", exact=True).locator("li").all_inner_texts() == [
        "Method rollout gave nothing: the model has no attention layers."
    ]


SVG = "{http://www.w3.org/2000/svg}"


def save_picture(page, kind):
    """The chart that is shown, as a file: its name and bytes."""
    with page.expect_download() as file:
        page.get_by_role("button", name=kind).click()
    return file.value.suggested_filename, open(file.value.path(), "rb").read()


DRAWN = {"Bars": "Bars:", "Layers": "layer by layer", "Token map": "completion tokens took", "Depth": "Lines:"}


def show_chart(page, name):
    page.get_by_role("tab", name=name).click()
    page.wait_for_selector(f'.canvas[aria-label*="{DRAWN[name]}"]')


def words_of(svg):
    """Parses a picture; fails where it is not well-formed. All of its text, and the title."""
    root = ElementTree.fromstring(svg)
    assert root.tag == SVG + "svg"
    return plain(" ".join(text.strip() for text in root.itertext())), plain(root.find(SVG + "title").text)


CHARTS = (("Bars", "bars"), ("Layers", "layers"), ("Token map", "map"), ("Depth", "profile"))


def test_charts_and_their_files(report):
    token(report, 1).click()
    for name, kind in CHARTS:
        show_chart(report, name)
        assert report.locator(".canvas canvas").count() >= 1
        file, svg = save_picture(report, "SVG")
        words, title = words_of(svg)
        assert file == f"headwater-rollout-{kind}.svg" and "name" in words
        for said in ("took", "rollout", "mean over 2 layers", "values: shares of 1", "The old river runs", "Toy, F16"):
            assert said in words, (kind, said)
        assert "completion token 1: “·is”" in words or kind == "map"
        assert "rollout" in title
        _, png = save_picture(report, "PNG")
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        root = ElementTree.fromstring(svg)
        assert [int.from_bytes(png[at : at + 4], "big") for at in (16, 20)] == [
            2 * int(root.get(k)) for k in ("width", "height")
        ]


def test_pictures_are_xml_whatever_tokens_say(open_report):
    texts = ['"a" & <b>', "]]>", "&amp;", "\ufffe\uffff", "\u0085\u0001", "'"]
    values = np.full((2, 6, 2), 0.1, np.float32)
    page = open_report(run(texts, texts[:2], [attribution("rollout", values, 6)], name='<i>"x" & \ufffe</i>'))
    for name, _ in CHARTS:
        show_chart(page, name)
        words, _ = words_of(save_picture(page, "SVG")[1])
        assert '"a" & <b>' in words and '<i>"x" &' in words


def test_bars_beyond_the_scale_are_broken_and_numbered(report):
    token(report, 1).click()
    show_chart(report, "Bars")
    words, _ = words_of(save_picture(report, "SVG")[1])
    assert "≥" in words  # the axis ends there
    assert words.count("80 %") >= 2  # over the bar, and in the caption
    assert "Cut at the end of the scale: 0: The 80 %." in plain(report.locator(".chart .note").inner_text())
    svg = save_picture(report, "SVG")[1]
    gaps = [
        p
        for p in ElementTree.fromstring(svg).iter(SVG + "path")
        if p.get("stroke") == "#fbfaf7" and p.get("stroke-width") == "2"
    ]
    assert len(gaps) == 2
    report.get_by_role("button", name="token 0").click()
    report.locator(".chart .note").wait_for(state="detached")


def height_of(svg, words):
    """The y of the text that has these words; larger is lower."""
    found = [t for t in ElementTree.fromstring(svg).iter(SVG + "text") if plain("".join(t.itertext())).strip() == words]
    assert len(found) == 1, words
    moved = re.search(r"translate\(\S+[ ,](\S+)\)", found[0].get("transform") or "translate(0 0)")
    return float(found[0].get("y") or 0) + float(moved[1])


def test_numbers_of_bars_cut_below_stand_over_the_zero_line(open_report):
    """Under the bar they would lie on the labels of the axis."""
    values = np.array([[[-0.9], [0.02], [-0.01], [0.01]]], np.float32)
    page = open_report(run(["One", " two", " three", " four"], [" five"], [attribution("logit", values, 4)]))
    show_chart(page, "Bars")
    svg = save_picture(page, "SVG")[1]
    assert height_of(svg, "−0.900 nats") < height_of(svg, "0.0000")


def test_cells_beyond_the_scale_have_a_corner_and_the_legend_says_so(report):
    token(report, 1).click()
    for name, cells in (("Layers", 2), ("Token map", 3)):
        show_chart(report, name)
        svg = save_picture(report, "SVG")[1]
        words, _ = words_of(svg)
        assert "≥" in words and "0: The 80 %" in plain(report.locator(".chart .note").inner_text())
        corners = [p for p in ElementTree.fromstring(svg).iter(SVG + "polygon") if p.get("fill") == "#fbfaf7"]
        assert len(corners) == cells, name


def test_depth_says_what_it_does_not_draw(report):
    token(report, 0).click()  # token 0 and, since it is the first, the prompt's last position
    show_chart(report, "Depth")
    notes = plain(report.locator(".chart").inner_text())
    assert "Not drawn, since the others would be flat beside it: 0: The 80 %" in notes


def test_the_list_and_the_text_mark_what_is_beyond_the_scale(report):
    token(report, 1).click()
    meters, sink = report.locator(".strongest > ol .meter"), report.locator(".strongest .sinks .meter")
    assert [m.get_attribute("class") for m in meters.all()[:2]] == ["meter", "meter"]
    assert sink.get_attribute("class") == "meter broken"
    assert sink.evaluate("m => getComputedStyle(m).maskImage").startswith("linear-gradient")
    assert report.locator("#prompt-0 [data-beyond]").all_inner_texts() == ["The"]
    assert "≥ 30 %" in plain(report.locator(".legend").inner_text()).replace("\u2009", " ")
    report.get_by_role("button", name="token 0").click()
    assert report.locator("#prompt-0 [data-beyond]").count() == 0
    assert "≥" not in report.locator(".legend").inner_text()


def test_bars_side_by_side_are_as_long_as_their_numbers(open_report):
    prompt = [" w%d" % k for k in range(12)]
    values = np.zeros((1, 12, 1), np.float32)
    values[0, :, 0] = (0.6, 0.0300, 0.0292, 0.0252, 0.01, 0.005, 0.001, 0.002, 0.003, 0.004, 0.006, 0.09)
    values[0, 11, 0] = 0.2
    page = open_report(run(prompt, [" a"], [attribution("rollout", values, 12)], name="left"),
                       run(prompt, [" a"], [attribution("rollout", values * 0.5, 12)], name="right"))
    page.keyboard.press("c")
    page.get_by_label("Run on the right").select_option(label="right")
    rows = page.locator(".difference tbody tr")
    widths = [[m.bounding_box()["width"] for m in row.locator(".meter").all()] for row in rows.all()[:4]]
    longest = widths[0][0]
    assert longest > 60
    for (left, right), value in zip(widths, (0.0300, 0.0292, 0.0252, 0.01)):
        assert left / longest == pytest.approx(value / 0.03, abs=0.02)
        assert right / longest == pytest.approx(value / 0.06, abs=0.02)
    said = plain(page.locator(".difference").inner_text())
    assert (
        "Without bars, since the others would be flat beside them: 0: ·w0 (60 % and 30 %), 11: ·w11 (20 % and 10 %)."
        in said
    )


def test_export_from_a_report(report):
    report.get_by_role("button", name="Export").click()
    with report.expect_download() as csv:
        report.get_by_role("button", name="CSV").click()
    lines = open(csv.value.path(), encoding="utf-8", newline="").read().split("\r\n")
    assert lines[0] == "completion_index,completion_token,prompt_index,prompt_token,value"
    assert lines[1] == "0, It,0,The,0.800000012" and len(lines) == 1 + 24 + 1
    with report.expect_download() as result:
        report.get_by_role("button", name="JSON").click()
    saved = json.load(open(result.value.path(), encoding="utf-8"))
    assert saved["format"] == "headwater-result" and saved["attributions"][0]["mean"][1][2] == 0.300000012


def test_a_report_saves_itself_with_all_its_runs(open_report, open_page, tmp_path):
    page = open_report(river(name="first"), run(PROMPT, HOSTILE[:2], [attribution("rollout", M[:2], 8)], name="second"))
    page.keyboard.press("c")
    page.get_by_role("button", name="Export").click()
    assert "this report again, with all 2 runs" in plain(page.locator(".exports").inner_text())
    with page.expect_download() as html:
        page.get_by_role("button", name="HTML").click()
    first, again = (tmp_path / "report.html").read_bytes(), open(html.value.path(), "rb").read()
    opening = b'id="headwater-data">'
    assert [b.split(opening)[1].split(b"</script>")[0] for b in (first, again)].count(
        first.split(opening)[1].split(b"</script>")[0]
    ) == 2
    (tmp_path / "again.html").write_bytes(again)
    copy = open_page((tmp_path / "again.html").as_uri())
    copy.wait_for_selector("#answer-0 [data-k]")
    copy.get_by_role("button", name="Runs", exact=True).click()
    assert [name.inner_text() for name in copy.locator(".runs strong").all()] == ["first", "second"]


def test_values_say_what_they_are_means_over(report):
    heading = report.locator(".strongest h3")
    assert heading.inner_text() == "Came from, mean over 2 layers"
    report.get_by_label("Last layer").fill("1")
    assert heading.inner_text() == "Came from, layer 1"
    report.get_by_label("Method", exact=True).select_option("=logit")
    assert report.locator(".balance h3").inner_text() == "What raised its logit, all layers together"
    assert report.locator(".balance tfoot th").inner_text() == "above the mean logit, nats"


def test_theme(open_report):
    page = open_report(river(), dark=True)
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(21, 22, 25)"
    dark = tint_of(page, 1)
    page.get_by_role("button", name="Light").click()
    assert tint_of(page, 1) == STRONGEST != dark
    page.get_by_role("button", name="Dark").click()
    page.evaluate("localStorage.clear()")  # or the reports of later tests are dark


def test_a_document_that_is_none_is_refused(open_page, tmp_path):
    from browser import PAGE
    from documents import page_with

    path = tmp_path / "other.html"
    path.write_text(
        page_with(PAGE.read_text(encoding="utf-8"), {"format": "something", "version": 1, "runs": []}), encoding="utf-8"
    )
    page = open_page(path.as_uri())
    assert "not a Headwater document" in page.get_by_role("alert").inner_text()


def test_nothing_is_wider_than_a_phone(open_report):
    page = open_report(river(), viewport={"width": 390, "height": 844})
    for name in ("Bars", "Layers", "Token map", "Depth", "Sources"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    assert page.locator("details.folded summary").inner_text() == "by tokens · all layers · nothing hidden"


def test_page_weight(program):
    from browser import PAGE

    assert PAGE.stat().st_size < 1_000_000


# ---------------------------------------------------------------- long prompts

LONG_M, WORDS_EACH = 600, 10


def long_run(**changes):
    """60 sentences of ten tokens; what the answer takes lies in sentence 40, and 0.9 in token 0."""
    prompt = [f" s{k // WORDS_EACH}w{k % WORDS_EACH}" for k in range(LONG_M)]
    values = np.full((3, LONG_M, 2), 1e-4, np.float32)
    values[:, 0] = 0.9
    values[:, 403] = np.array([0.05, 0.1, 0.02])[:, None]
    values[:, 407] = 0.01
    groups = [k // WORDS_EACH for k in range(LONG_M)]
    names = ["".join(prompt[WORDS_EACH * g : WORDS_EACH * (g + 1)]) for g in range(LONG_M // WORDS_EACH)]
    return run(prompt, [" a", " b", " c"], [attribution("rollout", values, LONG_M)],
               {"prompt": {"sentence": {"groups": groups, "names": names}}, "completion": {}}, **changes)


def plot_point(page, column, columns, row, rows):
    """The middle of a cell of the heat map that is shown whole."""
    box = page.locator(".cells").bounding_box()
    return (box["x"] + box["width"] * (column + 0.5) / columns, box["y"] + box["height"] * (row + 0.5) / rows)


def test_above_200_columns_charts_are_by_sentence_and_a_click_opens_one(open_report):
    page = open_report(long_run())
    token(page, 1).click()
    show_chart(page, "Layers")
    # token 0 alone, the rest of its sentence, 59 more
    page.locator(".canvas").scroll_into_view_if_needed()
    page.mouse.move(*plot_point(page, 41, 61, 0, 2))
    assert plain(page.locator(".chart .tip").inner_text()) == "400–409: s40w0 s40w1 s…\n10 parts; click to open\n" \
                                                             "layer 2\n11 %"
    page.mouse.down()
    page.mouse.up()
    page.locator(".opened").wait_for()
    assert "Parts 400–409 of the prompt only." in plain(page.locator(".opened").inner_text())
    words, _ = words_of(save_picture(page, "SVG")[1])
    assert "403: ·s40w3" in words and "0: ·s0w0" not in words
    shown = page.locator("#prompt-0 [data-k='400']").bounding_box()
    frame = page.locator(".prompt .frame").bounding_box()
    assert frame["y"] <= shown["y"] <= frame["y"] + frame["height"], "the sentence is in view"
    show_chart(page, "Bars")
    assert "each of 10 parts" in page.locator(".canvas").get_attribute("aria-label")
    page.get_by_role("button", name="Back to all").click()
    page.wait_for_selector('.canvas[aria-label*="each of 61 parts"]')


def test_a_chart_out_of_view_is_drawn_for_print(open_report):
    page = open_report(long_run(), viewport={"width": 390, "height": 500})
    page.wait_for_timeout(500)
    assert page.locator(".canvas canvas").count() == 0, "it is drawn out of view"
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".canvas").get_attribute("aria-label").startswith("Bars:")


def test_the_token_map_is_drawn_once_and_moved(open_report):
    """The cells are one image: moving the window draws no cell again; the pointer and a click hit what is seen."""
    page = open_report(long_run(), viewport={"width": 1366, "height": 1200})
    show_chart(page, "Token map")
    page.locator(".canvas").scroll_into_view_if_needed()
    page.evaluate("""() => {
        window.images = 0
        const put = CanvasRenderingContext2D.prototype.putImageData
        CanvasRenderingContext2D.prototype.putImageData = function (...of) {
            window.images++
            return put.apply(this, of)
        }
    }""")
    box = page.locator(".cells").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def column_at_pointer():
        page.mouse.move(middle[0], middle[1] + 1)
        page.mouse.move(*middle)
        return int(page.locator(".chart .tip").inner_text().split(":")[0])

    before = column_at_pointer()
    page.mouse.down()
    page.mouse.move(middle[0] + 200, middle[1], steps=8)
    page.mouse.up()
    page.wait_for_timeout(200)
    after = column_at_pointer()
    assert before - after >= 8, "dragging to the right shows earlier tokens"
    assert page.evaluate("images") == 0
    page.mouse.click(box["x"] + 40, box["y"] + box["height"] * 5 / 6)
    assert token(page, 2).get_attribute("aria-selected") == "true"
    assert token(page, 1).get_attribute("aria-selected") == "false"
    page.wait_for_timeout(600)
    assert page.evaluate("images") == 0, "another selection is not another map"


def test_a_long_prompt_has_a_strip_and_a_key_for_its_strong_parts(open_report):
    page = open_report(long_run())
    token(page, 1).click()
    assert page.locator(".heat span").count() == 10
    page.get_by_role("button", name="token 0").click()
    for k in (403, 407):
        page.keyboard.press("n")
        while token(page, k, "prompt").get_attribute("data-at") is None:
            page.keyboard.press("n")
        shown = token(page, k, "prompt").bounding_box()
        frame = page.locator(".prompt .frame").bounding_box()
        assert frame["y"] <= shown["y"] <= frame["y"] + frame["height"]
    assert page.locator(".contributions").count() == 1
    page.set_viewport_size({"width": 683, "height": 384})  # a laptop at 200 % zoom
    answer, prompt = (page.locator(f"section.{name}").bounding_box() for name in ("answer", "prompt"))
    assert answer["y"] + answer["height"] <= prompt["y"] + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 683


# ---------------------------------------------------------------- the difference


def names_report(open_report):
    """Two prompts that differ in one name, and a word more on the right."""
    def one(words, values, name):
        layers = np.repeat(np.array(values, np.float32)[None, :, None], 2, axis=2)
        return run(words, [" Russia"], [attribution("rollout", layers, len(words))], name=name)

    left = one(["I", " am", " Putin", " from", "?"], [0.6, 0.02, 0.3, 0.04, 0.01], "Putin")
    right = one(["I", " am", " Abdul", " really", " from", "?"], [0.6, 0.02, 0.1, 0.05, 0.09, 0.01], "Abdul")
    page = open_report(left, right)
    page.keyboard.press("c")
    page.get_by_label("Run on the right").select_option(label="Abdul")
    return page


def test_the_difference_is_painted_on_both_prompts(open_report):
    page = names_report(open_report)
    assert tint_of(page, 3) and tint_of(page, 3, 1), "own values at first"
    page.get_by_role("button", name="The difference").click()
    said = plain(page.locator(".difference").inner_text())
    assert "1 pair of parts differs between the prompts." in said
    assert "1 part of one prompt only: it counts in full." in said
    assert "3 parts took the same on both sides." in said
    rows = [[plain(c) for c in row.locator("th, .value").all_inner_texts()]
            for row in page.locator(".moved tbody tr").all()]
    assert rows == [["·Putin / ·Abdul", "20 %"], ["·from", "−5.0 %"], ["– / ·really", "−5.0 %"]]
    assert tint_of(page, 2) == STRONGEST and tint_of(page, 2, 1) == "#5d9bd3"
    assert tint_of(page, 1) == "" and tint_of(page, 1, 1) == "", "what took the same is not tinted"
    assert tint_of(page, 3, 1) == tint_of(page, 4, 1) != "", "what one prompt has alone counts in full"
    assert [plain(legend).split(":")[0] for legend in page.locator(".legend").all_inner_texts()] == [
        "More than the right side", "More than the left side"]
    assert "difference=1" in page.url
    page.reload()
    page.wait_for_selector(".moved")
    assert tint_of(page, 2) == STRONGEST
    page.get_by_role("button", name="Both sides").click()
    assert tint_of(page, 1) != ""


def test_charts_beside_each_other_have_one_scale(open_report):
    page = names_report(open_report)

    def tops():
        out = []
        for pane in (0, 1):
            with page.expect_download() as file:
                page.get_by_role("button", name="SVG").nth(pane).click()
            words, _ = words_of(open(file.value.path(), "rb").read())
            out.append(max(float(n) for n in re.findall(r"\b0\.\d+", words)))
        return out

    for chart in ("Bars", "Depth"):
        show_chart(page, chart)
        left, right = tops()
        assert left == right, chart
        page.get_by_label("one scale for both").uncheck()
        left, right = tops()
        assert left > right, chart
        page.get_by_label("one scale for both").check()
    said = plain(page.locator(".difference").inner_text())
    assert "flat beside them: 0: I (60 % and 60 %)." in said, "a weak last part has a bar"
    notes = [plain(note) for note in page.locator(".chart .note").all_inner_texts()]
    assert notes == ["Not drawn, since the others would be flat beside it: 0: I 60 %."] * 2, "the last part is weak"
