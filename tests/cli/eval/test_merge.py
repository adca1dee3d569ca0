"""`headwater eval --merge`: result files of shards as one file, and shards that were killed."""

import fcntl
import json
import signal

import pytest
from test_eval import (ITEMS, MANY, eval_command, make_line, read_lines, start, steady, wait_for_lines, write_results,
                       write_set)
from patience import HANG_S

PARTS = ("p1.jsonl", "p2.jsonl", "p3.jsonl")
MERGE = ("eval", "--merge", "set.jsonl", *PARTS, "-o", "all.jsonl")
SUMMARY = "headwater: all.jsonl holds {} results of 3 files\n"


def result(index, **more):
    return make_line(index, [{"hit1": index % 2}, {"hit1": 1}], **more)


class Parts(list):
    """The result lines of ten items in three shards; write() puts them into their files."""

    def __init__(self, folder):
        super().__init__([result(i) for i in range(shard, 10, 3)] for shard in range(3))
        self.folder = folder

    def write(self):
        for name, lines in zip(PARTS, self):
            write_results(self.folder / name, lines)


@pytest.fixture
def parts(tmp_path):
    write_set(tmp_path / "set.jsonl", [{"id": f"item-{i}", "prompt": f"Prompt {i}."} for i in range(10)])
    made = Parts(tmp_path)
    made.write()
    return made


def indices(path):
    return [line["index"] for line in read_lines(path)]


def test_merged_is_in_the_order_of_the_set_and_byte_for_byte_what_it_was(headwater, parts, tmp_path):
    done = headwater(*MERGE)
    assert (done.status, done.out, done.err) == (0, "", SUMMARY.format(10))
    assert (tmp_path / "all.jsonl").read_text() == "".join(json.dumps(result(i)) + "\n" for i in range(10))
    table = ("eval", "--format", "json", "--table")
    assert headwater(*table, "all.jsonl").out == headwater(*table, *PARTS).out
    assert headwater(*MERGE, "-q").err == "", "and again, over what is there"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.jsonl", *PARTS, "set.jsonl"]


def test_what_is_there_twice_counts_once_and_a_result_wins_over_an_error(headwater, parts, tmp_path):
    parts[0].append(result(1) | {"note": "of the first file"})
    parts[0].append({k: v for k, v in result(2).items() if k != "methods"} | {"error": "no memory"})
    parts.write()
    done = headwater(*MERGE)
    assert (done.status, done.err) == (0, "headwater: 1 result is there twice and counts once\n" + SUMMARY.format(10))
    lines = read_lines(tmp_path / "all.jsonl")
    assert [line["index"] for line in lines] == list(range(10))
    assert lines[1]["note"] == "of the first file" and "error" not in lines[2]


def test_failed_items_are_counted_and_named(headwater, parts, tmp_path):
    failed = {k: v for k, v in result(2).items() if k != "methods"} | {"error": "no memory"}
    for part in parts:
        part[:] = [failed if line["index"] == 2 else line for line in part]
    parts.write()
    done = headwater(*MERGE)
    assert (done.status, done.err) == (1, "headwater: 1 of 10 items failed: item-2\n" + SUMMARY.format(9))
    assert "error" in read_lines(tmp_path / "all.jsonl")[2]


def test_missing_items_are_counted_and_the_first_named(headwater, parts, tmp_path):
    for part in parts:
        del part[1:]
    parts.write()
    done = headwater(*MERGE)
    assert done.status == 1
    assert done.err == ("headwater: 7 of 10 items have no result: item-3, item-4, item-5, item-6, item-7, ...\n"
                        + SUMMARY.format(3))
    assert indices(tmp_path / "all.jsonl") == [0, 1, 2]
    done = headwater(*MERGE, "--limit", "4")
    assert (done.status, done.err) == (1, "headwater: 1 of 4 items have no result: item-3\n" + SUMMARY.format(3))
    assert headwater(*MERGE, "--limit", "3").status == 0


