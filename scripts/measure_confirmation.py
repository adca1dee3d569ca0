#!/usr/bin/env python3
"""Compares `cite --confirm` with q + 1 forward passes to leave-one-out with one pass per segment.

    scripts/measure_confirmation.py docs/research/faithfulness/twohop-G.jsonl ... [--method logit] [--passes 1 2 3 4]

Reads results of `headwater eval`, which hold each method's scores of the segments and the answer's log odds under
random masks; runs no model. For the q segments that the method ranks first, the drop in log probability without each
is known from leave-one-out; the other scores are scaled to the same unit and limited to the smallest of these, as
`cite --confirm` does. `small ones 0`: scores below a fifth of the highest count as 0. Prints LDS, and drop@1 as a share
of leave-one-out's (the drop without the first segment, from leave-one-out's own scores), with 95 % bootstrap intervals
over items.
"""

import argparse
import json
import pathlib

import numpy as np

SMALL = 0.2  # of the highest score
MODELS = {"S": "SmolLM2", "G": "Gemma", "Q": "Qwen"}

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


def large(scores):
    return np.where(scores >= SMALL * scores.max(), scores, 0)


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


def figures(path, args):
    """Column to (LDS, drop@1 of the best), each with its interval."""
    items, made = list(read(path, args.method)), {}
    ways = {args.method: lambda scores, _: scores, f"{args.method}, small ones 0": lambda scores, _: large(scores)}
    for q in args.passes:
        ways[f"{args.method}, {q + 1} passes"] = lambda scores, drops, q=q: confirmed(scores, drops, q)
    ways["leave-one-out"] = lambda _, drops: drops
    for name, way in ways.items():
        rng, lds, drop = np.random.default_rng(1), [], []
        for scores, drops, cuts, logits in items:
            of = way(scores, drops)
            lds.append(spearman(cuts @ of, logits))
            best = drops.max()
            drop.append(drops[int(np.argmax(of))] / best if best > 0 else float("nan"))
        made[name] = interval(lds, rng), interval(drop, rng)
    return made


def report(paths, args):
    of = {pathlib.Path(path).stem: figures(path, args) for path in paths}
    columns = list(next(iter(of.values())))
    for which, title in enumerate(("LDS", "drop@1, of the best")):
        print(f"| {title} | {' | '.join(columns)} |\n{'|---' * (len(columns) + 1)}|")
        for stem, made in of.items():
            name, model = stem.rsplit("-", 1)
            print(f"| {name}, {MODELS[model]} | {' | '.join(made[c][which] for c in columns)} |")
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+")
    parser.add_argument("--method", default="logit")
    parser.add_argument("--passes", type=int, nargs="+", default=[1, 2, 3, 4], metavar="Q")
    args = parser.parse_args()
    report(args.results, args)


if __name__ == "__main__":
    main()
