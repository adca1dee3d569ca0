"""Paraphrase: the answer shares no word with its evidence, nor does the question but for articles.

"The physician travelled to Madrid." tells the answer of "Which country did the doctor visit?" to who knows that a
physician is a doctor and Madrid is in Spain. Words alone find nothing. A solved item stands before the question.
"""

from .item import Prompt, item

N_FACTS = 5
PEOPLE = {"physician": "doctor", "attorney": "lawyer", "author": "writer", "instructor": "teacher", "seaman": "sailor",
          "cook": "chef", "vocalist": "singer", "aviator": "pilot", "policeman": "cop", "infant": "baby",
          "physicist": "scientist", "monarch": "king"}
CITIES = {"Paris": "France", "London": "England", "Berlin": "Germany", "Madrid": "Spain", "Rome": "Italy",
          "Tokyo": "Japan", "Cairo": "Egypt", "Moscow": "Russia", "Athens": "Greece", "Beijing": "China",
          "Lisbon": "Portugal", "Warsaw": "Poland", "Ottawa": "Canada", "Delhi": "India"}
WAYS = ["travelled to", "flew to", "went to", "drove to", "took a train to"]


def write_block(prompt, rng):
    people, cities = rng.sample(sorted(PEOPLE), N_FACTS), rng.sample(sorted(CITIES), N_FACTS)
    spans = []
    for i, (person, city) in enumerate(zip(people, cities)):
        spans.append(prompt.add(f"The {person} {rng.choice(WAYS)} {city}."))
        prompt.add(" " if i + 1 < N_FACTS else "\n")
    place = rng.randrange(N_FACTS)
    prompt.add(f"Question: Which country did the {PEOPLE[people[place]]} visit?\nAnswer:")
    return spans, place, CITIES[cities[place]]


def make_item(number, rng):
    prompt = Prompt()
    for _ in range(2):
        _, _, answer = write_block(prompt, rng)
        prompt.add(f" {answer}\n\n")
    spans, place, answer = write_block(prompt, rng)
    return item(f"paraphrase-{number:03}", prompt.text, answer, [spans[place]], spans, position=place + 1)


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
