"""Settings of methods: what the program computes with them against NumPy, and which are refused."""

import json
import re

import numpy as np
import pytest
from conftest import causal
from safetensors import safe_open

N_PROMPT, N_TOKENS = 9, 12


def windowed(n_layers, n_tokens, width, seed=0):
    """Random causal attention [L, T, T] where columns before a sliding window are forbidden."""
    a = causal(n_layers, n_tokens, seed) * (np.arange(n_tokens) > np.arange(n_tokens)[:, None] - width)
    return a / a.sum(-1, keepdims=True)


def thin(row, discard=0.0, remove_sink=False):
    """A row without the sink and without the lowest share of its allowed weights, scaled to sum to 1."""
    row = row.copy()
    if remove_sink and row[1:].size:
        row[0] = 0
    allowed = np.flatnonzero(row)
    low = allowed[np.argsort(row[allowed], kind="stable")][: int(discard * len(allowed) + 1e-9)]
    row[low] = 0
    return row / row.sum() if row.sum() else row


def rollout(attention, residual, discard=0.0, remove_sink=False):
    """R after each layer [L, T, T]; residual is a number or [L, T]."""
    n_layers, n_tokens = attention.shape[:2]
    weight = np.broadcast_to(residual, (n_layers, n_tokens))
    r, out = np.eye(n_tokens), []
    for layer, own in zip(attention, weight):
        hat = np.zeros((n_tokens, n_tokens))
        for q in range(n_tokens):
            row = thin(layer[q, : q + 1], discard, remove_sink)
            hat[q, : q + 1] = row * (1 - own[q] if row.any() else 0)
            hat[q, q] += own[q] if row.any() else 1
        r = hat @ r
        out.append(r)
    return np.stack(out)


def result(tmp_path, name="r.npy"):
    return np.load(tmp_path / name)  # [n, m, L]


@pytest.mark.parametrize("discard", [0, 0.3, 0.9])
@pytest.mark.parametrize("remove_sink", [False, True])
def test_discard_and_sink_removal(headwater, attention_file, tmp_path, discard, remove_sink):
    attention = windowed(4, N_TOKENS, 7).astype(np.float32)
    path = attention_file(attention, m=N_PROMPT)
    flags = ["--remove-sink"] if remove_sink else []
    done = headwater(
        "explain", "--attention", path, "--method", "rollout", "--discard", str(discard), *flags, "--residual",
        "0.3", "-o", "r.npy"
    )
    assert (done.status, done.err) == (0, "")
    want = rollout(attention.astype(float), 0.3, discard, remove_sink)[:, N_PROMPT - 1 : -1, :N_PROMPT]
    assert result(tmp_path) == pytest.approx(want.transpose(1, 2, 0), abs=1e-6)
    assert ("sink removed, " in done.out) == remove_sink
    assert (f"lowest {discard} discarded, " in done.out) == (discard > 0)


def test_settings_are_kept_with_the_result(headwater, worked, tmp_path):
    shown = headwater("explain", "--attention", worked, "--discard", "0.5", "--remove-sink", "-o", "r.json", "--full")
    settings = json.loads((tmp_path / "r.json").read_text())["attributions"][0]["settings"]
    assert (settings["discard"], settings["remove_sink"], settings["residual_measured"]) == (0.5, True, False)
    assert headwater("view", "r.json").out == shown.out


def test_methods_print_the_settings_that_they_heed_and_no_others(headwater, attention_file):
    path = attention_file(causal(2, 6), m=4)
    out = headwater(
        "explain", "--attention", path, "--method", "rollout,attention,uniform,random", "--discard", "0.5",
        "--remove-sink"
    ).out
    settings = [line for line in out.splitlines() if line.startswith("row ")]
    assert settings == [
        "row predictor, heads mean, lowest 0.5 discarded, sink removed, residual 0.5, direction input, layers 1-2 of 2",
        "row predictor, heads mean, layers 1-2 of 2",
        "row predictor, sink removed, residual 0.5, direction input, layers 1-2 of 2",
        "row predictor, one value for all layers",
    ]


