#!/usr/bin/env python3
"""Ways to follow an answer's own words back to the prompt (docs/research/faithfulness.md, "Through the answer"), on
saved traces.

    scripts/measure_through.py --capture -m MODEL build/datasets/sums.jsonl FOLDER
                     a trace per item; continues where it was stopped
    scripts/measure_through.py build/datasets/sums.jsonl FOLDER [SET FOLDER ...]      the table; no model runs. Of
                     traces captured with --against second, only what that needs

Of items answered right. recall@k: share of the k segments with evidence among the k highest; share: what they have of
all scores; of the large: the same where scores below a fifth of the highest count as 0. In brackets 95 % bootstrap
intervals over items; behind them the difference in recall from the rule of `--through`, with its standard error.

Rows are of `logit` (predictor rows) and `contribution` (projection): positive parts summed over layers, segments netted
first, the embedding of the row's own token with that token. W: rows followed to the prompt, scaled to what came from
tokens.
"""

import argparse
import json
import os
import pathlib
import subprocess

import numpy as np
import word_overlap
from kept_baselines import found_among
from measure_confirmation import large
from safetensors import safe_open


THROUGH = "**the model's part goes on to what was gathered** (`--through`)"


def positive(x):
    return np.maximum(x, 0)


def read(path):
    """Tokens, the number of prompt tokens, signals by name and the balances of a trace."""
    with safe_open(path, "np") as file:
        meta = file.metadata()
        signals = {name[7:]: file.get_tensor(name).astype(float) for name in file.keys() if name.startswith("signal.")}
    run = json.loads(meta["run"])
    tokens = run["tokens"]
    n_prompt = run.get("n_prompt") or sum(token["role"] != "completion" for token in tokens)  # of older files
    return run, tokens, n_prompt, signals, json.loads(meta["balance"])


def answer_tokens(run, tokens, n_prompt, item):
    """Completion tokens of a right answer, the one white space before it left out; None where it is wrong."""
    text, after = run["completion"], item.get("after", "")
    begin = text.find(after) + len(after)
    rest = text[begin:].lstrip()
    answers = item["answer"] if isinstance(item["answer"], list) else [item["answer"]]
    given = next((a for a in answers if rest.startswith(a) and not rest[len(a):len(a) + 1].isalnum()), None)
    if after not in text or given is None:
        return None
    begin = len(text[:len(text) - len(rest)].encode())
    end = begin + len(given.encode())
    return [i - n_prompt for i, token in enumerate(tokens)
            if i >= n_prompt and token["range"][0] < end and token["range"][1] > begin]


def segments_of(tokens, n_prompt, item):
    """[m] the span of each prompt token; those of none are the last segment."""
    found = np.full(n_prompt, len(item["spans"]))
    for s, span in enumerate(item["spans"]):
        begin, end = (len(item["prompt"][:at].encode()) for at in span)
        for i, token in enumerate(tokens[:n_prompt]):
            first, last = token["range"]
            if first < last and first < end and last > begin:
                found[i] = s
    return found


class Rows:
    """Positive parts of each completion token's row, or the sizes of all: P [n, segments + 1], G [n, n], O [n]."""

    def __init__(self, values, model, segments, part=positive):
        n, m = len(values), len(segments)
        for t in range(n):
            values[t, m + t:] = 0
        by = [values[:, :m][:, segments == s].sum(1) for s in range(segments.max() + 1)]
        self.P, self.G, self.O = part(np.stack(by, 1)), part(values[:, m:]), part(model)

    def shares(self, with_model):
        total = self.P.sum(1) + self.G.sum(1) + (self.O if with_model else 0)
        total = np.where(total > 0, total, 1)[:, None]
        return self.P / total, self.G / total


def follow(P, G, hops=None):
    if hops is None:
        R = P.copy()
        for t in range(len(P)):
            R[t] += G[t, :t] @ R[:t]
        return R
    R = P
    for _ in range(hops):
        R = P + np.tril(G, -1)[:, :len(P)] @ R
    return R


def logit_rows(signals, balances, segments, by_layer=False, part=positive):
    m = len(segments)
    n = signals["logit"].shape[2] - m
    layers = signals["logit"][:, :n]
    values = positive(layers).sum(0) if by_layer else layers.sum(0)
    for t in range(n):
        values[t, m - 1 + t] += balances[t]["embedding"]
    return Rows(values, np.array([b["mlp"] + b["bias"] for b in balances[:n]]), segments, part)


def contribution_rows(signals, segments, own):
    m = len(segments)
    n = signals["projection"].shape[2] - m
    values = signals["projection"][:, own:own + n].mean(0)
    return Rows(values, positive(1 - values.sum(1)), segments)


def gathered_rows(signals, segments):
    """Contributions of the layers that `--through` reads: hw__is_gathered()."""
    n = len(signals["projection"])
    return contribution_rows({"projection": signals["projection"][min(3, n - 1)::8]}, segments, 0)


