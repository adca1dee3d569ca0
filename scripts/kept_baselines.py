"""Figures of what needs no model, words alone and place alone, on the items of a result of `headwater eval`: their
scores are kept in docs/research/faithfulness/words.jsonl (scripts/word_overlap.py --keep)."""

import json

import numpy as np
from measure_confirmation import spearman
from word_overlap import NAMES


def found_among(scores, evidence, n):
    """Share of the evidence among the n highest; tied segments share the places that are left."""
    scores, held = np.array(scores, float), np.zeros(len(scores), bool)
    held[evidence] = True
    last = np.sort(scores)[::-1][n - 1]
    above, tied = scores > last, scores == last
    places = (n - above.sum()) / tied.sum()
    return (held[above].sum() + places * held[tied].sum()) / held.sum()


def lds(item, scores):
    cuts = np.array([[c == "1" for c in keep] for keep, _ in item["cuts"]])
    return spearman(cuts @ np.array(scores), np.array([logit for _, logit in item["cuts"]]))


# Metric to (item, scores) to its value; of items answered wrong only LDS counts.
METRICS = {
    "hit1": lambda item, scores: found_among(scores, item["evidence"], 1) * len(item["evidence"]),
    "recallk": lambda item, scores: found_among(scores, item["evidence"], len(item["evidence"])),
    "recall10": lambda item, scores: found_among(scores, item["evidence"], (len(scores) + 9) // 10),
    "lds": lds,
}


def read_scores(folder):
    """item_sha256 to {name: scores}."""
    path = folder / "words.jsonl"
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return {line["item_sha256"]: line for line in lines}


def interval(values):
    """As `headwater eval` writes it: mean, 95 % bootstrap interval over items, number of items."""
    x = np.array([v for v in values if not np.isnan(v)])
    if len(x) == 0:
        return None
    means = x[np.random.default_rng(1).integers(0, len(x), (2000, len(x)))].mean(1)
    return {"n": len(x), "mean": x.mean(), "low": np.quantile(means, 0.025), "high": np.quantile(means, 0.975)}


def baselines(folder, name, metric):
    """{"words alone": {"mean", "low", "high", "n"}, ...} on the items of folder/name.jsonl; left out: of no item."""
    scores = read_scores(folder)
    items = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    usable = [item for item in items if item.get("item_sha256") in scores and item.get("evidence")
              and (item.get("cuts") if metric == "lds" else item.get("right"))]
    made = {}
    for of in NAMES if metric in METRICS else ():
        figures = interval([METRICS[metric](item, scores[item["item_sha256"]][of]) for item in usable])
        if figures:
            made[of] = figures
    return made
