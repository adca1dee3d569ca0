#!/usr/bin/env python3
"""Measures the cost of the separate engine process of `headwater serve`.

    bench/engine_process.py MODEL --before OLD/headwater --after build/release/headwater [--tokens 48] [--rounds 15]
                            [--threads 2]

Two programs serve one model; requests alternate between them, so that other load affects both. Prints medians over
rounds of the time to the first token and of the time per further token, the median of their ratios, and the
processor time of all runs of the server and its children, which depends less on other load. Giving the same file
twice shows the noise.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import time
import urllib.request

PROMPT = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"  # greedy decoding continues counting for a long time


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

    def processor_seconds(self):
        """Processor time of the server and its children since they started."""
        pid = self.process.pid
        family = {pid}
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
                family.update(map(int, (task / "children").read_text().split()))
        ticks = 0
        for one in family:
            fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model")
    p.add_argument("--before", required=True)
    p.add_argument("--after", default="build/release/headwater")
    p.add_argument("--tokens", type=int, default=48)
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--threads", type=int, default=2)
    o = p.parse_args()
    servers = [Server(program, o.model, o.threads) for program in (o.before, o.after)]
    figures = [[], []]
    try:
        for i, server in enumerate(servers):
            server.run(o.tokens, -1 - i)  # warm-up
        spent = [-server.processor_seconds() for server in servers]
        for number in range(o.rounds):
            for side in ((0, 1) if number % 2 == 0 else (1, 0)):
                figures[side].append(servers[side].run(o.tokens, number))
        spent = [s + server.processor_seconds() for s, server in zip(spent, servers)]
    finally:
        for server in servers:
            server.stop()
    for at, name in enumerate(("first token", "each further token")):
        before, after = ([run[at] for run in side] for side in figures)
        ratio = statistics.median(b / a for a, b in zip(before, after))
        print(
            f"{name}: {1e3 * statistics.median(before):.2f} ms before, {1e3 * statistics.median(after):.2f} ms after, "
            f"ratio {ratio:.4f} (median of {o.rounds} rounds)"
        )
    print(f"processor time: {spent[0]:.2f} s before, {spent[1]:.2f} s after, ratio {spent[1] / spent[0]:.4f}")


if __name__ == "__main__":
    main()