def with_gathered(rows, carried):
    """Rows whose model part is divided as what the position had gathered: P, G."""
    direct, hops = rows.shares(True)
    model = 1 - (direct.sum(1) + hops.sum(1))[:, None]
    return [a + model * b for a, b in zip((direct, hops), carried.shares(False))]


def against_second(signals, balances, segments):
    """Of a trace captured with `--against second`: R by `--through`, by counting all that raised either token, and only
    what raised this one."""
    signed = logit_rows(signals, balances, segments, part=np.asarray)
    W = follow(*with_gathered(logit_rows(signals, balances, segments), gathered_rows(signals, segments)))
    through = np.abs(np.tril(signed.G, -1)) @ W
    lowering = positive(-signed.P)
    made = {"`--against second --through`": positive(signed.P) + through + np.minimum(lowering, through),
            "that, all that raised the other token": np.abs(signed.P) + through,
            "that, only what raised the token": positive(signed.P) + positive(np.tril(signed.G, -1)) @ W}
    return {name: R / np.maximum(R.sum(1, keepdims=True), 1e-12) for name, R in made.items()}


def against_distribution(tokens, signals, balances, segments):
    """Of a trace captured with `--against distribution`: as `--through`, and direct."""
    made = variants(tokens, signals, balances, segments)
    return {"`--against distribution --through`": made[THROUGH], "`--against distribution`": made["logit, direct"]}


def variants(tokens, signals, balances, segments):
    """Name to R [n, segments + 1]."""
    logit = logit_rows(signals, balances, segments)
    layered = logit_rows(signals, balances, segments, by_layer=True)
    carried, gathered = (contribution_rows(signals, segments, own) for own in (0, 1))
    P, G = logit.shares(False)
    direct, hops = logit.shares(True)
    kept = (direct.sum(1) + hops.sum(1))[:, None]
    mixed = [(a + b) / 2 for a, b in zip((P, G), carried.shares(False))]
    read = gathered_rows(signals, segments)
    passed = with_gathered(logit, read)
    more = [a + 2 * (1 - kept) * b for a, b in zip((direct, hops), read.shares(False))]
    more = [a / np.maximum(more[0].sum(1) + more[1].sum(1), 1e-12)[:, None] for a in more]

    def then(rows):
        return kept * (P + np.tril(G, -1) @ follow(*rows))

    made = {"logit, direct": direct,
            THROUGH: then(passed),
            "that, of the explained token too": follow(*passed),
            "that, the model's part counted twice": follow(*more),
            "the model takes its part at every hop": follow(direct, hops),
            "only of the token asked about": kept * follow(P, G)}
    made |= {f"the same, {n} hop{'s' if n > 1 else ''}": kept * follow(P, G, n) for n in (1, 2, 3)}
    made["the same, positive parts layer by layer"] = kept * follow(*layered.shares(False))
    certain = [token["logprob"] is not None and token["logprob"] > np.log(0.99) for token in tokens[len(segments):]]
    passing = np.array(certain)[:, None] & (G.sum(1, keepdims=True) > 0.2)
    made["certain tokens (p > .99) pass their mass on"] = kept * follow(
        np.where(passing, 0, P), np.where(passing, G / np.maximum(G.sum(1, keepdims=True), 1e-9), G))
    words = np.array([any(c.isalnum() for c in token["text"]) for token in tokens[len(segments):]])
    total = P.sum(1, keepdims=True) + (G * words).sum(1, keepdims=True)
    total = np.where(total > 0, total, 1)
    made["hops to punctuation left out"] = kept * follow(P / total, G * words / total)
    made["logit, then rows of contribution"] = then(carried.shares(False))
    made["logit, then own rows of contribution"] = then(gathered.shares(False))
    made["logit, then the mean of both rows"] = then(mixed)
    made["the mean of both rows"] = follow(*mixed)
    made["contribution"] = follow(*carried.shares(False))
    made["plain sum of all rows"] = np.cumsum(P, 0)
    made["random"] = np.random.default_rng(len(tokens)).random(P.shape)
    return made


def of_contrast(tokens, signals, balances, segments):
    """The same of a trace that was captured with `--against second` alone."""
    made = against_second(signals, balances, segments)
    made["contribution"] = follow(*contribution_rows(signals, segments, 0).shares(False))
    made["random"] = np.random.default_rng(len(tokens)).random(made["contribution"].shape)
    return made


def figures(scores, evidence):
    scores = np.array(scores, float)
    shares = [of[evidence].sum() / max(of.sum(), 1e-12) for of in (scores, large(scores))]
    return found_among(scores, evidence, len(evidence)), *shares


