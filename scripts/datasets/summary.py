"""Summaries of four passages, of which two are used: two are about the person who is asked about, two about another.

The two that are used stand at every pair of places. A solved item stands before the question; the summary is the
model's own, and right if it begins with the person's name. All of its first sentence is explained.
"""

import itertools

from . import facts
from .item import Prompt, item

PLACES = list(itertools.combinations(range(4), 2))
KINDS = {"home": "lives in", "job": "works as a", "pet": "has a", "music": "plays the", "drink": "likes to drink",
         "trip": "went to"}
MORE = ["Everyone there knows that.", "It has been so for years.", "A neighbour told us.", "We heard it again today."]


def write_block(prompt, rng, places):
    who, other = rng.sample(facts.NAMES, 2)
    kinds = rng.sample(sorted(KINDS), 4)
    values = [facts.KINDS[kind][3](rng) for kind in kinds]
    spans, used = [], []
    for i, (kind, value, more) in enumerate(zip(kinds, values, rng.sample(MORE, 4))):
        name = who if i in places else other
        spans.append(prompt.add(f"{facts.KINDS[kind][0].format(name, value)} {more}"))
        prompt.add("\n")
        used += [f"{KINDS[kind]} {value}"] if i in places else []
    prompt.add(f"Summary of what is said about {who}:")
    return spans, f"{who} {used[0]} and {used[1]}."


def make_item(number, rng):
    prompt, places = Prompt(), PLACES[number % len(PLACES)]
    for _ in range(2):
        _, summary = write_block(prompt, rng, PLACES[rng.randrange(len(PLACES))])
        prompt.add(f" {summary}\n\n")
    spans, summary = write_block(prompt, rng, places)
    return item(f"summary-{number:03}", prompt.text, summary.removesuffix("."), [spans[i] for i in places], spans,
                places=f"{places[0] + 1}+{places[1] + 1}")


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
