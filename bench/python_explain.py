#!/usr/bin/env python3
"""Measures explaining from Python beside the program, and one actor of headwater.ray beside both.

    PYTHON bench/python_explain.py MODEL.gguf [--rounds 7] [--threads N] [--tokens 64]

PYTHON has the package `headwater`. Each round runs, in turn, the program and a Python process that does the same (load,
explain with the default methods, save M), each from start to end; then explains eight prompts with a loaded model: in a
loop, and as a batch of headwater.ray.Explainer (if pyarrow is there). Prints medians of wall and processor time and the
median of the rounds' ratios.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import headwater
from headwater import program

PROMPT = ("Once upon a time there was a small village by the sea, where an old fisherman lived with his daughter. "
          "Every morning ")
WHOLE = """
import sys, headwater
model, out, n, threads = sys.argv[1:]
headwater.Model(model, threads=int(threads)).explain({prompt!r}, n=int(n)).save(out)
"""


def measure(command):
    """Wall time and processor time in seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def timed(work):
    wall, used = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - used


def show(name, rounds, others=None):
    line = f"{name:<32}" + "".join(f"{1000 * statistics.median(r[i] for r in rounds):9.0f} ms" for i in (0, 1))
    if others:
        pairs = [[r[i] / o[i] for r, o in zip(rounds, others, strict=True)] for i in (0, 1)]
        line += "".join(f"{statistics.median(p):9.3f} [{min(p):.3f}, {max(p):.3f}]" for p in pairs)
    print(line)


def commands(o, folder):
    options = ["-n", o.tokens, "--threads", o.threads, "-q", "--full", "-o", f"{folder}/p.json"]
    code = WHOLE.format(prompt=PROMPT)
    return {
        "program, whole command": [program.find(), "explain", "-m", o.model, "-p", PROMPT, *options],
        "Python, whole process": [sys.executable, "-c", code, o.model, f"{folder}/y.json", o.tokens, o.threads],
    }


def batches(o):
    prompts = [f"{PROMPT}{name} " for name in ("he", "she", "they", "the cat", "we", "it", "Anna", "Tom")]
    model = headwater.Model(o.model, threads=o.threads, context=1024)
    ways = {"Python, 8 prompts, model loaded": lambda: [model.explain(p, n=o.tokens) for p in prompts]}
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return ways
    from headwater.ray import Explainer

    actor = Explainer(o.model, n=o.tokens, threads=o.threads, context=1024)
    return ways | {"one actor of headwater.ray": lambda: actor({"prompt": prompts})}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--no-batches", action="store_true", help="whole processes only")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ways = {name: lambda c=command: measure(c) for name, command in commands(o, folder).items()}
        if not o.no_batches:
            ways |= {name: lambda w=work: timed(w) for name, work in batches(o).items()}
        seen = {name: [] for name in ways}
        for round_ in range(-1, o.rounds):  # the first fills the page cache
            for name, work in ways.items():
                took = work()
                if round_ >= 0:
                    seen[name].append(took)
    print(f"{'medians of ' + str(o.rounds):<32}{'wall':>12}{'processor':>12}{'ratio of rounds':>20}")
    names = list(seen)
    show(names[0], seen[names[0]])
    show(names[1], seen[names[1]], seen[names[0]])
    for name, before in zip(names[2:], [None, *names[2:]]):
        show(name, seen[name], seen[before] if before else None)


if __name__ == "__main__":
    main()
