"""Output that the documentation shows: the same words as are printed now, and the same numbers but for their last
digit, which other kernels round differently."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def alike(shown, printed):
    """Whether words are equal, and numbers within one of their last digit."""
    if NUMBER.sub("#", shown) != NUMBER.sub("#", printed):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(abs(float(a) - float(b)) <= 1.01 * 10.0 ** -len(a.partition(".")[2]) for a, b in pairs)


def is_shown(printed, *files):
    """Asserts that each file shows these lines, indented as a block."""
    lines = [f"    {line}".rstrip() for line in printed.splitlines()]
    assert lines
    for file in files:
        text = (ROOT / file).read_text().splitlines()
        blocks = ["\n".join(text[i:i + len(lines)]) for i in range(len(text)) if text[i][:6] == lines[0][:6]]
        assert any(alike(block, "\n".join(lines)) for block in blocks), f"{file} does not show\n" + "\n".join(lines)
