"""Six passages of one real text, and a quotation from one of them to continue.

The passages are whole paragraphs from different positions of the text. The quotation is a sentence of one of them
without its last words; the answer is the next two words. Small models can do this by copying, and cannot guess it:
the words before the gap occur in one passage only, and the text is not one that they know by heart. The quoted
passage is at each of the six positions equally often.
"""

import re

from .item import Prompt, item
from .text import sentences

N_PASSAGES = 6
MOST_CHARACTERS = 600
MIN_BEFORE, ANSWER, MIN_LETTERS = 8, 2, 9  # words quoted; words of the answer, and letters in them


def gaps(paragraph):
    """(words before, answer) for each sentence that can be used: plain words, long enough not to be guessed."""
    for sentence in sentences(paragraph):
        words = sentence.rstrip(".").split(" ")
        for at in range(len(words) - ANSWER, MIN_BEFORE - 1, -1):
            answer = " ".join(words[at:at + ANSWER])
            if re.fullmatch(r"[a-z]+( [a-z]+)*", answer) and len(answer) >= MIN_LETTERS:
                yield " ".join(words[:at]), answer
                break


def choose(rng, paragraphs):
    """Paragraphs from different positions, the first of which has a gap that is in no other."""
    while True:
        chosen = rng.sample(paragraphs, N_PASSAGES)
        found = list(gaps(chosen[0]))
        if found:
            return chosen, rng.choice(found)


def make_item(number, rng, paragraphs):
    place = number % N_PASSAGES
    chosen, (before, answer) = choose(rng, paragraphs)
    asked = chosen.pop(0)
    chosen.insert(place, asked)
    prompt, spans = Prompt(), []
    for i, paragraph in enumerate(chosen):
        prompt.add(f"Passage {i + 1}: ")
        spans.append(prompt.add(paragraph))
        prompt.add("\n\n")
    prompt.add(f"Quotation from one of the passages: \"{before}")
    begin = spans[place][0] + asked.index(before)
    evidence = [begin, begin + len(before) + 1 + len(answer)]
    return item(f"passages-{number:03}", prompt.text, answer, [evidence], spans, position=place + 1)


def make(rng, count, paragraphs):
    usable = [p for p in paragraphs if len(p) <= MOST_CHARACTERS]
    return [make_item(i, rng, usable) for i in range(count)]
