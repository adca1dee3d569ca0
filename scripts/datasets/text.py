"""Paragraphs and sentences of a plain text file whose lines are wrapped, as lcet10.txt is."""

import re

LEAST, MOST = 150, 900  # characters of a paragraph that is worth quoting
SENTENCE = re.compile(r"(?<=[a-z)\"][.?!]) (?=[A-Z])")


def is_prose(lines):
    """No headings, lists, tables or decoration."""
    text = " ".join(lines)
    plain = sum(c.isalpha() or c in " ,." for c in text)
    return (not lines[0].startswith(" ") and lines[0][0].isupper() and text.endswith(".")
            and LEAST <= len(text) <= MOST and plain > 0.96 * len(text))


def read_paragraphs(path):
    """Each one line, single spaces, in the order of the text; one that is there twice once."""
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="ascii").replace("\r", ""))
    found = {}
    for block in blocks:
        lines = [line for line in block.split("\n") if line.strip()]
        if lines and is_prose(lines):
            found[re.sub(r"\s+", " ", " ".join(lines)).strip()] = None
    return list(found)


def sentences(paragraph):
    return SENTENCE.split(paragraph)
