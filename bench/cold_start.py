#!/usr/bin/env python3
"""Measures a whole command against plain libllama, from start to end of the process, and a command without a model.

    bench/cold_start.py MODEL.gguf [--program build/release/headwater] [--rounds 7] [--threads N]

Compares `headwater explain` (default methods, no output file) with bench/plain_generation.c, a program that loads,
decodes, samples and prints, on the same prompt of about 25 tokens and 64 generated ones; the two alternate. Prints
medians of wall time and processor time (user and system, all threads) and their ratios. On a busy machine processor
time is the reliable figure.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ENGINE = HERE.parent / "build" / "deps" / "llama"
PROMPT = ("Once upon a time there was a small village by the sea, where an old fisherman lived with his daughter. "
          "Every morning")


def build_plain(folder):
    program = folder / "plain_generation"
    subprocess.run(
        [
            "cc",
            "-O2",
            "-D_GNU_SOURCE",
            "-o",
            program,
            HERE / "plain_generation.c",
            f"-I{ENGINE}/include",
            f"-L{ENGINE}/lib",
            "-lllama",
            "-lggml",
            "-lggml-base",
            f"-Wl,-rpath,{ENGINE}/lib",
        ],
        check=True,
    )
    return program


def measure(command, stdin=None):
    """Wall time and processor time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    with open(stdin or os.devnull, "rb") as file:
        done = subprocess.run(
            [str(part) for part in command], stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{command[0]}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def median(rounds, which):
    return statistics.median(r[which] for r in rounds)


def show(name, rounds, others=None):
    line = f"{name:<28}" + "".join(f"{1000 * median(rounds, i):9.0f} ms" for i in (0, 1))
    if others:
        line += "".join(f"{median(rounds, i) / median(others, i):9.2f}" for i in (0, 1))
    print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "build" / "release" / "headwater")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prompt = folder / "prompt.txt"
        prompt.write_text(PROMPT)
        plain = [build_plain(folder), o.model, "64", o.threads]
        whole = [o.program, "explain", "-m", o.model, "-f", prompt, "-n", "64", "--threads", o.threads, "-q"]
        kinds = {
            "--version": [o.program, "--version"],
            "help": [o.program, "help"],
            "help explain": [o.program, "help", "explain"],
        }
        measure(plain, prompt)  # loads the model's file into the page cache
        seen = {key: [] for key in ("plain libllama", "headwater explain", *kinds)}
        for _ in range(o.rounds):
            seen["plain libllama"].append(measure(plain, prompt))
            seen["headwater explain"].append(measure(whole))
            for key, command in kinds.items():
                seen[key].append(measure(command))
        print(f"{'medians of ' + str(o.rounds):<28}{'wall':>12}{'processor':>12}{'ratio':>9}{'ratio':>9}")
        show("plain libllama", seen["plain libllama"])
        show("headwater explain", seen["headwater explain"], seen["plain libllama"])
        for key in kinds:
            show(f"headwater {key}", seen[key])


if __name__ == "__main__":
    main()
