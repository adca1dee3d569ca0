"""headwater-bench: every variant checked and timed beside plain generation, what its CSV holds, and refusals."""

import csv
import os
import pathlib
import resource
import signal
import subprocess
import time

import pytest
from conftest import environment
from patience import HANG_S

pytestmark = pytest.mark.model

VARIANTS = [
    "plain", "plain-flash", "capture", "rollout", "logit", "contribution+logit", "rollout+logit",
    "rollout+logit-live", "by-sentence", "again-rollout", "again-logit", "leave-one-out"
]
ONCE = ["leave-one-out"]
PHASES = ["open_s", "prefill_s", "decode_s", "explain_s"]


@pytest.fixture(scope="module")
def small(tiny):
    """For what does not depend on the size of a model: its tokens are letters, its context 256 of them."""
    return tiny / "llama.gguf"


def read(table):
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_times_every_variant(bench, small, tmp_path):
    table = tmp_path / "cost.csv"
    out = bench("-m", small, "--sizes", "24,30", "-n", "5", "--rounds", "2", "--threads", "1", "-o", table)
    assert out.status == 0, out.err
    assert out.out.count("m = ") == 2 and "m = 24, n = 5, 2 rounds" in out.out
    assert "m = 30: every variant checked" in out.err and "m = 30: round 2 of 2" in out.err
    rows = read(table)
    second = [v for v in VARIANTS if v not in ONCE]
    assert [row["variant"] for row in rows] == (VARIANTS + second) * 2
    assert {row["m"] for row in rows} == {"24", "30"} and {row["round"] for row in rows} == {"1", "2"}
    for row in rows:
        assert abs(sum(float(row[key]) for key in PHASES) - float(row["total_s"])) < 1e-4
        assert float(row["total_s"]) > 0 and float(row["cpu_s"]) > 0
    medians = [line.split() for line in out.out.splitlines() if line.startswith("  plain ")]
    assert all(words[6:11] == ["1.000"] * 5 for words in medians) and len(medians) == 2


def test_what_each_variant_takes(bench, smollm, tmp_path):
    """Memory is a process's own, traces are as large as their files, plain generation keeps none."""
    table = tmp_path / "cost.csv"
    assert bench("-m", smollm, "--sizes", "40", "-n", "3", "--rounds", "1", "-q", "-o", table).status == 0
    rows = {row["variant"]: row for row in read(table)}
    number = {
        (name, key): int(row[key]) for name, row in rows.items() for key in ("peak_bytes", "trace_bytes", "passes")
    }
    weights = smollm.stat().st_size
    rows_bytes = 30 * 43 * 44 // 2 * 4
    for name in ("plain", "plain-flash", "rollout+logit", "rollout+logit-live"):
        assert number[name, "trace_bytes"] == 0, name  # nothing, or results alone, which are no trace
    for name in ("capture", "rollout", "again-rollout", "again-logit"):
        assert rows_bytes < number[name, "trace_bytes"] < 3 * rows_bytes, name
    assert number["again-logit", "trace_bytes"] > number["capture", "trace_bytes"]
    for name in ("logit", "contribution+logit"):
        assert 0 < number[name, "trace_bytes"] < rows_bytes, name
    assert number["by-sentence", "trace_bytes"] == 0  # signals by segment: that trace cannot be saved
    for name in ("plain", "capture", "leave-one-out"):
        assert weights < number[name, "peak_bytes"] < 4 * weights, name
    assert number["again-logit", "peak_bytes"] < weights / 2  # no model is opened
    assert number["leave-one-out", "passes"] == 3 and number["rollout", "passes"] == 0  # sentences of 40 tokens
    assert float(rows["again-logit"]["open_s"]) > 0 and float(rows["again-logit"]["prefill_s"]) == 0


def measuring(program, model, tmp_path, **kwargs):
    """The bench in its rounds, and where its traces lie."""
    running = subprocess.Popen([program, "-m", model, "--sizes", "30", "-n", "2", "--rounds", "1000", "--variants",
                                "again-logit", "--threads", "1"], stderr=subprocess.PIPE, text=True,
                               env=environment(TMPDIR=str(tmp_path)), **kwargs)
    while "round 1 of" not in (line := running.stderr.readline()):
        assert line, running.wait()
    return running


def children_of(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_killed_process_leaves_no_trace_behind(bench_program, small, tmp_path):
    """The process that explains again is killed while its trace is on disk."""
    running = measuring(bench_program, small, tmp_path)
    children = children_of(running.pid)
    assert len(children) == 2 and len(list(tmp_path.glob(".headwater-tmp-*/*"))) == 1
    os.kill(int(children[1]), signal.SIGKILL)  # plain generation has the first
    _, err = running.communicate(timeout=HANG_S)
    assert running.returncode == 1 and "process ended" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to", [os.kill, os.killpg])
def test_an_interruption_ends_it_tidily(bench_program, small, tmp_path, number, to):
    """Of all its processes, as by Ctrl-C in a terminal, or of the first one alone."""
    running = measuring(bench_program, small, tmp_path, start_new_session=True)
    children = children_of(running.pid)
    assert len(children) == 2
    to(running.pid, number)
    running.communicate(timeout=HANG_S)
    assert running.returncode == 130
    assert list(tmp_path.iterdir()) == [] and not any(pathlib.Path("/proc", child).exists() for child in children)


def test_an_interruption_reaches_a_long_run(bench_program, smollm, tmp_path):
    """The process that is signalled runs nothing itself: the work is done two levels below it, capturing the trace to
    explain again."""
    running = subprocess.Popen(
        [
            bench_program, "-m", smollm, "--sizes", "30", "-n", "300", "--rounds", "1", "-q", "--threads", "1",
            "--variants", "again-logit"
        ],
        env=environment(TMPDIR=str(tmp_path)),
        start_new_session=True,
    )
    while not any(children_of(child) for child in children_of(running.pid)):
        assert running.poll() is None
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(timeout=HANG_S) == 130 and list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)  # nobody is left


