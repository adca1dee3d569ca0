#!/usr/bin/env python3
"""Writes the tables of docs/research/faithfulness.md from results of `headwater eval` in docs/research/faithfulness/.

    scripts/faithfulness_tables.py [--program build/release/headwater] [docs/research/faithfulness.md]

A table stands between two comments; the first says what is in it:

    <!-- eval facts-G: hit1 mrr lds -->             metrics of one file: a row a method
    <!-- eval needle-6-G needle-6-S: hit1 -->       one metric of several files
    <!-- eval needle-6-G by depth: hit1 -->         one metric by the values of a tag
    <!-- /eval -->
    <!-- overview                                   one row per file, one column per method of OVERVIEW, best in bold,
    lds facts-G passages-S                          and what words and the place alone find, by words.jsonl: a metric
    kept through-seed2 2 sums, Qwen                 of result files, or recall@k of a table of measure_through.py
    -->
    <!-- /overview -->
    <!-- kept through-seed2 1: logit, direct; random -->    rows of the first table of a text file that a script wrote,
                                                           by their first cells; with none named all rows
    <!-- /kept -->
"""

import argparse
import json
import pathlib
import re
import subprocess

from kept_baselines import baselines
from measure_confirmation import MODELS
from word_overlap import NAMES

TITLES = {
    "hit1": "hit@1",
    "recallk": "recall@k",
    "recall10": "recall@10%",
    "mrr": "MRR",
    "lds": "LDS",
    "drop1": "drop@1",
    "drop3": "drop@3",
    "drop5": "drop@5",
}
OVERVIEW = ["logit", "logit:through", "logit:through, against second", "contribution", "contribution:through",
            "attention", "rollout", "random", "leave-one-out"]
# Their rows in tables of measure_through.py.
ROWS = {"logit": "logit, direct",
        "logit:through": "**the model's part goes on to what was gathered** (`--through`)",
        "logit:through, against second": "`--against second --through`", "contribution:through": "contribution"}
ROWS |= {name: name for name in ("random", *NAMES)}
TOP = re.compile(r"(<!-- overview\n(.*?)-->\n).*?(<!-- /overview -->)", re.DOTALL)
KEPT = re.compile(r"(<!-- kept (\S+) (\d+):(.*?) -->\n).*?(<!-- /kept -->)", re.DOTALL)
BLOCK = re.compile(r"(<!-- eval ([^:>]+?)(?: by (\w+))?: ([\w ]+?) -->\n).*?(<!-- /eval -->)", re.DOTALL)


def read(program, path, tag):
    """The groups of `headwater eval --table`: one, or one for each value of `tag`."""
    command = [program, "eval", "--table", path, "--format", "json"] + (["--group-by", tag] if tag else [])
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["groups"]


def cell(of, metric, short):
    if not of["n"]:
        return "–"
    if metric == "passes":
        return f"{of['mean']:.0f}"
    mean, low, high = (f"{of[k] if abs(of[k]) >= 0.005 else 0:.2f}" for k in ("mean", "low", "high"))
    return mean if short else f"{mean} [{low}, {high}]"


def title(name):
    """needle-6-G, needle-6-rollout-G: needle 6k, Gemma"""
    kind, *rest, model = name.split("-")
    return f"{kind}{f' {rest[0]}k' if rest else ''}, {MODELS[model]}"


def baseline_lines(folder, columns):
    """Rows of what needs no model; none if nothing is kept of it."""
    of = [baselines(folder, name, metric) for name, metric in columns]
    return [[method, *(cell(made[method], metric, False) if method in made else "–"
                       for made, (_, metric) in zip(of, columns))]
            for method in NAMES if any(method in made for made in of)]


