#!/usr/bin/env python3
"""check_style.py ROOT

Fails on a line of more than 120 columns in C, C++, Python, TypeScript, CSS or shell, on an identifier of C in BANNED
(docs/glossary.md has the terms to use), and on a message of the library, in src/, that names an option of the program.
"""

import pathlib
import re
import subprocess
import sys

COLUMNS = 120
CHECKED = {".c", ".h", ".cpp", ".py", ".ts", ".tsx", ".css", ".sh"}

# Identifier, or part of one between underscores -> the term to use.
BANNED = {
    "room": "capacity",
    "heeds": "applies to",
    "heeded": "active",
    "lacked": "no_memory",
    "desk": "workspace",
    "wish": "request",
    "hush": "quiet",
    "most": "max",
    "least": "min",
    "told": "reported",
    "tells": "reports",
    "asks": "requests",
}
# An option of a command line in a literal.
OPTION = re.compile(r'"(?:[^"\\\n]|\\.)*(?<![-\w])--[a-z](?:[^"\\\n]|\\.)*"')
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# Comments and literals.
BLANKED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.DOTALL)


def files(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=True, text=True).stdout
    return [root / name for name in listed.split("\0") if pathlib.Path(name).suffix in CHECKED]


def long_lines(text):
    return [(i, f"{len(line)} columns") for i, line in enumerate(text.splitlines(), 1) if len(line) > COLUMNS]


def banned_names(text):
    code = BLANKED.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    found = []
    for i, line in enumerate(code.split("\n"), 1):
        for name in re.findall(r"\b[A-Za-z_]\w*", line):
            found += [(i, f"{name}: use {BANNED[p]}") for p in name.lower().split("_") if p in BANNED]
    return found


def option_names(text):
    code = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    return [(i, f"{m[0]}: the library has no options") for i, line in enumerate(code.split("\n"), 1)
            for m in OPTION.finditer(line)]


def main():
    root, bad = pathlib.Path(sys.argv[1]), 0
    for path in files(root):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        found = long_lines(text)
        if path.suffix in {".c", ".h", ".cpp"}:
            found += banned_names(text)
            if path.is_relative_to(root / "src"):
                found += option_names(text)
        for line, what in found:
            print(f"{path.relative_to(root)}:{line}: {what}")
        bad += len(found)
    print(f"{bad} lines are not in style" if bad else "every line is in style")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
