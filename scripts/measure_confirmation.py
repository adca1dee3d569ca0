#!/usr/bin/env python3
"""Compares `cite --confirm` with q + 1 forward passes to leave-one-out with one pass per segment.

    scripts/measure_confirmation.py docs/research/faithfulness/twohop-G.jsonl ... [--method logit] [--passes 1 2 3 4]

Reads results of `headwater eval`, which hold each method's scores of the segments and the answer's log odds under
random masks; runs no model. For the q segments that the method ranks first, the drop in log probability without each
is known from leave-one-out; the other scores are scaled to the same unit and limited to the smallest of these, as
`cite --confirm` does. Prints drop@1 as a share of leave-one-out's (the drop without the first segment, from
leave-one-out's own scores), and LDS, with 95 % bootstrap intervals over items.
"""

import argparse
import json
import pathlib

import numpy as np


def ranks(x):
    """Average ranks, ties shared."""
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + 1 + ends) / 2)[inverse]


def spearman(x, y):
    a, b = ranks(x), ranks(y)
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def confirmed(scores, drops, q):
    """The measured drops of the q first segments; the other positive scores are scaled to the same unit and limited to
    the smallest of these."""
    first = np.argsort(-scores, kind="stable")[:q]
    worth = np.maximum(scores, 0)
    total = worth[first].sum()
    unit = max(drops[first][worth[first] > 0].sum(), 0) / total if total > 0 else 0
    made = np.minimum(worth * unit, max(drops[first].min(), 0))
    made[first] = drops[first]
    return made


def read(path, method):
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        scores = {m["method"]: m.get("scores") for m in item.get("methods", [])}
        if not item.get("cuts") or not scores.get(method) or not scores.get("leave-one-out"):
            continue
        cuts = np.array([[c == "1" for c in keep] for keep, _ in item["cuts"]])
        logits = np.array([logit for _, logit in item["cuts"]])
        yield np.array(scores[method], float), np.array(scores["leave-one-out"], float), cuts, logits


def interval(values, rng):
    x = np.array([v for v in values if not np.isnan(v)])
    means = x[rng.integers(0, len(x), (2000, len(x)))].mean(1)
    return f"{x.mean():.3f} [{np.quantile(means, 0.025):.3f}, {np.quantile(means, 0.975):.3f}]"


def report(path, args):
    items = list(read(path, args.method))
    rng = np.random.default_rng(1)
    print(f"{path}: {len(items)} items")
    rows = (
        [(f"{args.method}", None)]
        + [(f"{args.method}, {q + 1} passes", q) for q in args.passes]
        + [("leave-one-out", -1)]
    )
    for name, q in rows:
        lds, drop = [], []
        for scores, drops, cuts, logits in items:
            made = scores if q is None else drops if q < 0 else confirmed(scores, drops, q)
            lds.append(spearman(cuts @ made, logits))
            best = drops.max()
            drop.append(drops[int(np.argmax(made))] / best if best > 0 else float("nan"))
        print(f"  {name:20} LDS {interval(lds, rng)}   drop@1 {interval(drop, rng)} of the best")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+")
    parser.add_argument("--method", default="logit")
    parser.add_argument("--passes", type=int, nargs="+", default=[1, 2, 3, 4], metavar="Q")
    args = parser.parse_args()
    for path in args.results:
        report(path, args)


if __name__ == "__main__":
    main()
