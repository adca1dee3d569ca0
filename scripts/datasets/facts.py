"""Ten one-sentence facts in random order, each of another kind and person, and a question about one of them.

The end of the prompt begins the answer, so that only the answer itself remains, in one to three tokens.
"""

from .item import Prompt, item

N_FACTS = 10
NAMES = ["Anna", "Ben", "Carla", "David", "Emma", "Frank", "Grace", "Henry", "Julia", "Kevin", "Laura", "Martin",
         "Nina", "Oscar", "Paula", "Robert", "Sarah", "Tom", "Victor", "Wendy"]
COLOURS = ["red", "blue", "green", "yellow", "black", "white", "brown", "purple", "orange", "pink", "grey", "golden"]
THINGS = ["box", "bag", "drawer", "basket", "jar", "bowl", "case", "cup", "bucket", "chest"]
CITIES = ["Paris", "London", "Berlin", "Madrid", "Rome", "Vienna", "Tokyo", "Cairo", "Moscow", "Chicago", "Boston",
          "Sydney", "Lisbon", "Athens", "Dublin", "Warsaw"]
COUNTRIES = ["France", "Spain", "Italy", "Japan", "Brazil", "Canada", "Egypt", "Norway", "India", "Mexico", "Poland",
             "Greece", "China", "Kenya"]
JOBS = ["teacher", "doctor", "farmer", "lawyer", "painter", "pilot", "nurse", "baker", "soldier", "singer", "writer",
        "driver", "chef", "judge"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ANIMALS = ["dog", "cat", "horse", "rabbit", "parrot", "turtle", "hamster", "goat", "pig", "sheep", "duck", "monkey"]
INSTRUMENTS = ["piano", "violin", "guitar", "flute", "trumpet", "harp", "cello", "organ", "clarinet"]
DRINKS = ["coffee", "tea", "milk", "water", "wine", "beer", "lemonade", "cocoa"]
FRUIT = ["apples", "pears", "grapes", "cherries", "bananas", "lemons", "plums", "peaches", "oranges", "melons"]
ROOMS = ["kitchen", "garden", "garage", "attic", "cellar", "bathroom", "hall", "library"]


def one_of(values):
    return lambda rng: rng.choice(values)


def container(rng):
    return f"{rng.choice(COLOURS)} {rng.choice(THINGS)}"


# The fact, the question, the beginning of the answer, and the source of the values.
KINDS = {
    "key": ("{}'s key is in the {}.", "Where is {}'s key?", "{}'s key is in the", container),
    "home": ("{} lives in {}.", "Where does {} live?", "{} lives in", one_of(CITIES)),
    "trip": ("{} went to {} last year.", "Where did {} go last year?", "{} went to", one_of(COUNTRIES)),
    "job": ("{} works as a {}.", "What does {} work as?", "{} works as a", one_of(JOBS)),
    "exam": ("{}'s exam is on {}.", "When is {}'s exam?", "{}'s exam is on", one_of(DAYS)),
    "pet": ("{} has a {} at home.", "Which animal does {} have?", "{} has a", one_of(ANIMALS)),
    "music": ("{} plays the {}.", "Which instrument does {} play?", "{} plays the", one_of(INSTRUMENTS)),
    "drink": ("{} likes to drink {}.", "What does {} like to drink?", "{} likes to drink", one_of(DRINKS)),
    "fruit": ("{} sells {}.", "What does {} sell?", "{} sells", one_of(FRUIT)),
    "phone": ("{} left the phone in the {}.", "Where did {} leave the phone?", "{} left the phone in the",
              one_of(ROOMS)),
}
assert len(KINDS) == N_FACTS


def make_item(number, rng, names=NAMES):
    """In a hundred items every kind is asked once at every position; in ten, each kind and position once."""
    place = number % N_FACTS
    asked = (number + number // N_FACTS) % N_FACTS
    kinds = list(KINDS)
    others = [k for k in kinds if k != kinds[asked]]
    rng.shuffle(others)
    order = [*others[:place], kinds[asked], *others[place:]]
    names = rng.sample(names, N_FACTS)
    prompt, spans, answer = Prompt(), [], None
    for i, (kind, name) in enumerate(zip(order, names)):
        value = KINDS[kind][3](rng)
        spans.append(prompt.add(KINDS[kind][0].format(name, value)))
        prompt.add(" " if i + 1 < N_FACTS else "\n")
        answer = value if i == place else answer
    _, question, start, _ = KINDS[order[place]]
    prompt.add(f"Question: {question.format(names[place])}\nAnswer: {start.format(names[place])}")
    return item(f"facts-{number:03}", prompt.text, answer, [spans[place]], spans, position=place + 1, kind=order[place])


def make(rng, count):
    return [make_item(i, rng) for i in range(count)]
