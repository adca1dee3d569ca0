"""Paragraphs and sentences of a plain text file with wrapped lines, such as lcet10.txt."""

import re

MIN_CHARACTERS, MAX_CHARACTERS = 150, 900  # characters of a usable paragraph
SENTENCE = re.compile(r"(?<=[a-z)\"][.?!]) (?=[A-Z])")


def is_prose(lines):
    """Excludes headings, lists, tables and decoration."""
    text = " ".join(lines)
    plain = sum(c.isalpha() or c in " ,." for c in text)
    return (not lines[0].startswith(" ") and lines[0][0].isupper() and text.endswith(".")
            and MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS and plain > 0.96 * len(text))


def read_paragraphs(path):
    """Each on one line, single spaces, in the order of the text, without duplicates."""
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="ascii").replace("\r", ""))
    found = {}
    for block in blocks:
        lines = [line for line in block.split("\n") if line.strip()]
        if lines and is_prose(lines):
            found[re.sub(r"\s+", " ", " ".join(lines)).strip()] = None
    return list(found)


def sentences(paragraph):
    return SENTENCE.split(paragraph)
