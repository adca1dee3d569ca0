"""Several needles in one question: six people with a number each, and the numbers of three of them.

Two solved items about other people stand before the question, so that a model that completes text answers in the same
way, with the fact before each number (with ten people, one solved item and numbers alone Qwen2.5-Coder 0.5B
solved 6 of 17 and Gemma 3 270M 2 of 40). The first, second and third number are explained in turn, each with its own
sentence as evidence; one item in four asks for all three, whose evidence is three sentences.
"""

from .facts import NAMES
from .item import Prompt, item

N_FACTS, N_ASKED, N_SOLVED = 6, 3, 2
THINGS = ["locker", "room", "desk", "ticket", "table", "seat"]


def write_block(prompt, rng, names):
    """The facts and the question; where the facts stand, who is asked about, and (fact but its number, number) of
    those."""
    thing, people = rng.choice(THINGS), list(zip(names, rng.sample(range(10, 100), N_FACTS)))
    spans = []
    for i, (name, number) in enumerate(people):
        spans.append(prompt.add(f"{name} has {thing} {number}."))
        prompt.add(" " if i + 1 < N_FACTS else "\n")
    asked = rng.sample(range(N_FACTS), N_ASKED)
    a, b, c = (people[i][0] for i in asked)
    prompt.add(f"Question: Which {thing}s do {a}, {b} and {c} have?\nAnswer:")
    return spans, asked, [(f"{people[i][0]} has {thing}", people[i][1]) for i in asked]


def make_item(number, rng):
    prompt, turn, names = Prompt(), number % (N_ASKED + 1), rng.sample(NAMES, (N_SOLVED + 1) * N_FACTS)
    for i in range(N_SOLVED):
        _, _, said = write_block(prompt, rng, names[i * N_FACTS:(i + 1) * N_FACTS])
        prompt.add(f" {', '.join(f'{fact} {n}' for fact, n in said)}.\n\n")
    spans, asked, said = write_block(prompt, rng, names[N_SOLVED * N_FACTS:])
    parts = [f"{fact} {n}" for fact, n in said]
    explained = [turn] if turn < N_ASKED else range(N_ASKED)
    answer = str(said[turn][1]) if turn < N_ASKED else ", ".join(parts)
    made = item(f"needles-{number:03}", prompt.text, answer, [spans[asked[i]] for i in explained], spans,
                asked=turn + 1 if turn < N_ASKED else 0)
    before = ", ".join([*parts[:turn], said[turn][0]]) if turn < N_ASKED else None
    return made | ({"after": before} if before else {})


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
