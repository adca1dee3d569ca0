"""What the command-line tests share: running the program, and attention files to run it on.

$HEADWATER_BIN is the program, $HEADWATER_TEST_MODELS the folder of GGUF models. Both must be set: nothing is skipped.
`pytest --update-expected` rewrites the files under tests/data/cli/ with what the program prints now; read the
difference.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file
from patience import HANG_S
from program import model_path, program, program_path, smollm  # noqa: F401

HERE = pathlib.Path(__file__).parent
CLEARED = ("NO_COLOR", "COLORTERM", "COLORFGBG", "COLUMNS", "HEADWATER_MODEL")


def pytest_addoption(parser):
    parser.addoption("--update-expected", action="store_true", help="rewrite tests/data/cli")


@pytest.fixture(scope="session")
def bench_program():
    return program_path("HEADWATER_BENCH")


@pytest.fixture(scope="session")
def smollm_f32():
    """The same weights in full precision: what it generates, and every digit that is shown, is the same on any
    processor."""
    return model_path("SmolLM2-135M-Instruct.F32.gguf")


@pytest.fixture(scope="session")
def gemma():
    return model_path("gemma-3-270m-q4_k_m.gguf")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of small random models (scripts/make_tiny_models.py): for what does not depend on what a model
    says."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run(
        [sys.executable, HERE.parents[1] / "scripts/make_tiny_models.py", folder], check=True, stdout=subprocess.DEVNULL
    )
    return folder


def environment(**changes):
    """The caller's environment without what changes the program's output; TERM is a plain terminal's."""
    env = {k: v for k, v in os.environ.items() if k not in CLEARED and not k.startswith("LLAMA_ARG_")}
    return env | {"TERM": "xterm"} | changes


class Outcome:
    """What a run left: status, and the two outputs as text."""

    def __init__(self, done):
        self.status = done.returncode
        self.out_bytes = done.stdout
        self.out = done.stdout.decode("utf-8")
        self.err = done.stderr.decode("utf-8")

    def __repr__(self):
        return f"status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def runner(program, folder):
    """run("explain", ...) runs a program in a folder; nothing waits for a terminal."""

    def run(*args, stdin=b"", env=None, timeout=HANG_S, **kwargs):
        command = [str(program), *map(os.fspath, args)]
        done = subprocess.run(command, input=stdin, capture_output=True, cwd=folder,
                              env=environment(**(env or {})), timeout=timeout, **kwargs)
        return Outcome(done)

    run.folder = folder
    return run


@pytest.fixture
def headwater(program, tmp_path):
    return runner(program, tmp_path)


@pytest.fixture
def bench(bench_program, tmp_path):
    return runner(bench_program, tmp_path)


@pytest.fixture
def expected(request):
    """expected("name", text): the text is exactly what expected/name.txt holds."""

    def check(name, text):
        path = HERE.parent / "data" / "cli" / f"{name}.txt"
        if request.config.getoption("--update-expected"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return check


# The worked example of T = 3 tokens and 2 layers whose rollout is known as fractions: rows 1 and 2 are
# 31/80, 49/80 and 61/200, 67/200, 9/25.
WORKED = np.array([
    [[1, 0, 0], [3 / 5, 2 / 5, 0], [1 / 2, 3 / 10, 1 / 5]],
    [[1, 0, 0], [1 / 4, 3 / 4, 0], [1 / 10, 7 / 10, 1 / 5]],
])
WORKED_TOKENS = ["The", " cat", " sat"]


def causal(n_layers, n_tokens, seed=0):
    """Random causal attention [L, T, T] whose rows sum to 1."""
    rng = np.random.default_rng(seed)
    a = np.tril(rng.random((n_layers, n_tokens, n_tokens)) ** 4 + 1e-3)
    return a / a.sum(-1, keepdims=True)


@pytest.fixture
def attention_file(tmp_path):
    """attention_file(array, m=2, tokens=[...]) writes an attention file and gives its path."""

    def write(attention, name="attention.safetensors", m=None, tokens=None, dtype=np.float32):
        metadata = {}
        if m is not None:
            metadata["m"] = str(m)
        if tokens is not None:
            metadata["tokens"] = json.dumps(tokens)
        path = tmp_path / name
        save_file({"attention": np.ascontiguousarray(attention, dtype=dtype)}, path, metadata=metadata or None)
        return path

    return write


@pytest.fixture
def worked(attention_file):
    return attention_file(WORKED, name="worked.safetensors", m=2, tokens=WORKED_TOKENS)
