"""Help is complete, exact, and the same whichever way it is asked for."""

import re

import pytest

COMMANDS = ["explain", "cite", "check", "eval", "serve", "view", "plot", "info", "models", "methods", "worker"]


def test_program_help_is_exact(headwater, expected):
    done = headwater("--help")
    assert (done.status, done.err) == (0, "")
    expected("help", done.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_help_is_exact(headwater, expected, command):
    done = headwater(command, "--help")
    assert (done.status, done.err) == (0, "")
    expected(f"help_{command}", done.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_command_says_the_same(headwater, command):
    assert headwater("help", command).out == headwater(command, "-h").out


def test_help_names_every_command(headwater):
    listed = re.findall(r"^  (\w+)  +\w", headwater("--help").out, re.M)
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen(headwater, command):
    lines = headwater(command, "--help").out.splitlines()
    examples = lines.index("Examples") if "Examples" in lines else len(lines)
    assert max(len(line) for line in lines[:examples]) <= 96


def test_help_lists_what_the_library_has(headwater):
    text = headwater("explain", "--help").out
    for name in ("rollout", "first", "note", "whitespace", ".json", ".csv", ".npy", ".safetensors"):
        assert re.search(rf"^  {re.escape(name)}  +\w", text, re.M), name


def test_methods_says_what_each_does_not_show(headwater):
    done = headwater("methods")
    assert (done.status, done.err) == (0, "")
    entry = r"^rollout: .+\n  needs     .+\n  costs     .+\n  not shown .+\n  settings  --row, .+\n" \
        r"  from      .*2005\.00928"
    assert re.search(entry, done.out, re.M)


def test_version(headwater):
    done = headwater("--version")
    assert re.fullmatch(r"headwater \d+\.\d+\.\d+\n", done.out)
    assert headwater("-V").out == done.out


def test_nothing_asked_is_a_usage_error_that_helps(headwater):
    done = headwater()
    assert (done.status, done.out) == (2, "")
    assert done.err == headwater("--help").out
