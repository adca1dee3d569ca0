"""examples/rag_citations.py: what docs/guide/python.md shows is what it prints."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = pathlib.Path(os.environ.get("HEADWATER_TEST_MODELS", "build/models"))
MODEL = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_citations_of_a_program():
    command = [sys.executable, ROOT / "examples" / "rag_citations.py", MODEL, "Where is the key?"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer, *documents = done.stdout.splitlines()
    assert answer.endswith("[1]") and documents[0].startswith("[1] Notes: ") and len(documents) == 2
    shown = (ROOT / "docs" / "guide" / "python.md").read_text()
    assert answer in shown
