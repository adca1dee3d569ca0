#!/usr/bin/env python3
"""Measures how often word overlap alone, or the place alone, finds the evidence: references for
docs/research/faithfulness.md, without a model.

    scripts/word_overlap.py build/datasets/*.jsonl
    scripts/word_overlap.py --keep docs/research/faithfulness/words.jsonl build/datasets/*.jsonl

Words alone: a span's score is the sum over the words that it shares with the text after the last span (the question),
each weighted by how few of the item's spans contain it: log(spans / spans with the word). Place alone: how many of the
set's items with as many spans have evidence in the span of that number (the best fixed place, chosen after the fact).
hit@1 is the share of items whose highest span contains evidence; tied spans share the hit. --keep adds both scores of
each item to a file, from which faithfulness_tables.py makes rows and columns of tables.
"""

import argparse
import collections
import hashlib
import json
import math
import pathlib
import re

NAMES = ("words alone", "place alone")


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def bounds(span):
    return (span["begin"], span["end"]) if isinstance(span, dict) else tuple(span)


def by_words(item):
    prompt, spans = item["prompt"], [bounds(s) for s in item["spans"]]
    texts = [words(prompt[begin:end]) for begin, end in spans]
    asked = words(prompt[spans[-1][1]:])
    weight = {w: math.log(len(texts) / sum(w in text for text in texts)) for text in texts for w in text}
    return [sum(weight[w] for w in sorted(asked & text)) for text in texts]


def evidence_of(item):
    """[spans] whether a span contains evidence."""
    return [any(b < end and begin < e for b, e in map(bounds, item["evidence"]))
            for begin, end in map(bounds, item["spans"])]


def by_place(items):
    """Scores of each item's spans: how often the evidence is at their places."""
    counts = collections.Counter()
    held = [evidence_of(item) for item in items]
    for of in held:
        counts.update((len(of), place) for place, has in enumerate(of) if has)
    return [[counts[len(of), place] for place in range(len(of))] for of in held]


def hit(scores, held):
    """Share of the highest spans that contain evidence."""
    best = [has for score, has in zip(scores, held) if score > max(scores) - 1e-9]
    return sum(best) / len(best)


def sha256(item):
    """As `headwater eval` names items in its results."""
    text = json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read(path):
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    items = [item for item in items if item.get("spans") and item.get("evidence")]
    return [(item, *scores) for item, *scores in zip(items, map(by_words, items), by_place(items))]


def keep(path, sets):
    lines = dict.fromkeys(path.read_text().splitlines()) if path.exists() else {}
    for name, made in sets.items():
        for item, *scores in made:
            line = {"set": name, "item_sha256": sha256(item)} | dict(zip(NAMES, scores))
            lines[json.dumps(line | {NAMES[0]: [round(score, 4) for score in scores[0]]})] = None
    path.write_text("".join(line + "\n" for line in lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, metavar="FILE")
    args = parser.parse_args()
    sets = {path.stem: read(path) for path in args.datasets}
    if args.keep:
        keep(args.keep, sets)
        return
    print(f"| hit@1 | items | {' | '.join(NAMES)} |\n|---|---|---|---|")
    for name, made in sets.items():
        hits = [sum(hit(line[k], evidence_of(line[0])) for line in made) for k in (1, 2)]
        if made:
            print(f"| {name} | {len(made)} | {' | '.join(f'{n / len(made):.2f}' for n in hits)} |")


if __name__ == "__main__":
    main()
