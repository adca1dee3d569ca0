"""Figures: against stored ones with a bound on what the eye sees, their structure in SVG, and what is refused."""

import json
import os
import re
import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import png
import pytest
from conftest import HERE, causal

KINDS = ["bars", "heatmap", "map", "text", "profile"]
TOKENS = ["The", " sky", " over", " the", " sea", " is", " very", " blue", ".\n", "Q", ":", " Which", " colour", "?",
          " A", ":", " blue", "."]
FONT = ["--font", "DejaVu Sans"]  # the same on every machine; others differ by release
SCRIPTS = [
    "Die",
    " القاهرة",
    " مصر",
    " 日本",
    "の首都",
    " 🎉",
    " 👩\u200d👩\u200d👧",
    " שלום",
    " नमस्ते",
    " ไทย",
    "\n",
    "\u202eevil",
    "\x1b[31m",
    "Z" + "\u0310\u0311\u0342" * 9,
    "<b>&amp;</b>",
    "\ufffe",
    " end",
]


@pytest.fixture
def run_file(attention_file):
    return attention_file(causal(6, len(TOKENS), seed=3), m=len(TOKENS) - 2, tokens=TOKENS)


def plot(headwater, *args):
    done = headwater("plot", *args)
    assert (done.status, done.out, done.err) == (0, "", ""), done
    for name in (name for name in map(str, args) if name.endswith(".svg")):
        ElementTree.parse(headwater.folder / name)  # well-formed XML, whatever tokens say
    return done


STORED = {**{kind: ["--kind", kind, "--hide", "first"] for kind in KINDS},
          "dark": ["--kind", "heatmap", "--theme", "dark", "--map", "cividis"],
          "note_bars": ["--preset", "note"],
          "note_heatmap": ["--preset", "note", "--kind", "heatmap"]}


@pytest.mark.parametrize("name", STORED)
def test_figure_looks_as_stored(headwater, run_file, tmp_path, request, name):
    """Blocks of 8 x 8 pixels: on average within 1 % of white, none apart by more than 15 %. The same font rendered by
    another release of FreeType or cairo moves edges by part of a pixel (well below); a bar, label or colour that is
    elsewhere changes whole blocks."""
    plot(headwater, run_file, "-o", "figure.png", "--scale", "1", *FONT, *STORED[name])
    stored = HERE.parent / "data" / "cli" / f"plot_{name}.png"
    if request.config.getoption("--update-expected"):
        shutil.copy(tmp_path / "figure.png", stored)
    assert png.size(tmp_path / "figure.png") == png.size(stored)
    apart = np.abs(png.blocks(png.read(tmp_path / "figure.png")) - png.blocks(png.read(stored)))
    assert apart.mean() < 0.01 and apart.max() < 0.15, (apart.mean(), apart.max())


def test_the_bound_sees_a_bar_that_is_missing(headwater, run_file, tmp_path):
    for name, hide in (("a.png", "first"), ("b.png", "first,\"sky\"")):
        plot(headwater, run_file, "-o", name, "--scale", "1", "--title", "", "--hide", hide, *FONT)
    a, b = (png.blocks(png.read(tmp_path / name)) for name in ("a.png", "b.png"))
    h, w = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
    assert np.abs(a[:h, :w] - b[:h, :w]).max() > 0.15


def fills(svg, colour):
    """How many shapes of an SVG have this colour 0xRRGGBB; cairo writes it in percent."""
    parts = [tuple(round(float(part) * 2.55) for part in rgb)
             for rgb in re.findall(r"rgb\(([\d.]+)%, ?([\d.]+)%, ?([\d.]+)%\)", svg)]
    return parts.count((colour >> 16, colour >> 8 & 255, colour & 255))


ORANGE, NOTE_BLUE = 0xD9730D, 0x636EFA


def test_svg_has_a_bar_for_each_token(headwater, run_file, tmp_path):
    plot(headwater, run_file, "-o", "all.svg", "-o", "all.pdf")
    assert fills((tmp_path / "all.svg").read_text(), ORANGE) == len(TOKENS) - 2
    plot(headwater, run_file, "-o", "some.svg", "--top", "5")
    assert fills((tmp_path / "some.svg").read_text(), ORANGE) == 5
    plot(headwater, run_file, "-o", "note.svg", "--preset", "note", "--hide", "first,\":\"")
    assert fills((tmp_path / "note.svg").read_text(), NOTE_BLUE) == len(TOKENS) - 2 - 3
    pdf = (tmp_path / "all.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")


