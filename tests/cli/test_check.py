"""`headwater check` on a real model, and what it refuses before and after the model runs."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
from conftest import environment
from patience import HANG_S

FACTS = ("Anna keeps clocks. ", "Boris repairs boats. ", "Clara paints tulips. ", "David sells stamps. ")
QUESTION = "Question: What does Clara do? Answer: Clara paints"
PROMPT = "".join(FACTS) + QUESTION
FIGURES = r"(?: +(?:-?\d+\.\d+|-)){6} +\d+"
BASELINES = ["random", "uniform", "attention", "leave-one-out"]


@pytest.fixture
def spans(tmp_path):
    """The facts as a spans file: the question always stays."""
    begin, listed = 0, []
    for i, fact in enumerate(FACTS):
        listed.append({"name": f"fact {i}", "begin": begin, "end": begin + len(fact)})
        begin += len(fact)
    path = tmp_path / "spans.json"
    path.write_text(json.dumps(listed))
    return path


@pytest.fixture
def check(headwater, smollm):
    return lambda *args, **kwargs: headwater("check", "-m", smollm, "--threads", "2", *args, **kwargs)


@pytest.mark.model
def test_finds_the_fact_and_says_so(check, spans, tmp_path):
    done = check("-p", PROMPT, "--completion", " tulips", "--spans", spans, "--ablations", "12", "-o", "c.json")
    assert (done.status, done.err) == (0, "")
    assert re.search(
        r"^Check over 4 segments \(given spans\), \d tokens?, log probability -\d+\.\d\d nats$", done.out, re.M
    )
    methods = re.findall(rf"^  (\S+){FIGURES}$", done.out, re.M)
    assert methods == ["logit", "rollout", *BASELINES]
    assert "\nTop segment of logit: 2: Clara paints tulips.\n" in done.out
    assert re.search(r"^logit: right where it can be checked: without its top segment the answer is ", done.out, re.M)

    saved = json.loads((tmp_path / "c.json").read_text())
    assert saved["format"] == "headwater-check" and saved["version"] == 1
    assert [row["method"] for row in saved["methods"]] == methods
    assert [s["name"] for s in saved["segments"]] == [f"fact {i}" for i in range(4)]
    assert saved["by"] is None and saved["ablations"] == 12
    assert saved["verdict"] in done.out
    assert f"{saved['passes']} forward passes in all" in done.out
    page = (pathlib.Path(__file__).parents[2] / "docs" / "reference" / "formats.md").read_text(encoding="utf-8")
    documented = json.loads(re.search(r"```json check\n(.*?)```", page, re.S).group(1))
    assert list(saved) == list(documented)
    for key in ("segments", "methods"):
        assert list(saved[key][0]) == list(documented[key][0])
    logit, alone = saved["methods"][0], saved["methods"][-1]
    assert logit["drop"]["1"] == alone["drop"]["1"] > 2
    assert logit["drop"]["5"] is None  # there are four
    assert [row["passes"] for row in saved["methods"]] == [0, 0, 0, 0, 0, 4]


@pytest.mark.model
def test_sentences_methods_and_one_token(check, tmp_path):
    args = (
        "-p", PROMPT, "-n", "3", "--method", "logit,random", "--token", "0", "--ablations", "4", "--seed", "3",
        "-o", "c.json"
    )
    done = check(*args)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Completion\n")
    saved = json.loads((tmp_path / "c.json").read_text())
    assert [row["method"] for row in saved["methods"]] == ["logit", "random", "uniform", "attention", "leave-one-out"]
    assert (saved["by"], saved["tokens"], saved["seed"]) == ("sentence", [0, 1], 3)
    assert saved["segments"][0] == {"name": "", "begin": 0, "end": len(FACTS[0])}
    assert check(*args).out == done.out


@pytest.mark.model
def test_explanations_by_running_again(check):
    done = check("-p", PROMPT, "--completion", " tulips", "--method", "leave-one-out,ablation", "--ablations", "8")
    assert (done.status, done.err) == (0, "")
    passes = dict(re.findall(rf"^  (\S+)(?: +\S+){{6}} +(\d+)$", done.out, re.M))
    assert (passes["leave-one-out"], passes["ablation"]) == ("6", "8")
    assert "leave-one-out: right by construction" in done.out or "leave-one-out: cannot be judged" in done.out


@pytest.mark.model
def test_the_line_that_the_answer_goes_on_from_is_no_evidence(check):
    prompt = (
        "Facts: The dog is named Rex. The key is in the blue cup. Oscar lives in Rome.\nQuestion: Where is the key?\n"
        "Answer: The key is in the"
    )
    done = check("-p", prompt, "--completion", " blue cup", "--method", "logit", "--ablations", "8")
    assert (done.status, done.err) == (0, "")
    assert re.search(
        r"^logit: right where it can be checked: the best choice is the text "
        r"that the answer goes on from \(\d+\.\d nats\); "
        r"among the others: .*the best choice, segment 1, ",
        done.out,
        re.M,
    ), done.out


@pytest.mark.model
def test_no_method_is_blamed_where_no_segment_supports_the_answer(check):
    """Without any of these the answer is likelier."""
    done = check(
        "-p", "The capital of France. The sky. Two. Three.", "--completion", " Zqx qq", "--method", "logit",
        "--ablations", "8"
    )
    assert (done.status, done.err) == (0, "")
    assert "\nlogit: cannot be judged here: no single segment's absence makes the answer much less likely" in done.out


@pytest.mark.model
def test_bytes_of_a_name_that_is_no_text_are_kept(headwater, smollm, tmp_path):
    (tmp_path / os.fsdecode(b"m\xff.gguf")).symlink_to(smollm)
    done = headwater(
        "check",
        "-m",
        b"m\xff.gguf",
        "-p",
        PROMPT,
        "--completion",
        " tulips",
        "--method",
        "logit",
        "--ablations",
        "4",
        "-o",
        "c.json",
    )
    assert done.status == 0
    saved = json.loads((tmp_path / "c.json").read_text())
    assert saved["model"] == "m\ufffd.gguf" and bytes.fromhex(saved["model_bytes"]) == b"m\xff.gguf"


@pytest.mark.model
@pytest.mark.parametrize("args, part", [
    (["-p", "One sentence only", "--completion", " here"], "1 segment: with fewer than 2 there is nothing to rank"),
    (["-p", PROMPT, "--completion", " tulips", "--by", "/[/"], "expression"),
    (["-p", PROMPT, "--completion", " tulips", "--token", "9"], 'token "9" selects nothing'),
    (["-p", "word " * 600, "--completion", " here", "--by", "word", "--ablations", "2"], "at most 512 are accepted"),
])
def test_what_only_the_run_shows_is_refused(check, args, part):
    done = check(*args)
    assert done.status == 1
    assert part in done.err


@pytest.mark.model
def test_bad_spans_are_refused(check, tmp_path):
    for text, part in (
        ('[{"begin": 0, "end": 9}, {"begin": 5, "end": 12}]', "spans[1] (5 to 12) overlaps spans[0]"),
        ("[{]", "JSON"),
        ('[{"begin": 0, "end": 9999}]', "9999"),
    ):
        path = tmp_path / "bad.json"
        path.write_text(text)
        done = check("-p", PROMPT, "--completion", " tulips", "--spans", path)
        assert done.status == 1 and part in done.err, done


@pytest.mark.parametrize("args, part", [
    ([], "no prompt: give -p TEXT, -f FILE, or - for standard input"),
    (["-p", "a", "-"], "more than one prompt"),
    (["-p", "a", "--by", "sentense"], 'did you mean sentence?'),
    (["-p", "a", "--by", "word", "--spans", "s.json"], "--by and --spans both cut the prompt"),
    (["-p", "a", "-o", "c.csv"], "a check is saved as .json"),
    (["-p", "a", "--ablations", "1"], "must be a whole number from 2 to 100000"),
    (["-p", "a", "--method", "contributions"], "did you mean contribution?"),
    (["-p", "a", "--completion", ""], "there is nothing in it to explain"),
    (["-p", "a", "--trace", "t"], "check has no option --trace"),
])
def test_a_wrong_line_is_refused_before_the_model_loads(headwater, args, part):
    done = headwater("check", "-m", "none.gguf", *args)
    assert (done.status, done.out) == (2, "")
    assert part in done.err


def test_missing_files_are_named(headwater):
    done = headwater("check", "-m", "none.gguf", "-p", "a", "--spans", "none.json")
    assert (done.status, done.err) == (1, "headwater: spans none.json: No such file or directory\n")
    done = headwater("check", "-m", "none.gguf", "-p", "a", "-o", "no/folder/c.json")
    assert done.status == 1 and "cannot write no/folder/c.json" in done.err


@pytest.mark.model
def test_ctrl_c_ends_it(program, smollm, tmp_path):
    command = [
        program,
        "check",
        "-m",
        smollm,
        "-p",
        PROMPT * 8,
        "--completion",
        " tulips",
        "--by",
        "word",
        "-o",
        "c.json",
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment())
    assert child.stdout.readline()  # the run itself is about to be done
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=HANG_S)
    assert (child.returncode, err) == (130, b"headwater: interrupted\n")
    assert b"Check over" not in out and not (tmp_path / "c.json").exists()
