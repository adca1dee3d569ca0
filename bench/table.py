#!/usr/bin/env python3
"""Writes the rows of docs/design/performance.md's table of targets from the CSV files of bench/run.sh, as Markdown.

    python bench/table.py [build/bench] [docs/design/performance.md]

With a page given, the table replaces the text between the two comments that name this script.
"""

import collections
import csv
import pathlib
import statistics
import sys

AFTER = ("decode_s", "explain_s")  # explaining is not part of generation, but the user waits for it
NOISE = 0.1  # relative difference between runs of the same kind


def read(folder, pattern):
    rows = []
    for path in sorted(folder.glob(pattern)):
        with path.open(newline="") as file:
            rows += csv.DictReader(file)
    return rows


class Cost:
    """Runs of `headwater-bench` by (m, variant, round)."""

    def __init__(self, rows):
        self.runs = collections.defaultdict(dict)
        for row in rows:
            self.runs[int(row["m"]), row["variant"]][row["round"]] = row

    def sizes(self):
        return sorted({m for m, _ in self.runs})

    def median(self, m, variant, *keys):
        runs = self.runs[m, variant].values()
        return statistics.median(sum(float(r[k]) for k in keys) for r in runs) if runs else None

    def ratio(self, m, variant, *keys):
        """Median over rounds of a sum of columns, relative to that of `plain` in the same round (whose explain time is
        0)."""
        own, plain = self.runs[m, variant], self.runs[m, "plain"]
        of = [sum(float(own[r][k]) for k in keys) / sum(float(plain[r][k]) for k in keys) for r in own if r in plain]
        return statistics.median(of) if of else None


def peers(rows):
    """Median seconds by (m, peer)."""
    seconds = collections.defaultdict(list)
    for row in rows:
        seconds[int(row["m"]), row["peer"]].append(float(row["seconds"]))
    return {key: statistics.median(values) for key, values in seconds.items()}


def pair(*values, form="{:.2f}"):
    return " / ".join("–" if v is None else form.format(v) for v in values)


def over(seconds, m, peer, own="headwater"):
    return seconds[m, peer] / seconds[m, own] if (m, peer) in seconds and (m, own) in seconds else None


def targets(cost, seconds):
    """what, target, measured"""
    both, live = "rollout+logit", "by-sentence"
    yield "generation with rollout + logit against plain, m = 25, n = 64", "≤ 1.03", pair(
        cost.ratio(25, both, "total_s")
    )
    yield ("the same, m = 1k: prefill / decode", "≤ 1.10 / 1.15",
           pair(cost.ratio(1024, both, "prefill_s"), cost.ratio(1024, both, *AFTER)))
    yield ("m = 4k, all tokens, all layers: prefill / decode", "≤ 1.30 / 1.30",
           pair(cost.ratio(4096, both, "prefill_s"), cost.ratio(4096, both, *AFTER)))
    yield "m = 4k by sentence: prefill", "≤ 1.10", pair(cost.ratio(4096, live, "prefill_s"))
    carried = "contribution+logit"
    yield ("m = 4k, contribution + logit only: prefill / decode", "≤ 1.03 / 1.15",
           pair(cost.ratio(4096, carried, "prefill_s"), cost.ratio(4096, carried, *AFTER)))
    yield "peak memory over plain at m = 4k, by sentence", "≤ 1.10", pair(cost.ratio(4096, live, "peak_bytes"))
    again = [cost.median(1024, v, "total_s") for v in ("again-rollout", "again-logit")]
    yield ("explain again from a trace, m = 1k, n = 64: rollout / logit", "≤ 100 ms",
           pair(*(None if s is None else 1000 * s for s in again), form="{:.0f} ms"))
    yield "against the note's n passes in PyTorch, m = 1.3k", "≥ 100 x", pair(
        over(seconds, 1300, "n-passes"), form="{:.0f} x"
    )
    yield ("against Inseq 0.7.1 `attention` / `saliency`, m = 25, n = 64", "≥ 5 x / 30 x",
           pair(over(seconds, 25, "inseq-attention"), over(seconds, 25, "inseq-saliency"), form="{:.1f} x"))
    cuts = cost.median(1024, "leave-one-out", "explain_s")
    passes = cost.median(1024, "leave-one-out", "passes")
    own, plain = cost.median(1024, live, "total_s"), cost.median(1024, "plain", "total_s")
    measurable = own and own - plain > NOISE * plain  # else only a lower bound
    extra = max(own - plain, NOISE * plain) if own else None
    target = f"≥ {passes:.0f} x" if passes else "its passes"
    yield (
        "against leave-one-out by sentence in the same engine, m = 1k: over the explained run / "
        "over what explaining adds to it",
        target,
        " / ".join(
            [
                pair(cuts / own if cuts and own else None, form="{:.0f} x"),
                ("" if measurable else "> ") + pair(cuts / extra if cuts and extra else None, form="{:.0f} x"),
            ]
        ),
    )


def places(rows):
    """Machines, source revisions and dates of the files, in one line."""
    seen = dict.fromkeys((r["machine"], r["commit"], r["date"][:10]) for r in rows)
    return "; ".join(f"{machine}, sources {commit}, {day}" for machine, commit, day in seen)


def update(page, text):
    begin, end = "<!-- bench/table.py -->\n", "<!-- /bench/table.py -->"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + text + rest[rest.index(end) :])


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    runs, others = read(folder, "cost*.csv"), read(folder, "peers*.csv")
    lines = ["| | asked | measured |", "|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in targets(Cost(runs), peers(others))]
    text = "\n".join([*lines, "", f"Measured on: {places(runs + others)}. – was not measured.", ""])
    print(text)
    if len(sys.argv) > 2:
        update(pathlib.Path(sys.argv[2]), text)


if __name__ == "__main__":
    main()
