"""The program on a real model: SmolLM2-135M-Instruct (llama) and Gemma 3 270M (sliding window, BOS)."""

import csv
import json
import os
import re
import signal
import subprocess

import numpy as np
import pytest
from conftest import environment
from patience import HANG_S, until_caught
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

pytestmark = pytest.mark.model

PROMPT = "Context: It is sunny today, which is bad.\nQ: How is the weather today ?\nA: It is"
COMPLETION = " sunny, but it is not as warm as it was yesterday."


@pytest.fixture
def explain(headwater, smollm):
    """explain(...) on the first model, 2 threads."""
    return lambda *args, **kwargs: headwater("explain", "-m", smollm, "--threads", "2", *args, **kwargs)


def test_generates_and_explains(headwater, smollm_f32):
    done = headwater("explain", "-m", smollm_f32, "--threads", "2", "-p", "The capital of France is", "-n", "3")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "Completion"
    assert " Paris" in lines[1]
    assert re.fullmatch(r"3 tokens, stopped at the limit, after a prompt of 5; .+, all F32", lines[2])
    assert "  The capital of France is" in lines
    assert re.findall(r"^(\w+) · all 3 completion tokens, mean$", done.out, re.M) == ["logit", "rollout"]
    assert len(re.findall(r"^  \d: ", done.out, re.M)) == 5 + 5
    assert re.search(r"^  logit above the mean logit +[\d.]+ nats, all layers together$", done.out, re.M)


def test_given_completion(explain, tmp_path):
    done = explain("-p", PROMPT, "--completion", COMPLETION, "--token", "sunny", "--preset", "note", "-o", "r.json")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Completion\n{COMPLETION}\n")
    assert "completion token 0: ·sunny" in done.out
    assert ", given, " in done.out
    shown = [int(i) for i in re.findall(r"^ +(\d+): ", done.out, re.M)]
    assert 0 not in shown and len(shown) == 10


def test_runs_repeat(explain):
    args = ("-p", "Once upon a time", "-n", "6", "--temp", "1", "--top-k", "40", "--top-p", "0.9")
    first = explain(*args, "--seed", "7")
    assert first.status == 0
    assert explain(*args, "--seed", "7").out == first.out
    assert explain(*args, "--seed", "8").out != first.out


