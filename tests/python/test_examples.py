"""What README.md, docs/guide/python.md and docs/guide/examples.md show of Python is what runs, and what it prints."""

import ast
import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys

import pytest
from shown import alike, is_shown

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = pathlib.Path(os.environ.get("HEADWATER_TEST_MODELS", "build/models"))
MODEL = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"


def results(block, names):
    """(source, what it gives, what the comment behind it, or the line below it, says) of each expression."""
    lines = block.splitlines()
    for node in ast.parse(block).body:
        source = ast.unparse(node)
        if not isinstance(node, ast.Expr):
            exec(source, names)
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = eval(source, names)
        says = re.match(r" *# (.*)", lines[node.end_lineno - 1][node.end_col_offset:])
        below = re.match(r"# (.*)", lines[node.end_lineno]) if node.end_lineno < len(lines) else None
        yield source, printed.getvalue().rstrip("\n") or repr(value), (below or says)[1]


@pytest.mark.parametrize(("file", "blocks", "n"), [("docs/guide/python.md", slice(2), 6), ("README.md", slice(1), 2)])
def test_the_guide_shows_what_is_printed(file, blocks, n, tmp_path, monkeypatch):
    (tmp_path / MODEL.name).symlink_to(MODEL.absolute())
    monkeypatch.chdir(tmp_path)
    names, seen = {}, 0
    found = re.findall(r"```python\n(import headwater\n.*?|documents = .*?)```", (ROOT / file).read_text(), re.S)
    for block in found[blocks]:
        for source, made, says in results(block, names):
            assert alike(says, made) or source.endswith(".values"), source
            seen += 1
    assert seen == n


def test_citations_of_a_program():
    command = [sys.executable, ROOT / "examples" / "rag_citations.py", MODEL, "Where is the key?"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "[1]" in done.stdout and "[1] Notes: " in done.stdout
    is_shown(done.stdout, "docs/guide/python.md", "docs/guide/examples.md")
