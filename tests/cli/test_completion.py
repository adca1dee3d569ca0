"""`headwater complete`, which completion functions of shells call, bash's function in a real bash, and manual pages."""

import pathlib
import re

import pytest
from shell_line import Shell

COMMIT = 40 * "1"
ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def candidates(headwater):
    def listed(*words):
        done = headwater("complete", *words)
        assert (done.status, done.err) == (0, "")
        kind, *lines = done.out.splitlines()
        assert all(line.count("\t") == 1 for line in lines)
        return kind, [line.split("\t")[0] for line in lines]

    return listed


def commands_of(headwater):
    return re.findall(r"^  (\w+)  +\w", headwater("--help").out.split("Commands")[1], re.M)


def test_commands(candidates, headwater):
    kind, listed = candidates("")
    assert kind == "words" and listed[:-4] == commands_of(headwater)
    assert candidates("pl")[1] == ["plot"]
    assert candidates("help", "e")[1] == candidates("manual", "e")[1] == ["explain", "eval"]
    assert candidates("help", "explain", "e")[1] == candidates("nothing", "e")[1] == []


def test_options_are_those_of_the_help(candidates, headwater):
    for command in commands_of(headwater):
        listed = re.findall(r"^  (?:-\w, |    )(--[\w-]+)", headwater(command, "--help").out, re.M)
        assert candidates(command, "--")[1] == listed
    assert candidates("explain", "-p", "--not-an-option", "--prom")[1] == ["--prompt"]


@pytest.mark.parametrize("words, expected", [
    (["explain", "--method", "rollout,log"], ["rollout,logit"]),
    (["explain", "--method=rollout,log"], ["--method=rollout,logit"]),
    (["explain", "--thinking", ""], ["on", "off"]),
    (["explain", "--color", "a"], ["auto", "always"]),
    (["explain", "--row", ""], ["predictor", "own"]),
    (["explain", "--hide", "first,stop"], ["first,stopwords"]),
    (["explain", "--by", "s"], ["sentence"]),
    (["explain", "--residual", ""], ["measured"]),
    (["view", "--preset", ""], ["note"]),
    (["plot", "--theme=l"], ["--theme=light"]),
    (["plot", "--kind", "p"], ["profile"]),
    (["plot", "--map", "pl"], ["plasma"]),
    (["eval", "--format", ""], ["text", "csv", "json"]),
    (["serve", "--port", ""], []),
    (["explain", "--preset", "note", "--", "--met"], []),
])
def test_values(candidates, words, expected):
    assert candidates(*words)[1] == expected


def test_file_names(candidates):
    for words in (["explain", "-f", ""], ["explain", "--model", "x"], ["explain", "--spans=x"], ["view", ""],
                  ["serve", "--socket", ""], ["explain", "--trace", ""]):
        assert candidates(*words)[0] == "files", words
    for words in (["explain", "-p", ""], ["explain", "-n", ""], ["serve", "--host", ""]):
        assert candidates(*words) == ("words", []), words


def test_names_of_models_that_other_programs_have_stored(headwater, tmp_path):
    snapshot = tmp_path / "hub/models--someone--tiny-GGUF/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text(COMMIT)
    (snapshot / "tiny-Q4_0.gguf").write_bytes(b"GGUF")
    (snapshot / "tiny\n.gguf").write_bytes(b"GGUF")
    done = headwater("complete", "explain", "-m", "hf:someone/", env={"HF_HOME": str(tmp_path)})
    assert done.out == "files\nhf:someone/tiny-GGUF:Q4_0\tHugging Face cache\n"


@pytest.fixture(scope="module")
def bash(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    (folder / "a question.txt").write_text("?")
    shell = Shell("bash", program, ROOT / "tools/completion/headwater.bash", folder)
    yield shell
    shell.close()


@pytest.mark.parametrize("line, words", [
    ("headwater exp", ["explain"]),
    ("headwater explain --prom", ["explain", "--prompt"]),
    ("headwater explain --method logit,roll", ["explain", "--method", "logit,rollout"]),
    ("headwater explain --method=logit,roll", ["explain", "--method=logit,rollout"]),
    ("headwater explain -p 'My name' --pres", ["explain", "-p", "My name", "--preset"]),
    ("headwater explain -f a", ["explain", "-f", "a question.txt"]),
    ("headwater plot --spans=a", ["plot", "--spans=a question.txt"]),
    ("headwater help pl", ["help", "plot"]),
])
def test_a_real_bash_completes_the_line(bash, line, words):
    assert bash.complete(line) == words


def test_manual_pages_have_what_the_help_has(headwater):
    for command in commands_of(headwater):
        page = headwater("manual", command).out
        listed = re.findall(r"^  (?:-\w, |    )(--[\w-]+)", headwater(command, "--help").out, re.M)
        assert re.findall(r"^(?:\\fB\\-\w\\fR, )?\\fB(\\-\\-[\w\\-]+)\\fR", page, re.M) == \
            [name.replace("-", "\\-") for name in listed]
        assert page.startswith(f'.TH "HEADWATER-{command.upper()}" 1 ')
        assert not re.search(r"^['.](?!TH|SH|SS|TP|nf|fi|br|nh|ad l)", page, re.M)
        assert f"headwater\\-{command}\\fR(1)" in headwater("manual").out
    assert headwater("manual", "nothing").status == 2
