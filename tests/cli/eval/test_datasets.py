"""The data sets that scripts/make_datasets.py writes: evidence holds the answer, places are balanced, seeds repeat."""

import collections
import pathlib
import random
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

from datasets import facts, needle, note, passages, text, twohop  # noqa: E402

COUNT = 180
NOUNS = ["record", "archive", "letter", "camera", "library", "picture", "reader", "catalogue"]
VERBS = ["described", "preserved", "replaced", "collected", "examined", "measured"]


def prose():
    """Paragraphs that repeat no sentence, as a real text."""
    rng = random.Random(2)
    made = []
    for i in range(120):
        lines = [f"The {rng.choice(NOUNS)} of number {60 * i + k} was {rng.choice(VERBS)} by every other "
                 f"{rng.choice(NOUNS)} that {rng.choice(VERBS)} their {rng.choice(NOUNS)} {rng.choice(NOUNS)}."
                 for k in range(3)]
        made.append(" ".join(lines))
    return made


SETS = {
    "facts": lambda rng: facts.make(rng, COUNT),
    "twohop": lambda rng: twohop.make(rng, COUNT),
    "needle": lambda rng: needle.make(rng, COUNT, prose(), 0.5),
    "passages": lambda rng: passages.make(rng, COUNT, prose()),
}


@pytest.fixture(scope="module", params=SETS)
def made(request):
    return request.param, SETS[request.param](random.Random("x"))


def pieces(item, ranges):
    return [item["prompt"][begin:end] for begin, end in ranges]


def test_the_same_seed_gives_the_same_items(made):
    name, items = made
    assert SETS[name](random.Random("x")) == items
    assert SETS[name](random.Random("y")) != items
    assert len({item["id"] for item in items}) == COUNT


def test_evidence_holds_the_answer_and_nothing_else_does(made):
    name, items = made
    for item in items:
        held = " ".join(pieces(item, item["evidence"]))
        words = item["answer"].replace("room: ", "").replace("city: ", "").split(", ")
        assert all(word in held for word in words), item["id"]
        assert not item["prompt"].endswith(" ")
        if name == "facts":
            others = [p for p in pieces(item, item["spans"]) if p not in pieces(item, item["evidence"])]
            assert len(others) == 9 and not any(item["answer"] in other for other in others)


def test_spans_rise_and_stop_before_the_question(made):
    _, items = made
    for item in items:
        ends = [offset for span in item["spans"] for offset in span]
        assert ends == sorted(ends) and len(item["spans"]) >= 6
        assert ends[-1] < item["prompt"].rindex("\n") + 1 <= len(item["prompt"])
        for begin, end in item["evidence"]:
            assert any(b < end and begin < e for b, e in item["spans"])


@pytest.mark.parametrize("name, tag, values", [
    ("facts", "position", 10), ("twohop", "first", 10), ("twohop", "second", 10), ("needle", "depth", 10),
    ("passages", "position", 6)])
def test_places_are_balanced(name, tag, values):
    items = SETS[name](random.Random(1))
    counts = collections.Counter(item["tags"][tag] for item in items)
    assert len(counts) == values
    assert set(counts.values()) == {COUNT // values}


def test_needle_stands_at_its_depth():
    for item in SETS["needle"](random.Random(1)):
        begin, end = item["evidence"][0]
        assert (begin + end) / 2 / item["spans"][-1][1] == pytest.approx(item["tags"]["depth"], abs=0.05)
        assert 15 <= len(item["spans"]) <= 20


def test_every_kind_of_fact_is_asked_at_every_position():
    asked = collections.Counter((i["tags"]["kind"], i["tags"]["position"]) for i in facts.make(random.Random(1), 100))
    assert len(asked) == 100


def test_note_evidence_is_the_word_that_decides():
    items = note.make(ROOT / "examples/note.jsonl")
    assert [pieces(item, item["evidence"]) for item in items] == [["Putin"], ["Abdul"], ["sunny"], ["David"]]
    assert all(item["token"] in item["completion"] for item in items)


def test_prose_is_told_from_headings_and_lists(tmp_path):
    path = tmp_path / "text.txt"
    body = "A paragraph of some length,\nwrapped over  lines. " + "It goes on and on. " * 10 + "Then it ends."
    path.write_text(f"   HEADING\r\n\r\n{body}\r\n\r\n  * a list\r\n\r\n{body}\r\n\r\nToo short.\r\n", newline="")
    assert text.read_paragraphs(path) == [" ".join(body.split())]
    cut = text.sentences("One is here. Two (it says). Three?  Four")
    assert cut == ["One is here.", "Two (it says).", "Three?  Four"]