def test_a_trace_explains_again_without_the_model(explain, headwater, tmp_path):
    saved = ("-o", "a.npy", "-o", "a.json", "-o", "a.csv", "-o", "a.safetensors", "--full")
    first = explain("-p", PROMPT, "-n", "4", "--method", "rollout", "--trace", "t.safetensors", *saved)
    assert (first.status, first.err) == (0, "")
    again = headwater("explain", "--trace", "t.safetensors", *[a.replace("a.", "b.") for a in saved])
    assert (again.status, again.err) == (0, "")
    assert again.out == first.out
    for ending in ("npy", "json", "csv", "safetensors"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes(), ending
    assert headwater("view", "t.safetensors").out == first.out
    assert headwater("view", "a.safetensors").out == first.out


def test_shapes_and_mass(explain, tmp_path):
    explain(
        "-p", PROMPT, "--completion", COMPLETION, "--method", "rollout", "-o", "r.safetensors", "-o", "r.csv", "-o",
        "r.npy"
    )
    tensors = load_file(tmp_path / "r.safetensors")
    m, outside = tensors["attribution"], tensors["outside"]
    assert m.shape[2] == 30 and outside.shape == (m.shape[0], 30)
    assert m.sum(1) + outside == pytest.approx(np.ones_like(outside), abs=1e-4)
    assert np.array_equal(np.load(tmp_path / "r.npy"), m)
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + m.size
    assert any("\n" in cell for row in rows for cell in row), "the prompt's newline token is quoted"


@pytest.mark.parametrize("given", ["-", "-f-"])
def test_prompt_from_standard_input(explain, given):
    args = ["-"] if given == "-" else ["-f", "-"]
    piped = explain(*args, "-n", "2", stdin=PROMPT.encode())
    assert piped.status == 0
    assert piped.out == explain("-p", PROMPT, "-n", "2").out


def test_prompt_from_a_file_keeps_every_byte(explain, tmp_path):
    (tmp_path / "p.txt").write_bytes(b"One\ntwo\n")
    done = explain("-f", "p.txt", "-n", "1", "-o", "r.json")
    assert done.status == 0
    assert json.dumps("One\ntwo\n")[1:-1] in (tmp_path / "r.json").read_text(encoding="utf-8")
    assert "\n  One\n" in re.sub(r"\n +[▁▂▃▄▅▆▇█ ]+(?=\n)", "", done.out).replace("⏎", "")


def test_invalid_utf8_is_kept_and_shown_replaced(explain, tmp_path):
    (tmp_path / "p.txt").write_bytes(b"caf\xe9 au lait \xf0\x9f")
    done = explain("-f", "p.txt", "-n", "1", "--trace", "t.safetensors")
    assert done.status == 0
    assert "caf� au lait �" in done.out


def test_characters_spread_over_tokens(explain, headwater):
    completion = " 𒀀 🦩 日本"
    done = explain("-p", "Symbols:", "--completion", completion)
    assert done.status == 0
    assert done.out.startswith(f"Completion\n{completion}\n"), "streamed whole, though tokens are parts of characters"
    prompted = explain("-p", "𒀀🦩", "-n", "1")
    assert "  𒀀🦩" in prompted.out
    listed = prompted.out.split("#: token")[1].split("\n\n")[0]
    assert (
        "�" not in listed and listed.count("𒀀") == listed.count("🦩") == 1 and "˙" in listed
    ), "each is where it begins"


def test_chat_template_is_visible_and_can_be_hidden(explain):
    done = explain("-p", "Say hi.", "--chat", "-n", "2")
    assert done.status == 0 and "<|im_start|>" in done.out and "Say hi." in done.out
    hidden = explain("-p", "Say hi.", "--chat", "-n", "2", "--hide", "special,template", "--top", "50")
    rows = re.findall(r"^ +\d+: (\S+)", hidden.out, re.M)
    assert rows and not any("<|" in row for row in rows)


def test_several_runs_of_the_prompt_in_one_pass_or_many(headwater, smollm_f32, tmp_path):
    """In full precision: kernels for quantised weights round by the number of rows."""
    for n in (1, 7, 512):
        done = headwater(
            "explain", "-m", smollm_f32, "--f32-cache", "--threads", "2", "-p", PROMPT, "--completion", " sunny",
            "--method", "rollout", "--ubatch", str(n), "-o", f"u{n}.npy"
        )
        assert done.status == 0, done
    whole = np.load(tmp_path / "u512.npy")
    for n in (1, 7):
        assert np.load(tmp_path / f"u{n}.npy") == pytest.approx(whole, abs=1e-6)


def test_beyond_the_context_says_by_how_much(explain):
    done = explain("-p", "one two three", "-n", "20", "--ctx", "16")
    assert (done.status, done.out) == (1, "")
    assert re.search(r"3 tokens and 20 of completion are 7 more than the context of 16", done.err)


def test_truncated_model(headwater, smollm, tmp_path):
    with open(smollm, "rb") as file:
        (tmp_path / "half.gguf").write_bytes(file.read(1 << 20))
    for command in (["info", "-m", "half.gguf"], ["explain", "-m", "half.gguf", "-p", "x"]):
        done = headwater(*command)
        assert (done.status, done.out) == (1, "")
        assert "half.gguf" in done.err


def test_a_token_that_is_not_there_lists_what_is(explain, tmp_path):
    done = explain(
        "-p", "The capital of France is", "--completion", " Paris, which", "--token", "Berlin", "--trace",
        "t.safetensors"
    )
    assert done.status == 1
    assert "\"Berlin\"" in done.err and "Paris" in done.err
    assert (tmp_path / "t.safetensors").exists(), "the run itself is kept"


def test_model_from_the_environment(headwater, smollm):
    done = headwater("explain", "-p", "The", "-n", "1", env={"HEADWATER_MODEL": str(smollm)})
    assert done.status == 0


def test_quiet_and_verbose(explain):
    assert explain("-p", "The", "-n", "1", "--quiet").err == ""
    log = explain("-p", "The", "-n", "1", "--verbose").err
    assert "llama" in log and all(line.startswith("headwater: ") for line in log.splitlines())


def test_info(headwater, smollm, gemma):
    done = headwater("info", "-m", smollm)
    assert (done.status, done.err) == (0, "")
    facts = dict(re.findall(r"^(\S.{15})(.+)$", done.out, re.M))
    facts = {key.strip(): value for key, value in facts.items()}
    assert facts["architecture"] == "llama"
    assert facts["quantisation"] == "Q4_1"
    assert facts["context"] == "8192 tokens in training"
    assert facts["layers"] == "30 of 30 have attention"
    assert facts["heads"] == "9, 3 for keys and values"
    assert facts["chat template"] == "yes, it renders"
    assert facts["sliding window"] == "none"
    assert facts["probe"].startswith("rows sum to 1 within ")
    assert facts["methods"] == "rollout: yes"
    other = headwater("info", "-m", gemma).out
    assert re.search(r"^sliding window +512 tokens$", other, re.M)
    assert "a BOS before every prompt" in other


def test_a_second_family(headwater, gemma):
    done = headwater(
        "explain", "-m", gemma, "-p", "Paris is the capital of", "--completion", " France", "--hide", "first,special"
    )
    assert (done.status, done.err) == (0, "")
    assert " France" in done.out and "<bos>" in done.out


# ---------------------------------------------------------------------- Ctrl-C and readers that leave


def start(program, args, cwd):
    return subprocess.Popen([str(program), *map(os.fspath, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, cwd=cwd, env=environment())


def read_until(process, wanted):
    """Standard output up to where `wanted` bytes are there."""
    seen = b""
    while len(seen) < wanted:
        chunk = os.read(process.stdout.fileno(), 4096)
        assert chunk, process.stderr.read()
        seen += chunk
    return seen


def test_ctrl_c_during_generation_keeps_what_is_there(program, headwater, smollm, tmp_path):
    args = ["explain", "-m", smollm, "-p", "Once upon a time", "-n", "2000", "-o", "r.npy", "-o",
            "r.json", "--trace", "t.safetensors"]
    process = start(program, args, tmp_path)
    seen = read_until(process, len("Completion\n") + 8)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_S)
    text = (seen + out).decode()
    assert process.returncode == 130, err
    assert err == b"headwater: interrupted: explaining the tokens so far; Ctrl-C again ends at once\n"
    n = int(re.search(r"^(\d+) tokens?, interrupted, ", text, re.M).group(1))
    assert 1 <= n < 2000
    assert "rollout · " in text and "mass on token 0" in text
    assert np.load(tmp_path / "r.rollout.npy").shape[0] == np.load(tmp_path / "r.logit.npy").shape[0] == n
    assert "cancelled" in (tmp_path / "r.json").read_text(encoding="utf-8")
    again = headwater("explain", "--trace", "t.safetensors", "-o", "again.npy")
    assert again.status == 0, "reopened, an interrupted run is like any other"
    for method in ("rollout", "logit"):
        assert (tmp_path / f"again.{method}.npy").read_bytes() == (tmp_path / f"r.{method}.npy").read_bytes()


def test_ctrl_c_before_the_first_token(program, smollm, tmp_path):
    (tmp_path / "p.txt").write_text("word " * 6000)
    process = start(program, ["explain", "-m", smollm, "-f", "p.txt", "-n", "5", "-o", "r.json"], tmp_path)
    until_caught(process, signal.SIGINT)  # the model is not loaded by then, or the prompt far from read
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, out, err) == (130, b"", b"headwater: interrupted\n")
    assert not (tmp_path / "r.json").exists()


def test_a_reader_that_leaves_ends_the_generation(program, smollm, tmp_path):
    process = start(program, ["explain", "-m", smollm, "-p", "Once upon a time", "-n", "2000", "-o", "r.npy"], tmp_path)
    read_until(process, 1)
    process.stdout.close()
    assert process.wait(timeout=HANG_S) == 1
    assert process.stderr.read() == b""
    assert np.load(tmp_path / "r.rollout.npy").shape[0] < 2000
    process.stderr.close()


@pytest.mark.parametrize("settings", [(), ("--row", "own", "--residual", "measured"), ("--direction", "output")])
def test_rows_that_pass_by_explain_as_kept_ones(explain, tmp_path, settings):
    """By segments and without --trace rollout is composed while the model runs. Float sums by blocks of other sizes:
    1e-6."""
    text = " ".join(f"Note {i}: the train to platform {i % 7} leaves at {i * 7 % 60} minutes past." for i in range(20))
    run = ("-p", text, "-n", "4", "--by", "sentence", "--method", "rollout", *settings, "-q")
    passing, kept = tmp_path / "passing.npy", tmp_path / "kept.npy"
    assert explain(*run, "-o", passing).status == 0
    assert explain(*run, "-o", kept, "--trace", tmp_path / "t.safetensors").status == 0
    fed, whole = np.load(passing), np.load(kept)
    assert fed.shape == whole.shape and fed.shape[1] == 20
    np.testing.assert_allclose(fed, whole, rtol=0, atol=1e-6)


FACTS = "The dog is named Rex. The key is in the blue cup. Oscar lives in Rome.\nWhere is the key?"


def result(path):
    found = json.loads(path.read_text())
    return {a["method"]: a for a in found["attributions"]}


@pytest.mark.parametrize("by", ["token", "sentence", "spans"])
def test_segments_are_the_whole_prompt(headwater, explain, tmp_path, by):
    """The chat template and text between spans are one more segment: nothing of the prompt counts as outside it."""
    (tmp_path / "s.json").write_text(
        json.dumps(
            [
                {"name": "Rex", "begin": 0, "end": 21},
                {"name": "tiny 🌊", "begin": 21, "end": 22},
                {"name": "key, \"where\"", "begin": 22, "end": 49},
            ]
        )
    )
    cut = ["--spans", "s.json"] if by == "spans" else ["--by", by]
    run = ["-p", FACTS, "--completion", " In the", "--chat", "--method", "rollout,attention,logit"]
    assert explain(*run, "-o", "plain.json").status == 0
    done = explain(*run, *cut, "-o", "cut.json")
    assert done.status == 0
    plain, parts = result(tmp_path / "plain.json"), result(tmp_path / "cut.json")
    for method, a in parts.items():
        settings = a["settings"]
        assert min(settings["groups"]) == 0 and max(settings["groups"]) == settings["n_groups"] - 1
        assert len(settings["group_names"]) == settings["n_groups"] == a["shape"][1]
        np.testing.assert_allclose(np.sum(a["mean"], 1), np.sum(plain[method]["mean"], 1), atol=1e-5)
        np.testing.assert_allclose(a["outside"], plain[method]["outside"], atol=1e-5)
    assert "mass on token 0's segment" in done.out and "Hide token 0" not in done.out
    assert "#: segment" in done.out
    if by == "spans":
        assert parts["logit"]["settings"]["group_names"] == ["Rex", "tiny 🌊", 'key, "where"', "(outside the spans)"]
        assert 'span 1, "tiny 🌊", holds no token' in done.err and ": key, \"where\"" in done.out
        assert "(outside the spans)" in headwater("view", "cut.json").out


def test_hiding_where_no_segment_is_hidden_whole(explain):
    done = explain(
        "-p", FACTS, "--completion", " In", "--by", "sentence", "--method", "attention", "--hide", "first,/Oscar/"
    )
    assert "0.000 by --hide first,/Oscar/: a segment is hidden where all of its tokens are, and none is" in done.out


def test_rollout_does_not_depend_on_the_threads(headwater, smollm, tmp_path):
    """To the last bit, at a length where one product could take 64 rows or 128: BLAS rounds by the shape of a
    product."""
    prompt = "The old house stood at the end of a long road. " * 27
    for threads in "123":
        done = headwater(
            "explain", "-m", smollm, "-p", prompt, "-n", "4", "--method", "rollout", "--threads", threads, "-q",
            "-o", f"{threads}.npy"
        )
        assert done.status == 0, done.err
    one, two, three = (np.load(tmp_path / f"{threads}.npy") for threads in "123")
    assert 256 < one.shape[1] < 384  # columns, of the prompt
    assert np.array_equal(one, two) and np.array_equal(one, three)


def change_balance(path, change):
    """Changes every row of the balance in a result file."""
    with safe_open(path, "numpy") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()
    attribution = json.loads(metadata["attribution"])
    for row in attribution["balance"]:
        change(row)
    save_file(tensors, path, metadata=metadata | {"attribution": json.dumps(attribution)})


def test_a_balance_that_does_not_close_is_never_rounding(headwater, smollm, tmp_path):
    headwater("explain", "-m", smollm, "-p", "The sky is", "-n", "2", "--method", "logit", "-q", "-o", "a.safetensors")
    path = tmp_path / "a.safetensors"
    whole = headwater("view", path).out
    assert "the last token's embedding" in whole and "do not add up" not in whole

    def set_rest(share):
        def change(row):
            parts = [row[k] for k in ("prompt", "completion", "bias", "mlp", "embedding")]
            row["logit"] = sum(parts) + share * sum(map(abs, parts))
        return change

    change_balance(path, set_rest(0.05))
    rounded = headwater("view", path).out
    assert "rounding of the engine's output product +" in rounded and "do not add up" not in rounded
    change_balance(path, set_rest(-0.07))
    open_sheet = headwater("view", path).out
    assert "rounding of" not in open_sheet
    assert re.search(
        r"! These parts do not add up to the logit: of token \d's \+?[-\d.]+ nats they miss -[\d.]+, more than 6 % of",
        open_sheet,
    )
