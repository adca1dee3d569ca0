#!/usr/bin/env python3
"""Measures how often word overlap alone finds the evidence: a reference for docs/research/faithfulness.md, without a
model.

    scripts/word_overlap.py build/datasets/*.jsonl

A span's score is the sum over the words that it shares with the text after the last span (the question), each
weighted by how few of the item's spans contain it: log(spans / spans with the word). hit@1 is the share of items
whose highest span contains evidence; tied spans share the hit.
"""

import argparse
import json
import math
import pathlib
import re


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def hit(item):
    """Share of the highest spans that contain evidence."""
    prompt, spans = item["prompt"], [tuple(s) for s in item["spans"]]
    texts = [words(prompt[begin:end]) for begin, end in spans]
    asked = words(prompt[spans[-1][1]:])
    weight = {w: math.log(len(texts) / sum(w in text for text in texts)) for text in texts for w in text}
    scores = [sum(weight[w] for w in sorted(asked & text)) for text in texts]
    best = [span for span, score in zip(spans, scores) if score > max(scores) - 1e-9]
    held = [any(b < end and begin < e for b, e in item["evidence"]) for begin, end in best]
    return sum(held) / len(held)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=pathlib.Path)
    for path in parser.parse_args().datasets:
        items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        hits = [hit(item) for item in items if item.get("spans") and item.get("evidence")]
        if hits:
            print(f"{path.stem:12} {len(hits):4} items  hit@1 {sum(hits) / len(hits):.2f}")


if __name__ == "__main__":
    main()