def test_svg_says_what_it_is_and_token_text_is_no_markup(headwater, attention_file, tmp_path):
    path = attention_file(causal(2, 5), m=3, tokens=["a", " b", "</title><script>", "<script>x</script>&", " e"])
    plot(headwater, path, "-o", "x.svg", "--token", "0")
    text = (tmp_path / "x.svg").read_text()
    assert "<script" not in text
    assert re.search(r"<title>rollout · completion token 0: &lt;script&gt;x&lt;/script&gt;&amp;</title>", text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", [[], ["--by", "word"]])
def test_pictures_say_method_and_token(headwater, run_file, tmp_path, kind, by):
    plot(headwater, run_file, "--kind", kind, *by, "--token", "0", "-o", "x.svg")
    title = ElementTree.parse(tmp_path / "x.svg").getroot().find("{http://www.w3.org/2000/svg}title").text
    assert title.startswith("rollout · completion token 0: ")


def test_labels_in_other_scripts_stand_on_the_line_of_the_others(headwater, attention_file, tmp_path):
    """Fonts that stand in for the usual one have higher lines: the labels below the bars have one baseline all the
    same."""
    path = attention_file(causal(1, 5), m=4, tokens=["sea", "𒀀", "日本", "𓀀", "x"])
    plot(headwater, path, "--kind", "bars", "-o", "x.svg", *FONT)
    glyphs = [
        float(g.get("y"))
        for g in ElementTree.parse(tmp_path / "x.svg").getroot().iter("{http://www.w3.org/2000/svg}use")
    ]
    lowest = [y for y in glyphs if y > max(glyphs) - 9]  # those of the axis are above
    assert len(lowest) >= 4 * len("0: x") and max(lowest) - min(lowest) < 1


def test_a_title_of_ones_own(headwater, run_file, tmp_path):
    plot(headwater, run_file, "-o", "a.svg", "-o", "a.pdf", "--title", b"\xff\x1b<b>&")
    assert "<title>‹FF›\u241b&lt;b&gt;&amp;</title>" in (tmp_path / "a.svg").read_text()
    plot(headwater, run_file, "-o", "b.png", "-o", "a.png", "--title", "", "--scale", "1")
    plot(headwater, run_file, "-o", "c.png", "--scale", "1")
    assert png.size(tmp_path / "b.png")[1] < png.size(tmp_path / "c.png")[1]


def test_values_are_the_heights_of_the_bars(headwater, worked, tmp_path):
    plot(headwater, worked, "-o", "x.svg", "--row", "own", "--layers", "2", "--preset", "note", "--hide", "/^$/")
    text = (tmp_path / "x.svg").read_text()
    bars = [tag for tag in re.findall(r"<(?:path|rect)[^>]*>", text) if fills(tag, NOTE_BLUE)]
    heights = []
    for bar in bars:  # a path's corners, or in later releases of cairo a rectangle
        y = [float(v) for v in re.findall(r"[ML] [\d.]+ ([\d.]+)", bar)] or [
            0,
            float(re.search(r'height="([\d.]+)', bar)[1]),
        ]
        heights.append(max(y) - min(y))
    assert len(heights) == 2
    assert heights[0] / heights[1] == pytest.approx(61 / 67, abs=1e-3)  # 61/200 and 67/200


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("theme", ["light", "dark", "note"])
def test_every_script_in_every_format(headwater, attention_file, tmp_path, kind, theme):
    path = attention_file(causal(3, len(SCRIPTS)), m=len(SCRIPTS) - 1, tokens=SCRIPTS)
    plot(
        headwater,
        path,
        "--kind",
        kind,
        "--theme",
        theme,
        *(a for end in ("png", "svg", "pdf") for a in ("-o", f"x.{end}")),
    )
    assert all((tmp_path / f"x.{end}").stat().st_size > 1000 for end in ("png", "svg", "pdf"))


def test_several_methods_go_below_each_other(headwater, run_file, tmp_path):
    plot(headwater, run_file, "--method", "rollout", "-o", "one.png", "--scale", "1")
    plot(headwater, run_file, "--method", "rollout,attention", "-o", "two.png", "--scale", "1")
    one, two = png.size(tmp_path / "one.png"), png.size(tmp_path / "two.png")
    assert two[0] == one[0] and 1.8 * one[1] < two[1] < 2.2 * one[1]


def test_explain_and_view_draw_too(headwater, run_file, tmp_path):
    done = headwater(
        "explain", "--attention", run_file, "-o", "e.png", "-o", "e.json", "-o", "e.safetensors", "--kind", "map"
    )
    assert done.status == 0 and "rollout ·" in done.out
    assert json.loads((tmp_path / "e.json").read_text())
    assert headwater("view", "e.safetensors", "-o", "v.png", "--kind", "map").status == 0
    plot(headwater, "e.safetensors", "-o", "p.png", "--kind", "map")
    assert (tmp_path / "e.png").read_bytes() == (tmp_path / "v.png").read_bytes() == (tmp_path / "p.png").read_bytes()


def test_segments_of_a_trace_and_of_a_finished_result(headwater, attention_file, tmp_path):
    path = attention_file(causal(2, len(TOKENS)), m=len(TOKENS) - 2, tokens=TOKENS)
    headwater("explain", "--attention", path, "-o", "r.safetensors", "-q")
    plot(headwater, path, "--by", "sentence", "-o", "a.svg")
    plot(headwater, "r.safetensors", "--by", "sentence", "-o", "b.svg")
    assert fills((tmp_path / "a.svg").read_text(), ORANGE) == fills((tmp_path / "b.svg").read_text(), ORANGE) == 3
    headwater("explain", "--attention", path, "--by", "sentence", "-o", "s.safetensors", "-q")
    done = headwater("plot", "s.safetensors", "--by", "word", "-o", "c.svg")
    assert done.status == 2 and "the result's columns are segments already" in done.err


def test_size_in_points_and_pixels(headwater, run_file, tmp_path):
    plot(headwater, run_file, "-o", "a.png", "-o", "a.svg", "--width", "900", "--scale", "1.5")
    assert png.size(tmp_path / "a.png")[0] == 1350
    assert 'width="900' in (tmp_path / "a.svg").read_text()


def test_thousands_of_tokens(headwater, attention_file, tmp_path):
    n = 2000
    a = np.zeros((1, n, n), np.float32)
    a[0, :, 0] = 0.5
    a[0, np.arange(n), np.arange(n)] += 0.5
    path = attention_file(a, m=n - 1, tokens=[f" w{i}" for i in range(n)])
    for kind in KINDS:
        plot(headwater, path, "--kind", kind, "-o", f"{kind}.svg", "-o", f"{kind}.png", "--scale", "1")
        assert (tmp_path / f"{kind}.svg").stat().st_size < 3e6
    assert png.size(tmp_path / "bars.png")[0] < 1600


@pytest.mark.parametrize(
    "args,message",
    [
        (
            ["--kind", "barz"],
            "--kind \"barz\": unknown name, did you mean bars?; accepted: bars, heatmap, map, text, profile",
        ),
        (["--theme", "pink"], "--theme \"pink\": unknown name; accepted: light, dark, note"),
        (
            ["--map", "plasm"],
            "--map \"plasm\": unknown name, did you mean plasma?; accepted: viridis, cividis, plasma, shade",
        ),
        (["--width", "10"], "--width \"10\": must be a whole number from 200 to 10000"),
        (["--scale", "0"], "--scale \"0\": must be a number from 0.1 to 20"),
        (["-o", "x.jpeg"], "-o \"x.jpeg\": unknown file extension; accepted: .png .svg .pdf"),
        (["-o", "x.json"], "-o \"x.json\": unknown file extension; accepted: .png .svg .pdf"),
    ],
)
def test_what_cannot_be_drawn(headwater, run_file, tmp_path, args, message):
    done = headwater("plot", run_file, "-o", "x.png", *args)
    assert (done.status, done.out) == (2, "")
    assert done.err == f"headwater: {message}\nSee `headwater plot --help`.\n"
    assert not (tmp_path / "x.png").exists()


def test_nothing_to_draw_into(headwater, run_file):
    assert "nothing to draw into: give -o FILE.png, .svg or .pdf" in headwater("plot", run_file).err


def test_options_of_figures_need_a_figure(headwater, run_file):
    for args in (["--kind", "map"], ["--theme", "dark", "-o", "x.json"]):
        done = headwater("explain", "--attention", run_file, *args)
        assert done.status == 2 and f"{args[0]} has no effect: no -o names a figure" in done.err


def test_too_large_is_refused_and_leaves_what_is_there(headwater, run_file, attention_file, tmp_path):
    (tmp_path / "x.png").write_bytes(b"old")
    done = headwater("plot", run_file, "-o", "x.png", "--width", "10000", "--scale", "20")
    assert done.status == 1 and "pixels, at most 32000 a side" in done.err
    lines = attention_file(causal(1, 3), name="lines.safetensors", m=2, tokens=["a\n" * 4000, " b", " c"])
    done = headwater("plot", lines, "--kind", "text", "-o", "x.png", "-o", "x.pdf")
    assert done.status == 1 and done.err.count("at most 14400 are drawn") == 2
    long = attention_file(causal(1, 3), name="long.safetensors", m=2, tokens=["a " * 600000, " b", " c"])
    done = headwater("plot", long, "--kind", "text", "-o", "x.png")
    assert done.status == 1 and "at most 1048576 are drawn" in done.err
    assert (tmp_path / "x.png").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir() if "part" in p.name) == []


