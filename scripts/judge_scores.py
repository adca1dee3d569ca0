#!/usr/bin/env python3
"""Scores methods again on the random masks saved by `headwater eval -o`, without running the model.

Every result line holds 64 random halves of the prompt with the logit of the answer (`cuts`) and each method's scores
of the segments. Of each method, mean over the items, with standard errors of the paired differences:

    LDS      Spearman correlation over the cuts of the summed scores of what was kept and the logit, as eval prints it
    within   the same among cuts that kept equally many evidence segments: what a method knows beyond the evidence
    floor R  what LDS gains when scores below the share R of an item's highest count as 0

`evidence` scores 1 for evidence and 0 for the rest: what knowing the evidence and nothing else gives.

    scripts/judge_scores.py facts.jsonl
"""

import argparse
import json
import pathlib

import numpy as np

from reference_rollout import spearman

MIN_MASKS = 6  # minimum number of masks that are ranked among themselves


def lds(kept, scores, logits):
    """kept [n, S] of 0 and 1, scores [S], logits [n]. Rounded, so that equal sums tie whatever the order of
    addition."""
    return spearman(np.round(kept @ scores, 12), logits)


def within(kept, scores, logits, evidence):
    """Mean LDS over the groups of masks that kept equally many evidence segments; NaN if all groups are small."""
    count = kept[:, evidence].sum(1)
    groups = [count == c for c in np.unique(count)]
    return np.mean([lds(kept[g], scores, logits[g]) for g in groups if g.sum() >= MIN_MASKS] or [np.nan])


def above(scores, floor):
    return np.where(scores >= floor * scores.max(), scores, 0.0)


def judge(item, floors):
    """{method: [LDS, within, LDS with each floor]} of one result line."""
    kept = np.array([[digit == "1" for digit in cut] for cut, _ in item["cuts"]], float)
    logits = np.array([logit for _, logit in item["cuts"]])
    known = np.zeros(item["segments"])
    known[item["evidence"]] = 1
    scores = {m["method"]: np.array(m["scores"]) for m in item["methods"] if "scores" in m} | {"evidence": known}
    return {name: [lds(kept, s, logits), within(kept, s, logits, item["evidence"])]
                  + [lds(kept, above(s, floor), logits) for floor in floors] for name, s in scores.items()}


def with_error(differences):
    return f"{differences.mean():+7.3f} ± {differences.std(ddof=1) / np.sqrt(len(differences)):.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--floors", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    args = parser.parse_args()
    items = [json.loads(line) for line in args.results.read_text(encoding="utf-8").splitlines()]
    judged = [judge(item, args.floors) for item in items if item.get("cuts") and item["evidence"]]
    if len(judged) < 2:
        parser.error(f"{args.results}: {len(judged)} items with cuts and evidence, at least 2 are needed")
    print(
        f"{len(judged)} items\n{'method':30}   LDS  within"
        + "".join(f"      floor {floor:<5g}" for floor in args.floors)
    )
    for name in judged[0]:
        figures = np.array([item[name] for item in judged])
        gains = [with_error(figures[:, 2 + i] - figures[:, 0]) for i in range(len(args.floors))]
        print(f"{name:30} {figures[:, 0].mean():5.3f}  {np.nanmean(figures[:, 1]):+6.3f}  " + "  ".join(gains))


if __name__ == "__main__":
    main()
