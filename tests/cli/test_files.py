"""Files in and out: formats, several methods, what cannot be read, what cannot be written."""

import csv
import json
import os
import re
import resource
import signal
import subprocess

import numpy as np
import pytest
from conftest import WORKED, WORKED_TOKENS, causal
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

ROLLOUT = np.array([[3 / 10, 31 / 80], [7 / 10, 49 / 80]])  # predictor row of the worked example: [m, L]


def test_formats_by_ending(headwater, worked, tmp_path):
    outputs = [f"r.{ending}" for ending in ("json", "csv", "npy", "safetensors")]
    done = headwater("explain", "--attention", worked, *[a for o in outputs for a in ("-o", o)])
    assert (done.status, done.err) == (0, "")
    assert np.load(tmp_path / "r.npy")[0] == pytest.approx(ROLLOUT, rel=1e-6)
    tensors = load_file(tmp_path / "r.safetensors")
    assert tensors["attribution"][0] == pytest.approx(ROLLOUT, rel=1e-6)
    assert tensors["outside"] == pytest.approx(np.zeros((1, 2)), abs=1e-7)
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert isinstance(result, dict)
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + 1 * 2 * 2
    assert float(rows[1][-1]) == pytest.approx(3 / 10, rel=1e-6)


def test_full_json_holds_the_whole_tensor(headwater, worked, tmp_path):
    assert headwater("explain", "--attention", worked, "-o", "means.json").status == 0
    assert headwater("explain", "--attention", worked, "-o", "full.json", "--full").status == 0
    assert (tmp_path / "full.json").stat().st_size > (tmp_path / "means.json").stat().st_size
    done = headwater("view", "full.json", "--layers", "2")
    assert done.status == 0 and "0.6125" in done.out
    done = headwater("view", "means.json")
    assert done.status == 0 and "one value for all layers" in done.out and "0.6562" in done.out


@pytest.mark.parametrize("ending", ["safetensors", "json"])
def test_view_shows_a_result_as_explain_did(headwater, worked, ending):
    shown = headwater("explain", "--attention", worked, "-o", f"r.{ending}", "--full", "--row", "own")
    viewed = headwater("view", f"r.{ending}")
    assert (viewed.status, viewed.err) == (0, "")
    assert viewed.out == shown.out


def test_view_converts(headwater, worked, tmp_path):
    headwater("explain", "--attention", worked, "-o", "a.safetensors", "-o", "a.npy")
    done = headwater("view", "a.safetensors", "--token", "0", "-o", "b.npy", "-o", "b.csv")
    assert done.status == 0
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()


def test_view_of_attention(headwater, worked):
    assert headwater("view", worked).out == headwater("explain", "--attention", worked).out


@pytest.mark.parametrize(
    "args,why",
    [
        (["--method", "rollout"], "--method cannot be combined with a saved result: it holds computed explanations"),
        (["--row", "own"], "--row cannot be combined with a saved result: it holds computed explanations"),
        (
            ["--fuse", "max"],
            "--fuse cannot be combined with a saved result: the heads were fused when the run was captured",
        ),
    ],
)
def test_a_finished_result_takes_no_method_options(headwater, worked, args, why):
    headwater("explain", "--attention", worked, "-o", "r.safetensors")
    done = headwater("view", "r.safetensors", *args)
    assert (done.status, done.out) == (2, "")
    assert done.err == f"headwater: {why}\nSee `headwater view --help`.\n"


# ---------------------------------------------------------------------- traces


