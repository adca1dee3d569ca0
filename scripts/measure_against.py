#!/usr/bin/env python3
"""What `--against mean`, `distribution` and `second` find, on the same items.

    scripts/measure_against.py --cuts docs/research/faithfulness/twohop-G.jsonl mean=A.jsonl distribution=B.jsonl ...

Each file is a result of `headwater eval --against WHICH` for one set. --cuts: a result of the same items with random
cuts and leave-one-out, for LDS and drop@1 (the fall without the first segment, of the fall without the best). Prints a
row for each file and method: LDS, drop@1, recall@k and the evidence's share of all positive scores, the last two of
items answered right, with 95 % bootstrap intervals; and of `both`, the positive scores of `logit` against the mean and
the distribution, each divided by its highest, added. Only items that all files have, with the same completion.
"""

import argparse
import json
import pathlib

import measure_recall
import numpy as np
from measure_confirmation import spearman


def read(path):
    """item_sha256 to item, of items with scores."""
    lines = map(json.loads, pathlib.Path(path).read_text(encoding="utf-8").splitlines())
    return {line["item_sha256"]: line for line in lines if line.get("methods")}


def cut_figures(scores, cuts):
    """LDS and drop@1; of an item without cuts neither."""
    of = {m["method"]: m.get("scores") for m in cuts["methods"]} if cuts else {}
    if not of.get("leave-one-out") or not cuts.get("cuts"):
        return np.nan, np.nan
    keep = np.array([[c == "1" for c in kept] for kept, _ in cuts["cuts"]])
    falls = np.array(of["leave-one-out"])
    best = falls.max()
    return (spearman(keep @ scores, np.array([logit for _, logit in cuts["cuts"]])),
            falls[int(np.argmax(scores))] / best if best > 0 else np.nan)


def figures(item, scores, cuts):
    """LDS, drop@1, recall@k, share."""
    right = item["right"] and item.get("evidence")
    return *cut_figures(scores, cuts), *(measure_recall.figures(scores, item["evidence"]) if right else (np.nan,) * 2)


def scores_of(item, method):
    return np.array({m["method"]: m.get("scores") for m in item["methods"]}[method], float)


def both(files, sha):
    """Positive parts of `logit` against the mean and the distribution, each divided by its highest, added."""
    parts = [np.maximum(scores_of(files[name][sha], "logit"), 0) for name in ("mean", "distribution")]
    return sum(part / max(part.max(), 1e-12) for part in parts)


def row(name, values, rng):
    cells = [measure_recall.interval(column[~np.isnan(column)], rng) if (~np.isnan(column)).any() else "–"
             for column in np.array(values).T]
    return f"| {name} | {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--cuts", type=pathlib.Path)
    args = parser.parse_args()
    files = {name: read(path) for name, path in (result.split("=", 1) for result in args.results)}
    cuts = read(args.cuts) if args.cuts else {}
    first = next(iter(files.values()))
    same = [sha for sha, item in first.items()
            if all(sha in of and of[sha]["completion"] == item["completion"] for of in files.values())]
    right = sum(bool(first[sha]["right"]) for sha in same)
    print(f"| {len(same)} items, {right} right | LDS | drop@1 | recall@k | share |\n|---|---|---|---|---|")
    for name, of in files.items():
        for method in [m["method"] for m in of[same[0]]["methods"]]:
            values = [figures(of[sha], scores_of(of[sha], method), cuts.get(sha)) for sha in same]
            print(row(f"{method} --against {name}", values, np.random.default_rng(1)))
    if {"mean", "distribution"} <= files.keys():
        values = [figures(first[sha], both(files, sha), cuts.get(sha)) for sha in same]
        print(row("both", values, np.random.default_rng(1)))
    if cuts:
        values = [figures(first[sha], scores_of(cuts[sha], "leave-one-out"), cuts[sha]) for sha in same]
        print(row("leave-one-out", values, np.random.default_rng(1)))


if __name__ == "__main__":
    main()
