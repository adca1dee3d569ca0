"""The terminal view, exactly, on attention whose rollout is known as fractions."""

import json
import re

import numpy as np
import pytest
from conftest import WORKED, causal


def numbers(text, label):
    """The numbers of a diagnostics line."""
    line = re.search(rf"^  {label}.*$", text, re.M).group(0)
    return [float(v) for v in re.findall(r"[-+]?\d+\.\d+", line)]


def test_view_is_exact(headwater, worked, expected):
    done = headwater("explain", "--attention", worked.name)
    assert (done.status, done.err) == (0, "")
    expected("view_worked", done.out)


def test_view_of_own_rows_is_exact(headwater, worked, expected):
    done = headwater("explain", "--attention", worked.name, "--row", "own", "--columns", "all", "--hide", "first")
    assert (done.status, done.err) == (0, "")
    expected("view_worked_own", done.out)


def test_values_are_the_worked_fractions(headwater, worked):
    text = headwater("explain", "--attention", worked, "--layers", "2").out
    assert re.search(r"^  1: ·cat +0\.6125 ", text, re.M)  # 49/80
    assert re.search(r"^  0: The +0\.3875 ", text, re.M)  # 31/80
    text = headwater("explain", "--attention", worked, "--layers", "2", "--row", "own").out
    assert re.search(r"^  1: ·cat +0\.3350 ", text, re.M)  # 67/200
    assert re.search(r"^  0: The +0\.3050 ", text, re.M)  # 61/200
    assert numbers(text, "mass outside the prompt") == [0.48, 0.36]
    assert numbers(text, "mass on token 0") == [0.278, 0.305]


def test_top_limits_the_list(headwater, attention_file):
    path = attention_file(causal(3, 9), m=6)
    count = {}
    for top in (0, 1, 4, 100):
        text = headwater("explain", "--attention", path, "--top", str(top)).out
        count[top] = len(re.findall(r"^  \d: ", text, re.M))
    assert count == {0: 0, 1: 1, 4: 4, 100: 6}


@pytest.mark.parametrize("select,heading", [
    ("0", "completion token 0: ·b"),
    ("-1", "completion token 3: ·e"),
    ("1:3", "completion tokens 1 to 2, mean: ·c d"),
    ("d", "completion token 2: ·d"),
    ("c d", "completion tokens 1 to 2, mean: ·c d"),
    (None, "all 4 completion tokens, mean"),
])
def test_token_selection(headwater, attention_file, select, heading):
    path = attention_file(causal(2, 6), m=2, tokens=["a", " a", " b", " c", " d", " e"])
    done = headwater("explain", "--attention", path, *(["--token", select] if select else []))
    assert done.status == 0
    assert f"\nrollout · {heading}\n" in done.out


def test_a_token_that_is_not_there_lists_the_tokens(headwater, worked):
    for select in ("dog", "1", "0:0", "-2", "1:9"):
        done = headwater("explain", "--attention", worked, "--token", select)
        assert done.status == 1, select
        assert f"\"{select}\"" in done.err and "0:\" sat\"" in done.err


@pytest.mark.parametrize("layers", ["0", "3", "1-3", "2-1", "x", "-1", ""])
def test_layers_out_of_range(headwater, worked, layers):
    done = headwater("explain", "--attention", worked, f"--layers={layers}")
    assert done.status == 1
    assert done.err.startswith("headwater: layers ")


def test_a_selection_that_fails_loses_no_file(headwater, worked, tmp_path):
    done = headwater("explain", "--attention", worked, "--token", "dog", "-o", "kept.npy")
    assert done.status == 1
    assert np.load(tmp_path / "kept.npy").shape == (1, 2, 2)


def test_filter_hides_and_reports_the_mass(headwater, attention_file):
    path = attention_file(causal(2, 5), m=4, tokens=["The", ",", " sky", "\n", " is"])
    text = headwater("explain", "--attention", path, "--hide", "first,whitespace").out
    assert set(re.findall(r"^  (\d): ", text, re.M)) == {"1", "2"}
    values = dict(re.findall(r"^  (\d): \S+ +(\d\.\d+)", headwater("explain", "--attention", path).out, re.M))
    hidden = float(values["0"]) + float(values["3"])
    assert numbers(text, "hidden from this view") == pytest.approx([hidden], abs=1e-3)


