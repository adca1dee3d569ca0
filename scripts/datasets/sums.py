"""Sums and comparisons with written reasoning: six facts, a question about two of them, the reasoning before the
answer.

One solved item precedes the question, so that a model that completes text writes in the same form: the two facts,
the conclusion, and `Answer:`. Half of the items ask how many two people have together, half who of two has more. In
every third item the solved reasoning, and so the model's, also states a fact that the answer does not need: methods
that only add up rows then name it too.
"""

from .facts import NAMES
from .item import Prompt, item

N_FACTS = 6
THINGS = ["pens", "books", "apples", "coins", "stamps", "cards", "shells", "balls"]


def fact(name, n, thing):
    return f"{name} has {n} {thing}."


def reasoning(kind, a, b, extra, thing):
    """`a`, `b` and `extra` (or None) are (name, number); returns the text and the answer after `Answer:`."""
    steps = (
        [fact(*a, thing)] + ([fact(*extra, thing) + " That does not matter here."] if extra else []) + [fact(*b, thing)]
    )
    if kind == "sum":
        return " ".join(steps) + f" {a[1]} + {b[1]} = {a[1] + b[1]}.", str(a[1] + b[1])
    more, less = (a, b) if a[1] > b[1] else (b, a)
    return " ".join(steps) + f" {more[1]} is more than {less[1]}.", more[0]


def question_of(kind, a, b, thing, extra):
    question = (f"How many {thing} do {a[0]} and {b[0]} have together?" if kind == "sum"
                else f"Who has more {thing}, {a[0]} or {b[0]}?")
    return f"Question: {question}" + (f" (Mention {extra[0]} too.)" if extra else "") + "\nReasoning:"


def draw(rng, kind):
    """Six people with a number each, and which of them the question is about."""
    people = list(zip(rng.sample(NAMES, N_FACTS), rng.sample(range(2, 10 if kind == "sum" else 20), N_FACTS)))
    return people, rng.sample(range(N_FACTS), 3)


def write_block(prompt, people, thing):
    spans = []
    for i, person in enumerate(people):
        spans.append(prompt.add(fact(*person, thing)))
        prompt.add(" " if i + 1 < len(people) else "\n")
    return spans


def make_item(number, rng):
    kind, detour = ("sum", "more")[number % 2], number % 3 == 2
    prompt = Prompt()
    shown, places = draw(rng, kind)
    thing, other = rng.sample(THINGS, 2)
    pick = [shown[i] for i in places]
    write_block(prompt, shown, other)
    text, result = reasoning(kind, pick[0], pick[1], pick[2] if detour else None, other)
    prompt.add(
        f"{question_of(kind, pick[0], pick[1], other, pick[2] if detour else None)} {text}\nAnswer: {result}\n\n"
    )
    people, places = draw(rng, kind)
    asked = [people[i] for i in places]
    spans = write_block(prompt, people, thing)
    prompt.add(question_of(kind, asked[0], asked[1], thing, asked[2] if detour else None))
    answer = reasoning(kind, asked[0], asked[1], None, thing)[1]
    evidence = [spans[i] for i in places[:2]]
    made = item(f"sums-{number:03}", prompt.text, answer, evidence, spans, kind=kind, detour=int(detour))
    return made | {"after": "Answer:"}


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
