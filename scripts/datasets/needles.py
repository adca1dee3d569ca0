"""Several needles in one question: ten people with a number each, and the numbers of three of them.

A solved item stands before the question, so that a model that completes text answers with the three numbers alone.
The first, second and third number are explained in turn, each with its own sentence as evidence; one item in four asks
for all three, whose evidence is three sentences.
"""

from .facts import NAMES
from .item import Prompt, item

N_FACTS, N_ASKED = 10, 3
THINGS = ["locker", "room", "desk", "ticket", "table", "seat"]


def write_block(prompt, rng):
    thing, people = rng.choice(THINGS), list(zip(rng.sample(NAMES, N_FACTS), rng.sample(range(10, 100), N_FACTS)))
    spans = []
    for i, (name, number) in enumerate(people):
        spans.append(prompt.add(f"{name} has {thing} {number}."))
        prompt.add(" " if i + 1 < N_FACTS else "\n")
    asked = rng.sample(range(N_FACTS), N_ASKED)
    a, b, c = (people[i][0] for i in asked)
    prompt.add(f"Question: Which {thing}s do {a}, {b} and {c} have?\nAnswer:")
    return spans, asked, [str(people[i][1]) for i in asked]


def make_item(number, rng):
    prompt, turn = Prompt(), number % (N_ASKED + 1)
    _, _, numbers = write_block(prompt, rng)
    prompt.add(f" {numbers[0]}, {numbers[1]} and {numbers[2]}.\n\n")
    spans, asked, numbers = write_block(prompt, rng)
    explained = [turn] if turn < N_ASKED else range(N_ASKED)
    answer = numbers[turn] if turn < N_ASKED else f"{numbers[0]}, {numbers[1]} and {numbers[2]}"
    made = item(f"needles-{number:03}", prompt.text, answer, [spans[asked[i]] for i in explained], spans,
                asked=turn + 1 if turn < N_ASKED else 0)
    before = {1: f"{numbers[0]},", 2: f"{numbers[0]}, {numbers[1]} and"}
    return made | ({"after": before[turn]} if turn in before else {})


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