@pytest.mark.parametrize("filters,shown", [
    (["--hide", "first,punctuation"], {"2", "3"}),
    (["--hide", "first,punctuation", "--keep", "\",\""], {"1", "2", "3"}),
    (["--hide", "/^ [sw]/"], {"0", "1"}),
    (["--hide", "\"sky\",\",\""], {"0", "3"}),
])
def test_filters_by_name_text_and_pattern(headwater, attention_file, filters, shown):
    path = attention_file(causal(2, 5), m=4, tokens=["The", ",", " sky", " wept", " end"])
    done = headwater("explain", "--attention", path, *filters)
    assert done.status == 0, done
    assert set(re.findall(r"^  (\d): ", done.out, re.M)) == shown


def test_everything_hidden(headwater, attention_file):
    path = attention_file(causal(1, 3), m=2, tokens=[" ", "\n", "x"])
    done = headwater("explain", "--attention", path, "--hide", "whitespace")
    assert done.status == 0
    assert "every token is hidden by the filter" in done.out


def test_preset_note(headwater, attention_file):
    path = attention_file(causal(2, 5), m=4, tokens=["The", ",", " sky", ".", " is"])
    text = headwater("explain", "--attention", path, "--preset", "note").out
    assert "\nrow own, " in text and "--hide first,note" in text
    assert re.findall(r"^  (\d): ", text, re.M) == ["2"]


@pytest.mark.parametrize("args", [
    ["--row", "predictor", "--preset", "note"],
    ["--preset", "note", "--row", "predictor"],
])
def test_options_win_over_the_preset_in_any_order(headwater, worked, args):
    text = headwater("explain", "--attention", worked, *args).out
    assert "\nrow predictor, " in text and "--hide first,note" in text


def test_normalise_divides_by_the_mass_on_the_columns(headwater, worked):
    text = headwater("explain", "--attention", worked, "--row", "own", "--layers", "2", "--normalise").out
    assert re.search(r"^  1: ·cat +0\.5234 ", text, re.M)  # 67/128
    assert re.search(r"^  0: The +0\.4766 ", text, re.M)  # 61/128


def test_deep_sink_is_pointed_out(headwater, attention_file):
    sink = np.zeros((24, 12, 12))
    sink[:, :, 0] = 0.9
    sink[:, np.arange(12), np.arange(12)] += 0.1
    text = headwater("explain", "--attention", attention_file(sink, m=10)).out
    assert "! At full depth nearly all of the mass is on token 0" in text
    assert "--hide first" in text
    calm = headwater("explain", "--attention", attention_file(np.stack([np.eye(12)] * 2), m=10)).out
    assert "!" not in calm


BEYOND = np.array(
    [
        [
            [1, 0, 0, 0, 0],
            [0.9, 0.1, 0, 0, 0],
            [0.9, 0.02, 0.08, 0, 0],
            [0.9, 0.04, 0.01, 0.05, 0],
            [0.9, 0.04, 0.01, 0.02, 0.03],
        ]
    ]
)


def test_what_is_beyond_the_scale_is_broken_marked_and_numbered(headwater, attention_file):
    """Bars at the end of the scale looked like true values, and colours too."""
    path = attention_file(BEYOND, m=4, tokens=["Aa", " bb", " cc", " dd", " ee"])
    args = ("explain", "--attention", path, "--method", "attention", "--token", "0")
    text = headwater(*args).out
    bars = {line.split(":")[0].strip(): line for line in text.splitlines() if re.match(r"^ +\d: ", line)}
    assert "╱╱█" in bars["0"] and "0.9000" in bars["0"] and "╱╱█" in bars["3"] and "0.0500" in bars["3"]
    assert "█" * 24 in bars["1"] and "╱" not in bars["1"] + bars["2"]
    assert bars["0"].count("█") + 2 == 24
    assert "≥ 0.04; beyond the scale, marked ^: token 0 (0.9), 3 (0.05)\n" in text
    assert "\n  Aa bb cc dd\n  ^^███▂▂▂^^^\n" in text
    coloured = headwater(*args, "--color", "always").out
    assert coloured.count("\x1b[4m") == 2 and "beyond the scale, marked by a line" in coloured
    hidden = headwater(*args, "--hide", "first,\" dd\"").out
    assert "≥" not in hidden and "╱" not in hidden and "^" not in hidden


def test_profile_is_thinned_to_32_cells(headwater, attention_file):
    for n_layers, cells in ((1, 0), (2, 2), (32, 32), (33, 17), (80, 27)):
        path = attention_file(causal(n_layers, 4), m=3)
        text = headwater("explain", "--attention", path, env={"COLUMNS": "120"}).out
        line = re.search(r"^  0: .*$", text, re.M).group(0)
        profile = line.split()[-1] if n_layers > 1 else ""
        assert len(profile) == cells, (n_layers, line)


