#!/usr/bin/env python3
"""Measures when `headwater serve` sends the first token and its explanation, against plain generation.

    bench/first_token.py MODEL [--program build/release/headwater] [--tokens 25,1000] [--rounds 5]

Plain generation is that of `headwater-bench` on a prompt of the same length: the time to decode the prompt. Rounds
alternate between methods; prints medians.
"""

import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import tempfile
import time
import urllib.request

METHODS = [["rollout"], ["logit"], ["rollout", "logit"]]


def prompt_of(n_tokens):
    """A prompt of about that many tokens; the server reports the exact number."""
    return " ".join(f"Note {i}: the train leaves at {i % 60}." for i in range(1, 2 + n_tokens // 12))


def events(address, body):
    """(name, data, seconds since the request) of each event."""
    request = urllib.request.Request(address + "api/explain", json.dumps(body).encode(), method="POST",
                                     headers={"Content-Type": "application/json", "Accept": "text/event-stream"})
    began, name = time.monotonic(), None
    with urllib.request.urlopen(request, timeout=600) as answer:
        for line in answer:
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                yield name, json.loads(line[6:]), time.monotonic() - began


def one(address, prompt, methods):
    """Prompt tokens; seconds to the first token; seconds until every method has explained it."""
    m, first, explained = None, None, set()
    for name, data, seconds in events(address, {"prompt": prompt, "methods": methods, "options": {"n_generate": 8}}):
        if name == "prompt":
            m = len(data["tokens"])
        elif name == "token" and first is None:
            first = seconds
        elif name == "explained":
            explained.add(data["attribution"]["method"])
            if explained == set(methods):
                return m, first, seconds
    raise SystemExit("the run ended before its first token was explained")


def plain(program, model, m, rounds):
    """Seconds in which plain generation decodes a prompt of m tokens and has its first token."""
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "cost.csv"
        subprocess.run(
            [
                f"{program}-bench",
                "-m",
                model,
                "--sizes",
                str(m),
                "-n",
                "2",
                "--rounds",
                str(rounds),
                "--variants",
                "plain",
                "-o",
                table,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with table.open(newline="") as file:
            return statistics.median(
                float(row["prefill_s"]) for row in csv.DictReader(file) if row["variant"] == "plain"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--program", default="build/release/headwater")
    parser.add_argument("--tokens", default="25,1000")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    server = subprocess.Popen(
        [args.program, "serve", "-m", args.model, "--no-store"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = server.stdout.readline().strip()
        for size in map(int, args.tokens.split(",")):
            prompt = prompt_of(size)
            rows = {",".join(methods): [] for methods in METHODS}
            for r in range(args.rounds + 1):  # the first round is a warm-up
                for methods in METHODS:
                    m, first, explained = one(address, prompt, methods)
                    if r:
                        rows[",".join(methods)].append((first, explained - first))
            alone = plain(args.program, args.model, m, args.rounds)
            print(f"m = {m}: plain generation gives the first token after {alone:.3f} s")
            for name, times in rows.items():
                first, delay = (statistics.median(column) for column in zip(*times))
                print(f"  {name:15} first token {first:.3f} s, explained {1000 * delay:.0f} ms later")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
