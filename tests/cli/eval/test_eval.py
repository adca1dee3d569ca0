"""`headwater eval`: result lines, going on after any end, shards, and tables against a bootstrap written again here."""

import csv
import io
import json
import pathlib
import re
import signal
import subprocess

import numpy as np
import pytest
from conftest import environment
from patience import HANG_S, until

EVIDENCE = ["hit1", "mrr", "recallk", "recall10", "flip1", "flip3"]
METRICS = [*EVIDENCE[:4], "lds", "passes", *EVIDENCE[4:], "drop1", "drop3", "drop5", "comprehensiveness", "sufficiency"]
METHODS = "contribution,attention:hide=first,rollout:last,random"
LABELS = METHODS.split(",")

PEOPLE = [("Anna", "keeps", "clocks"), ("Boris", "repairs", "boats"), ("Clara", "paints", "tulips"),
          ("David", "sells", "stamps")]
VERBS = {"keeps": "keep", "repairs": "repair", "paints": "paint", "sells": "sell"}


def make_item(asked, shift):
    """Four facts in some order, a question about one of them; its place is the tag."""
    order = PEOPLE[shift:] + PEOPLE[:shift]
    text, spans, evidence = "", [], []
    for name, verb, what in order:
        begin = len(text)
        text += f"{name} {verb} {what}."
        spans.append([begin, len(text)])
        if name == PEOPLE[asked][0]:
            evidence.append(spans[-1])
        text += " "
    name, verb, what = PEOPLE[asked]
    text += f"Question: What does {name} {VERBS[verb]}? Answer: {name} {verb}"
    return {"id": f"{name}-{shift}", "prompt": text, "answer": what, "evidence": evidence, "spans": spans,
            "tags": {"place": 1 + (asked - shift) % 4, "name": name}}


ITEMS = [make_item(i % 4, i % 3) for i in range(6)]
MANY = [make_item(i % 4, i % 3) | {"id": f"item-{i}"} for i in range(24)]


def write_set(path, items=ITEMS):
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return path


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def steady(line):
    """A result without what differs from run to run."""
    return {k: v for k, v in line.items() if k != "seconds"}


@pytest.fixture
def data(tmp_path):
    return write_set(tmp_path / "set.jsonl")


def eval_command(model, threads):
    return ["eval", "set.jsonl", "-m", str(model), "--threads", str(threads), "--method", METHODS, "--ablations", "6",
            "-n", "2"]


@pytest.fixture(scope="session")
def command(smollm):
    return eval_command(smollm, 2)


@pytest.fixture
def quick(headwater, tiny, tmp_path):
    """The same on a random model, over a set of many items that each take no time; its command line is quick.args."""
    args = eval_command(tiny / "llama.gguf", 1)
    write_set(tmp_path / "set.jsonl", MANY)

    def run(*more):
        return headwater(*args, *more)

    run.args = args
    return run


@pytest.fixture(scope="module")
def whole(program, command, tmp_path_factory):
    """The set measured once, undisturbed: the result lines, and the table as JSON."""
    folder = tmp_path_factory.mktemp("whole")
    write_set(folder / "set.jsonl")
    done = subprocess.run([str(program), *command, "-o", "r.jsonl", "--format", "json"], cwd=folder, env=environment(),
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=HANG_S)
    assert (done.returncode, done.stderr) == (0, b"")
    return read_lines(folder / "r.jsonl"), json.loads(done.stdout)


@pytest.fixture
def evaluate(headwater, command, data):
    return lambda *args, **kwargs: headwater(*command, *args, **kwargs)


# ---------------------------------------------------------------------- tables, without a model


def make_line(index, scores, **more):
    """A result line of two methods, as eval writes it."""
    line = {"id": f"item-{index}", "index": index, "tags": {"place": index % 3 + 9}, "right": True, "evidence": [1],
            "settings": {"model": {"name": "M"}, "methods": "a,b"},
            "methods": [{"method": name, **values} for name, values in zip("ab", scores)]}
    return line | more


def make_results(n=11):
    rng = np.random.default_rng(5)
    lines = []
    for i in range(n):
        scores = [{m: float(np.float32(rng.normal())) for m in METRICS} for _ in "ab"]
        for score in scores:
            score["hit1"] = int(rng.integers(2))
            score["passes"] = 7
        lines.append(make_line(i, scores))
    lines[2]["right"] = False
    lines[3]["right"] = None
    lines[4]["methods"][0]["drop5"] = None
    return lines


