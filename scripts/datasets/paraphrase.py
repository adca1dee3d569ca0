"""Paraphrase: the answer shares no word with its evidence.

"Anna travelled to Madrid." tells the answer of "Which country did Anna visit?" to who knows that Madrid is in Spain.
After two solved items the model names the city first, "Madrid is in", since small ones do not get from the one to the
other at once; nor do they when the question has another word for the person too (of 24 items with "physician" for
"doctor" Qwen2.5-Coder 0.5B solved three).
"""

from .facts import NAMES
from .item import Prompt, item

N_FACTS = 6
CITIES = {"Paris": "France", "London": "England", "Berlin": "Germany", "Madrid": "Spain", "Rome": "Italy",
          "Tokyo": "Japan", "Cairo": "Egypt", "Moscow": "Russia", "Athens": "Greece", "Beijing": "China",
          "Lisbon": "Portugal", "Warsaw": "Poland", "Ottawa": "Canada", "Delhi": "India"}
WAYS = ["travelled to", "flew to", "went to", "drove to", "took a train to"]


def write_block(prompt, rng):
    people, cities = rng.sample(NAMES, N_FACTS), rng.sample(sorted(CITIES), N_FACTS)
    spans = []
    for i, (person, city) in enumerate(zip(people, cities)):
        spans.append(prompt.add(f"{person} {rng.choice(WAYS)} {city}."))
        prompt.add(" " if i + 1 < N_FACTS else "\n")
    place = rng.randrange(N_FACTS)
    prompt.add(f"Question: Which country did {people[place]} visit?\nAnswer:")
    return spans, place, cities[place]


def make_item(number, rng):
    prompt = Prompt()
    for _ in range(2):
        _, _, city = write_block(prompt, rng)
        prompt.add(f" {city} is in {CITIES[city]}.\n\n")
    spans, place, city = write_block(prompt, rng)
    made = item(f"paraphrase-{number:03}", prompt.text, CITIES[city], [spans[place]], spans, position=place + 1)
    return made | {"after": f"{city} is in"}


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
