"""The page with a server and a real model behind it: what a person does, from a prompt to a saved run."""

import base64
import json
import os
import pathlib
import re
import signal
import urllib.request
import zlib

import numpy as np
import pytest
from browser import until_painted
from conftest import accessibility_faults, plain, raw_text, sources, tint_of, token, until
from patience import HANG_S

CLOSER = "#view=closer"
NEEDLE = "Anna keeps her key in the red box. Tom lives near the sea.\nQuestion: Where is the key?\nAnswer: in the"


@pytest.fixture
def page(open_page, server):
    """Opens with the second layer, whose tokens most tests are about; test_first_look.py has the first."""
    return open_page(server.url + CLOSER)


def write(page, prompt, completion=None, n=8):
    raw_text(page)
    page.get_by_label("Prompt", exact=True).fill(prompt)
    given = page.get_by_label("I write the completion")
    given.set_checked(completion is not None)
    if completion is not None:
        page.get_by_label("Completion to explain").fill(completion)
    settings = page.locator("details.settings")
    if not settings.evaluate("d => d.open"):
        settings.locator("summary").click()
    if completion is None:
        page.get_by_label("Tokens", exact=True).fill(str(n))


def go(page):
    page.get_by_role("button", name=re.compile("^(Write and e|E)xplain$")).click()
    page.wait_for_selector("#answer-0 [data-k]")
    page.wait_for_selector(".progress", state="detached")


def api(server, path, method="GET", body=None):
    request = urllib.request.Request(server.url + "api/" + path, method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json", "Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=HANG_S) as answer:
        return json.loads(answer.read() or b"null")


def logit_means(run):
    """Of the first completion token by prompt token, averaged over layers, as the server gives them."""
    a = next(a for a in run["attributions"] if a["method"] == "logit")
    mean = np.frombuffer(zlib.decompress(base64.b64decode(a["packed"]["mean"]["data"])), "<f4")
    return mean.reshape(a["shape"][:2])[0]


def test_tokens_come_in_explained(page, server):
    write(page, NEEDLE, n=24)
    page.evaluate("""() => {
        window.seen = []
        new MutationObserver(() => {
            const tokens = document.querySelectorAll('#answer-0 [data-k]').length
            const pending = document.querySelectorAll('#answer-0 .pending').length
            if (document.querySelector('.progress')) window.seen.push([tokens, tokens - pending])
        }).observe(document.body, { subtree: true, childList: true, attributes: true })
    }""")
    go(page)
    seen = page.evaluate("window.seen")
    assert any(0 < explained < 20 for _, explained in seen), "tokens were explained only at the end"
    assert page.locator("#answer-0 .pending").count() == 0
    assert re.search(r"#run=\d+&view=closer$", page.url)
    token(page, 0).click()
    page.get_by_label("Method", exact=True).select_option("=logit")
    run = api(server, "runs/" + re.search(r"#run=(\d+)", page.url)[1])
    assert page.locator("#answer-0").inner_text().strip() == run["run"]["completion"].strip()
    first, strongest = int(sources(page)[0][0]), max(range(len(logit_means(run))), key=lambda k: logit_means(run)[k])
    assert first == strongest and sources(page)[0][1].replace("·", " ") == token(page, first, "prompt").inner_text()
    assert tint_of(page, first) == "#e67b2e", "the strongest has the full colour"


def test_characters_of_several_tokens_are_whole_as_they_come(page):
    """SmolLM2 writes these in pieces of characters; no reload may be needed to read them."""
    text = " 日本語の答え 🌊🧂 مرحبا"
    write(page, "Say it", text)
    go(page)
    shown = page.locator("#answer-0 [data-k]").all_inner_texts()
    assert len(shown) > len(text.split()) and "\ufffd" not in "".join(shown)
    assert "".join(shown).replace("˙", "").strip() == text.strip()
    page.reload()
    page.wait_for_selector("#answer-0 [data-k]")
    assert page.locator("#answer-0 [data-k]").all_inner_texts() == shown


