"""Writes a file that is made from another, or checks that it is up to date."""

import pathlib
import sys


def write_or_check(target: pathlib.Path, text: str, source: pathlib.Path) -> int:
    """Writes `text` to `target`; with --check among the arguments compares instead. Returns the exit status."""
    if "--check" not in sys.argv[1:]:
        target.write_text(text)
        return 0
    if target.exists() and target.read_text() == text:
        return 0
    print(f"{target} does not match {source}: run scripts/{pathlib.Path(sys.argv[0]).name}", file=sys.stderr)
    return 1
