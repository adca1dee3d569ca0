#!/usr/bin/env python3
"""check_format.py ROOT [--fix]

Fails on a C or C++ source, as far as git has it, that is not as clang-format writes it with the .clang-format of ROOT;
--fix rewrites such files. Versions differ, so that of requirements-test.txt is used, from beside this Python.
"""

import pathlib
import subprocess
import sys

SUFFIXES = {".c", ".h", ".cpp"}
FORMATTER = pathlib.Path(sys.executable).parent / "clang-format"


def files(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=True, text=True).stdout
    names = [n for n in listed.split("\0") if pathlib.Path(n).suffix in SUFFIXES and (root / n).is_file()]
    return [n for n in names if not n.startswith("tests/data/")]  # headers of released versions, which are not edited


def main():
    root, fix = pathlib.Path(sys.argv[1]), "--fix" in sys.argv[2:]
    how = ["-i"] if fix else ["--dry-run", "-Werror", "--ferror-limit=1"]
    done = subprocess.run([FORMATTER, "--style=file", *how, *files(root)], cwd=root, stderr=subprocess.PIPE, text=True)
    bad = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "[-Wclang-format-violations]" in line})
    print("\n".join(f"{name}: not formatted" for name in bad) or "every file is formatted")
    if bad:
        print(f"{len(bad)} files: `make format` rewrites them")
    elif done.returncode:
        print(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
