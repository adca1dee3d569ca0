"""The job script of docs/guide/cluster.md on a real Slurm: shards that are requeued or killed, submitted again, and
merged."""

import json
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "eval.sbatch"
OPTIONS = ["--method", "logit", "--ablations", "8", "-n", "2", "--by", "sentence"]
FACTS = ["Anna keeps clocks.", "Boris repairs boats.", "Clara paints tulips.", "David sells stamps."]
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


@pytest.fixture
def folder(tmp_path):
    items = [
        {
            "id": f"facts-{i}",
            "prompt": " ".join(FACTS[i % 4 :] + FACTS[: i % 4]) + f" Question {i}: What does Anna keep? "
            "Answer: Anna keeps",
            "answer": "clocks",
        }
        for i in range(6)
    ]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return tmp_path


@pytest.fixture
def submit(slurm, program, smollm, folder):
    """submit() sends the two jobs as docs/guide/cluster.md does; their numbers."""
    slurm.env["HEADWATER"] = str(program)

    def sent():
        array = slurm.run(
            "sbatch",
            "--parsable",
            "--array=1-2",
            "--cpus-per-task=1",
            str(SCRIPT),
            "set.jsonl",
            str(smollm),
            "results",
            *OPTIONS,
            cwd=folder,
        ).strip()
        merge = slurm.run(
            "sbatch",
            "--parsable",
            f"--dependency=afterany:{array}",
            "--output=merge-%j.txt",
            "--wrap",
            '"$HEADWATER" eval --merge set.jsonl results/part-*.jsonl -o results/all.jsonl',
            cwd=folder,
        ).strip()
        return array, merge

    return sent


def results(path):
    """Result lines without what differs from run to run."""
    lines = map(json.loads, path.read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def n_lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def state_at_end(slurm, job):
    slurm.wait(lambda: slurm.field(job, "JobState") in ENDED, f"job {job} does not end")
    return slurm.field(job, "JobState")


def test_array_of_shards_requeued_killed_submitted_again_and_merged(slurm, submit, program, smollm, folder):
    first, second = (folder / "results" / f"part-{i}-of-2.jsonl" for i in (1, 2))
    array, merge = submit()
    slurm.wait(lambda: n_lines(first) and n_lines(second), "the shards measure nothing")
    slurm.run("scontrol", "requeue", f"{array}_1")
    slurm.run("scancel", "--signal=KILL", "--full", f"{array}_2")
    assert n_lines(first) < 3 and n_lines(second) < 3, "the shards were through before they could be disturbed"
    kept = first.read_bytes()

    assert state_at_end(slurm, f"{array}_2") != "COMPLETED"
    assert state_at_end(slurm, merge) == "FAILED", "it runs all the same, and its status says that items are missing"
    assert slurm.field(f"{array}_1", "JobState") == "COMPLETED" and slurm.field(f"{array}_1", "Restarts") == "1"
    assert first.read_bytes().startswith(kept[:kept.rfind(b"\n") + 1]) and n_lines(first) == 3
    said = (folder / f"merge-{merge}.txt").read_text()
    assert f"{3 - n_lines(second)} of 6 items have no result: facts-" in said

    array, merge = submit()
    assert state_at_end(slurm, merge) == "COMPLETED"
    assert (folder / f"merge-{merge}.txt").read_text() == "headwater: results/all.jsonl holds 6 results of 2 files\n"
    subprocess.run(
        [program, "eval", "set.jsonl", "-m", smollm, "--threads", "1", *OPTIONS, "-o", "whole.jsonl"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        env=slurm.env | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert results(folder / "results" / "all.jsonl") == results(folder / "whole.jsonl")


REFUSED = {
    "no array": ([], [], "no task of an array: submit with --array=1-K"),
    "part of the array": (["--array=2"], [], "the array must be 1-K, as K is the number of shards"),
    "too little": (["--array=1-2"], None, "usage: sbatch --array=1-K"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_script_refuses(slurm, folder, name):
    options, more, message = REFUSED[name]
    arguments = ["set.jsonl", "model.gguf", "results", *more] if more is not None else ["set.jsonl"]
    job = slurm.run("sbatch", "--parsable", "--output=said.txt", *options, str(SCRIPT), *arguments, cwd=folder).strip()
    assert state_at_end(slurm, job) == "FAILED" and slurm.field(job, "ExitCode") == "2:0"
    assert message in (folder / "said.txt").read_text()
    assert not (folder / "results").exists()
