"""examples/: each compiles without warnings and prints sources; those in C and in C++ the same, with a loop of their
own too. The guide shows what they print."""

import os
import pathlib
import re

import pytest
from conftest import MODEL, ROOT, run
from shown import is_shown

ENGINE = pathlib.Path(os.environ["HEADWATER_ENGINE"])
PROMPT = "My name is Abdul, I am from"
STANDARD = {".c": "c99", ".cpp": "c++17"}


@pytest.fixture(scope="module")
def examples(build):
    libraries = [f"-L{ENGINE}/lib", "-lllama", "-lggml", "-lggml-base", f"-Wl,-rpath,{ENGINE}/lib"]
    sources = [ROOT / "examples" / name for name in ("explain.c", "explain.cpp", "own_loop.c", "own_loop.cpp")]
    return [build(source, options=[f"-std={STANDARD[source.suffix]}", f"-isystem{ENGINE}/include"],
                  libraries=libraries if "own" in source.stem else []) for source in sources]


def test_each_token_has_its_source(examples):
    printed = []
    for example in examples:
        done = run(example, MODEL, PROMPT)
        assert (done.returncode, done.stderr) == (0, "")
        printed.append(done.stdout)
    assert len(set(printed)) == 1
    is_shown(printed[0], "docs/guide/examples.md", "README.md")
    rows = [line.split(" <- ") for line in printed[0].splitlines()]
    assert len(rows) == 6
    assert all(token.strip() and source and source in PROMPT for token, source in rows)


def test_an_answer_from_documents_names_those_that_it_is_based_on(build):
    """With its own search: the document that has the answer is found, marked, and not the one beside it."""
    done = run(build(ROOT / "examples/rag_citations.c", options=["-std=c99"]), MODEL, "Where is the key?")
    assert (done.returncode, done.stderr) == (0, "")
    answer, *documents = done.stdout.splitlines()
    assert "blue cup. [1]" in answer
    assert re.fullmatch(r"\[1\] Notes: \d+% of the answer", documents[0]) and documents[1].startswith("    ")
    shares = [int(re.search(r"(\d+)%", line)[1]) for line in documents]
    assert len(shares) == 2 and shares[0] > 3 * shares[1]
    is_shown(done.stdout, "docs/guide/examples.md")


def test_errors_are_named(examples):
    for example in examples:
        assert run(example).returncode == 1
        done = run(example, "missing.gguf", PROMPT)
        assert done.returncode == 1
        assert ("missing.gguf" in done.stderr and os.strerror(2) in done.stderr
                or done.stderr == "the model cannot be loaded\n")  # by libllama


def test_a_trace_is_built_of_rows(build):
    """Rows that look back evenly: R is known."""
    done = run(build(ROOT / "examples" / "build_trace.c", options=["-std=c99"]))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "sat  <-  the 0.438  cat 0.562\ndown <-  the 0.319  cat 0.236\n"
    is_shown(done.stdout, "docs/guide/examples.md")