def test_a_setting_is_changed_and_the_others_stay(page, server):
    settings = {"discard": 0.5, "remove_sink": True, "by": "word"}
    run = api(
        server,
        "explain",
        "POST",
        {"prompt": NEEDLE, "completion": " red", "methods": ["rollout"], "settings": settings},
    )
    plain_one = api(server, f"runs/{run['id']}/explain", "POST", {"methods": ["rollout"]})["attributions"][0]
    page.goto(f"{server.url}#run={run['id']}&view=closer")
    page.reload()
    page.wait_for_selector("#answer-0 [data-k]")
    method = page.get_by_label("Method", exact=True)
    names = ["rollout, by word, lowest 0.5 discarded, sink removed", "rollout"]
    assert [o.get_attribute("value") for o in method.locator("> option").all()] == ["=" + n for n in names]
    page.locator(".method-settings summary").click()
    page.get_by_label("Row", exact=True).select_option("own")
    until(page, "document.querySelectorAll('.method > select > option').length === 3")
    assert method.input_value() == "=rollout, by word, row own, lowest 0.5 discarded, sink removed"
    stored = api(server, f"runs/{run['id']}")["attributions"]
    first = run["attributions"][0]["settings"]
    assert [a["settings"] for a in stored] == [first, plain_one["settings"], first | {"row": "own"}]
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON", exact=True).click()
    saved = json.load(open(download.value.path(), encoding="utf-8"))["attributions"]
    assert [a["settings"] for a in saved] == [stored[2]["settings"]]


def test_a_run_that_is_gone_is_said(open_page, server):
    page = open_page(server.url + "#run=999999", allowed=["404"])
    assert page.get_by_role("alert").inner_text().startswith("That run is not there any more.")


def test_stop_keeps_what_is_there(page):
    write(page, "Count: 1 2 3", n=400)
    page.get_by_role("button", name="Write and explain").click()
    until(page, "document.querySelectorAll('#answer-0 [data-k]').length > 3")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".progress", state="detached")
    assert "stopped" in page.locator(".answer h2").inner_text()
    assert 3 < page.locator("#answer-0 [data-k]").count() < 400
    assert page.locator("#answer-0 .pending").count() == 0


def test_own_completion_edit_and_run_again(page):
    write(page, "My name is Putin, I am from", " Russia, I am a Russian")
    go(page)
    assert page.locator("#answer-0").inner_text().strip() == "Russia, I am a Russian"
    assert "written by you" in page.locator(".answer h2").inner_text()
    page.get_by_role("button", name="Edit and run again").click()
    assert page.get_by_label("Prompt", exact=True).input_value() == "My name is Putin, I am from"
    write(page, "My name is Abdul, I am from", " Pakistan. I am a student")
    go(page)

    page.get_by_role("button", name="Runs").click()
    page.get_by_role(
        "button", name=re.compile("^Compare with My·?.*Putin|^Compare with My name is Putin")
    ).first.click()
    page.wait_for_selector("#answer-1 [data-k]")
    assert page.locator("#answer-1").inner_text().strip() == "Russia, I am a Russian"
    assert "·Abdul / ·Putin" in page.locator(".difference tbody tr").first.inner_text()


def test_documents_are_cited(page):
    raw_text(page)
    page.get_by_role("button", name="Add a document").click()
    page.get_by_label("Name of document 1").fill("Anna")
    page.get_by_label("Text of document 1").fill("Anna keeps her key in the red box.")
    page.get_by_role("button", name="Add a document").click()
    page.get_by_label("Name of document 2").fill("Tom 🌊")
    page.get_by_label("Text of document 2").fill("Tom lives near the sea.")
    write(page, "Question: Where is the key?\nAnswer: in the", " red box")
    go(page)
    page.get_by_role("tab", name="Sources").click()
    assert page.locator(".cite").first.inner_text().startswith("Anna")
    assert "Tom 🌊" in page.locator(".sources thead").inner_text()


def test_other_methods_settings_and_check(open_page, server):
    page = open_page(server.url + CLOSER, allowed=["422"])
    write(page, NEEDLE, " red box")
    go(page)
    page.get_by_label("Units").select_option("sentence")
    page.get_by_label("Method", exact=True).select_option("+leave-one-out")
    until(page, "document.querySelector('.method select').value.startsWith('=leave-one-out')")
    page.keyboard.press("ArrowLeft")  # from the whole answer to its last token
    assert "Anna keeps her key" in sources(page)[0][1]
    page.get_by_label("Method", exact=True).select_option("=rollout")
    page.locator(".method-settings summary").click()
    page.get_by_label("Row", exact=True).select_option("own")
    until(page, "document.querySelector('.method select').value === '=rollout, row own'")
    page.get_by_label("residual as measured").click()
    until(page, "document.querySelector('.method select').value === '=rollout, row own, residual measured'")
    page.get_by_label("Method", exact=True).select_option("=contribution")
    page.get_by_label("Over layers").select_option("rollout")
    assert "Choose it under Settings" in page.get_by_role("alert").inner_text()
    page.get_by_label("Method", exact=True).select_option("=logit")
    page.get_by_role("button", name="Check it").click()
    assert page.locator(".verdict").inner_text().startswith("logit: ")
    page.locator(".trust details summary").click()
    assert page.locator(".figures th[scope=row]").all_inner_texts()[0] == "logit"


