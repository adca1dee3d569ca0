"""Questions of SQuAD (Rajpurkar et al. 2018) about one paragraph each; the sentences of the paragraph are the spans.

Read from a file of JSON lines {"id", "question", "answer", "answer_span", "context"}, in the published selection of
Dual Path Attribution (Jantsch et al. 2026, arXiv 2603.19742), whose answers are one or two words that everyone gave.
The prompt is theirs without the chat template and after a short solved item, since the small models complete text.
"""

import json
import re

from .item import Prompt, item

# A sentence ends before white space and what begins another one.
END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
MIN_SENTENCES, MAX_CHARACTERS = 3, 600
SOLVED = "Context: Anna lives in Paris. Ben lives in Rome.\nQuestion: Where does Ben live?\nAnswer: Rome\n\n"


def sentences(text):
    """[begin, end] of each; abbreviations such as "U.S." do not end one."""
    ends = [m for m in END.finditer(text) if not re.search(r"\b([A-Z]|[A-Z][a-z]{1,2}|St|No|vs)\.$", text[:m.start()])]
    begins = [0, *(m.end() for m in ends)]
    return list(zip(begins, [*(m.start() for m in ends), len(text)]))


def make_item(line):
    prompt, context = Prompt(), line["context"].rstrip()
    base, _ = prompt.add(f"{SOLVED}Context: ")[1], prompt.add(context)
    prompt.add(f"\nQuestion: {line['question'].strip()}\nAnswer:")
    begin, end = line["answer_span"]
    return item(f"squad-{line['id']}", prompt.text, [context[begin:end], line["answer"], "The " + context[begin:end]],
                [[base + begin, base + end]], [[base + b, base + e] for b, e in sentences(context)])


def make(rng, count, path):
    """`count` items in random order, whose paragraphs are short, have several sentences and differ."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rng.shuffle(lines)
    made = {}
    for line in lines:
        if len(line["context"]) <= MAX_CHARACTERS and len(sentences(line["context"])) >= MIN_SENTENCES:
            made.setdefault(line["context"], make_item(line))
    return list(made.values())[:count]