def test_a_trace_explains_again_bit_for_bit(headwater, attention_file, tmp_path):
    path = attention_file(causal(4, 12, seed=3), m=8, tokens=[f" t{i}" for i in range(12)])
    first = headwater("explain", "--attention", path, "--fuse", "mean", "--trace", "t.safetensors", "-o", "a.npy", "-o",
                      "a.json", "--full")
    assert (first.status, first.err) == (0, "")
    again = headwater("explain", "--trace", "t.safetensors", "-o", "b.npy", "-o", "b.json", "--full")
    assert (again.status, again.err) == (0, "")
    assert again.out == first.out
    for ending in ("npy", "json"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    assert headwater("view", "t.safetensors").out == first.out


def test_a_trace_takes_other_settings(headwater, worked):
    headwater("explain", "--attention", worked, "--trace", "t.safetensors")
    done = headwater("explain", "--trace", "t.safetensors", "--row", "own", "--layers", "2")
    assert done.out == headwater("explain", "--attention", worked, "--row", "own", "--layers", "2").out


def test_fusing_heads_of_an_import(headwater, attention_file, tmp_path):
    heads = np.stack([causal(1, 3, seed=s)[0] for s in range(3)])[None]  # [1, 3, 3, 3]
    path = attention_file(heads, m=2)
    for fuse in ("mean", "max", "min"):
        headwater("explain", "--attention", path, "--fuse", fuse, "--row", "own", "-o", f"{fuse}.npy")
        fused = getattr(heads[0], fuse)(axis=0)
        fused /= fused.sum(-1, keepdims=True)
        half = (fused + np.eye(3)) / 2
        assert np.load(tmp_path / f"{fuse}.npy")[0, :, 0] == pytest.approx(half[2, :2], rel=1e-6)


# ---------------------------------------------------------------------- what cannot be read


def break_nan(a):
    a[1, 2, 0] = np.nan
    return a


def break_sum(a):
    a[1, 2] *= 1.01
    return a


def break_causality(a):
    a[1, 1] = [0.2, 0.3, 0.5]
    return a


def break_sign(a):
    a[1, 2] = [1.5, -0.5, 0]
    return a


@pytest.mark.parametrize("spoil,words", [
    (break_nan, ["layer", "row", "nan"]),
    (break_sum, ["row", "1.01"]),
    (break_causality, ["row", "0.5"]),
    (break_sign, ["-0.5"]),
])
def test_attention_that_cannot_be_right(headwater, attention_file, spoil, words):
    path = attention_file(spoil(WORKED.copy()), m=2, tokens=WORKED_TOKENS)
    done = headwater("explain", "--attention", path, "-o", "r.json")
    assert (done.status, done.out) == (1, "")
    for word in [str(path), *words]:
        assert word.lower() in done.err.lower(), done.err


@pytest.mark.parametrize("m", ["0", "4", "-1", "x", "2.5", ""])
def test_prompt_length_out_of_range(headwater, attention_file, m):
    done = headwater("explain", "--attention", attention_file(WORKED, m=m))
    assert (done.status, done.out) == (1, "")
    assert "m" in done.err


@pytest.mark.parametrize("tokens", [["a"], ["a", "b", "c", "d"], [1, 2, 3], "abc", {"a": 1}])
def test_token_names_that_do_not_fit(headwater, attention_file, tokens):
    done = headwater("explain", "--attention", attention_file(WORKED, m=2, tokens=tokens))
    assert (done.status, done.out) == (1, "")
    assert "tokens" in done.err


def test_tensor_of_another_name(headwater, tmp_path):
    save_file({"weights": WORKED.astype(np.float32)}, tmp_path / "a.safetensors")
    done = headwater("explain", "--attention", "a.safetensors")
    assert done.status == 1 and "attention" in done.err


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (1, 2, 3, 4), (1, 1, 1, 3, 3)])
def test_tensor_of_another_shape(headwater, attention_file, shape):
    done = headwater("explain", "--attention", attention_file(np.ones(shape)))
    assert (done.status, done.out) == (1, "")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 40, -1])
def test_truncated_attention(headwater, worked, keep):
    whole = worked.read_bytes()
    worked.write_bytes(whole[:keep])
    done = headwater("explain", "--attention", worked)
    assert (done.status, done.out) == (1, "")
    assert str(worked) in done.err


@pytest.mark.parametrize("command", [["view"], ["explain", "--trace"], ["explain", "--attention"],
                                     ["explain", "-p", "x", "-m"], ["info", "-m"], ["explain", "-m", "m.gguf", "-f"]])
def test_no_such_file(headwater, command):
    done = headwater(*command, "nowhere/none.safetensors")
    assert (done.status, done.out) == (1, "")
    assert "nowhere/none.safetensors" in done.err and "No such file" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("command", [["view"], ["explain", "--trace"], ["explain", "--attention"], ["info", "-m"],
                                     ["explain", "-p", "x", "-m"]])
@pytest.mark.parametrize("content", [b"", b"hello", b"GGUF", b"\x00" * 64, b"{}" * 40, os.urandom(4096)])
def test_a_file_of_something_else(headwater, tmp_path, command, content):
    (tmp_path / "other").write_bytes(content)
    done = headwater(*command, "other")
    assert (done.status, done.out) == (1, ""), done
    assert "other" in done.err and done.err.count("\n") == 1


def test_result_given_as_trace(headwater, worked):
    headwater("explain", "--attention", worked, "-o", "r.safetensors")
    done = headwater("explain", "--trace", "r.safetensors")
    assert done.status == 1 and "r.safetensors" in done.err


def test_trace_given_as_attention(headwater, worked):
    headwater("explain", "--attention", worked, "--trace", "t.safetensors")
    assert headwater("explain", "--attention", "t.safetensors").status == 1


def test_format_that_cannot_be_viewed(headwater, worked):
    headwater("explain", "--attention", worked, "-o", "r.npy")
    done = headwater("view", "r.npy")
    assert done.status == 1
    assert "r.npy" in done.err


# ---------------------------------------------------------------------- prompts


def test_empty_prompt(headwater):
    for args, stdin in (["-p", ""], b""), (["-"], b""), (["-f", "-"], b""):
        done = headwater("explain", "-m", "none.gguf", *args, stdin=stdin)
        assert (done.status, done.out) == (1, "")
        assert done.err == "headwater: the prompt is empty: there is nothing to trace back to\n"


