#!/usr/bin/env python3
"""Draws the plots of docs/design/performance.md from the CSV files of bench/run.sh.

    build/peers/bin/python bench/plot.py [build/bench] [docs/design/performance]
"""

import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from table import AFTER, Cost, peers, read

LINES = {  # variant: colour; the same in every plot
    "plain": "#555555",
    "capture": "#88ccee",
    "contribution+logit": "#ddaa33",
    "rollout+logit": "#004488",
    "rollout+logit-live": "#6699cc",
    "by-sentence": "#228833",
}
PHASES = {"prefill_s": ("#bbbbbb", "prefill"), "decode_s": ("#6699cc", "decode"), "explain_s": ("#bb5566", "explain")}


def size_axis(ax, sizes):
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{m:,}" for m in sizes])
    ax.minorticks_off()
    ax.set_xlabel("prompt tokens m")
    ax.grid(alpha=0.3)


def ratios(cost, out):
    """Prefill, and decode with explanation, relative to plain generation, by m."""
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for ax, keys, title in zip(axes, (("prefill_s",), AFTER), ("prefill", "decode and explain")):
        for variant, colour in LINES.items():
            points = [(m, cost.ratio(m, variant, *keys)) for m in cost.sizes()]
            points = [(m, r) for m, r in points if r is not None]
            ax.plot(*zip(*points), marker="o", ms=4, color=colour, label=variant) if points else None
        size_axis(ax, cost.sizes())
        ax.set_title(title, fontsize=10)
    axes[0].set_ylabel("times plain generation")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    save(fig, out / "ratio.png")


def phases(cost, out):
    """Time of each phase, one panel per size."""
    sizes = cost.sizes()
    fig, axes = plt.subplots(
        1, len(sizes), figsize=(2.6 * len(sizes) + 1, 3.2), sharey=True, layout="constrained", squeeze=False
    )
    names = [v for v in LINES if any(cost.runs[m, v] for m in sizes)]
    for ax, m in zip(axes[0], sizes):
        for i, variant in enumerate(names):
            left = 0
            for key, (colour, _) in PHASES.items():
                seconds = cost.median(m, variant, key) or 0
                ax.barh(i, seconds, left=left, color=colour)
                left += seconds
        ax.margins(x=0.05)
        ax.set_title(f"m = {m:,}", fontsize=10)
        ax.set_xlabel("seconds")
        ax.grid(axis="x", alpha=0.3)
    axes[0][0].set_yticks(range(len(names)), names, fontsize=8)
    axes[0][0].invert_yaxis()
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c, _ in PHASES.values()]
    fig.legend(handles, [name for _, name in PHASES.values()], loc="outside lower right", ncols=3, fontsize=8)
    save(fig, out / "phases.png")


def memory(cost, out):
    fig, ax = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
    for variant, colour in LINES.items():
        points = [(m, cost.median(m, variant, "peak_bytes")) for m in cost.sizes()]
        points = [(m, b / 1e6) for m, b in points if b]
        ax.plot(*zip(*points), marker="o", ms=4, color=colour, label=variant) if points else None
    size_axis(ax, cost.sizes())
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.set_ylabel("peak memory, MB")
    ax.legend(fontsize=8)
    save(fig, out / "memory.png")


def others(seconds, out):
    """Every peer's seconds, one panel per size, slowest on top."""
    sizes = sorted({m for m, _ in seconds})
    fig, axes = plt.subplots(1, len(sizes), figsize=(4.6 * len(sizes), 3.4), layout="constrained", squeeze=False)
    for ax, m in zip(axes[0], sizes):
        bars = sorted((s, name) for (size, name), s in seconds.items() if size == m)
        colours = ["#004488" if name.startswith("headwater") else "#bbbbbb" for _, name in bars]
        drawn = ax.barh([name for _, name in bars], [s for s, _ in bars], color=colours)
        ax.bar_label(drawn, [f" {s:.3g} s" for s, _ in bars], fontsize=8)
        ax.set_xscale("log")
        ax.set_xlim(bars[0][0] / 3, bars[-1][0] * 6)
        ax.set_title(f"m = {m:,}", fontsize=10)
        ax.set_xlabel("seconds, logarithmic")
        ax.tick_params(axis="y", labelsize=8)
    save(fig, out / "peers.png")


def save(fig, path):
    fig.savefig(path, dpi=110)
    plt.close(fig)
    print(path)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    out = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "docs/design/performance")
    out.mkdir(parents=True, exist_ok=True)
    cost, seconds = Cost(read(folder, "cost*.csv")), peers(read(folder, "peers*.csv"))
    if cost.sizes():
        for draw in (ratios, phases, memory):
            draw(cost, out)
    if seconds:
        others(seconds, out)


if __name__ == "__main__":
    main()