def table(program, folder, names, tag, metrics):
    """Columns are (heading, group, metric): several metrics, files or groups, whichever there is more than one of."""
    groups = [(name, group) for name in names for group in read(program, folder / f"{name}.jsonl", tag)]
    columns = []
    for name, group in groups:
        for metric in metrics:
            heading = group["group"] if tag else title(name) if len(names) > 1 else TITLES.get(metric, metric)
            columns.append((heading, group, metric))
    lines = [[tag or "method", *(heading for heading, _, _ in columns)]]
    if len(names) > 1:
        lines.append(["items, right", *(f"{group['items']}, {group['right']}" for _, group, _ in columns)])
    methods = {m["method"]: None for _, group, _ in columns for m in group["methods"]}
    for method in methods:
        of = [{m["method"]: m for m in group["methods"]}.get(method) for _, group, _ in columns]
        cells = [cell(m[metric], metric, tag) if m else "–" for m, (_, _, metric) in zip(of, columns)]
        lines.append([method, *cells])
    lines += [] if tag else baseline_lines(folder, [(name, metric) for name in names for metric in metrics])
    rows = [f"| {' | '.join(line)} |\n" for line in lines]
    return "".join([rows[0], "|---" * (len(columns) + 1) + "|\n", *rows[1:]])


def figures_of(program, folder, name, metric):
    """Method to {"n", "mean", "low", "high"}, of one result file."""
    methods = read(program, folder / f"{name}.jsonl", None)[0]["methods"]
    return {m["method"]: m[metric] for m in methods if metric in m} | baselines(folder, name, metric)


def kept_figures(path, number):
    """The same of the first figure of a table that measure_through.py wrote."""
    head, _, *rows = table_of(path, number)
    n, made = re.search(r"(\d+) items", head).group(1), {}
    of = {cells[0].strip("| "): cells[1] for cells in (row.split(" | ") for row in rows)}
    for method, name in ROWS.items():
        if name in of:
            mean, low, high = map(float, re.findall(r"[\d.]+", of[name]))
            made[method] = {"n": int(n), "mean": mean, "low": low, "high": high}
    return made


def overview_line(first, figure, of, methods):
    """The highest mean of what needs no additional pass and reads the model is bold."""
    own = set(OVERVIEW) - {"leave-one-out"}
    best = max(round(of[m]["mean"], 2) for m in own if m in of)
    cells = [cell(of[m], figure, False) if m in of else "–" for m in methods]
    bold = [m in own and m in of and round(of[m]["mean"], 2) == best for m in methods]
    n = next(of[m]["n"] for m in methods if m in of)
    return [f"{first} ({n})", TITLES.get(figure, figure), *(f"**{c}**" if b else c for c, b in zip(cells, bold))]


def overview(program, folder, wanted):
    """One row for each set of the lines of `wanted`: "METRIC NAME ..." or "kept FILE NUMBER TITLE"."""
    made = []
    for line in filter(None, map(str.strip, wanted.splitlines())):
        metric, *names = line.split()
        if metric == "kept":
            made.append((" ".join(names[2:]), "recallk", kept_figures(folder / f"{names[0]}.txt", int(names[1]))))
        else:
            made += [(title(name), metric, figures_of(program, folder, name, metric)) for name in names]
    methods = [m for m in [*OVERVIEW, *NAMES] if any(m in of for _, _, of in made)]
    lines = [["set (items)", "figure", *methods], *(overview_line(*line, methods) for line in made)]
    rows = [f"| {' | '.join(line)} |\n" for line in lines]
    return "".join([rows[0], "|---" * len(lines[0]) + "|\n", *rows[1:]])


def table_of(path, number):
    """Lines of the number-th table of a text file."""
    return re.findall(r"(?:^\|.*\n)+", path.read_text(), re.MULTILINE)[number - 1].splitlines(keepends=True)


def kept(path, number, names):
    """Rows of the number-th table of a text file."""
    head, line, *rows = table_of(path, number)
    of = {row.split(" | ")[0].strip("| "): row for row in rows}
    return "".join([head, line, *(of[name] for name in names or of)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="?", default="docs/research/faithfulness.md", type=pathlib.Path)
    parser.add_argument("--program", default="build/release/headwater")
    a = parser.parse_args()

    def fill(match):
        head, names, tag, metrics, end = match.groups()
        return head + table(a.program, a.page.with_suffix(""), names.split(), tag, metrics.split()) + end

    def copy(match):
        head, name, number, names, end = match.groups()
        named = [n.strip() for n in names.split(";") if n.strip()]
        return head + kept(a.page.with_suffix("") / f"{name}.txt", int(number), named) + end

    def top(match):
        head, wanted, end = match.groups()
        return head + overview(a.program, a.page.with_suffix(""), wanted) + end

    a.page.write_text(TOP.sub(top, KEPT.sub(copy, BLOCK.sub(fill, a.page.read_text()))))


if __name__ == "__main__":
    main()
