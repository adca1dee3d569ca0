"""Short memory: one failed allocation, wherever it is, ends in a message and exit status 1 with old files as they were,
or in the same result as ever. Never in a crash, a wrong number or a damaged file.

$HEADWATER_FAIL_ALLOC is the library of tests/preload/fail_alloc.c; builds with sanitizers have none. With
HEADWATER_EVERY_SITE=1 the first allocation of each site fails once, instead of a sample of all: minutes per command.
"""

import os
import resource
import subprocess

import numpy as np
import pytest
from conftest import causal, environment
from patience import HANG_S, patience

LIBRARY = os.environ.get("HEADWATER_FAIL_ALLOC")
# What reports a lack of memory to its caller: the engine's C++, GLib and Pango end the process by design, ICU 72
# crashes.
OBJECTS = "headwater:jansson:libcrypto:libz.so:libc.so"
RUNS = 40  # of each command: the first allocations one by one, then evenly
EVERY_SITE = os.environ.get("HEADWATER_EVERY_SITE") == "1"
OLD = b"old"

needs_library = pytest.mark.skipif(not LIBRARY, reason="no library that lets allocations fail: a build with sanitizers")


class Failing:
    """Runs one command in `folder` with an allocation that fails, and compares what it leaves with `good`."""

    def __init__(self, program, folder, args, outputs):
        self.command = [str(program), *map(os.fspath, args)]
        self.folder, self.outputs = folder, outputs

    def run(self, **settings):
        env = environment(LD_PRELOAD=LIBRARY, FAIL_ALLOC_OF=OBJECTS, OMP_NUM_THREADS="1", **settings)
        return subprocess.run(self.command, capture_output=True, cwd=self.folder, env=env, timeout=HANG_S)

    def contents(self):
        return {name: (self.folder / name).read_bytes() for name in self.outputs}

    def prepare(self):
        for name in self.outputs:
            (self.folder / name).write_bytes(OLD)

    def count(self):
        self.prepare()
        where = {"FAIL_ALLOC_FIRSTS": str(self.folder / "firsts")} if EVERY_SITE else {}
        done = self.run(FAIL_ALLOC_COUNT=str(self.folder / "count"), **where)
        assert done.returncode == 0, done.stderr
        self.out, self.good = done.stdout, self.contents()
        n = int((self.folder / "count").read_text())
        os.unlink(self.folder / "count")
        if EVERY_SITE:
            self.firsts = [int(line) for line in (self.folder / "firsts").read_text().split()]
            os.unlink(self.folder / "firsts")
        self.names = sorted(p.name for p in self.folder.iterdir())
        return n

    def check(self, at):
        self.prepare()
        done = self.run(FAIL_ALLOC_AT=str(at))
        where = f"allocation {at}: status {done.returncode}, {done.stderr.decode(errors='replace')}"
        assert done.returncode in (0, 1), where
        left = self.contents()
        assert sorted(p.name for p in self.folder.iterdir()) == self.names, where
        if done.returncode == 0:
            assert (done.stdout, left) == (self.out, self.good), where
            return 0
        assert done.stderr.startswith(b"headwater: "), where
        # Each file is whole by itself: one that could not be saved keeps no other from being saved.
        assert all(left[name] in (OLD, self.good[name]) for name in left), where
        return 1

    def sweep(self, runs=RUNS):
        n = self.count()
        assert n > 20
        dense = range(1, min(n, runs // 3) + 1)
        step = max(1, n // (runs - len(dense)))
        n_noticed, wrong = 0, []
        for at in self.firsts if EVERY_SITE else [*dense, *range(len(dense) + 1, n + 1, step)]:
            try:
                n_noticed += self.check(at)
            except AssertionError as error:
                wrong.append(str(error).splitlines()[0])
        if EVERY_SITE:
            print(f"{' '.join(self.command[1:])}: {len(self.firsts)} sites of {n} allocations, {n_noticed} noticed")
        assert not wrong, f"of {n} allocations:\n" + "\n".join(wrong)
        assert n_noticed > 0


@pytest.fixture
def inputs(headwater, attention_file, tmp_path):
    path = attention_file(causal(3, 9, seed=7), m=6, tokens=["One", " is", ".", "Two", " was", ".", "So", " it", " x"])
    done = headwater("explain", "--attention", path, "--trace", "t.safetensors", "-o", "r.json", "--full")
    assert done.status == 0, done
    return path


COMMANDS = {
    "explain-json": (["explain", "--attention", "attention.safetensors", "-o", "out.json", "--full"], ["out.json"]),
    "explain-by": (
        [
            "explain", "--attention", "attention.safetensors", "--by", "sentence", "--hide",
            "stopwords,punctuation", "-o", "out.json", "-o", "out.csv"
        ],
        ["out.json", "out.csv"],
    ),
    "explain-trace": (
        [
            "explain", "--attention", "attention.safetensors", "--trace", "out.trace", "-o", "out.safetensors",
            "-o", "out.npy"
        ],
        ["out.trace", "out.safetensors", "out.npy"],
    ),
    "explain-report": (["explain", "--trace", "t.safetensors", "-o", "out.html"], ["out.html"]),
    "view": (["view", "r.json", "-o", "out.csv"], ["out.csv"]),
    "view-trace": (["view", "t.safetensors", "-o", "out.safetensors"], ["out.safetensors"]),
    "cite": (
        ["cite", "--trace", "t.safetensors", "--by", "sentence", "--method", "rollout", "-o", "out.json"],
        ["out.json"],
    ),
}


@needs_library
@pytest.mark.parametrize("name", COMMANDS)
def test_one_allocation_fails(program, inputs, tmp_path, name):
    args, outputs = COMMANDS[name]
    Failing(program, tmp_path, args, outputs).sweep()


PROMPT = "Hello world. A dog. Hello hel"
MODEL_COMMANDS = {
    "explain": (["explain", "-p", PROMPT, "-n", "2", "--by", "sentence", "-o", "out.json"], ["out.json"]),
    "explain-trace": (
        [
            "explain", "-p", PROMPT, "-n", "2", "--method", "contribution,leave-one-out", "--trace", "out.trace", "-o",
            "out.csv"
        ],
        ["out.trace", "out.csv"],
    ),
    "check": (["check", "-p", PROMPT, "-n", "2", "--ablations", "8", "-o", "out.json"], ["out.json"]),
    "cite": (["cite", "-p", PROMPT, "-n", "2", "--by", "sentence", "-o", "out.json"], ["out.json"]),
    "eval": (["eval", "set.jsonl", "-n", "2", "--method", "rollout,logit", "--ablations", "4", "--by", "word"], []),
}


@needs_library
@pytest.mark.parametrize("name", MODEL_COMMANDS)
def test_one_allocation_fails_with_a_model(program, tiny, tmp_path, name):
    args, outputs = MODEL_COMMANDS[name]
    (tmp_path / "set.jsonl").write_text('{"prompt": "hello world a", "answer": "b", "evidence": [[0, 5]]}\n' * 2)
    Failing(program, tmp_path, [*args, "-m", tiny / "llama.gguf", "--threads", "1"], outputs).sweep(runs=12)


@needs_library
def test_one_allocation_fails_while_a_model_is_probed(program, tiny, tmp_path):
    """What the probe had no memory for must not read as something that the model lacks: fewer methods, and exit status
    0."""
    args, outputs = MODEL_COMMANDS["explain"]
    failing = Failing(program, tmp_path, [*args, "-m", tiny / "llama.gguf", "--threads", "1"], outputs)
    assert failing.count() > 110
    assert sum(failing.check(at) for at in range(60, 100)) > 20


def limit_address_space(megabytes):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


@needs_library
def test_products_without_memory_end(headwater, inputs):
    done = headwater("--version", preexec_fn=limit_address_space(300), timeout=patience(60))
    assert (done.status, done.err) == (0, "")
    done = headwater("explain", "--attention", inputs, preexec_fn=limit_address_space(300), timeout=patience(60))
    assert done.status == 1 and "OpenBLAS takes up to" in done.err