def measure(sets, items, contrasts, distributions):
    """(name of the variant to its [items, 3]; tags of the items). `items`: a slice of each set's lines. `contrasts`:
    the folder of traces of the same items captured with `--against second`, `distributions` of those with `--against
    distribution`; items without one are left out."""
    found, tags = {}, []
    for path, folder in sets:
        for item, *alone in word_overlap.read(pathlib.Path(path))[items]:
            trace = pathlib.Path(folder) / f"{item['id']}.safetensors"
            if not trace.exists():
                continue
            run, tokens, n_prompt, signals, balances = read(trace)
            answer = answer_tokens(run, tokens, n_prompt, item)
            if not answer or any(of and not (of / trace.name).exists() for of in (contrasts, distributions)):
                continue
            evidence = [item["spans"].index(span) for span in item["evidence"]]
            segments = segments_of(tokens, n_prompt, item)
            if run["options"].get("against") == "second":
                made = of_contrast(tokens, signals, balances, segments)
            else:
                made = variants(tokens, signals, balances, segments)
            if contrasts:
                again = read(contrasts / trace.name)
                assert again[0]["completion"] == run["completion"], trace.name
                made |= against_second(signals | again[3], again[4], segments)
            if distributions:
                again = read(distributions / trace.name)
                assert again[0]["completion"] == run["completion"], trace.name
                made |= against_distribution(tokens, signals | again[3], again[4], segments)
            of = {name: rows[answer].mean(0)[:len(item["spans"])] for name, rows in made.items()}
            for name, scores in (of | dict(zip(word_overlap.NAMES, alone))).items():
                found.setdefault(name, []).append(figures(scores, evidence))
            tags.append(item["tags"] | {"set": pathlib.Path(folder).name})
    return {name: np.array(values) for name, values in found.items()}, tags


def interval(x, rng):
    means = x[rng.integers(0, len(x), (2000, len(x)))].mean(1)
    return f"{x.mean():.2f} [{np.quantile(means, 0.025):.2f}, {np.quantile(means, 0.975):.2f}]"


def report(sets, tag, items, contrasts, distributions):
    found, tags = measure(sets, items, contrasts, distributions)
    kinds = sorted({t.get(tag) for t in tags}, key=str)
    base = next((name for name in found if name.startswith("**")), "`--against second --through`")
    less_of = "`--through`" if base.startswith("**") else base
    print(
        f"| {len(tags)} items | recall@k | - {less_of} | share | of the large | {' | '.join(map(str, kinds))} |\n"
        f"|---|---|---|---|---|{'---|' * len(kinds)}"
    )
    for name, values in found.items():
        rng, less = np.random.default_rng(1), values[:, 0] - found[base][:, 0]
        of = [values[[i for i, t in enumerate(tags) if t.get(tag) == kind], 0].mean() for kind in kinds]
        print(
            f"| {name} | {interval(values[:, 0], rng)} | "
            f"{less.mean():+.2f} ± {less.std(ddof=1) / len(less) ** 0.5:.2f} | "
            f"{interval(values[:, 1], rng)} | {interval(values[:, 2], rng)} | {' | '.join(f'{x:.2f}' for x in of)} |"
        )


def capture(args, path, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        trace = folder / f"{item['id']}.safetensors"
        if trace.exists():
            continue
        part = trace.with_suffix(".part")
        subprocess.run(
            [
                args.program,
                "explain",
                "-m",
                args.model,
                "-q",
                "-p",
                item["prompt"],
                "-n",
                str(args.generate),
                "--by",
                "sentence",
                "--method",
                "logit,contribution",
                *(["--against", args.against] if args.against else []),
                "--trace",
                part,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        os.replace(part, trace)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="SET FOLDER")
    parser.add_argument("--capture", action="store_true")
    parser.add_argument("--program", default="build/release/headwater")
    parser.add_argument("-m", "--model")
    parser.add_argument("-n", "--generate", type=int, default=56)
    parser.add_argument("--by", default="kind", metavar="TAG",
                        help="recall by the values of this tag (default kind), or set: the folder's name")
    parser.add_argument("--contrasts", type=pathlib.Path, metavar="FOLDER",
                        help="traces of the same items captured with --against second")
    parser.add_argument("--distributions", type=pathlib.Path, metavar="FOLDER", help="... with --against distribution")
    parser.add_argument("--against", help="with --capture: as of headwater explain")
    parser.add_argument("--first", type=int, default=0, metavar="I", help="first line of each set (default 0)")
    parser.add_argument("--end", type=int, metavar="I", help="line after the last (default: all)")
    args = parser.parse_args()
    sets = list(zip(args.sets[::2], args.sets[1::2], strict=True))
    if not args.capture:
        report(sets, args.by, slice(args.first, args.end), args.contrasts, args.distributions)
    for path, folder in sets if args.capture else ():
        capture(args, path, folder)


if __name__ == "__main__":
    main()
