#!/usr/bin/env python3
"""Measures what `--through` adds to a whole `headwater explain --method logit --by sentence`.

    bench/through.py MODEL.gguf [--program build/release/headwater] [--sizes 25,1000,4000] [--seconds 70]

For each number of prompt tokens (about) the command runs in turn with and without the option, in alternating order,
until the seconds are over, at least three times each. Prints medians of wall time and processor time (user and system,
all threads), the medians of the ratios of neighbouring runs, and their 95 % bootstrap intervals. Nothing else should
run beside it.
"""

import argparse
import os
import pathlib
import random
import statistics
import tempfile
import time

from cold_start import measure

HERE = pathlib.Path(__file__).resolve().parent
SENTENCE = "The keeper of the lighthouse wrote a letter about storms and ships that passed in the night. "
TOKENS_OF_SENTENCE, MIN_PAIRS = 18, 3


def interval(ratios):
    rng = random.Random(1)
    made = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(2000))
    return f"{statistics.median(ratios):.3f} [{made[50]:.3f}, {made[1949]:.3f}]"


def pairs_of(command, seconds):
    """[(run without, run with)], each a (wall time, processor time)."""
    made, end = [], time.monotonic() + seconds
    measure(command)  # reads the model's file
    while len(made) < MIN_PAIRS or time.monotonic() < end:
        order = [False, True] if len(made) % 2 == 0 else [True, False]
        of = {through: measure([*command, "--through"] if through else command) for through in order}
        made.append((of[False], of[True]))
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "build" / "release" / "headwater")
    parser.add_argument("--sizes", default="25,1000,4000", help="prompt tokens (default 25,1000,4000)")
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=70, help="for each size (default 70)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prompt = pathlib.Path(folder) / "prompt.txt"
        for size in map(int, o.sizes.split(",")):
            prompt.write_text(SENTENCE * max(size // TOKENS_OF_SENTENCE, 1))
            made = pairs_of([o.program, "explain", "-m", o.model, "-f", prompt, "-n", o.generate, "--threads",
                             o.threads, "--method", "logit", "--by", "sentence", "--ctx", "0", "-q"], o.seconds)
            for what, i in (("wall", 0), ("cpu", 1)):
                without, through = (statistics.median(pair[k][i] for pair in made) for k in (0, 1))
                ratios = [pair[1][i] / pair[0][i] for pair in made]
                print(f"{size:5} tokens, {len(made):3} pairs, {what:4}: {without:7.3f} s, {through:7.3f} s with; "
                      f"{interval(ratios)}", flush=True)


if __name__ == "__main__":
    main()
