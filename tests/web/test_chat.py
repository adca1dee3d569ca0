"""A conversation in the page, with a real instruct model: asking, continuing, asking further, changing turns; and what
stays when the page is loaded again, or the server is lost."""

import re

import pytest
from conftest import accessibility_faults, plain, until

QUESTION = ("The library of Milltown opens at nine. The head librarian is Maria Gomez. The bakery sells rye bread.\n"
            "Who is the head librarian?")


@pytest.fixture
def page(open_page, server):
    return open_page(server.url)


def message(page):
    return page.get_by_label("Message", exact=True)


def limit(page, n):
    settings = page.locator("details.settings")
    if not settings.evaluate("d => d.open"):
        settings.locator("summary").click()
    page.get_by_label("Tokens", exact=True).fill(str(n))


def ended(page):
    page.wait_for_selector(".progress", state="detached")
    page.wait_for_selector(".answer-actions")


def ask(page, text, n=6):
    if not message(page).count():
        page.get_by_text("Conversation", exact=True).click()
    limit(page, n)
    message(page).fill(text)
    before = page.url
    message(page).press("Enter")
    until(page, lambda: page.url != before and "#run=" in page.url)
    ended(page)


def answer(page):
    """Without the numbers of its sources."""
    return plain(page.locator("#cited-answer").evaluate("""e => {
        const text = e.cloneNode(true)
        text.querySelectorAll('.marks').forEach((mark) => mark.remove())
        return text.textContent
    }""")).strip()


def prompt_of(page):
    return plain(page.locator("#cited-prompt").inner_text())


def test_a_plain_question_is_answered_and_goes_on_at_the_limit(page):
    """The template is on; the continued answer begins with the same bytes, and its sources are those of all of it."""
    ask(page, QUESTION, n=4)
    assert "<|im_start|>" in prompt_of(page) and QUESTION.split("\n")[1] in prompt_of(page)
    short, run = answer(page), re.search(r"#run=(\d+)$", page.url)[1]
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector(".progress", state="detached")
    until(page, lambda: "stopped at the limit" not in page.locator(".answer-actions").inner_text())
    assert answer(page).startswith(short) and "Gomez" in answer(page)[len(short) - 4:]
    assert page.locator("#cited-answer .mark").count() > 0
    assert re.search(r"#run=(\d+)$", page.url)[1] == run, "it is the same run"
    assert page.get_by_role("button", name="Continue").count() == 0, "the model has ended its answer"
    whole = answer(page)
    page.reload()
    page.wait_for_selector(".answer-actions")
    assert answer(page) == whole


def test_a_conversation_with_a_system_message_and_documents(page):
    page.get_by_role("button", name="Add a system message").click()
    page.get_by_label("System message", exact=True).fill("You answer in one short sentence.")
    page.get_by_role("button", name="Add a document").click()
    page.get_by_label("Name of document 1").fill("Staff 🌊")
    page.get_by_label("Text of document 1").fill("The head librarian is Maria Gomez.")
    assert accessibility_faults(page) == []
    ask(page, "Who is the head librarian?", n=12)
    assert page.locator(".document-name").all_inner_texts() == ["Staff 🌊"]
    first = answer(page)
    page.get_by_label("Further question").fill("And who keeps the key?")
    page.get_by_label("Further question").press("Enter")
    until(page, lambda: "And who keeps the key?" in prompt_of(page))
    ended(page)
    shown = prompt_of(page)
    parts = ["one short sentence", "Maria Gomez", "Who is the head librarian?", first[:20], "And who keeps the key?"]
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)

    page.get_by_role("button", name="Edit and run again").click()
    page.get_by_label("You, turn 2", exact=True).wait_for()
    assert page.get_by_label("System message", exact=True).input_value() == "You answer in one short sentence."
    assert page.get_by_label("You, turn 2", exact=True).input_value() == "Who is the head librarian?"
    assert "Staff 🌊" in page.locator(".turn.user").inner_text()
    assert page.get_by_label("The model, turn 3", exact=True).input_value() == first
    assert message(page).input_value() == "And who keeps the key?"
    assert accessibility_faults(page) == []
    page.get_by_label("You, turn 2", exact=True).fill("Where does she work?")
    page.get_by_role("button", name="Drop what follows").click()
    assert message(page).input_value() == "Where does she work?" and page.locator(".turn").count() == 1
    assert page.get_by_label("Name of document 1").input_value() == "Staff 🌊", "documents stay with their turn"
    ask(page, "Where does she work?")
    assert "And who keeps the key?" not in prompt_of(page) and "Where does she work?" in prompt_of(page)


def test_later_turns_are_kept_when_they_are_not_dropped(page):
    ask(page, "Name a colour.")
    page.get_by_label("Further question").fill("Another one?")
    page.get_by_role("button", name="Ask", exact=True).click()
    until(page, lambda: "Another one?" in prompt_of(page))
    ended(page)
    page.get_by_role("button", name="Edit and run again").click()
    page.get_by_label("You, turn 1", exact=True).fill("Name an animal.")
    ask(page, "Another one?")
    shown = prompt_of(page)
    assert "Name an animal." in shown and "Name a colour." not in shown and "Another one?" in shown


