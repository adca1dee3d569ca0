"""Variable tracking (the recipe of RULER, Hsieh et al. 2024, arXiv 2404.06654): the value at the end of a chain.

`A = 7. B = A. C = B.` is mixed with another chain, each in its own order. The model writes the chain, as in the two
solved items before it, then the value. Two to four assignments are needed. No letter stands in two items: where one
did, and with three chains and one solved item, Qwen2.5-Coder 0.5B solved 21 of 80.
"""

from .item import Prompt, item

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
N_CHAINS, MIN_HOPS, N_LENGTHS, N_SOLVED = 2, 2, 3, 2


def chains_of(rng, letters, hops):
    """N_CHAINS lists of assignments; the question is about the first, whose last letter and value follow."""
    values = rng.sample(range(10, 100), N_CHAINS)
    made = []
    for c in range(N_CHAINS):
        names = letters[c * hops:(c + 1) * hops]
        made.append([f"{name} = {names[i - 1] if i else values[c]}." for i, name in enumerate(names)])
    return made, letters[hops - 1], values[0]


def write_block(prompt, rng, letters, hops):
    chains, last, value = chains_of(rng, letters, hops)
    left, spans = [list(chain) for chain in chains], {}
    while any(left):
        chain = rng.choice([c for c in left if c])
        sentence = chain.pop(0)
        spans[sentence] = prompt.add(sentence)
        prompt.add(" " if any(left) else "\n")
    prompt.add(f"Question: What is the value of {last}?\nReasoning:")
    return chains[0], list(spans.values()), [spans[s] for s in chains[0]], value


def make_item(number, rng):
    prompt, hops = Prompt(), MIN_HOPS + number % N_LENGTHS
    letters, n = rng.sample(LETTERS, len(LETTERS)), N_CHAINS * hops
    for i in range(N_SOLVED):
        chain, _, _, value = write_block(prompt, rng, letters[i * n:], hops)
        prompt.add(f" {' '.join(reversed(chain))}\nAnswer: {value}\n\n")
    _, spans, evidence, value = write_block(prompt, rng, letters[N_SOLVED * n:], hops)
    made = item(f"variables-{number:03}", prompt.text, str(value), evidence, spans, hops=hops)
    return made | {"after": "Answer:"}


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