def test_a_table_is_kept_until_there_is_a_new_one(bench, small, tmp_path):
    table, short = tmp_path / "cost.csv", tmp_path / "short.txt"
    table.write_text("earlier\n")
    short.write_text("The old house stood at the end.")
    args = ("-m", small, "-n", "2", "--rounds", "1", "--variants", "plain", "-q", "-f", short, "-o", table)
    for wrong in (("--sizes", "50"), ("--variants", "nonsense")):
        assert bench(*args, *wrong).status != 0 and table.read_text() == "earlier\n"
    done = bench(*args, "--sizes", "12,50")
    assert done.status == 1 and "50 are needed" in done.err
    assert [row["m"] for row in read(table)] == ["12"]  # what was measured before that
    assert sorted(tmp_path.iterdir()) == [table, short]


def test_a_table_that_cannot_be_written_is_told(bench, small, tmp_path):
    args = ("-m", small, "--sizes", "12", "-n", "2", "--rounds", "1", "--variants", "plain", "-q", "-o")
    for name, reason in (
        ("/dev/full", "name a regular file"),
        (tmp_path, "is a directory"),
        (small, "named for something else"),
    ):
        done = bench(*args, name)
        assert done.status != 0 and reason in done.err and done.out == "", name  # nothing was measured
    done = bench(*args, "cost.csv", restore_signals=False,  # so that a write beyond the limit fails
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)))
    assert (done.status, done.err) == (1, "headwater: cost.csv cannot be written: File too large\n")
    assert list(tmp_path.iterdir()) == []


def test_says_where_it_was_measured(bench, smollm, tmp_path):
    table = tmp_path / "cost.csv"
    out = bench("-m", smollm, "--sizes", "12", "-n", "2", "--rounds", "1", "--variants", "plain", "--threads", "1",
                    "--ubatch", "64", "-q", "-o", table)
    row = read(table)[0]
    assert row["machine"] and row["commit"] and row["date"][:2] == "20" and row["date"].endswith("Z")
    assert int(row["cores"]) == os.cpu_count() and row["quantisation"] == "Q4_1" and row["model"] in out.out
    assert (row["threads"], row["ubatch"], row["ctx"], row["n"]) == ("1", "64", "0", "2")
    assert out.err == ""


def test_a_size_next_to_the_context_fits(bench, small, tmp_path):
    """The text is cut before it is decoded: it may be longer than the context."""
    out = bench("-m", small, "--sizes", "250", "--ctx", "256", "-n", "2", "--rounds", "1", "--variants", "plain")
    assert out.status == 0, out.err
    out = bench("-m", small, "--sizes", "250", "--ctx", "251", "-n", "2", "--rounds", "1", "--variants", "plain")
    assert out.status == 1 and "1 more than the context of 251" in out.err


def test_remarks_on_a_context_beyond_training(bench, small):
    args = ("-m", small, "--sizes", "12", "-n", "2", "--rounds", "1", "--variants", "plain", "--ctx", "300")
    out = bench(*args)
    assert out.status == 0 and "longer than the 256 that the model was trained with" in out.err
    assert bench(*args, "-q").err == ""


def test_leaves_out_what_would_take_too_long(bench, small, tmp_path):
    out = bench(
        "-m", small, "--sizes", "1301", "--ctx", "1400", "-n", "1", "--rounds", "1", "--variants", "leave-one-out"
    )
    assert out.status == 0 and "m = 1301: leave-one-out left out" in out.err and "leave-one-out" not in out.out


def test_refuses_sizes_that_cannot_be(bench, smollm, tmp_path):
    for sizes in ("", "0", "1", "12,", "12,x", "-5", "12;20"):
        out = bench("-m", smollm, "--sizes", sizes)
        assert out.status == 2 and "--sizes" in out.err, sizes
    short = tmp_path / "short.txt"
    short.write_text("Only a few words.")
    out = bench("-m", smollm, "--sizes", "50", "-f", short)
    assert out.status == 1 and "50 are needed" in out.err


def test_says_why_a_model_does_not_open(bench, tmp_path):
    out = bench("-m", tmp_path / "none.gguf", "--sizes", "12")
    assert out.status == 1 and "none.gguf" in out.err and out.out == ""


def test_runs_only_the_variants_asked_for(bench, small, tmp_path):
    table = tmp_path / "cost.csv"
    out = bench("-m", small, "--sizes", "12", "-n", "2", "--rounds", "1", "--variants", "logit", "-o", table)
    assert out.status == 0, out.err
    assert [row["variant"] for row in read(table)] == ["plain", "logit"]
    out = bench("-m", small, "--variants", "plain,nonsense")
    assert (
        out.status == 2 and '"nonsense"' in out.err and "rollout+logit-live" in out.err and "leave-one-out" in out.err
    )


def test_its_command_line(bench, headwater, smollm):
    out = bench("--help")
    assert out.status == 0 and "headwater-bench -m MODEL" in out.out and "--variants LIST" in out.out and out.err == ""
    for args, reason in (
        ((), "no model"),
        (("-m", smollm, "--rounds", "0"), "from 1 to 1000"),
        (("-m", smollm, "-n"), "a value is needed"),
        (("-m", smollm, "--nonsense"), "--nonsense"),
        (("-m", smollm, "other"), "other"),
    ):
        out = bench(*args)
        assert out.status == 2 and reason in out.err and "See `headwater-bench --help`" in out.err, args
    assert headwater("bench").status == 2  # it is not a command of the program
