"""Summaries of four passages, of which two are used: two are about the person who is asked about, two about another.

The two that are used stand at every pair of places. Three solved items about other people stand before the question;
the summary is the model's own, and right if it names both things, in either order. All of its sentence is explained.
With longer passages, two solved items and one order Qwen2.5-Coder 0.5B solved 2 of 16.
"""

import itertools

from . import facts
from .item import Prompt, item

N_SOLVED = 3
PLACES = list(itertools.combinations(range(4), 2))
KINDS = {"home": "lives in", "job": "works as a", "pet": "has a", "music": "plays the", "drink": "likes to drink",
         "trip": "went to"}


def write_block(prompt, rng, names, places):
    who, other = names
    kinds = rng.sample(sorted(KINDS), 4)
    values = [facts.KINDS[kind][3](rng) for kind in kinds]
    spans, used = [], []
    for i, (kind, value) in enumerate(zip(kinds, values)):
        spans.append(prompt.add(f"{who if i in places else other} {KINDS[kind]} {value}."))
        prompt.add("\n")
        used += [f"{KINDS[kind]} {value}"] if i in places else []
    prompt.add(f"Summary of what is said about {who}:")
    return spans, [f"{who} {a} and {b}" for a, b in (used, used[::-1])]


def make_item(number, rng):
    prompt, places, names = Prompt(), PLACES[number % len(PLACES)], rng.sample(facts.NAMES, 2 * N_SOLVED + 2)
    for i in range(N_SOLVED):
        _, answers = write_block(prompt, rng, names[2 * i:2 * i + 2], PLACES[rng.randrange(len(PLACES))])
        prompt.add(f" {answers[0]}.\n\n")
    spans, answers = write_block(prompt, rng, names[-2:], places)
    return item(f"summary-{number:03}", prompt.text, answers, [spans[i] for i in places], spans,
                places=f"{places[0] + 1}+{places[1] + 1}")


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
