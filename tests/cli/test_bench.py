"""headwater bench: every variant timed beside plain generation, and refusals."""

import csv

import pytest

pytestmark = pytest.mark.model

VARIANTS = [
    "plain",
    "plain-flash",
    "capture",
    "rollout",
    "logit",
    "contribution+logit",
    "rollout+logit",
    "rollout+logit-live",
]


def test_times_every_variant(headwater, smollm, tmp_path):
    table = tmp_path / "cost.csv"
    out = headwater("bench", "-m", smollm, "--sizes", "12,20", "-n", "5", "--rounds", "2", "--threads", "1", "-o", table)
    assert out.status == 0, out.err
    assert out.out.count("m = ") == 2 and "m = 12, n = 5, 2 rounds" in out.out
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == VARIANTS * 4
    assert {row["m"] for row in rows} == {"12", "20"} and {row["round"] for row in rows} == {"1", "2"}
    for row in rows:
        parts = sum(float(row[key]) for key in ("prefill_s", "decode_s", "explain_s"))
        assert float(row["prefill_s"]) > 0 and float(row["decode_s"]) > 0
        assert abs(parts - float(row["total_s"])) < 1e-4
    medians = [line.split() for line in out.out.splitlines() if line.startswith("  plain ")]
    assert all(words[5:] == ["1.000"] * 4 for words in medians) and len(medians) == 2


def test_refuses_sizes_that_cannot_be(headwater, smollm, tmp_path):
    for sizes in ("", "0", "1", "12,", "12,x", "-5", "12;20"):
        out = headwater("bench", "-m", smollm, "--sizes", sizes)
        assert out.status == 2 and "--sizes" in out.err, sizes
    short = tmp_path / "short.txt"
    short.write_text("Only a few words.")
    out = headwater("bench", "-m", smollm, "--sizes", "50", "-f", short)
    assert out.status == 1 and "50 are needed" in out.err


def test_runs_only_the_variants_asked_for(headwater, smollm, tmp_path):
    table = tmp_path / "cost.csv"
    out = headwater("bench", "-m", smollm, "--sizes", "12", "-n", "2", "--rounds", "1", "--variants", "logit", "-o", table)
    assert out.status == 0, out.err
    with table.open(newline="") as file:
        assert [row["variant"] for row in csv.DictReader(file)] == ["plain", "logit"]
    out = headwater("bench", "-m", smollm, "--variants", "plain,nonsense")
    assert out.status == 2 and '"nonsense"' in out.err and "rollout+logit-live" in out.err