def test_a_file_is_replaced_whole_and_keeps_its_mode(headwater, run_file, tmp_path):
    (tmp_path / "x.png").write_bytes(b"old")
    (tmp_path / "x.png").chmod(0o640)
    (tmp_path / "link.png").symlink_to("x.png")
    plot(headwater, run_file, "-o", "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "x.png").stat().st_mode & 0o777 == 0o640
    assert png.size(tmp_path / "x.png")[0] == 1440


def test_everything_hidden_is_said(headwater, run_file, tmp_path):
    for kind in KINDS:
        plot(headwater, run_file, "--kind", kind, "--hide", "/.|\\n/", "-o", f"{kind}.png", "--scale", "1")
        assert png.size(tmp_path / f"{kind}.png")[1] < 300


def test_without_fonts_it_fails_in_words(headwater, run_file, tmp_path):
    config = tmp_path / "fonts.conf"
    config.write_text(f"<fontconfig><dir>{tmp_path}</dir><cachedir>{tmp_path}/cache</cachedir></fontconfig>")
    done = headwater("plot", run_file, "-o", "x.png", env={"FONTCONFIG_FILE": str(config)})
    assert (done.status, done.err) == (1, "headwater: no font is installed to write labels with\n")


def test_the_same_run_gives_the_same_bytes(headwater, run_file, tmp_path):
    for name in ("a", "b"):
        plot(headwater, run_file, "-o", f"{name}.png", "-o", f"{name}.svg")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.svg").read_text() == (tmp_path / "b.svg").read_text()


def test_drawing_libraries_are_opened_at_the_first_figure(program, headwater, attention_file, tmp_path):
    """Every start would map them. Without the module, all but figures works, and the reason is said before any work."""
    listing = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"}
    listed = subprocess.run([program], env=listing, capture_output=True, text=True)
    assert "libheadwater.so" in listed.stdout and not re.search("cairo|pango", listed.stdout)
    alone = tmp_path / "alone"
    alone.mkdir()
    library = re.search(r"(libheadwater\.so\S*) => (\S+)", listed.stdout)
    shutil.copy(library[2], alone / library[1])
    environment = {"LD_LIBRARY_PATH": str(alone)}
    path = attention_file(causal(2, 6), m=4)
    done = headwater("explain", "--attention", path, "-o", "a.json", "-o", "a.png", env=environment)
    assert (done.status, done.out) == (1, "") and not (tmp_path / "a.json").exists()
    assert '-o "a.png": figures cannot be drawn: ' in done.err and "libheadwater-figure.so" in done.err
    assert headwater("explain", "--attention", path, "-o", "a.json", env=environment).status == 0
    done = headwater("help", "plot", env=environment)
    assert done.status == 0 and "figures cannot be drawn:" in done.out