def test_a_draft_stays(page):
    ask(page, "Name a colour.", n=2)
    page.get_by_role("button", name="New").click()
    assert message(page).input_value() == "", "what was run is no draft"
    message(page).fill("Half a thought")
    page.get_by_role("button", name="Back to the text").click()
    page.get_by_role("button", name="New").click()
    assert message(page).input_value() == "Half a thought"
    page.get_by_role("button", name="New").click()
    assert message(page).input_value() == "Half a thought"
    page.reload()
    assert message(page).input_value() == "Half a thought"
    page.get_by_text("Raw text", exact=True).click()
    assert page.get_by_label("Prompt", exact=True).input_value() == "Half a thought"
    page.get_by_text("Conversation", exact=True).click()
    page.get_by_role("button", name="Start empty").click()
    assert message(page).input_value() == ""


def test_a_new_answer_comes_before_the_layer_that_was_left(page):
    ask(page, "Name a colour.", n=2)
    page.get_by_role("button", name="Look closer").click()
    assert page.url.endswith("&view=closer")
    page.get_by_role("button", name="New").click()
    ask(page, "Name a bird.", n=2)
    assert page.get_by_role("button", name="Look closer").is_visible()


# ---------------------------------------------------------------- links and life


def test_a_run_goes_on_when_the_page_is_loaded_again(page, open_page, server):
    other = open_page(server.url)
    other.get_by_role("button", name="Runs").click()
    limit(page, 160)
    page.get_by_text("Raw text", exact=True).click()
    page.get_by_label("Prompt", exact=True).fill("Count: 1, 2, 3, 4, 5, 6, 7, 8,")
    page.get_by_role("button", name="Write and explain").click()
    until(page, lambda: re.search(r"#run=\d+$", page.url) and len(answer(page)) > 8)
    url = page.url
    other.bring_to_front()
    other.get_by_text("Being written").first.wait_for()
    page.bring_to_front()
    page.reload()
    until(page, lambda: page.locator(".progress").count() and len(answer(page)) > 8)
    assert page.url == url
    ended(page)
    assert "160" not in page.locator(".problem").all_inner_texts()
    assert prompt_of(page).startswith("Count: 1, 2")

    page.get_by_role("button", name="New").click()
    assert "#run" not in page.url
    page.go_back()
    page.wait_for_selector("#cited-answer")
    assert page.url == url
    page.go_forward()
    page.get_by_label("Prompt", exact=True).wait_for()


def test_a_lost_server_is_said_and_comes_back(open_page, apart):
    page = open_page(apart.url, allowed=["Failed to load resource", "ERR_"])
    ask(page, "Name a colour.", n=2)
    page.get_by_role("button", name="New").click()
    message(page).fill("What about now?")
    port = re.search(r":(\d+)/", apart.url)[1]
    apart.stop()
    lost = page.locator(".lost")
    lost.wait_for()
    assert f"--port {port}" in lost.inner_text() and "goes on by itself" in lost.inner_text()
    assert page.get_by_role("button", name="Ask", exact=True).is_disabled()
    assert accessibility_faults(page) == []
    apart.command[-1] = port
    apart.start()
    lost.wait_for(state="detached")
    assert message(page).input_value() == "What about now?"
    message(page).press("Enter")
    until(page, lambda: "What about now?" in prompt_of(page))
    ended(page)
    page.get_by_role("button", name="Runs").click()
    assert page.locator(".runs .open").count() == 2 and "smollm2" in page.locator(".runs").inner_text().lower()


def test_focus_returns_and_escape_takes_one_step(page):
    ask(page, "Name a colour.", n=2)
    opener = page.get_by_role("button", name="Runs")
    opener.click()
    page.get_by_role("button", name=re.compile("^Rename")).first.click()
    page.keyboard.press("Escape")
    assert page.locator("dialog").count() == 1, "only the renaming ends"
    until(page, lambda: page.evaluate("document.activeElement.textContent") == "Rename")
    page.get_by_role("button", name=re.compile("^Delete")).first.click()
    page.keyboard.press("Escape")
    assert page.locator("dialog").count() == 1 and page.get_by_role("button", name="Really delete").count() == 0
    until(page, lambda: page.evaluate("document.activeElement.textContent") == "Delete")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Really delete").click()
    until(page, lambda: page.get_by_role("button", name="Really delete").count() == 0)
    until(page, lambda: page.evaluate("document.activeElement.closest('dialog') !== null"))  # focus stays inside
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent") == "Runs"
    for key, name in (("?", "How to read this"),):
        page.keyboard.press(key)
        page.get_by_role("dialog", name=name).wait_for()
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="detached")
        assert page.evaluate("document.activeElement.textContent") == "Runs"
