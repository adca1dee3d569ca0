#!/usr/bin/env python3
"""Measures the cost of the separate engine process of `headwater serve`.

    bench/engine_process.py MODEL [--after build/release/headwater] [--before OLD/headwater] [--tokens 48] [--rounds 15]
                            [--threads 2]

Without --before: bounds of what the process costs, from one program. Per token it costs at most what the server's own
process does, HTTP and the store included: its processor time is printed as a share of the engine's. To the first token
it costs at most the time of a request that the engine's process refuses after it has tokenized the prompt: there and
back, with HTTP.

With --before, two programs serve one model; requests alternate between them, so that other load affects both. Prints
medians over rounds of the time to the first token and of the time per further token, the median of their ratios, and
the processor time of all runs of the server and its children, which depends less on other load. Giving the same file
twice shows the noise.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import time
import urllib.error
import urllib.request

PROMPT = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"  # greedy decoding continues counting for a long time


def processor_seconds(processes):
    return sum(time.clock_gettime(clock_of(pid)) for pid in processes)


def clock_of(pid):
    """The clock of another process's processor time, as clock_getcpuclockid() numbers it."""
    return ~pid << 3 | 2


class Server:
    def __init__(self, program, model, threads):
        command = [program, "serve", "-m", model, "--no-store", "--quiet", "--threads", str(threads), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            raise SystemExit(f"{program} gave no address")

    def run(self, n, number):
        """Seconds to the first token, and from it to the last of n. The prompt differs by run, so that nothing is
        reused."""
        body = {"prompt": f"Run {number}: {PROMPT}", "methods": ["rollout"], "options": {"n_generate": n}}
        request = urllib.request.Request(self.address + "api/explain", json.dumps(body).encode(), method="POST",
                                         headers={"Content-Type": "application/json", "Accept": "text/event-stream"})
        began, times = time.monotonic(), []
        with urllib.request.urlopen(request, timeout=600) as answer:
            for line in answer:
                if line.startswith(b"event: token"):
                    times.append(time.monotonic() - began)
        if len(times) < n:
            raise SystemExit(f"{len(times)} tokens of {n} came")
        return times[0], (times[-1] - times[0]) / (n - 1)

    def refused(self, number):
        """Seconds until the engine has refused a request, because its completion is too long."""
        body = {"prompt": f"Run {number}: {PROMPT}", "options": {"n_generate": 1_000_000}}
        request = urllib.request.Request(self.address + "api/explain", json.dumps(body).encode(), method="POST",
                                         headers={"Content-Type": "application/json"})
        began = time.monotonic()
        try:
            urllib.request.urlopen(request, timeout=600)
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if "than the context of" in text:
                return time.monotonic() - began
            raise SystemExit(text) from None
        raise SystemExit("a request that is too long was not refused")

    def children(self):
        found = set()
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
                found.update(map(int, (task / "children").read_text().split()))
        return found

    def processor_seconds(self):
        """Processor time since the start: of the server alone, and of its children."""
        return processor_seconds({self.process.pid}), processor_seconds(self.children())

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def measure_one(server, o):
    """Prints the bounds."""
    server.run(o.tokens, -1)  # warm-up
    first, refused, spent = [], [], [-t for t in server.processor_seconds()]
    for number in range(o.rounds):
        first.append(server.run(o.tokens, number)[0])
    spent = [s + t for s, t in zip(spent, server.processor_seconds())]
    refused = [server.refused(number) for number in range(o.rounds * 4)]
    n = o.rounds * o.tokens
    print(f"processor time per token: {1e6 * spent[0] / n:.0f} us of the server's process beside "
          f"{1e6 * spent[1] / n:.0f} us of the engine's, {100 * spent[0] / spent[1]:.2f} % ({n} tokens)")
    there_and_back, whole = statistics.median(refused), statistics.median(first)
    print(f"first token after {1e3 * whole:.1f} ms; there and back {1e3 * there_and_back:.2f} ms, "
          f"{100 * there_and_back / whole:.2f} % (medians of {o.rounds} and {len(refused)})")


def measure_both(servers, o):
    figures = [[], []]
    for i, server in enumerate(servers):
        server.run(o.tokens, -1 - i)  # warm-up
    spent = [-sum(server.processor_seconds()) for server in servers]
    for number in range(o.rounds):
        for side in ((0, 1) if number % 2 == 0 else (1, 0)):
            figures[side].append(servers[side].run(o.tokens, number))
    spent = [s + sum(server.processor_seconds()) for s, server in zip(spent, servers)]
    for at, name in enumerate(("first token", "each further token")):
        before, after = ([run[at] for run in side] for side in figures)
        ratio = statistics.median(b / a for a, b in zip(before, after))
        print(
            f"{name}: {1e3 * statistics.median(before):.2f} ms before, {1e3 * statistics.median(after):.2f} ms after, "
            f"ratio {ratio:.4f} (median of {o.rounds} rounds)"
        )
    print(f"processor time: {spent[0]:.2f} s before, {spent[1]:.2f} s after, ratio {spent[1] / spent[0]:.4f}")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model")
    p.add_argument("--before")
    p.add_argument("--after", default="build/release/headwater")
    p.add_argument("--tokens", type=int, default=48)
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--threads", type=int, default=2)
    o = p.parse_args()
    programs = [o.before, o.after] if o.before else [o.after]
    servers = [Server(program, o.model, o.threads) for program in programs]
    try:
        measure_both(servers, o) if o.before else measure_one(servers[0], o)
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
