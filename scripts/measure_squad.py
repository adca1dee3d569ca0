#!/usr/bin/env python3
"""Areas under the disrupt and recover curves of Dual Path Attribution (Jantsch et al. 2026, arXiv 2603.19742), on the
data set `squad`.

    scripts/measure_squad.py -m MODEL build/datasets/squad.jsonl FILE.jsonl [--limit N]   continues where it was stopped
    scripts/measure_squad.py FILE.jsonl                                                    the table; no model runs

Their protocol: each token of the paragraph has a score for the first token of the answer. Disrupt sets the embeddings
of the highest share of the tokens to 0, recover those of all others; the rest of the prompt stays. Measured is the
answer's probability, in percent of that of the whole prompt, at eleven shares; areas are of the mean curves, by
trapezoids; a better method has a smaller disrupt and a larger recover area. Only items that the model answers right.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ENGINE = HERE.parent / "build/deps/llama"
SHARES = [1 / (1 + math.exp(6 - 1.2 * i)) for i in range(11)]
# Name in the table, and the method and options of `headwater explain`; runs that differ in options are separate.
METHODS = {"logit": [], "logit --against second": ["--against", "second"],
           "logit --against distribution": ["--against", "distribution"], "contribution": [], "attention": [],
           "rollout": [], "random": []}
N_CTX, N_GENERATE = 1024, 6


def build(folder):
    program = folder / "zeroed_tokens"
    subprocess.run(["cc", "-O2", "-o", program, HERE / "zeroed_tokens.c", f"-I{ENGINE}/include", f"-L{ENGINE}/lib",
                    "-lllama", "-lggml", "-lggml-base", "-lm", f"-Wl,-rpath,{ENGINE}/lib"], check=True)
    return program


def explain(args, folder, prompt, methods, options):
    """The run, and the scores by each method."""
    subprocess.run([args.program, "explain", "-m", args.model, "-p", prompt, "-n", str(N_GENERATE), "--method",
                    ",".join(methods), *options, "--token", "0", "--threads", "1", "-q", "-o", folder / "e.json"],
                   check=True, stdout=subprocess.DEVNULL)
    made = json.loads((folder / "e.json").read_text(encoding="utf-8"))
    return made["run"], {a["method"]: a["mean"][0] for a in made["attributions"]}


def scores_of(args, folder, item):
    """The run, and the scores of the first completion token by each method; no scores of a wrong answer."""
    groups = {}
    for name, options in METHODS.items():
        groups.setdefault(tuple(options), []).append(name)
    scores = {}
    for options, names in groups.items():
        run, by = explain(args, folder, item["prompt"], [name.split()[0] for name in names], options)
        if not right(run, item):
            return run, {}
        scores |= {name: by[name.split()[0]] for name in names}
    return run, scores


def right(run, item):
    first = run["tokens"][run["n_prompt"]]["text"]
    given = run["completion"].strip().lower()
    return first.strip() and any(given.startswith(a.lower()) for a in item["answer"])


def curves(ask, context, scores, base):
    """Percent of `base` that are left at each share: highest tokens at 0, and all others at 0."""
    order = sorted(context, key=lambda i: -scores[i])
    counts = [math.ceil(len(order) * share) for share in SHARES]
    return {"disrupt": [100 * ask(order[:n]) / base for n in counts],
            "recover": [100 * ask(order[n:]) / base for n in counts]}


def measure_item(args, folder, zeroed, item):
    run, scores = scores_of(args, folder, item)
    if not scores:
        return {"id": item["id"], "right": False}
    m, tokens = run["n_prompt"], run["tokens"]
    begin, end = (len(item["prompt"][:at].encode()) for at in (item["spans"][0][0], item["spans"][-1][1]))
    context = [i for i in range(m) if tokens[i]["range"][0] < end and tokens[i]["range"][1] > begin]
    line = f"{tokens[m]['id']} {m} {' '.join(str(t['id']) for t in tokens[:m])}"

    def ask(zeros):
        print(line, len(zeros), *zeros, file=zeroed.stdin, flush=True)
        return float(zeroed.stdout.readline())

    base = ask([])
    return {"id": item["id"], "right": True, "context_tokens": len(context), "base": base,
            "methods": {name: curves(ask, context, of, base) for name, of in scores.items()}}


def measure(args):
    done = {json.loads(line)["id"] for line in args.file.read_text().splitlines()} if args.file.exists() else set()
    items = [json.loads(line) for line in args.set.read_text(encoding="utf-8").splitlines()][:args.limit]
    end = time.monotonic() + args.seconds
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        command = [build(folder), args.model, str(N_CTX), ENGINE / "lib"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as zeroed:
            for item in items:
                if item["id"] in done or time.monotonic() > end:
                    continue
                line = measure_item(args, folder, zeroed, item)
                with args.file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(line) + "\n")
            zeroed.stdin.close()


def areas(lines, method):
    """Disrupt and recover areas and their difference, of the mean curves of the items."""
    disrupt, recover = (np.mean([line["methods"][method][way] for line in lines], 0) for way in ("disrupt", "recover"))
    down = np.trapezoid([100, *disrupt], [0, *SHARES])
    up = np.trapezoid([*recover, 100], [*SHARES, 1])
    return np.array([down, up, up - down])


def report(path):
    lines = [line for line in map(json.loads, path.read_text().splitlines()) if line["right"]]
    print(f"| {len(lines)} items | disrupt area | recover area | recover - disrupt |\n|---|---|---|---|")
    for method in METHODS:
        rng, made = np.random.default_rng(1), areas(lines, method)
        drawn = np.array([areas([lines[i] for i in rng.integers(0, len(lines), len(lines))], method)
                          for _ in range(1000)])
        low, high = np.quantile(drawn, 0.025, 0), np.quantile(drawn, 0.975, 0)
        print(f"| {method} | " + " | ".join(f"{v:.1f} [{a:.1f}, {b:.1f}]" for v, a, b in zip(made, low, high)) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=pathlib.Path, metavar="SET")
    parser.add_argument("file", type=pathlib.Path, nargs="?", metavar="FILE.jsonl")
    parser.add_argument("-m", "--model")
    parser.add_argument("--program", default="build/release/headwater")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N items")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new item after so long")
    args = parser.parse_args()
    if args.model and args.file:
        measure(args)
    elif args.file or args.model:
        sys.exit("measure_squad.py: -m, SET and FILE, or FILE alone")
    else:
        report(args.set)


if __name__ == "__main__":
    main()
