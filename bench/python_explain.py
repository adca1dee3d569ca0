#!/usr/bin/env python3
"""Measures explaining from Python beside the program, and one actor of headwater.ray beside both.

    PYTHON bench/python_explain.py MODEL.gguf [--rounds 7] [--threads N] [--tokens 64]
    PYTHON bench/python_explain.py MODEL.gguf --ray [--rounds 3]

PYTHON has the package `headwater`. Each round runs, in turn, the program and a Python process that does the same (load,
explain with the default methods, save M), each from start to end; what that process took after the interpreter's start
and the import, which have a goal of their own; then eight prompts with a loaded model: in a loop, and as a batch of
headwater.ray.Explainer (if pyarrow is there). Prints medians of wall and processor time and the median of the rounds'
ratios; the program goes first in every other round.

`--ray`: prompts a second of one actor on a real Ray of this machine, of a loop in this process, and of the program,
which is started for each prompt. The actor explains eight prompts before those that count.
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
import sys, time, headwater
wall, used = time.monotonic(), time.process_time()
model, out, n, threads = sys.argv[1:]
headwater.Model(model, threads=int(threads)).explain({prompt!r}, n=int(n)).save(out)
print(time.monotonic() - wall, time.process_time() - used)
"""
PROGRAM, PYTHON, AFTER = "program, whole command", "Python, whole process", "Python, after the import"


def measure(command):
    """Wall time and processor time in seconds, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return (wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


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
        PROGRAM: [program.find(), "explain", "-m", o.model, "-p", PROMPT, *options],
        PYTHON: [sys.executable, "-c", code, o.model, f"{folder}/y.json", o.tokens, o.threads],
    }


def prompts_of():
    return [f"{PROMPT}{name} " for name in ("he", "she", "they", "the cat", "we", "it", "Anna", "Tom")]


def batches(o):
    prompts = prompts_of()
    model = headwater.Model(o.model, threads=o.threads, context=1024)
    ways = {"Python, 8 prompts, model loaded": lambda: [model.explain(p, n=o.tokens) for p in prompts]}
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return ways
    from headwater.ray import Explainer

    actor = Explainer(o.model, n=o.tokens, threads=o.threads, context=1024)
    return ways | {"one actor of headwater.ray": lambda: actor({"prompt": prompts})}


def actor_seconds(o, prompts):
    """Wall time of each of some batches of these prompts, by the clock of the actor that explains them."""
    import ray
    from headwater.ray import Explainer

    class Timed(Explainer):
        def __call__(self, batch):
            began = time.monotonic()
            table = super().__call__({"prompt": batch["prompt"]})
            return table.append_column("seconds", [[time.monotonic() - began] * table.num_rows])

    data = ray.data.from_items([{"prompt": p} for p in prompts * (o.rounds + 1)], override_num_blocks=1)
    settings = {"model": o.model, "n": o.tokens, "threads": o.threads, "context": 1024}
    done = data.map_batches(Timed, fn_constructor_kwargs=settings, batch_size=len(prompts), num_cpus=1,
                            compute=ray.data.ActorPoolStrategy(size=1)).materialize()
    return [row["seconds"] for row in done.take_all()][len(prompts)::len(prompts)]


def show_ray(o):
    prompts, options = prompts_of(), ["-n", o.tokens, "--threads", o.threads, "-q"]
    model = headwater.Model(o.model, threads=o.threads, context=1024)
    times = {"one actor on Ray": actor_seconds(o, prompts)}
    times["Python, model loaded"] = [timed(lambda: [model.explain(p, n=o.tokens) for p in prompts])[0]
                                     for _ in range(o.rounds)]
    times["program, started for each"] = [
        sum(measure([program.find(), "explain", "-m", o.model, "-p", p, *options])[0][0] for p in prompts)
        for _ in range(o.rounds)]
    for name, seconds in times.items():
        print(f"{name:<32}{len(prompts) / statistics.median(seconds):7.2f} prompts/s of {o.tokens} tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--no-batches", action="store_true", help="whole processes only")
    parser.add_argument("--ray", action="store_true", help="throughput of one actor on Ray")
    o = parser.parse_args()
    if o.ray:
        show_ray(o)
        return
    with tempfile.TemporaryDirectory() as folder:
        processes = commands(o, folder)
        loaded = {} if o.no_batches else batches(o)
        seen = {name: [] for name in (PROGRAM, PYTHON, AFTER, *loaded)}
        for i in range(-1, o.rounds):  # the first fills the page cache
            took = {name: measure(processes[name]) for name in sorted(processes, reverse=i % 2 == 0)}
            times = {name: one for name, (one, _) in took.items()}
            times[AFTER] = tuple(float(number) for number in took[PYTHON][1].split())
            times |= {name: timed(work) for name, work in loaded.items()}
            for name, one in times.items() if i >= 0 else ():
                seen[name].append(one)
    print(f"{'medians of ' + str(o.rounds):<32}{'wall':>12}{'processor':>12}{'ratio of rounds':>20}")
    for name in (PROGRAM, PYTHON, AFTER):
        show(name, seen[name], seen[PROGRAM] if name != PROGRAM else None)
    for name, before in zip(loaded, [None, *loaded]):
        show(name, seen[name], seen[before] if before else None)


if __name__ == "__main__":
    main()
