#!/usr/bin/env python3
"""What citations cost a client of /v1/chat/completions: time to the first token, and tokens a second.

    bench/endpoint.py MODEL [--bin build/release/headwater] [--words 800] [--tokens 64] [--pairs 9]
                      [--llama-server FILE]

Streams of the same request with and without citations alternate, each with another first word, so that nothing of a
prompt is known from the one before. Ratios are medians of pairs. With --llama-server the same requests go to that
program too, with the same file and threads; its numbers are beside, not in the ratio.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import time

SENTENCE = "The lamp of lighthouse number {} was lit in the year {} by its keeper."


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return process
        except OSError:
            pass
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} ended with {process.returncode}")
        time.sleep(0.2)
    raise SystemExit(f"{command[0]} is not ready after two minutes")


def documents(n_words, salt):
    sentences, n = [], 0
    while n < n_words:
        sentences.append(SENTENCE.format(salt + len(sentences), 1800 + len(sentences)))
        n += len(sentences[-1].split())
    return [" ".join(sentences[i:i + 8]) for i in range(0, len(sentences), 8)]


def stream(port, body):
    """(seconds to the first token, tokens a second after it, tokens)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(response.read().decode())
    first = last = None
    n = 0
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if chunk.get("usage"):
            n = chunk["usage"]["completion_tokens"]
        if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
            last = time.perf_counter()
            first = first or last
    connection.close()
    return first - began, (n - 1) / (last - first), n


def request(args, salt, cited, own):
    texts, question = documents(args.words, salt), f"{salt}: tell everything about these lighthouses."
    body = {"temperature": 0, "max_tokens": args.tokens, "stream": True, "stream_options": {"include_usage": True}}
    if own:
        return body | {"messages": [{"role": "user", "content": question}], "documents": texts, "citations": cited}
    return body | {"messages": [{"role": "user", "content": "\n\n".join([*texts, question])}], "cache_prompt": False}


def show(name, runs):
    ttft, rate = (statistics.median(column) for column in list(zip(*runs))[:2])
    print(f"{name:28s} first token {ttft * 1000:8.1f} ms   {rate:7.2f} tokens/s   ({len(runs)} streams)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--bin", default="build/release/headwater")
    parser.add_argument("--words", type=int, default=800)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--llama-server")
    args = parser.parse_args()
    ports = {"headwater": free_port()}
    processes = [start([args.bin, "serve", "-m", args.model, "--no-store", "--port", str(ports["headwater"])],
                       ports["headwater"])]
    if args.llama_server:
        ports["llama-server"] = free_port()
        processes.append(start([args.llama_server, "-m", args.model, "--port", str(ports["llama-server"]), "-np", "1",
                                "-t", str(os.cpu_count()), "--no-webui"], ports["llama-server"]))
    runs = {"without citations": [], "with citations": [], "llama-server": []}
    try:
        for i in range(-1, args.pairs):  # the first of each is not counted
            order = [("without citations", False), ("with citations", True)]
            for name, cited in order if i % 2 else reversed(order):
                one = stream(ports["headwater"], request(args, 1000 + 20 * i + 10 * cited, cited, True))
                if i >= 0:
                    runs[name].append(one)
            if args.llama_server:
                one = stream(ports["llama-server"], request(args, 1000 + 20 * i, False, False))
                if i >= 0:
                    runs["llama-server"].append(one)
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait(60)
    for name, list_of_runs in runs.items():
        if list_of_runs:
            show(name, list_of_runs)
    pairs = list(zip(runs["with citations"], runs["without citations"]))
    ttft = sorted(a[0] / b[0] for a, b in pairs)
    rate = sorted(b[1] / a[1] for a, b in pairs)
    print(f"time to the first token   x {statistics.median(ttft):.3f}   [{ttft[0]:.3f}, {ttft[-1]:.3f}]")
    print(f"time for each token       x {statistics.median(rate):.3f}   [{rate[0]:.3f}, {rate[-1]:.3f}]")


main()
