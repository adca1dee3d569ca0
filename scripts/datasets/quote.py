"""Quote, then answer: ten facts, and the model writes the sentence that answers before the answer itself.

The facts and questions of datasets/facts.py, after one solved item about other people. When the answer's token is
generated, its sentence is closer in the quotation than in the prompt. An answer with a word before it ("in the red
box") is right too.
"""

from . import facts
from .item import Prompt, item

BEFORE = ["", "the ", "a ", "in ", "on ", "to ", "in the ", "to the "]


def block(prompt, rng, number, names):
    """The facts and the question; which sentence answers, the answer, and the positions of all sentences."""
    made = facts.make_item(number, rng, names)
    text, question = made["prompt"].split("\nQuestion: ")
    question = question.split("\nAnswer:")[0]
    base = len(prompt.text)
    prompt.add(f"{text}\nQuestion: {question}\nQuote:")
    spans = [[base + begin, base + end] for begin, end in made["spans"]]
    place = next(i for i, span in enumerate(made["spans"]) if span == made["evidence"][0])
    return spans, place, made["answer"], made["tags"]["kind"]


def make_item(number, rng):
    prompt, names = Prompt(), rng.sample(facts.NAMES, len(facts.NAMES))
    spans, place, answer, _ = block(prompt, rng, rng.randrange(100), names[:facts.N_FACTS])
    begin, end = spans[place]
    prompt.add(f" {prompt.text[begin:end]}\nAnswer: {answer}\n\n")
    spans, place, answer, kind = block(prompt, rng, number, names[facts.N_FACTS:])
    answers = [before + answer for before in BEFORE]
    made = item(f"quote-{number:03}", prompt.text, answers, [spans[place]], spans, position=place + 1, kind=kind)
    return made | {"after": "Answer:"}


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
