"""Quote, then answer: ten facts, and the model writes the sentence that answers before the answer itself.

The facts and questions of datasets/facts.py, after one solved item. When the answer's token is generated, its
sentence is closer in the quotation than in the prompt.
"""

from . import facts
from .item import Prompt, item


def block(prompt, rng, number):
    """The facts and the question; which sentence answers, the answer, and the positions of all sentences."""
    made = facts.make_item(number, rng)
    text, question = made["prompt"].split("\nQuestion: ")
    question = question.split("\nAnswer:")[0]
    base = len(prompt.text)
    prompt.add(f"{text}\nQuestion: {question}\nQuote:")
    spans = [[base + begin, base + end] for begin, end in made["spans"]]
    place = next(i for i, span in enumerate(made["spans"]) if span == made["evidence"][0])
    return spans, place, made["answer"], made["tags"]["kind"]


def make_item(number, rng):
    prompt = Prompt()
    spans, place, answer, _ = block(prompt, rng, rng.randrange(100))
    begin, end = spans[place]
    prompt.add(f" {prompt.text[begin:end]}\nAnswer: {answer}\n\n")
    spans, place, answer, kind = block(prompt, rng, number)
    made = item(f"quote-{number:03}", prompt.text, answer, [spans[place]], spans, position=place + 1, kind=kind)
    return made | {"after": "Answer:"}


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