def test_settings_of_the_run_itself(page):
    write(page, "The capital of France is", " Paris")
    page.get_by_label("Logit against").fill("second")
    page.get_by_label("Contribution: over layers").select_option("composed")
    go(page)
    page.get_by_label("Method", exact=True).select_option("=contribution, aggregate rollout")
    page.get_by_label("Method", exact=True).select_option("=logit")
    assert page.locator(".balance tfoot th").inner_text() == "above the second likeliest token, nats"


def test_two_runs_side_by_side_are_one_report(page, open_page, tmp_path):
    write(page, "My name is Putin, I am from", " Russia")
    go(page)
    page.get_by_role("button", name="Edit and run again").click()
    write(page, "My name is Abdul, I am from", " Pakistan")
    go(page)
    page.keyboard.press("c")
    page.get_by_label("Run on the right").select_option(label="My name is Putin, I am from")
    page.get_by_role("button", name="Export").click()
    assert "both runs" in page.locator(".exports").inner_text()
    with page.expect_download() as html:
        page.get_by_role("link", name="HTML", exact=True).click()
    (tmp_path / "both.html").write_bytes(open(html.value.path(), "rb").read())
    report = open_page((tmp_path / "both.html").as_uri() + CLOSER)
    report.wait_for_selector("#answer-0 [data-k]")
    report.keyboard.press("c")
    report.get_by_label("Run on the right").select_option(label="My name is Putin, I am from")
    assert [report.locator(f"#answer-{i}").inner_text().strip() for i in (0, 1)] == ["Pakistan", "Russia"]


def test_runs_are_kept_renamed_reopened_deleted(page, server, open_page):
    write(page, "The sea is", " blue")
    go(page)
    url = page.url
    page.get_by_role("button", name="Runs").click()
    page.get_by_role("button", name="Rename The sea is").click()
    page.get_by_label("New name").fill("A sea")
    with page.expect_response(lambda answer: answer.url.endswith("/api/runs")):  # the list comes anew meanwhile
        api(server, f"runs/{re.search(r'run=([0-9]+)', url)[1]}", "PATCH", {"name": "Another name"})
    until_painted(page)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Compare with A sea").wait_for()

    again = open_page(url)
    again.wait_for_selector("#answer-0 [data-k]")
    assert again.locator("#answer-0").inner_text().strip() == "blue"
    assert sources(again) == sources(page)

    page.get_by_role("button", name="Delete A sea").click()
    page.get_by_role("button", name="Really delete").click()
    until(page, "!document.querySelector('[aria-label=\"Delete A sea\"]')")
    assert all(r["name"] != "A sea" for r in api(server, "runs")["runs"])


def test_runs_outlive_the_server(page, server, open_page):
    write(page, "The sun is", " hot")
    go(page)
    run = re.search(r"#run=(\d+)", page.url)[1]
    page.close()
    server.stop()
    server.start()
    again = open_page(f"{server.url}#run={run}&view=closer")
    again.wait_for_selector("#answer-0 [data-k]")
    assert again.locator("#answer-0").inner_text().strip() == "hot"


def test_messages_can_be_hidden_by_their_role(page, server):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is the key?"}]
    run = api(server, "explain", "POST", {"messages": messages, "completion": " Here"})
    page.goto(f"{server.url}#run={run['id']}&view=closer")
    page.reload()
    page.wait_for_selector("#answer-0 [data-k]")
    page.get_by_role("button", name="system messages").click()
    assert page.locator("#prompt-0 .hidden").all_inner_texts() == ["Be", " brief", "."]
    page.get_by_role("button", name="the user’s messages").click()
    assert "".join(page.locator("#prompt-0 .hidden").all_inner_texts()) == "Be brief.Where is the key?"
    assert page.get_by_role("button", name="the model’s messages").count() == 0


