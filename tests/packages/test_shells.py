"""Completion in a real zsh and a real fish (bash: tests/cli/test_completion.py), and manual pages as mandoc and groff
read them."""

import os
import pathlib
import subprocess

import pytest
from shell_line import Shell

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES = [
    ("headwater exp", ["explain"]),
    ("headwater explain --prom", ["explain", "--prompt"]),
    ("headwater explain --method logit,roll", ["explain", "--method", "logit,rollout"]),
    ("headwater explain --method=logit,roll", ["explain", "--method=logit,rollout"]),
    ("headwater plot --kind pr", ["plot", "--kind", "profile"]),
    ("headwater explain -f a", ["explain", "-f", "a question.txt"]),
    ("headwater plot --spans=a", ["plot", "--spans=a question.txt"]),
    ("headwater help pl", ["help", "plot"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    (folder / "a question.txt").write_text("?")
    return folder


@pytest.fixture(scope="module")
def zsh(program, folder):
    shell = Shell("zsh", program, ROOT / "tools/completion/_headwater", folder)
    yield shell
    shell.close()


@pytest.mark.parametrize("line, words", LINES)
def test_zsh_completes_the_line(zsh, line, words):
    assert zsh.complete(line) == words


@pytest.mark.parametrize("line, words", LINES)
def test_fish_lists_the_one_candidate(program, folder, line, words):
    script = f"source '{ROOT}/tools/completion/headwater.fish'; complete -C \"{line}\""
    environment = {**os.environ, "HOME": str(folder), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    out = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, cwd=folder, check=True,
                         env=environment).stdout
    assert [found.split("\t")[0] for found in out.splitlines()] == [words[-1]]


def pages(program):
    listed = subprocess.run([program, "complete", "help", ""], capture_output=True, text=True, check=True).stdout
    return [[], *([line.split("\t")[0]] for line in listed.splitlines()[1:])]


def test_manual_pages_have_no_warnings(program, tmp_path):
    for command in pages(program):
        page = tmp_path / ("-".join(["headwater", *command]) + ".1")
        page.write_bytes(subprocess.run([program, "manual", *command], capture_output=True, check=True).stdout)
        for check in (["mandoc", "-T", "lint", "-W", "warning", page],
                      ["man", "--warnings", "-E", "UTF-8", "-l", page]):
            done = subprocess.run(check, capture_output=True, text=True,
                                  env={**os.environ, "MANROFFSEQ": "", "LC_ALL": "C.UTF-8"})
            assert (done.returncode, done.stderr) == (0, "") and (check[0] == "man" or done.stdout == ""), done
