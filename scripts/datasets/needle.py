"""One fact hidden in a long text, and a question about it.

The text is paragraphs of a real text from a random position on. The fact is a sentence between two sentences of the
text, at one of ten depths from the beginning (0.05) to the end (0.95). The whole is split at sentence ends into at
most twenty spans of similar size; the evidence is the fact, and a method should find the span that contains it.
"""

from . import facts
from .item import Prompt, item
from .text import sentences

DEPTHS = [0.05 + 0.1 * i for i in range(10)]
N_SPANS = 20
CHARACTERS_PER_TOKEN = 4.6  # English prose, approximately the same for both models' vocabularies
KINDS = ["key", "home", "trip", "job", "exam", "pet", "fruit", "phone"]


def take_text(rng, paragraphs, size):
    """Whole sentences of at least `size` characters, from a random paragraph on."""
    taken, length, at = [], 0, rng.randrange(len(paragraphs))
    while length < size:
        for sentence in sentences(paragraphs[at % len(paragraphs)]):
            taken.append(sentence)
            length += len(sentence) + 1
        at += 1
    return taken


def place_of(parts, depth):
    """Index of the sentence before which the fact is inserted, nearest to that share of the characters."""
    total, before, best = sum(len(s) + 1 for s in parts), 0, 0
    distance = total
    for i, sentence in enumerate(parts):
        if abs(before - depth * total) < distance:
            distance, best = abs(before - depth * total), i
        before += len(sentence) + 1
    return best


def cut_spans(pieces):
    """Joins pieces [begin, end] into at most N_SPANS spans, each ended when its share of the text is reached."""
    total, spans, begin = pieces[-1][1], [], 0
    for piece, after in zip(pieces, [*pieces[1:], None]):
        if after is None or piece[1] >= total * (len(spans) + 1) / N_SPANS:
            spans.append([begin, piece[1]])
            begin = after[0] if after else None
    return spans


def make_item(number, rng, paragraphs, length):
    depth = DEPTHS[number % len(DEPTHS)]
    kind = KINDS[number // len(DEPTHS) % len(KINDS)]
    fact, question, start, values = facts.KINDS[kind]
    name, value = rng.choice(facts.NAMES), values(rng)
    parts = take_text(rng, paragraphs, length * 1000 * CHARACTERS_PER_TOKEN)
    at = place_of(parts, depth)
    parts.insert(at, fact.format(name, value))
    prompt, pieces = Prompt(), []
    for i, part in enumerate(parts):
        pieces.append(prompt.add(part))
        prompt.add(" " if i + 1 < len(parts) else "\n")
    prompt.add(f"Question: {question.format(name)}\nAnswer: {start.format(name)}")
    return item(f"needle-{length}-{number:03}", prompt.text, value, [pieces[at]], cut_spans(pieces),
                depth=round(depth, 2), length=f"{length}k", kind=kind)


def make(rng, count, paragraphs, length):
    return [make_item(i, rng, paragraphs, length) for i in range(count)]