def test_a_torn_line_and_what_is_no_result_are_left_out_and_said(headwater, parts, tmp_path):
    path = tmp_path / "p2.jsonl"
    path.write_text("nonsense\n" + path.read_text()[:-3])
    done = headwater(*MERGE)
    assert done.status == 1
    assert done.err == ("headwater: p2.jsonl line 1 is left out: it is not a result of eval\n"
                        "headwater: p2.jsonl: its last line is torn and left out; the same run again makes it\n"
                        "headwater: 1 of 10 items have no result: item-7\n" + SUMMARY.format(9))
    assert indices(tmp_path / "all.jsonl") == [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_a_torn_line_fails_even_where_another_file_has_the_item(headwater, parts, tmp_path):
    (tmp_path / "p1.jsonl").write_text((tmp_path / "p1.jsonl").read_text() + "{\"id\": \"item-1\"")
    done = headwater(*MERGE)
    assert done.status == 1 and "p1.jsonl: its last line is torn" in done.err
    assert indices(tmp_path / "all.jsonl") == list(range(10))


SETTINGS = {"model": {"name": "M"}, "methods": "a,b"}
CONFLICTS = {
    "settings": (
        {"settings": SETTINGS | {"methods": "a,c"}},
        "p3.jsonl: item item-5 was made with methods \"a,c\", not \"a,b\" as in p1.jsonl; results of different "
        "settings cannot be merged",
    ),
    "model": (
        {"settings": SETTINGS | {"model": {"name": "N"}}},
        "p3.jsonl: item item-5 was made with model {\"name\":\"N\"}, not {\"name\":\"M\"} as in p1.jsonl",
    ),
    "unknown item": ({"id": "other-5"}, "p3.jsonl: there is no item other-5 in set.jsonl"),
    "other text": (
        {"item_sha256": "0" * 64},
        "p3.jsonl: item item-5 was measured with another text or at another place than it has in set.jsonl",
    ),
    "other place": ({"index": 6}, "p3.jsonl: item item-5 was measured with another text or at another place"),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflicts_are_refused_and_the_file_stays(headwater, parts, tmp_path, name):
    change, message = CONFLICTS[name]
    parts[2][1] |= change
    parts.write()
    (tmp_path / "all.jsonl").write_text("as it was")
    done = headwater(*MERGE)
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert (tmp_path / "all.jsonl").read_text() == "as it was"


def sampled(index, sample):
    """A result of a model that says, or does not say, which weights it has."""
    model = {"name": "M"} | ({"sample_sha256": sample} if sample else {})
    return result(index) | {"settings": SETTINGS | {"model": model}}


@pytest.mark.parametrize("samples", ["aab", "-ab", "a-b", "ab-"])
def test_results_of_other_weights_are_not_mixed(headwater, parts, tmp_path, samples):
    """Two checkpoints of one model. A result without a sample is from before there were any."""
    for part, sample in zip(parts, samples):
        part[:] = [sampled(line["index"], sample.strip("-")) for line in part]
    parts.write()
    done = headwater(*MERGE)
    assert done.status == 1 and "sample_sha256" in done.err and "different settings cannot be merged" in done.err
    done = headwater("eval", "--table", *PARTS)
    assert done.status == 1 and "different settings (model)" in done.err


def test_results_from_before_weights_were_sampled_are_compared_by_the_rest(headwater, parts, tmp_path):
    parts[1][:] = [sampled(line["index"], "a") for line in parts[1]]
    parts.write()
    assert headwater(*MERGE).err == SUMMARY.format(10)
    assert headwater("eval", "--table", *PARTS).status == 0
    parts[1][0]["settings"]["model"]["name"] = "N"
    parts.write()
    assert "was made with model" in headwater(*MERGE).err


def test_files_that_are_written_are_not_read(headwater, parts, tmp_path):
    with open(tmp_path / "p2.jsonl", "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        done = headwater(*MERGE)
    assert (done.status, done.err) == (1, "headwater: results p2.jsonl: a run is still writing them\n")


def test_nothing_to_merge(headwater, parts, tmp_path):
    for name in PARTS:
        (tmp_path / name).write_text("")
    done = headwater(*MERGE)
    assert (done.status, done.err) == (1, "headwater: there are no results to merge\n")
    (tmp_path / "p3.jsonl").unlink()
    assert headwater(*MERGE).err == "headwater: results p3.jsonl: No such file or directory\n"


USAGE = {
    "no results": (["--merge", "set.jsonl", "-o", "a"], "--merge: name the data set, then its result files"),
    "no output": (["--merge", "set.jsonl", "p1.jsonl"], "--merge: name the file to write with -o"),
    "table": (["--merge", "--table", "set.jsonl", "p1.jsonl", "-o", "a"],
              "--merge and --table: merge first, then --table of the merged file"),
    "over a part": (["--merge", "set.jsonl", "p1.jsonl", "-o", "p1.jsonl"],
                    "p1.jsonl would be written and is also named for something else"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(headwater, parts, name):
    args, message = USAGE[name]
    done = headwater("eval", *args)
    assert (done.status, done.out) == (2, "")
    assert message in done.err and done.err.endswith("See `headwater eval --help`.\n")


# ---------------------------------------------------------------------- on a model


def kill_in_an_item(process, path, n):
    """Kills the run while it measures: no item ends in the moment between its line and the signal."""
    wait_for_lines(path, n)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=HANG_S)
    assert process.returncode == -signal.SIGKILL
    return path.read_bytes()


@pytest.mark.model
def test_shards_that_were_killed_lose_nothing(program, headwater, tiny, tmp_path):
    """One shard killed within an item, one with a torn line, run again, merged: as one run that nobody disturbed."""
    write_set(tmp_path / "set.jsonl", MANY)
    run = eval_command(tiny / "llama.gguf", 1)
    assert headwater(*run, "-o", "whole.jsonl").status == 0
    merge = ("eval", "--merge", "set.jsonl", "s1.jsonl", "s2.jsonl", "-o", "all.jsonl")

    killed = start(program, [*run, "--shard", "1/2", "-o", "s1.jsonl"], tmp_path)
    kept = kill_in_an_item(killed, tmp_path / "s1.jsonl", 1)
    assert kept.endswith(b"\n") and kept.count(b"\n") < len(MANY) // 2
    assert headwater(*run, "--shard", "2/2", "-o", "s2.jsonl").status == 0
    lines = (tmp_path / "s2.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "s2.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:200])
    between = headwater(*merge)
    assert between.status == 1 and "s2.jsonl: its last line is torn" in between.err

    for i in (1, 2):
        assert headwater(*run, "--shard", f"{i}/2", "-o", f"s{i}.jsonl").status == 0
    assert (tmp_path / "s1.jsonl").read_bytes().startswith(kept), "what was there is not made again"
    done = headwater(*merge)
    assert (done.status, done.err) == (0, "headwater: all.jsonl holds 24 results of 2 files\n")
    whole = [*map(steady, read_lines(tmp_path / "whole.jsonl"))]
    assert [*map(steady, read_lines(tmp_path / "all.jsonl"))] == whole
    table = ("eval", "--format", "csv", "--table")
    assert headwater(*table, "all.jsonl").out == headwater(*table, "whole.jsonl").out


@pytest.mark.model
def test_results_of_a_data_set_that_changed_are_not_gone_on_with(headwater, tiny, tmp_path):
    run = ["eval", "set.jsonl", "-m", str(tiny / "llama.gguf"), "--threads", "1", "--method", "random",
           "--ablations", "0", "-n", "1", "-o", "r.jsonl"]
    write_set(tmp_path / "set.jsonl", ITEMS[:1])
    assert headwater(*run).status == 0
    reversed_keys = dict(reversed(ITEMS[0].items()))
    (tmp_path / "set.jsonl").write_text(json.dumps(reversed_keys, separators=(" , ", " :  ")) + "\n"
                                        + json.dumps(ITEMS[1]) + "\n")
    assert headwater(*run).status == 0, "written in another way and with more items it is the same set"
    for changed in ([ITEMS[0] | {"prompt": "Another one. With two."}, ITEMS[1]], [ITEMS[1], ITEMS[0]]):
        write_set(tmp_path / "set.jsonl", changed)
        done = headwater(*run)
        assert (done.status, done.out) == (1, "")
        assert "r.jsonl: item Anna-0 was another one when it was measured; results of a data set" in done.err
