"""Two-hop facts: the answer needs two of ten sentences, one about a person and one about the person's animal.

Three people have an animal of one kind each, and each animal is in a place: six sentences, between four facts of
other kinds. If asked for the place directly, both models are near chance. So the question is a list to continue: the
other two people are listed with animal and place, the third by name; the answer is the animal (first hop) and its
place (second hop), about five tokens. The positions of the two needed sentences run through all pairs.
"""

from . import facts
from .item import Prompt, item

N_FACTS, N_CHAINS = facts.N_FACTS, 3
PETS = ["Rex", "Max", "Luna", "Bella", "Rocky", "Daisy", "Coco", "Toby", "Lucy", "Buddy"]
ROOMS = ["kitchen", "garden", "garage", "attic", "cellar", "bathroom", "library", "barn"]

# Kind: the first hop, the second, how the list names thing and place, places.
KINDS = {
    "dog": ("{}'s dog is called {}.", "{} sleeps in the {}.", "dog", "room", ROOMS),
    "cat": ("{}'s cat is called {}.", "{} sits in the {}.", "cat", "room", ROOMS),
    "horse": ("{}'s horse is called {}.", "{} lives in {}.", "horse", "city", facts.CITIES),
}
OTHERS = ["job", "exam", "drink", "fruit"]  # kinds of facts without places


def make_item(number, rng):
    first = number % N_FACTS
    second = (first + 1 + number // N_FACTS % (N_FACTS - 1)) % N_FACTS
    kind = list(KINDS)[number % len(KINDS)]
    hop, step, thing, place, places = KINDS[kind]
    names = rng.sample(facts.NAMES, N_CHAINS + len(OTHERS))
    chains = list(zip(names, rng.sample(PETS, N_CHAINS), rng.sample(places, N_CHAINS)))
    rest = [text for who, what, where in chains[1:] for text in (hop.format(who, what), step.format(what, where))]
    rest += [facts.KINDS[k][0].format(n, facts.KINDS[k][3](rng)) for k, n in zip(OTHERS, names[N_CHAINS:])]
    rng.shuffle(rest)
    who, what, where = chains[0]
    order = [None] * N_FACTS
    order[first], order[second] = hop.format(who, what), step.format(what, where)
    prompt, spans = Prompt(), []
    for i, sentence in enumerate(order):
        spans.append(prompt.add(sentence or rest.pop()))
        prompt.add(" " if i + 1 < N_FACTS else "\n")
    for known in chains[1:]:
        prompt.add("Name: {}, {}: {}, {}: {}\n".format(known[0], thing, known[1], place, known[2]))
    prompt.add(f"Name: {who}, {thing}:")
    return item(f"twohop-{number:03}", prompt.text, f"{what}, {place}: {where}", [spans[first], spans[second]], spans,
                first=first + 1, second=second + 1, distance=abs(first - second), kind=kind)


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