def write_results(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def splitmix64(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        yield z ^ (z >> 31)


def bootstrap(values, seed=0):
    """Mean, and the 2.5 and 97.5 % points of the means of 2,000 resamples."""
    n, draw = len(values), splitmix64(seed)
    means = [np.mean([values[((next(draw) >> 32) * n) >> 32] for _ in range(n)]) for _ in range(2000)]
    return np.mean(values), *np.percentile(means, [2.5, 97.5])


def values_of(lines, method, metric):
    """What counts for one cell: numbers, and for evidence metrics only items that were not answered wrong."""
    chosen = [line for line in lines if metric not in EVIDENCE or line["right"] is not False]
    found = [m.get(metric) for line in chosen for m in line.get("methods", []) if m["method"] == method]
    return [v for v in found if v is not None]


def test_table_is_what_a_bootstrap_written_again_gives(headwater, tmp_path):
    lines = make_results()
    write_results(tmp_path / "r.jsonl", lines)
    done = headwater("eval", "--table", "r.jsonl", "--format", "json", "--seed", "3")
    assert (done.status, done.err) == (0, "")
    group, = json.loads(done.out)["groups"]
    assert (group["group"], group["items"], group["judged"], group["right"], group["failed"]) == (None, 11, 10, 9, 0)
    for method in group["methods"]:
        for metric in METRICS:
            values, cell = values_of(lines, method["method"], metric), method[metric]
            assert cell["n"] == len(values)
            assert (cell["mean"], cell["low"], cell["high"]) == pytest.approx(bootstrap(values, 3), abs=1e-7), metric


def test_csv_and_text_hold_the_same_numbers_as_json(headwater, tmp_path):
    write_results(tmp_path / "r.jsonl", make_results())
    table = ("eval", "--table", "r.jsonl", "--format")
    group, = json.loads(headwater(*table, "json").out)["groups"]
    rows = list(csv.DictReader(io.StringIO(headwater(*table, "csv").out)))
    assert len(rows) == 2 * len(METRICS)
    text = headwater(*table, "text").out
    assert text.startswith("11 items, 9 of 10 answered right (90 %)\n")
    cells = {m["method"]: m for m in group["methods"]}
    for row in rows:
        cell = cells[row["method"]][row["metric"]]
        assert [float(row[k]) for k in ("n", "mean", "low", "high")] == pytest.approx(
            [cell[k] for k in ("n", "mean", "low", "high")])
        if row["metric"] != "passes":
            assert f"{cell['mean']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]" in text


def test_one_item_has_a_point_as_interval_and_none_is_a_dash(headwater, tmp_path):
    write_results(tmp_path / "r.jsonl", [make_line(0, [{"hit1": 1, "mrr": 1.0}, {}])])
    text = headwater("eval", "--table", "r.jsonl").out
    assert re.search(r"^a +1\.00 \[1\.00, 1\.00\] +1\.00 \[1\.00, 1\.00\] +- +- +- +-$", text, re.M)
    assert re.search(r"^b(?: +-){6}$", text, re.M)
    assert "drop@1" not in text, "a block of which nothing was measured is left out"
    row = headwater("eval", "--table", "r.jsonl", "--format", "csv").out.splitlines()[-1]
    assert row == '"b",sufficiency,0,,,'


def test_groups_are_in_order_and_each_its_own_table(headwater, tmp_path):
    lines = make_results()
    write_results(tmp_path / "r.jsonl", lines)
    done = headwater("eval", "--table", "r.jsonl", "--group-by", "place", "--format", "json")
    groups = json.loads(done.out)["groups"]
    assert [g["group"] for g in groups] == ["9", "10", "11"], "numbers by size, not as text"
    for group in groups:
        mine = [line for line in lines if str(line["tags"]["place"]) == group["group"]]
        mean, low, high = bootstrap(values_of(mine, "a", "drop1"))
        cell = group["methods"][0]["drop1"]
        assert cell["n"] == len(mine)
        assert (cell["mean"], cell["low"], cell["high"]) == pytest.approx((mean, low, high), abs=1e-7)
    rows = list(csv.DictReader(io.StringIO(headwater("eval", "--table", "r.jsonl", "--group-by", "place", "--format",
                                                     "csv").out)))
    assert list(rows[0])[0] == "place" and len(rows) == 3 * 2 * len(METRICS)


def test_shards_in_any_order_make_the_same_table(headwater, tmp_path):
    lines = make_results()
    write_results(tmp_path / "all.jsonl", lines)
    write_results(tmp_path / "even.jsonl", lines[::2])
    write_results(tmp_path / "odd.jsonl", lines[1::2])
    whole = headwater("eval", "--table", "all.jsonl", "--format", "json").out
    assert headwater("eval", "--table", "odd.jsonl", "even.jsonl", "--format", "json").out == whole
    twice = headwater("eval", "--table", "odd.jsonl", "all.jsonl", "--format", "json")
    assert twice.out == whole
    assert "5 results are there twice and count once" in twice.err


def test_models_are_mixed_only_when_they_are_the_groups(headwater, tmp_path):
    other = [make_line(0, [{"hit1": 0}, {"hit1": 1}], settings={"model": {"name": "N"}, "methods": "a,b"})]
    write_results(tmp_path / "r.jsonl", make_results() + other)
    done = headwater("eval", "--table", "r.jsonl")
    assert (done.status, done.out) == (1, "")
    assert "different settings (model)" in done.err
    grouped = headwater("eval", "--table", "r.jsonl", "--group-by", "model", "--format", "json")
    assert [g["group"] for g in json.loads(grouped.out)["groups"]] == ["M", "N"]


def test_what_is_no_result_is_left_out_of_a_table(headwater, tmp_path):
    lines = make_results()
    failed = {k: v for k, v in make_line(11, []).items() if k not in ("methods", "right")} | {"error": "too long"}
    path = write_results(tmp_path / "r.jsonl", [*lines, failed])
    path.write_text(path.read_text() + "{\"id\": 4}\nnonsense\n{\"id\": \"torn")
    done = headwater("eval", "--table", "r.jsonl")
    assert done.status == 0
    assert done.out.startswith("12 items, 9 of 10 answered right (90 %), 1 failed\n")
    assert "r.jsonl line 13 is left out" in done.err and "line 14" in done.err and "line 15" not in done.err


SHARD = "must be I/K, the I-th of K parts, I from 1 to K"
USAGE = {
    "no data set": (["eval"], "name one data set; 0 were given"),
    "two data sets": (["eval", "a", "b"], "name one data set; 2 were given (a table of result files is --table)"),
    "no results": (["eval", "--table"], "--table: name the result files"),
    "no model": (["eval", "a"], "no model: give -m MODEL, or set HEADWATER_MODEL"),
    "format": (["eval", "a", "--format", "xml"], "--format \"xml\": must be text, csv or json"),
    "shard 0": (["eval", "a", "--shard", "0/2"], f"--shard \"0/2\": {SHARD}"),
    "shard beyond": (["eval", "a", "--shard", "3/2"], f"--shard \"3/2\": {SHARD}"),
    "shard text": (["eval", "a", "--shard", "1/2x"], f"--shard \"1/2x\": {SHARD}"),
    "method": (["eval", "a", "--method", "rolout"], "--method \"rolout\": unknown name, did you mean rollout?"),
    "method twice": (["eval", "a", "--method", "logit,logit"], "--method names logit twice"),
    "setting": (
        ["eval", "a", "--method", "rollout:depth=3"],
        "--method rollout:depth=3: \"depth\": unknown name; accepted: row, ",
    ),
    "bare": (
        ["eval", "a", "--method", "rollout:first"],
        "--method rollout:first: \"first\": not a value that stands alone (norm, own, output, last ...); write "
        "KEY=VALUE",
    ),
    "residual": (["eval", "a", "--method", "rollout:residual=2"], "\"2\": must be a number from 0 to 1"),
    "residual nan": (["eval", "a", "--method", "rollout:residual=nan"], "\"nan\": must be a number from 0 to 1"),
    "residual word": (["eval", "a", "--method", "rollout:residual=measure"], "from 0 to 1, or measured"),
    "discard": (["eval", "a", "--method", "rollout:discard=1"], "\"1\": must be a number from 0 to below 1"),
    "discard of another": (["eval", "a", "--method", "attention:discard=0.5"], "attention is not affected by discard"),
    "sink of another": (
        ["eval", "a", "--method", "contribution:remove-sink"],
        "contribution is not affected by remove-sink",
    ),
    "aggregate": (["eval", "a", "--method", "contribution:aggregate=sum"], "mean, rollout"),
    "aggregate of another": (
        ["eval", "a", "--method", "attention:aggregate=rollout"],
        "attention is not affected by aggregate",
    ),
    "nothing to direct": (
        ["eval", "a", "--method", "contribution:output"],
        "contribution is not affected by direction with these settings",
    ),
    "row of another": (["eval", "a", "--method", "logit:own"], "logit is not affected by row"),
    "layers of another": (["eval", "a", "--method", "random:last"], "random is not affected by layers"),
    "lift of nats": (["eval", "a", "--method", "logit:lift"], "logit is not affected by lift"),
    "measure": (["eval", "a", "--method", "contribution:measure=size"], "proximity1"),
    "layers": (["eval", "a", "--method", "rollout:layers=top"], "must be last, one layer (5) or a range (3-12)"),
    "hide": (["eval", "a", "--method", "rollout:hide=first+frist"], "frist"),
    "not heeded": (["eval", "a", "--method", "logit:norm"], "--method logit:norm: logit is not affected by measure"),
    "by": (["eval", "a", "--by", "sentense"], "--by \"sentense\": unknown name, did you mean sentence?"),
    "results over the set": (
        ["eval", "a", "-m", "m", "-o", "a"],
        "a would be written and is also named for something else",
    ),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(headwater, name):
    args, message = USAGE[name]
    done = headwater(*args)
    assert (done.status, done.out) == (2, "")
    assert message in done.err and done.err.endswith("See `headwater eval --help`.\n")


def test_files_that_are_not_there_and_sets_without_items(headwater, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    for args, message in ((["none.jsonl", "-m", "m"], "data set none.jsonl: No such file"),
                          (["empty.jsonl", "-m", "m"], "data set empty.jsonl: it holds no item"),
                          (["--table", "none.jsonl"], "results none.jsonl: No such file"),
                          (["--table", "empty.jsonl"], "there are no results to make a table of")):
        done = headwater("eval", *args)
        assert (done.status, done.out) == (1, "") and message in done.err


def test_every_bad_line_says_what_is_wrong_with_it(headwater, tmp_path):
    cases = {
        "{\"prompt\": ": "no valid JSON",
        "[1]": "not an object",
        "{\"prompt\": 1}": "\"prompt\" must be a text that is not empty",
        "{\"id\": \"x\"}": "\"prompt\" must be there",
        "{\"prompt\": \"\"}": "\"prompt\" must be a text that is not empty",
        "{\"prompt\": \"a\", \"answer\": \"\"}": "\"answer\" must be a text that is not empty",
        "{\"prompt\": \"a\", \"answer\": []}": "\"answer\" must be a text that is not empty, or a list of such texts",
        "{\"prompt\": \"a\", \"answer\": [\"b\", 1]}": "\"answer\" must be a text that is not empty, or a list",
        "{\"prompt\": \"a\", \"answer\": [\"b\\u0000\"]}": "\"answer\" must be without NUL",
        "{\"prompt\": \"a\", \"evidence\": [[0, 2]]}": "\"evidence\" must be a list of [begin, end] within the prompt",
        "{\"prompt\": \"é\", \"evidence\": [[0, 2]]}": "within the prompt, in code points",
        "{\"prompt\": \"a\", \"evidence\": [[1, 0]]}": "\"evidence\" must be",
        "{\"prompt\": \"a\", \"evidence\": [[0]]}": "\"evidence\" must be",
        "{\"prompt\": \"a\", \"spans\": {}}": "\"spans\" must be a list of [begin, end] or {",
        "{\"prompt\": \"a\", \"tags\": 1}": "\"tags\" must be an object",
        "{\"prompt\": \"a\", \"prompt\": \"b\"}": "no valid JSON",
    }
    (tmp_path / "bad.jsonl").write_text("".join(line + "\n" for line in cases))
    done = headwater("eval", "bad.jsonl", "-m", "m")
    assert done.status == 1
    for number, (line, message) in enumerate(zip(done.err.splitlines(), cases.values()), 1):
        assert line.startswith(f"headwater: bad.jsonl line {number} is left out: ") and message in line


def documented(info):
    """What stands in a fenced block of docs/reference/formats.md."""
    page = (pathlib.Path(__file__).parents[3] / "docs" / "reference" / "formats.md").read_text(encoding="utf-8")
    return re.search(rf"```{info}\n(.*?)```", page, re.S).group(1)


def test_the_documented_files_are_what_is_read_and_written(headwater, tmp_path):
    line, table = json.loads(documented("json line")), json.loads(documented("json table"))
    write_results(tmp_path / "r.jsonl", [line])
    made = json.loads(headwater("eval", "--table", "r.jsonl", "--format", "json").out)
    (whole,), (shown,) = made["groups"], table["groups"]
    assert [m["method"] for m in whole["methods"]] == ["logit", "flow"]
    assert list(whole["methods"][0]) == ["method", *METRICS] and whole["methods"][1]["hit1"]["n"] == 0
    whole["methods"] = [{k: whole["methods"][0][k] for k in shown["methods"][0]}]
    assert made == table
    lines = headwater("eval", "--table", "r.jsonl", "--format", "csv").out
    assert lines.startswith(documented("csv table"))
    write_set(tmp_path / "set.jsonl", [json.loads(documented("json item"))])
    del line["item_sha256"]  # shortened there
    write_results(tmp_path / "r.jsonl", [line])
    assert headwater("eval", "--merge", "set.jsonl", "r.jsonl", "-o", "all.jsonl").status == 0


def test_a_limit_counts_items_and_a_byte_order_mark_is_no_part_of_the_first(headwater, tmp_path):
    """By merging: it needs no model. What no result is made of is missing."""
    items = [{"id": f"item-{i}", "prompt": "a"} for i in range(3)]
    write_results(tmp_path / "r.jsonl", [make_line(1, [{}, {}], id="item-0")])
    text = "nonsense\n" + "".join(json.dumps(item) + "\n" for item in items)
    (tmp_path / "set.jsonl").write_text(text)
    merge = ("eval", "--merge", "set.jsonl", "r.jsonl", "-o", "all.jsonl")
    for limit, held, missing in ((1, 1, 0), (2, 1, 1)):
        done = headwater(*merge, "--limit", str(limit))
        assert "set.jsonl line 1 is left out: no valid JSON" in done.err
        assert f"all.jsonl holds {held} results of 1 file" in done.err, done
        assert ("item-1" in done.err) == bool(missing), done
    (tmp_path / "set.jsonl").write_text("\ufeff" + json.dumps(items[0]) + "\n", encoding="utf-8")
    write_results(tmp_path / "r.jsonl", [make_line(0, [{}, {}])])
    done = headwater(*merge)
    assert (done.status, read_lines(tmp_path / "all.jsonl")[0]["id"]) == (0, "item-0"), done


# ---------------------------------------------------------------------- on a model


@pytest.mark.model
def test_result_lines_and_their_table(whole):
    lines, table = whole
    assert [line["id"] for line in lines] == [item["id"] for item in ITEMS]
    for line, item in zip(lines, ITEMS):
        place = item["tags"]["place"] - 1
        assert (line["segments"], line["evidence"], line["tags"]) == (4, [place], item["tags"])
        assert line["right"] == line["completion"].strip().lower().startswith(item["answer"])
        assert line["explained"][0] == 0 < line["explained"][1] <= 2 and line["passes"] > 6
        assert [m["method"] for m in line["methods"]] == LABELS
        assert list(line) == list(json.loads(documented("json line")))
        assert list(line["methods"][0]) == list(json.loads(documented("json line"))["methods"][0])
        for method in line["methods"]:
            rank = 1 + sum(s > method["scores"][place] for s in method["scores"])
            assert (method["hit1"], method["mrr"]) == (rank == 1, pytest.approx(1 / rank))
            assert method["recall10"] == (rank == 1), "a tenth of four segments is one"
            assert method.get("drop5") is None, "there are four segments"
    assert any(line["right"] for line in lines), "the set is one that the model can do"
    group, = table["groups"]
    for method in group["methods"]:
        for metric in METRICS:
            values = values_of(lines, method["method"], metric)
            assert method[metric]["n"] == len(values)
            if values:
                cell = [method[metric][k] for k in ("mean", "low", "high")]
                assert cell == pytest.approx(bootstrap(values), abs=1e-7)


@pytest.mark.model
def test_best_segment_is_the_one_whose_removal_is_judged(whole):
    """drop@1 of two methods is the same where, and as a rule only where, they name the same segment first."""
    for line in whole[0]:
        drops = {}
        for method in line["methods"]:
            if method.get("drop1") is not None:
                drops.setdefault(int(np.argmax(method["scores"])), set()).add(method["drop1"])
        assert all(len(same) == 1 for same in drops.values())


@pytest.mark.model
def test_shards_are_together_the_whole(quick, headwater, tmp_path):
    write_set(tmp_path / "set.jsonl", MANY[:7])
    assert quick("-o", "all.jsonl").status == 0
    for i in (1, 2, 3):
        assert quick("-o", f"s{i}.jsonl", "--shard", f"{i}/3").status == 0
    parts = [line for i in (1, 2, 3) for line in read_lines(tmp_path / f"s{i}.jsonl")]
    all_lines = read_lines(tmp_path / "all.jsonl")
    assert [steady(line) for line in sorted(parts, key=lambda line: line["index"])] == [*map(steady, all_lines)]
    table = ("eval", "--format", "csv", "--table")
    assert headwater(*table, "s3.jsonl", "s1.jsonl", "s2.jsonl").out == headwater(*table, "all.jsonl").out


def start(program, args, cwd):
    return subprocess.Popen([str(program), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, cwd=cwd, env=environment())


def wait_for_lines(path, n):
    until(lambda: path.exists() and path.read_bytes().count(b"\n") >= n, f"{path} does not get {n} lines")


@pytest.mark.model
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_goes_on_where_it_ended(program, quick, tmp_path, ending):
    path = tmp_path / "r.jsonl"
    process = start(program, [*quick.args, "-o", "r.jsonl"], tmp_path)
    wait_for_lines(path, 2)
    process.send_signal(ending)
    _, err = process.communicate(timeout=HANG_S)
    kept = path.read_text().count("\n")
    assert 2 <= kept < len(MANY)
    if ending == signal.SIGINT:
        assert process.returncode == 130
        assert err.decode() == (f"headwater: interrupted: r.jsonl holds {kept} results; the same command goes on from "
                                "there\n")
    else:
        path.write_text(path.read_text() + "{\"id\": \"item-0\", \"ind")
    before = path.read_text().splitlines()[:kept]
    done = quick("-o", "r.jsonl")
    assert done.status == 0
    assert ("r.jsonl: its last line was torn and is made again" in done.err) == (ending == signal.SIGKILL)
    assert path.read_text().splitlines()[:kept] == before, "what was there is not made again"
    again = quick("-o", "r.jsonl")
    assert again.out == done.out and again.err == ""
    assert quick("-o", "whole.jsonl").out == done.out
    assert [*map(steady, read_lines(path))] == [*map(steady, read_lines(tmp_path / "whole.jsonl"))]


@pytest.mark.model
def test_results_of_other_settings_are_not_mixed(evaluate, tmp_path):
    assert evaluate("-o", "r.jsonl", "--limit", "1").status == 0
    before = (tmp_path / "r.jsonl").read_bytes()
    done = evaluate("-o", "r.jsonl", "--seed", "4")
    assert (done.status, done.out) == (1, "")
    assert ("r.jsonl: item Anna-0 was made with seed 0, not 4; results of other settings need a file of their own"
            in done.err)
    assert (tmp_path / "r.jsonl").read_bytes() == before


@pytest.mark.model
def test_prompts_as_messages_of_the_user(evaluate, headwater, smollm, tmp_path):
    write_set(tmp_path / "set.jsonl", ITEMS[:1])
    common = ["--method", "attention", "--ablations", "0", "-n", "1"]
    assert evaluate("-o", "out.jsonl", "--chat", *common).status == 0
    (line,) = read_lines(tmp_path / "out.jsonl")
    (tmp_path / "prompt.txt").write_text(ITEMS[0]["prompt"])
    run = headwater(
        "explain", "-m", smollm, "-f", "prompt.txt", "--chat", "-n", "1", "-q", "--method", "attention", "-o",
        "run.json"
    )
    assert run.status == 0, run
    tokens = json.loads((tmp_path / "run.json").read_text())["run"]["tokens"]
    assert line["prompt_tokens"] == len(tokens) - 1 > 50, "the same tokens, and one that was generated"
    assert (
        line["settings"]["chat"] is True
        and line["methods"][0]["hit1"] in (0, 1)
        and line["evidence"] == [ITEMS[0]["spans"].index(ITEMS[0]["evidence"][0])]
    )
    other = evaluate("-o", "out.jsonl", *common)
    assert other.status == 1 and "settings" in other.err


def test_bad_lines_are_counted_and_the_rest_is_measured(evaluate, tmp_path):
    lines = [json.dumps(item) for item in ITEMS[:2]]
    (tmp_path / "set.jsonl").write_text("\n".join([lines[0], "{\"id\":", "", lines[1], lines[0]]) + "\n")
    done = evaluate("-o", "r.jsonl")
    assert done.status == 1
    assert "headwater: set.jsonl line 2 is left out: no valid JSON" in done.err
    assert "headwater: set.jsonl line 5 is left out: an item before it has the same id, Anna-0" in done.err
    assert done.err.endswith("headwater: 2 lines of the data set left out: see above\n")
    assert done.out.startswith("2 items, ")
    assert [line["id"] for line in read_lines(tmp_path / "r.jsonl")] == ["Anna-0", "Boris-1"]


@pytest.mark.model
def test_remarks_on_an_items_texts_are_said_and_kept(headwater, tiny, tmp_path):
    prompts = ["hello world", "\ufeffhello\r\nworld", "a\u0000b c", "a <s> b"]
    write_set(tmp_path / "set.jsonl", [{"id": str(i), "prompt": prompt} for i, prompt in enumerate(prompts)])
    args = ["eval", "set.jsonl", "-m", tiny / "llama.gguf", "--method", "rollout", "--ablations", "2", "--by", "word"]
    done = headwater(*args, "-n", "1", "-o", "r.jsonl")
    assert done.status == 0
    lines = [line.removeprefix("headwater: ") for line in done.err.splitlines()]
    said = [tuple(line.split(": ", 1)) for line in lines if ": the prompt " in line]
    kept = [line.get("remarks", []) for line in read_lines(tmp_path / "r.jsonl")]
    assert said == [(str(i), text) for i, texts in enumerate(kept) for text in texts]
    for texts, parts in zip(kept, ((), ("byte order mark", "CRLF"), ("NUL",), ("control token",))):
        assert len(texts) == len(parts) and all(part in text for text, part in zip(texts, parts)), texts
    assert headwater(*args, "-n", "1", "-q").err == ""


def test_an_item_that_cannot_be_measured_is_kept_as_failed(evaluate, tmp_path):
    """Too long for the context, one segment alone, spans outside the prompt, a token that is not there."""
    items = [ITEMS[0], {"id": "long", "prompt": "word " * 600}, {"id": "one", "prompt": "One sentence."},
             {"id": "outside", "prompt": "Two. Sentences.", "spans": [[0, 4], [5, 99]]},
             {"id": "token", "prompt": "Two. Sentences.", "completion": " yes", "token": "no"}]
    write_set(tmp_path / "set.jsonl", items)
    done = evaluate("-o", "r.jsonl", "--ctx", "512")
    assert done.status == 1
    lines = read_lines(tmp_path / "r.jsonl")
    assert [line["id"] for line in lines] == [item["id"] for item in items]
    assert "error" not in lines[0] and all("error" in line and "methods" not in line for line in lines[1:])
    assert "512" in lines[1]["error"] and "\"no\"" in lines[4]["error"]
    for line in lines[1:]:
        assert f"headwater: {line['id']}: {line['error']}\n" in done.err
    assert done.out.startswith("5 items, ") and "4 failed" in done.out


@pytest.mark.model
def test_an_item_that_would_take_too_much_memory_is_not_run(evaluate, tmp_path):
    write_set(tmp_path / "set.jsonl", [ITEMS[0], {"id": "long", "prompt": "word " * 1500}])
    done = evaluate("-o", "r.jsonl", "--memory", "300M", "--method", "rollout")
    assert done.status == 1
    first, long = read_lines(tmp_path / "r.jsonl")
    assert "error" not in first and "300.0 MiB" in long["error"] and "a shorter prompt" in long["error"]


@pytest.mark.model
def test_what_failed_is_tried_again(evaluate, headwater, tmp_path):
    """First all fails for want of memory, then what can be measured is, and one item fails for good."""
    write_set(tmp_path / "set.jsonl", [ITEMS[0], {"id": "one", "prompt": "One sentence."}, ITEMS[1]])
    args = ("-o", "r.jsonl", "--method", "logit,random", "--ablations", "4")
    done = evaluate(*args, "--memory", "100M")
    assert done.status == 1 and done.out.startswith("3 items, ") and "3 failed" in done.out
    done = evaluate(*args)
    assert done.status == 1 and done.out.startswith("3 items, ") and "1 failed" in done.out
    lines = read_lines(tmp_path / "r.jsonl")
    assert [(line["id"], "error" in line) for line in lines] == [
        (ITEMS[0]["id"], True), ("one", True), (ITEMS[1]["id"], True),
        (ITEMS[0]["id"], False), ("one", True), (ITEMS[1]["id"], False)]
    assert headwater("eval", "--table", "r.jsonl").out == done.out
    assert evaluate(*args, "--shard", "1/3").status == 0 and len(read_lines(tmp_path / "r.jsonl")) == 6


@pytest.mark.model
def test_a_shard_without_items_is_done(evaluate, tmp_path):
    write_set(tmp_path / "set.jsonl", ITEMS[:2])
    done = evaluate("-o", "r.jsonl", "--shard", "4/5")
    assert (done.status, done.out, done.err) == (0, "", "headwater: shard 4/5 holds none of the items\n")


@pytest.mark.model
def test_what_logits_are_compared_with_is_a_setting(evaluate, tmp_path):
    write_set(tmp_path / "set.jsonl", ITEMS[:1])
    common = ["--method", "logit", "--ablations", "0", "-n", "1"]
    scores = {}
    for name in ("mean", "distribution"):
        assert evaluate("-o", f"{name}.jsonl", "--against", name, *common).status == 0
        (line,) = read_lines(tmp_path / f"{name}.jsonl")
        assert line["settings"]["against"] == name
        scores[name] = line["methods"][0]["scores"]
    assert np.abs(np.subtract(*scores.values())).max() > 1e-3
    refused = evaluate("-o", "mean.jsonl", *common)
    assert refused.status == 1 and "results of other settings" in refused.err
    none = evaluate("-o", "none.jsonl", "--against", "mean", *common[2:], "--method", "attention")
    assert none.status == 1 and "no method of the explainer reads them" in none.err


@pytest.mark.model
def test_given_completion_token_and_evidence_in_code_points(headwater, smollm, tmp_path):
    prompt = "Föhn 🌞: It is sunny today, which is bad.\nQ: How is the weather today ?\nA: It is"
    at = prompt.index("sunny")
    write_set(tmp_path / "set.jsonl", [{"name": "note", "prompt": prompt, "completion": " sunny, but not warm.",
                                        "token": "sunny", "evidence": [[at, at + 5]]}])
    done = headwater("eval", "set.jsonl", "-m", smollm, "--by", "word", "--ablations", "0", "--method", "logit", "-o",
                     "r.jsonl")
    assert done.status == 0
    line, = read_lines(tmp_path / "r.jsonl")
    assert (line["id"], line["right"], line["explained"], line["passes"]) == ("note", None, [0, 1], 0)
    words = prompt.replace("?", "").split()
    assert len(line["evidence"]) == 1 and line["segments"] >= len(words)
    assert line["methods"][0]["hit1"] == 1 and "drop1" not in line["methods"][0]
    assert done.out.startswith("1 item\n") and "drop@1" not in done.out


@pytest.mark.model
def test_a_method_that_cannot_be_given_loses_its_own_figures_only(evaluate, headwater, tmp_path):
    """flow is for small inputs; logit's figures are those of a run without it."""
    long = ITEMS[1] | {"prompt": ITEMS[1]["prompt"].replace("Question:", "And so on. " * 40 + "Question:")}
    write_set(tmp_path / "set.jsonl", [ITEMS[0], long])
    done = evaluate("-o", "r.jsonl", "--method", "flow,logit", "--ablations", "0", "--format", "json")
    first, second = read_lines(tmp_path / "r.jsonl")
    assert "error" not in second and [m["method"] for m in second["methods"]] == ["flow", "logit"]
    assert list(second["methods"][0]) == ["method", "error"] and "too large" in second["methods"][0]["error"]
    assert (done.status, done.err) == (1, f"headwater: {long['id']}: no flow: {second['methods'][0]['error']}\n")
    group, = json.loads(done.out)["groups"]
    assert [m["hit1"]["n"] for m in group["methods"]] == [1, 2]
    assert (group["items"], group["failed"]) == (2, 0)
    assert headwater("eval", "--table", "r.jsonl", "--format", "json").out == done.out
    assert evaluate("-o", "alone.jsonl", "--method", "logit", "--ablations", "0").status == 0
    assert second["methods"][1] == read_lines(tmp_path / "alone.jsonl")[1]["methods"][0]
    alone = evaluate("-o", "none.jsonl", "--method", "flow", "--ablations", "0")
    assert alone.status == 1 and "error" in read_lines(tmp_path / "none.jsonl")[1]


@pytest.mark.model
def test_an_answer_flips_without_what_it_came_from(evaluate, tmp_path):
    """Generated again without the sentence that says it, a right answer is another; wrong ones are not counted. Of
    several answers any is right."""
    made_up = ITEMS[1] | {"id": "wrong", "answer": ["zebras", "apes"]}
    several = ITEMS[0] | {"answer": ["zebras", ITEMS[0]["answer"]]}
    write_set(tmp_path / "set.jsonl", [several, *ITEMS[1:3], made_up])
    common = ["-n", "2", "--method", "leave-one-out", "--ablations", "0"]
    done = evaluate("-o", "r.jsonl", "--rewrite", *common, "--format", "json")
    lines = read_lines(tmp_path / "r.jsonl")
    right = [line for line in lines if line["right"]]
    assert lines[0]["right"] and not lines[-1]["right"]
    flips = [line["methods"][0]["flip1"] for line in right]
    assert flips and lines[0]["settings"]["rewrite"] is True and "flip1" not in lines[-1]["methods"][0]
    assert [line["methods"][0]["hit1"] for line in right] == flips == [1] * len(right)
    (group,) = json.loads(done.out)["groups"]
    assert group["methods"][0]["flip1"]["n"] == len(right) and group["methods"][0]["flip3"]["n"] == len(right)
    assert evaluate("-o", "plain.jsonl", *common).status == 0
    assert "flip1" not in read_lines(tmp_path / "plain.jsonl")[0]["methods"][0]


@pytest.mark.model
def test_passes_are_told_without_ablations(evaluate, tmp_path):
    done = evaluate("-o", "r.jsonl", "--limit", "1", "--method", "logit,leave-one-out", "--ablations", "0")
    assert done.status == 0
    line, = read_lines(tmp_path / "r.jsonl")
    assert [m["passes"] for m in line["methods"]] == [0, 4]
    assert re.search(r"^leave-one-out .* 4$", done.out, re.M) and "drop@1" not in done.out


@pytest.mark.model
def test_settings_of_a_variant_are_those_of_explain(headwater, smollm, tmp_path):
    """Scores of variants against what explain saves with the same options."""
    item = ITEMS[0]
    write_set(tmp_path / "set.jsonl", [item | {"completion": " clocks.", "token": "0"}])
    variants = {  # options of explain, and which layers of its tensor are averaged
        "contribution:norm": (["--method", "contribution", "--measure", "norm"], slice(None)),
        "rollout:own:residual=0.3": (["--row", "own", "--residual", "0.3"], slice(None)),
        "rollout:layers=3-12": ([], slice(2, 12)),
        "rollout:last": ([], slice(-1, None)),
        "rollout:output:last": (["--direction", "output"], slice(0, 1)),
    }
    run = headwater("eval", "set.jsonl", "-m", smollm, "--threads", "2", "--by", "token", "--ablations", "0",
                    "--method", ",".join(variants), "-o", "r.jsonl")
    assert run.status == 0, run
    line, = read_lines(tmp_path / "r.jsonl")
    for method in line["methods"]:
        options, layers = variants[method["method"]]
        done = headwater("explain", "-m", smollm, "--threads", "2", "-p", item["prompt"], "--completion", " clocks.",
                         "--method", "rollout", *options, "-o", "m.npy")
        assert done.status == 0, done
        assert method["scores"] == pytest.approx(np.load(tmp_path / "m.npy")[0, :, layers].mean(-1), abs=1e-6)
