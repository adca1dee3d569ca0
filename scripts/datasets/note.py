"""The four prompts of examples/note.jsonl, with the words that their answers come from as evidence.

Completions are given, as in the original note, and the token to explain is the one shown in its figures. Segments
are words; an item has no spans of its own, so use `--by word` with this set.
"""

import json

# The words of the prompt that determine the token; all their positions are evidence.
EVIDENCE = {"putin": ["Putin"], "abdul": ["Abdul"], "sunny": ["sunny"], "rome": ["David"]}


def places(text, word):
    at, found = text.find(word), []
    while at >= 0:
        found.append([at, at + len(word)])
        at = text.find(word, at + 1)
    return found


def make(path):
    items = []
    for line in path.read_text(encoding="utf-8").splitlines():
        example = json.loads(line)
        name, prompt = example["name"], example["prompt"]
        evidence = [place for word in EVIDENCE[name] for place in places(prompt, word)]
        items.append({"id": f"note-{name}", "prompt": prompt, "completion": example["completion"],
                      "token": example["token"], "evidence": evidence, "tags": {"name": name}})
    return items
