"""Sums and comparisons with the reasoning written first: six facts, and a question about two of them.

Solved items stand before the question, so that a model that completes text writes in the same way: the two facts,
what follows from them, and `Answer:`. In each three items one asks how many two people have together, one who of
two has more, and one how many two people and how many two others have: the reasoning then treats four facts of
which each half of the answer takes two, so rows that are only added up name the others as well. Which half is
explained takes turns.
"""

from .facts import NAMES
from .item import Prompt, item

N_FACTS = 6
THINGS = ["pens", "books", "apples", "coins", "stamps", "cards", "shells", "balls"]
KINDS = ["sum", "more", "both"]


def fact(name, n, thing):
    return f"{name} has {n} {thing}."


def added(a, b, thing):
    return f"{fact(*a, thing)} {fact(*b, thing)} {a[1]} + {b[1]} = {a[1] + b[1]}."


def solve(kind, asked, thing):
    """`asked`: (name, number) of who is asked about. The question, the reasoning, and what a right answer says."""
    a, b, c, d = asked
    if kind == "sum":
        return f"How many {thing} do {a[0]} and {b[0]} have together?", added(a, b, thing), str(a[1] + b[1])
    if kind == "more":
        more, less = (a, b) if a[1] > b[1] else (b, a)
        steps = f"{fact(*a, thing)} {fact(*b, thing)} {more[1]} is more than {less[1]}."
        return f"Who has more {thing}, {a[0]} or {b[0]}?", steps, more[0]
    question = f"How many {thing} do {a[0]} and {b[0]} have together, and how many do {c[0]} and {d[0]} have together?"
    return question, f"{added(a, b, thing)} {added(c, d, thing)}", f"{a[1] + b[1]} and {c[1] + d[1]}"


def draw(rng, kind, first_wins):
    """Six people with a number each, and the places of four of them; of the first two the first has more, or less."""
    people = list(zip(rng.sample(NAMES, N_FACTS), rng.sample(range(2, 20 if kind == "more" else 10), N_FACTS)))
    places = rng.sample(range(N_FACTS), 4)
    if kind == "more" and (people[places[0]][1] > people[places[1]][1]) != first_wins:
        places[:2] = places[1::-1]
    return people, places


def write(prompt, people, places, kind, thing):
    """The facts and the question; where the facts stand, and the rest of a right completion."""
    spans = []
    for i, person in enumerate(people):
        spans.append(prompt.add(fact(*person, thing)))
        prompt.add(" " if i + 1 < len(people) else "\n")
    question, steps, answer = solve(kind, [people[i] for i in places], thing)
    prompt.add(f"Question: {question}\nReasoning:")
    return spans, steps, answer


def make_item(number, rng):
    kind, turn = KINDS[number % len(KINDS)], number // len(KINDS) % 2
    prompt, things = Prompt(), rng.sample(THINGS, 3)
    for i in range(2 if kind == "more" else 1):
        _, steps, answer = write(prompt, *draw(rng, kind, i == turn), kind, things[i])
        prompt.add(f" {steps}\nAnswer: {answer}\n\n")
    people, places = draw(rng, kind, rng.random() < 0.5)
    spans, _, answer = write(prompt, people, places, kind, things[2])
    used = places[2:] if kind == "both" and turn else places[:2]
    half = answer.split(" and ")[-1 if turn else 0] if kind == "both" else answer
    made = item(f"sums-{number:03}", prompt.text, half, [spans[i] for i in used], spans, kind=kind,
                half=turn + 1 if kind == "both" else 0)
    return made | {"after": " and" if kind == "both" and turn else "Answer:"}


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