def test_prompt_file_that_is_too_large(headwater, tmp_path):
    (tmp_path / "large.txt").write_bytes(b"x" * ((16 << 20) + 1))
    done = headwater("explain", "-m", "none.gguf", "-f", "large.txt")
    assert done.status == 1
    assert done.err == "headwater: prompt large.txt: more than 16 MiB, which is the most that is read\n"


def test_prompt_that_is_a_folder(headwater):
    done = headwater("explain", "-m", "none.gguf", "-f", ".")
    assert done.status == 1 and "Is a directory" in done.err


# ---------------------------------------------------------------------- what cannot be written


def full_disk(most_bytes):
    """For preexec_fn: writing a file beyond `most_bytes` fails, as it does where a file system is full."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return limit


@pytest.mark.parametrize("option", ["-o", "--trace"])
def test_output_into_no_folder_is_found_before_any_work(headwater, option):
    done = headwater("explain", "-m", "none.gguf", "-p", "x", option, "nowhere/r.safetensors")
    assert (done.status, done.out) == (1, "")
    assert done.err == "headwater: cannot write nowhere/r.safetensors: folder nowhere/: No such file or directory\n"


def test_output_that_is_a_folder(headwater, worked, tmp_path):
    (tmp_path / "r.json").mkdir()
    done = headwater("explain", "--attention", worked, "-o", "r.json")
    assert done.status == 1 and done.err == "headwater: r.json is a folder: name a file\n"


def test_a_failed_write_leaves_the_earlier_file_whole(headwater, worked, tmp_path):
    path = tmp_path / "r.json"
    assert headwater("explain", "--attention", worked, "-o", "r.json").status == 0
    earlier, names = path.read_bytes(), sorted(os.listdir(tmp_path))
    done = headwater("explain", "--attention", worked, "--row", "own", "-o", "r.json", preexec_fn=full_disk(64))
    assert done.status == 1
    assert "r.json" in done.err
    assert path.read_bytes() == earlier
    assert sorted(os.listdir(tmp_path)) == names, "nothing half-written is left"
    assert "rollout" in done.out, "the view is shown all the same"


def test_an_output_that_fails_keeps_no_other_from_being_saved(headwater, worked, tmp_path):
    done = headwater("explain", "--attention", worked, "-o", "large.json", "-o", "small.npy", preexec_fn=full_disk(200))
    assert done.status == 1 and "large.json" in done.err
    assert np.load(tmp_path / "small.npy").shape == (1, 2, 2)
    assert not (tmp_path / "large.json").exists()


def test_a_method_that_cannot_be_given_loses_no_other(headwater, attention_file, tmp_path):
    """20 rows over 600 tokens are 2e9 pipes in problems, more than flow takes."""
    path = attention_file(causal(2, 600), m=580)
    done = headwater(
        "explain", "--attention", path, "--method", "flow,rollout,leave-one-out,random", "-o", "r.json", "--trace",
        "t.st"
    )
    assert done.status == 1
    assert re.findall(r"^(\S+) · all", done.out, re.M) == ["rollout", "random"]
    assert [a["method"] for a in json.loads((tmp_path / "r.json").read_text())["attributions"]] == ["rollout", "random"]
    assert re.search(r"^headwater: flow is left out: flow over 599 tokens is too large", done.err, re.M)
    assert (
        re.search(r"^headwater: leave-one-out is left out: .* runs the model again", done.err, re.M)
        and done.err.count("\n") == 2
    )
    for command in (["view", "t.st"], ["plot", "t.st", "-o", "r.svg"]):
        done = headwater(*command, "--method", "rollout,flow")
        assert done.status == 1 and done.err.count("flow is left out") == 1
    assert "<svg" in (tmp_path / "r.svg").read_text()
    done = headwater("view", "t.st", "t.st", "--method", "rollout,flow", "-o", "r.html")
    assert done.status == 1 and done.out.count("rollout · ") == 2 and (tmp_path / "r.html").exists()
    done = headwater("view", "t.st", "--method", "flow,leave-one-out")
    assert (done.status, done.err.count("headwater: ")) == (1, 2) and " · " not in done.out


def test_output_onto_the_attention_it_reads(headwater, worked):
    before = worked.read_bytes()
    for name in ("worked.safetensors", "./worked.safetensors"):
        done = headwater("explain", "--attention", worked, "-o", name)
        assert done.status == 2 and "also named for something else" in done.err
    assert worked.read_bytes() == before


def test_full_standard_output(program, worked):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([program, "explain", "--attention", worked], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"headwater: standard output could not be written\n"


def test_a_reader_that_left_is_no_news(program, worked):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([program, "explain", "--attention", worked], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_metadata_of_a_result(headwater, worked, tmp_path):
    headwater("explain", "--attention", worked, "-o", "r.safetensors", "--residual", "0.25")
    with safe_open(tmp_path / "r.safetensors", "np") as file:
        assert file.metadata()["format"].startswith("headwater")