@pytest.mark.parametrize("columns", [20, 33, 48, 60, 79, 120, 200])
def test_no_line_is_wider_than_the_terminal(headwater, attention_file, columns):
    tokens = ["Supercalifragilisticexpialidocious" * 2, "日本語の文章", "🎉", " and", " e\u0301te\u0301", " more", " words"]
    path = attention_file(causal(30, 8), m=7, tokens=[*tokens, " end"])
    text = headwater("explain", "--attention", path, "--top", "7", env={"COLUMNS": str(columns)}).out
    body = text[text.index("\n\n", text.index("rollout")):text.index("\nOver ")]
    for line in body.splitlines():
        wide = sum(c in "日本語の文章🎉" for c in line)
        marks = line.count("\u0301")
        if not line.startswith("  0 "):
            assert len(line) + wide - marks <= columns, line


def test_long_prompt_wraps_at_spaces(headwater, attention_file):
    words = [f" word{i}" for i in range(40)]
    path = attention_file(causal(1, 41), m=40, tokens=[*words, " end"])
    text = headwater("explain", "--attention", path, "--top", "0", env={"COLUMNS": "50"}).out
    shown = [line for line in text.splitlines() if re.match(r"  +word\d", line)]
    assert len(shown) > 4
    assert "".join(line[2:] for line in shown).split() == "".join(words).split()


def test_tokens_without_names_are_numbered(headwater, attention_file):
    text = headwater("explain", "--attention", attention_file(WORKED, m=2)).out
    assert "\n  0 1\n" in text


def test_every_row_against_every_column_without_a_prompt_length(headwater, attention_file):
    rng = np.random.default_rng(5)
    a = rng.random((2, 3, 4, 4))
    path = attention_file(a / a.sum(-1, keepdims=True), tokens=["[CLS]", "a", "b", "c"])
    done = headwater("explain", "--attention", path)
    assert done.status == 0
    assert done.out.startswith("4 tokens; ")
    assert "\nrollout · all 4 tokens, mean\n" in done.out
    assert "\n  [CLS] a b c\n" in done.out
    one = headwater("explain", "--attention", path, "--token", "b").out
    assert "\nrollout · token 2: b\n" in one


# ---------------------------------------------------------------- several files


@pytest.fixture
def two(headwater, attention_file, tmp_path):
    """A result and a trace, of different runs."""
    for name, tokens in (
        ("one.safetensors", ["My", " name", " Putin", " Russia"]),
        ("two.json", ["My", " name", " Abdul", " Pakistan"]),
    ):
        path = attention_file(causal(2, 4), m=3, tokens=tokens)
        assert headwater("explain", "--attention", path, "-o", name).status == 0
    return [tmp_path / "one.safetensors", tmp_path / "two.json"]


def test_several_files_are_shown_in_turn(headwater, two):
    done = headwater("view", *two)
    assert (done.status, done.err) == (0, "")
    one, other = (headwater("view", path).out for path in two)
    assert done.out == f"==> one <==\n\n{one}\n==> two <==\n\n{other}"


def test_several_files_are_one_report(headwater, two, tmp_path):
    done = headwater("view", *two, "-o", "both.html")
    assert (done.status, done.err) == (0, "")
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    text = page.split('<script type="application/json" id="headwater-data">')[1].split("</script>")[0]
    runs = json.loads(text)["runs"]
    assert [(r["name"], r["run"]["completion"]) for r in runs] == [("one", " Russia"), ("two", " Pakistan")]
    assert [a["method"] for r in runs for a in r["attributions"]] == ["rollout", "rollout"]


def test_several_files_go_into_nothing_but_a_report(headwater, two, tmp_path):
    done = headwater("view", *two, "-o", "both.html", "-o", "both.csv")
    assert done.status == 2
    assert "-o \"both.csv\": only a report (.html) holds several files; 2 were given" in done.err
    assert not (tmp_path / "both.html").exists()
    done = headwater("view", *two, "-o", two[0])
    assert done.status == 2 and two[0].stat().st_size > 0


def test_one_bad_file_of_several_is_found_first(headwater, two, tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    done = headwater("view", *two, tmp_path / "bad.json", "-o", "both.html")
    assert done.status == 1 and done.out == ""
    assert "bad.json is not a trace, result or attention file" in done.err