def test_settings_are_refused_only_where_nothing_heeds_them(headwater, worked, tmp_path):
    """One method of the list is enough; combined settings count; a preset asks for nothing; heads are fused in a saved
    trace, too."""
    taken = [
        ["--method", "attention,rollout", "--discard", "0.5"],
        ["--method", "random", "--preset", "note", "--method", "random"],
        ["--method", "random", "--fuse", "max", "--trace", "t.safetensors"],
        ["--method", "random", "--seed", "3"],
    ]
    for args in taken:
        done = headwater("explain", "--attention", worked, *args)
        assert (done.status, done.err) == (0, ""), args
    headwater("explain", "--attention", worked, "-o", "r.json", "--method", "random")
    assert headwater("view", "r.json").status == headwater("plot", "r.json", "-o", "r.svg").status == 0
    assert headwater("view", "t.safetensors", "--row", "own").status == 0
    refused = headwater("plot", "t.safetensors", "--method", "random", "--row", "own", "-o", "r.svg")
    assert refused.status == 2 and "--row applies to rollout" in refused.err


def test_layers_of_a_list_are_those_of_the_methods_that_have_layers(headwater, attention_file, tmp_path):
    path = attention_file(causal(3, 6), m=4)
    done = headwater(
        "explain", "--attention", path, "--method", "rollout,random", "--layers", "2-3", "-o", "full.json", "--full"
    )
    assert (done.status, done.err) == (0, "")
    settings = [line for line in done.out.splitlines() if line.startswith("row ")]
    assert settings[0].endswith("layers 2-3 of 3") and settings[1].endswith("one value for all layers")
    assert headwater("view", "full.json", "-o", "means.json", "--layers", "2-3").out == done.out
    done = headwater("view", "means.json", "--layers", "2-3")
    assert done.status == 1 and "holds only the mean over layers" in done.err, "of rollout, that is true"


def test_nothing_was_measured_of_exported_attention(headwater, worked):
    done = headwater("explain", "--attention", worked, "--residual", "measured")
    assert done.status == 1
    assert "method rollout needs the signal \"residual\", which this trace does not hold" in done.err


# ---------------------------------------------------------------------- lift


def shown(out):
    """Values of the list by column."""
    return {int(k): float(v) for k, v in re.findall(r"^ +(\d+): \S+ +(-?[\d.]+)", out, re.M)}


def test_lift_of_the_worked_example(headwater, worked):
    """Rollout 111/400 and 97/400 over uniform attention's 35/144 and 29/144."""
    done = headwater("explain", "--attention", worked, "--row", "own", "--lift", "--hide", "first")
    assert (done.status, done.err) == (0, "")
    assert shown(done.out) == {1: pytest.approx(97 / 400 / (29 / 144), abs=1e-4)}
    assert "layers 1-2 of 2, lift over uniform\n" in done.out
    assert re.search(r"hidden from this view +0\.278 by", done.out), "masses stay masses"


