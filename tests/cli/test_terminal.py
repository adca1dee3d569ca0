"""Colours, hostile text, and characters that are spread over tokens."""

import os
import pty
import re
import select
import subprocess

import pytest
from conftest import causal, environment

HOSTILE = ["\x1b[31mred", "\x07", "\r", "\x9b2J", "\u202etxt", "\u200b", "\x7f", "a\tb", "\U000e0041", "\n", "end"]


def on_terminal(program, args, env=None, columns=80):
    """Runs the program with standard output and error on a terminal; gives status and all it wrote."""
    parent, child = pty.openpty()
    os.set_inheritable(child, True)
    env = environment(**(env or {}))
    command = ["sh", "-c", f"stty cols {columns} rows 40 <&1; exec \"$@\"", "sh", str(program), *map(str, args)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=child, stderr=child, env=env)
    os.close(child)
    output = b""
    while True:
        ready, _, _ = select.select([parent], [], [], 60)
        assert ready, "the program hangs"
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # the terminal's other side was closed
            break
        if not chunk:
            break
        output += chunk
    os.close(parent)
    return process.wait(), output.decode().replace("\r\n", "\n")


@pytest.fixture
def shaded(attention_file):
    return attention_file(causal(2, 6), m=5, tokens=["Some", " text", " to", " be", " shaded", " end"])


def test_no_colour_into_a_pipe(headwater, shaded):
    assert "\x1b" not in headwater("explain", "--attention", shaded, env={"COLORTERM": "truecolor"}).out


@pytest.mark.parametrize("env,depth", [
    ({"COLORTERM": "truecolor"}, r"48;2;\d+;\d+;\d+m"),
    ({"COLORTERM": "24bit"}, r"48;2;\d+;\d+;\d+m"),
    ({"TERM": "xterm-256color"}, r"48;5;\d+m"),
])
def test_colour_depth(headwater, shaded, env, depth):
    text = headwater("explain", "--attention", shaded, "--color", "always", env=env).out
    backgrounds = re.findall(r"48;[25];[\d;]+m", text)
    assert backgrounds and all(re.fullmatch(depth, b) for b in backgrounds)


@pytest.mark.parametrize("args,env,colours", [
    ([], {}, True),
    ([], {"NO_COLOR": "1"}, False),
    ([], {"NO_COLOR": ""}, True),
    ([], {"TERM": "dumb"}, False),
    (["--color", "never"], {"COLORTERM": "truecolor"}, False),
    (["--color", "always"], {"NO_COLOR": "1"}, True),
    (["--color", "always"], {"TERM": "dumb"}, True),
])
def test_when_a_terminal_gets_colours(program, shaded, args, env, colours):
    status, text = on_terminal(program, ["explain", "--attention", shaded, *args], env)
    assert status == 0
    assert ("\x1b[" in text) == colours


def test_every_colour_is_switched_off_by_the_end_of_its_line(headwater, shaded):
    text = headwater("explain", "--attention", shaded, "--color", "always").out
    for line in text.splitlines():
        codes = re.findall(r"\x1b\[([\d;]*)m", line)
        assert not codes or codes[-1] == "0", line


def test_without_colours_the_text_is_the_same(headwater, shaded):
    plain = headwater("explain", "--attention", shaded, "--top", "0").out.splitlines()
    coloured = headwater("explain", "--attention", shaded, "--top", "0", "--color", "always").out
    stripped = re.sub(r"\x1b\[[\d;]*m", "", coloured).splitlines()
    marks = re.compile(r"^ +[▁▂▃▄▅▆▇█^ ]+$")
    kept = [line for line in plain if not marks.match(line) and not line.startswith("  0 ")]
    assert kept == [line for line in stripped if not line.startswith("  0 ")]


def test_width_of_the_terminal(program, shaded):
    _, wide = on_terminal(program, ["explain", "--attention", shaded, "--color", "never"], columns=100)
    _, narrow = on_terminal(program, ["explain", "--attention", shaded, "--color", "never"], columns=12)
    assert "  Some text to be shaded\n" in wide
    assert "  Some text to be \n" in narrow and "\n  shaded\n" in narrow  # 20 columns are the least


def test_nothing_moves_the_terminal(headwater, attention_file):
    path = attention_file(causal(2, len(HOSTILE)), m=len(HOSTILE) - 1, tokens=HOSTILE)
    done = headwater("explain", "--attention", path, "--top", "20")
    assert done.status == 0
    bad = [c for c in done.out if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u200b\U000e0041"]
    assert bad == []
    for shown in ("␛[31mred", "␇", "␍", "‹U+009B›2J", "‹U+202E›txt", "‹U+200B›", "␡", "a⇥b", "‹U+E0041›", "⏎"):
        assert shown in done.out, shown


def test_hostile_completion_is_shown_safely(headwater, attention_file):
    path = attention_file(causal(1, 4), m=1, tokens=["a", "\x1b]0;title\x07", "line\nline\t", "\x01"])
    text = headwater("explain", "--attention", path).out
    assert text.startswith("Completion\n␛]0;title␇line\nline\t␁\n")


def test_hostile_file_names_in_errors(headwater, tmp_path):
    done = headwater("view", "\x1b[2Jnone")
    assert done.status == 1 and "\x1b" not in done.err and "␛[2Jnone" in done.err


def test_invalid_utf8_in_errors_is_written_out(headwater):
    done = headwater("view", b"caf\xe9-\xf0\x9f")
    assert done.status == 1 and "caf‹E9›-‹F0›‹9F› " in done.err
