#!/usr/bin/env python3
"""recall@k and the share on the evidence, from results of `headwater eval`, for items with several evidence segments.

    scripts/measure_recall.py docs/research/faithfulness/needles-Q.jsonl ...

Uses items answered right. recall@k: share of the k evidence segments that are among the k highest. share: the
evidence's share of all positive scores. In brackets 95 % bootstrap intervals over items.
"""

import json
import pathlib
import sys

import numpy as np


def figures(scores, evidence):
    scores = np.array(scores, float)
    first = np.argsort(-scores, kind="stable")[:len(evidence)]
    positive = np.maximum(scores, 0)
    total = positive.sum()
    return len(set(first.tolist()) & set(evidence)) / len(evidence), (
        positive[evidence].sum() / total if total > 0 else 0.0
    )


def interval(values, rng):
    x = np.array(values)
    means = x[rng.integers(0, len(x), (2000, len(x)))].mean(1)
    return f"{x.mean():.2f} [{np.quantile(means, 0.025):.2f}, {np.quantile(means, 0.975):.2f}]"


def report(path):
    items = [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    right = [item for item in items if item.get("right") and item.get("evidence")]
    rng = np.random.default_rng(1)
    print(f"{path}: {len(items)} items, {len(right)} right")
    made = {}
    for item in right:
        for method in item["methods"]:
            if method.get("scores"):
                made.setdefault(method["method"], []).append(figures(method["scores"], item["evidence"]))
    for method, of in made.items():
        recall, share = zip(*of)
        print(f"  {method:24} recall@k {interval(recall, rng)}   share {interval(share, rng)}")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        report(name)