def test_remarks_on_the_texts_are_shown(page):
    write(page, "One <|im_end|> two", " three")
    go(page)
    remarks = page.get_by_label("Remarks", exact=True).locator("li").all_inner_texts()
    assert len(remarks) == 1 and remarks[0].startswith(
        "The prompt holds the text of a control token, <|im_end|>, read as text"
    )
    page.get_by_role("button", name="Edit and run again").click()
    page.locator("details.settings summary").click()
    page.get_by_label("Read control tokens").check()
    go(page)
    assert page.get_by_label("Remarks", exact=True).count() == 0
    assert page.locator("#prompt-0 [data-role=special]").all_inner_texts() == ["<|im_end|>"]


def engine_of(server):
    """The process below the server's that has the model."""
    pid = server.process.pid
    children = {
        child
        for tasks in pathlib.Path(f"/proc/{pid}/task").iterdir()
        for child in (tasks / "children").read_text().split()
    }
    assert len(children) == 1, children
    return int(children.pop())


def test_a_run_that_is_cut_short_is_said_and_made_again(open_page, apart):
    """The engine dies while tokens come: the page says so in plain words, keeps what came, and makes the run again when
    asked."""
    page = open_page(apart.url + CLOSER, allowed=["Failed to load resource"])
    write(page, "Count up: one, two, three,", n=2000)
    page.get_by_role("button", name="Write and explain").click()
    token(page, 3).wait_for()
    os.kill(engine_of(apart), signal.SIGKILL)
    cut = page.locator(".cut-short")
    cut.wait_for()
    assert page.locator(".progress").count() == 0 and page.locator(".problem").count() == 0
    assert "This run is not finished. The part of Headwater that runs the model ended" in cut.inner_text()
    assert "signal 9" in cut.inner_text() and page.locator("#answer-0 [data-k]").count() >= 4
    had = next(r for r in api(apart, "runs")["runs"] if r.get("failure"))["completion"]

    page.reload()
    cut.wait_for()
    page.get_by_role("button", name="Runs").click()
    listed = page.locator(".runs .failed")
    assert listed.count() == 1 and "Not finished. The part of Headwater" in listed.inner_text()
    assert accessibility_faults(page) == []
    page.keyboard.press("Escape")
    cut.get_by_role("button", name="Run again").click()
    page.wait_for_selector("#answer-0 [data-k]")
    page.wait_for_selector(".progress", state="detached")
    assert cut.count() == 0 and "".join(page.locator("#answer-0 [data-k]").all_inner_texts()).startswith(had)
    runs = api(apart, "runs")["runs"]
    assert len(runs) == 1 and runs[0]["finished"] and "failure" not in runs[0]
    page.get_by_role("button", name="Runs").click()
    assert page.locator(".runs .open").count() == 1 and page.locator(".runs .failed").count() == 0


def test_exports(page):
    write(page, "The sky is", " blue")
    go(page)
    page.get_by_role("button", name="Export").click()
    found = {}
    for name in page.locator(".exports a").all_inner_texts():
        with page.expect_download() as download:
            page.get_by_role("link", name=name, exact=True).click()
        found[name] = open(download.value.path(), "rb").read()
    assert {"JSON", "CSV", "HTML"} <= set(found)
    assert json.loads(found["JSON"])["format"] == "headwater-result"
    assert found["CSV"].startswith(b"completion_index,") and b"headwater-document" in found["HTML"]


def test_an_exported_report_opens(page, open_page, server, tmp_path):
    write(page, "My name is Putin, I am from", " Russia")
    go(page)
    run = re.search(r"#run=(\d+)", page.url)[1]
    path = tmp_path / "report.html"
    with urllib.request.urlopen(f"{server.url}api/runs/{run}/export?format=html") as answer:
        path.write_bytes(answer.read())
    report = open_page(path.as_uri() + CLOSER)
    report.wait_for_selector("#answer-0 [data-k]")
    assert sources(report) == sources(page)
    assert report.get_by_role("button", name="Edit and run again").count() == 0
    assert "Does not show" in plain(report.locator(".method").inner_text())
    assert report.requests == [path.as_uri()] or {u.split(":")[0] for u in report.requests} <= {"file", "data"}


def test_what_cannot_work_is_said(open_page, server):
    page = open_page(server.url + CLOSER, allowed=["Failed to load resource"])
    write(page, "word " * 9000, n=1)
    page.get_by_role("button", name="Write and explain").click()
    assert "8192" in page.get_by_role("alert").inner_text()
    assert page.get_by_role("button", name="Write and explain").is_enabled()
