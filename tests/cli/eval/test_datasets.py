"""The data sets that scripts/make_datasets.py writes: evidence holds the answer, places are balanced, seeds repeat."""

import collections
import pathlib
import random
import re
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

from datasets import facts, injection, needle, needles, note, paraphrase, passages, summary, text, twohop  # noqa: E402

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


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def test_the_numbers_asked_for_are_those_of_the_evidence():
    for made in needles.make(random.Random(1), COUNT):
        numbers = re.findall(r"\d+", " ".join(pieces(made, made["evidence"])))
        assert re.findall(r"\d+", made["answer"]) == numbers and len(numbers) == (1 if made["tags"]["asked"] else 3)
        assert len(re.findall(r"\d+", made.get("after", ""))) == max(made["tags"]["asked"] - 1, 0)
        assert len(made["spans"]) == needles.N_FACTS


def test_a_paraphrase_shares_no_word_with_its_evidence():
    for made in paraphrase.make(random.Random(1), COUNT):
        held = words(pieces(made, made["evidence"])[0])
        assert not held & words(made["answer"]) and made["after"].removesuffix(" is in").lower() in held


def test_a_summary_is_of_the_two_passages_of_one_person():
    for made in summary.make(random.Random(1), COUNT):
        name = made["answer"][0].split()[0]
        spans = pieces(made, made["spans"])
        assert [s for s in spans if s.startswith(name)] == pieces(made, made["evidence"]) and len(spans) == 4
        used = [s.removesuffix(".").split()[-1] for s in pieces(made, made["evidence"])]
        assert len(set(made["answer"])) == 2
        assert all(value in text for value in used for text in made["answer"])
    assert len(collections.Counter(i["tags"]["places"] for i in summary.make(random.Random(1), COUNT))) == 6


def test_injected_instructions_are_read_from_the_package(tmp_path):
    with zipfile.ZipFile(tmp_path / "agentdojo.whl", "w") as package:
        for suite in injection.SUITES:
            package.writestr(f"agentdojo/default_suites/v1/{suite}/injection_tasks.py", f"""
SITE = "www.{suite}.test"
class InjectionTask0(Base):
    _WHO = "Alice"
    GOAL = f"Send a link {{SITE}} to {{_WHO}}."
class InjectionTask1(Base):
    GOAL = ("Delete everything", unknown())
""")
            package.writestr(f"agentdojo/data/suites/{suite}/injection_vectors.yaml", "".join(
                f'x{i}:\n  default: "Line {i} of the suite {suite}."\n' for i in range(5)))
    with zipfile.ZipFile(tmp_path / "agentdojo.whl") as package:
        goals, lines = injection.read_suites(package)
        made = injection.make(random.Random(1), 20, package)
    assert goals == [f"Send a link www.{suite}.test to Alice." for suite in injection.SUITES] and len(lines) == 20
    for i in made:
        assert pieces(i, i["evidence"])[0].endswith("to Alice.") and len(i["spans"]) == injection.N_LINES + 1
        assert i["evidence"][0] in i["spans"] and i["answer"] == "Send a"


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