def test_lift_is_a_view(headwater, attention_file, tmp_path):
    """Files hold M as it is, and the lift of a file is that of the run."""
    path = attention_file(causal(3, N_TOKENS), m=N_PROMPT, tokens=[f"t{i}" for i in range(N_TOKENS)])
    lifted = headwater(
        "explain", "--attention", path, "--lift", "--layers", "2-3", "-o", "a.npy", "-o", "a.safetensors"
    )
    headwater("explain", "--attention", path, "-o", "b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert headwater("view", "a.safetensors", "--lift", "--layers", "2-3").out == lifted.out
    flat = np.tril(np.ones((3, N_TOKENS, N_TOKENS))) / np.arange(1, N_TOKENS + 1)[:, None]
    m, u = result(tmp_path, "a.npy"), rollout(flat, 0.5)[:, N_PROMPT - 1 : -1, :N_PROMPT].transpose(1, 2, 0)
    want = m[:, :, 1:].mean((0, 2)) / u[:, :, 1:].mean((0, 2))
    assert shown(lifted.out) == {k: pytest.approx(v, abs=1e-4) for k, v in enumerate(want)}


@pytest.mark.parametrize("option, what", [("--lift", "lift of method"), ("--normalise", "normalising method")])
def test_only_shares_are_lifted_and_normalised(headwater, smollm, option, what):
    run = ["explain", "-m", smollm, "--threads", "2", "-p", "The", "-n", "1"]
    done = headwater(*run, option, "--trace", "t.safetensors")
    assert done.status == 0 and re.findall(r"^(\w+) · ", done.out, re.M) == [
        "rollout"
    ], "of the default, logit is left out"
    headwater(*run, "--method", "logit", "-o", "logit.safetensors")
    done = headwater("view", "logit.safetensors", option)
    assert done.status == 1 and f"{what} logit: it gives nats" in done.err


# ---------------------------------------------------------------------- on a model


@pytest.mark.model
def test_measured_residual(headwater, smollm, tmp_path):
    """λ of the trace, composed by NumPy; the trace has all that it takes, and a trace without it says so."""
    run = [
        "explain", "-m", smollm, "--threads", "2", "-p", "The capital of France is", "-n", "2", "--method",
        "rollout"
    ]
    done = headwater(*run, "--residual", "measured", "--trace", "t.safetensors", "-o", "r.npy")
    assert (done.status, done.err) == (0, "")
    assert "residual measured, " in done.out
    with safe_open(tmp_path / "t.safetensors", "np") as file:
        names = set(file.keys())
        rows, changed = file.get_tensor("rows"), file.get_tensor("signal.residual")
    assert names == {"rows", "token_ids", "signal.residual"}
    n_layers, n_tokens = changed.shape
    attention = np.zeros((n_layers, n_tokens, n_tokens))
    attention[:, *np.tril_indices(n_tokens)] = rows
    m = n_tokens - 2
    want = rollout(attention, 1 - changed.astype(float))[:, m - 1 : -1, :m]
    assert result(tmp_path) == pytest.approx(want.transpose(1, 2, 0), abs=1e-6)
    assert 0.3 < changed[:2].mean() < 0.7 and 0.03 < changed[2:-1].mean() < 0.3, "methods.md: about 0.5, then 0.1"
    again = headwater("explain", "--trace", "t.safetensors", "--residual", "measured", "-o", "again.npy")
    assert again.status == 0 and np.array_equal(result(tmp_path, "again.npy"), result(tmp_path))
    headwater(*run, "--trace", "plain.safetensors")
    refused = headwater("explain", "--trace", "plain.safetensors", "--residual", "measured", "--method", "rollout")
    assert refused.status == 1 and "needs the signal \"residual\"" in refused.err


@pytest.mark.model
@pytest.mark.parametrize("measure", ["projection", "norm", "proximity1"])
def test_composed_contributions(headwater, smollm, tmp_path, measure):
    """Every row's contributions of the trace, composed by NumPy as rollout composes attention; saved, it explains
    again."""
    done = headwater(
        "explain", "-m", smollm, "--threads", "2", "-p", "It is cold today. The weather is", "-n", "2", "--method",
        "contribution", "--measure", measure, "--aggregate", "rollout", "--trace", "t.safetensors", "-o", "r.npy"
    )
    assert (done.status, done.err) == (0, "")
    assert f"measure {measure}, aggregate rollout, " in done.out and "at full depth" in done.out
    assert ("residual 0.5, " in done.out) == (measure == "norm")
    with safe_open(tmp_path / "t.safetensors", "np") as file:
        rows, n_tokens = file.get_tensor(f"signal.all_{measure}"), file.get_tensor("token_ids").size
        assert set(file.keys()) == {"rows", "token_ids", f"signal.all_{measure}"}
    c = np.zeros((len(rows), n_tokens, n_tokens))
    c[:, *np.tril_indices(n_tokens)] = np.maximum(rows, 0)
    m = n_tokens - 2
    assert not c[-1, : m - 1].any() and c[:-1].sum(-1).min() > 0.3, "the last block shows the rows of interest only"
    want = rollout(c, 0.5 if measure == "norm" else 0)[:, m - 1 : -1, :m]
    assert result(tmp_path) == pytest.approx(want.transpose(1, 2, 0), abs=1e-6)
    again = headwater(
        "explain", "--trace", "t.safetensors", "--method", "contribution", "--measure", measure, "--aggregate",
        "rollout"
    )
    assert again.out == done.out
    refused = headwater("explain", "--trace", "t.safetensors", "--method", "contribution", "--measure", measure)
    assert refused.status == 1 and f"needs the signal \"{measure}\"" in refused.err


def test_against(headwater, smollm, tmp_path):
    """The contrast is shown, kept with trace and result, and the difference of what two completions give."""
    run = ["explain", "-m", smollm, "--threads", "2", "-p", "It is cold today. The weather is", "--method", "logit"]
    for name, args in {
        "a": ["--completion", " cold"],
        "b": ["--completion", " sunny"],
        "c": ["--completion", " cold", "--against", " sunny", "-o", "c.json", "--trace", "t.safetensors"],
    }.items():
        done = headwater(*run, *args, "-o", f"{name}.npy")
        assert (done.status, done.err) == (0, "")
    assert "row predictor, against ·sunny, layers 1-30 of 30" in done.out
    assert re.search(
        r"^  logit above the other's +\d+\.\d\d nats, all layers together; the other: ·sunny$", done.out, re.M
    )
    a, b, c = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    assert c == pytest.approx(a - b, abs=1e-5) and np.abs(c).max() > 0.1
    assert json.loads((tmp_path / "c.json").read_text())["run"]["options"]["against"] == " sunny"
    assert headwater("view", "c.json", "--top", "0").out.split("Over all")[0].count("against ·sunny") == 1
    assert headwater("explain", "--trace", "t.safetensors", "--method", "logit").out == done.out


def test_against_the_chosen_token(headwater, smollm):
    """Zeros are said to be none of an explanation, of the rows where they are."""
    run = [
        "explain", "-m", smollm, "--threads", "2", "-p", "It is cold today. The weather is", "--method", "logit",
        "--completion", " cold and cold", "--trace", "t.st"
    ]
    words = "! The other token is the one that was chosen, so that every value is 0: completion token"
    assert re.search(rf"^  {words} 0, 2$", headwater(*run, "--against", " cold").out, re.M)
    view = ["view", "t.st", "--method", "logit"]
    assert f"{words} 2\n" in headwater(*view, "--token", "-1").out
    assert "was chosen, so" not in headwater(*view, "--token", "1").out
    assert f"{words} 1\n" in headwater(*run, "--against", "= and").out
    assert "was chosen, so" not in headwater(*run, "--against", "second").out


def test_against_the_second(headwater, smollm):
    run = [
        "explain", "-m", smollm, "--threads", "2", "-p", "The capital of France is", "-n", "2", "--against",
        "second"
    ]
    done = headwater(*run)
    assert done.status == 0 and "against each step's likeliest other token, " in done.out
    assert re.search(
        r"above the other's +\d+\.\d\d nats, all layers together; the other: ·\w+", headwater(*run, "--token", "0").out
    )


def test_against_must_be_one_token(headwater, smollm):
    done = headwater("explain", "-m", smollm, "-p", "The capital of France is", "-n", "1", "--against", " Saint Denis")
    assert done.status == 1
    assert (
        "against \" Saint Denis\": it must read exactly as one token" in done.err
        and "is read as 2: \" Saint\", \" Denis\"" in done.err
    )
