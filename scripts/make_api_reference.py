"""Makes docs/reference/api.md, the reference of the C library, from its headers.

    python3 scripts/make_api_reference.py           # writes the file
    python3 scripts/make_api_reference.py --check   # exit status 1 if it is not up to date

Sections are those of the header. Paragraphs of the header are entries: the comment before the declarations is text, the
declarations are code (also the comment if others follow); functions that the header defines are shown without their
body.
"""

import pathlib
import re
import sys

from generated_file import write_or_check

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "headwater.h"
LLAMA_HEADER = ROOT / "include" / "headwater-llama.h"
TARGET = ROOT / "docs" / "reference" / "api.md"
SECTION = re.compile(r"/\* -{10,} (?P<title>[^\n]*?)(?P<text>\n.*?)?\s*\*/", re.S)
COMMENT = re.compile(r"\s*/\*(.*?)\*/\s*", re.S)
NAME = re.compile(r"\b(hw_[a-z]\w*)\(|^#define (HW_[A-Z0-9_]+)|^(?:typedef )?(?:struct|enum) (hw_\w+)(?: \{|;)"
                  r"|^typedef (?:struct|enum) hw_\w+ (hw_\w+);|\(\*(hw_\w+_fn)\)", re.M)


def text_of(comment: str) -> str:
    """The text of a comment, its lines joined; lines that are indented further stay."""
    lines = [re.sub(r"^ ?\* ?", "", line.strip(" ") if line.strip() else "").rstrip() for line in comment.split("\n")]
    out = ""
    for line in lines:
        item = line.startswith(("  ", "- ", "     "))
        if not line:
            out += "\n\n"
        elif item and not line.lstrip().startswith("- "):
            out += (" " if out.rstrip("\n").split("\n")[-1].startswith("- ") else "\n    ") + line.strip()
        elif line.lstrip().startswith("- "):
            out += "\n" + line.strip()
        else:
            out += ("" if not out or out.endswith("\n") else " ") + line.strip()
    return re.sub(r"\n{3,}", "\n\n", out).strip()


def without_bodies(code: str) -> str:
    code = re.sub(r"^(static inline [^{]*?) \{\n.*?^\}", r"\1;", code, flags=re.M | re.S)
    return re.sub(r"^#(ifn?def|if|endif|else).*\n?", "", code, flags=re.M).strip("\n")


def entry(block: str) -> str:
    found = COMMENT.match(block)
    if found and re.search(r"^/\*", block[found.end():], re.M):
        found = None  # each declaration has its comment: they stay together
    prose = text_of(found[1]) if found else ""
    code = without_bodies(block[found.end():] if found else block)
    bare = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    names = dict.fromkeys(next(filter(None, match)) for match in NAME.findall(bare))
    title = ", ".join(f"`{name}`" for name in list(names)[:4]) + (" ..." if len(names) > 4 else "")
    parts = [f"### {title}" if names else "", prose, f"```c\n{code}\n```" if code else ""]
    return "\n\n".join(part for part in parts if part)


def blocks(text: str) -> list[str]:
    """Paragraphs; blank lines within a comment or a body do not end one."""
    found, depth, current = [], 0, []
    for line in text.split("\n"):
        bare = re.sub(r'"[^"]*"', "", line)
        if not line.strip() and depth == 0:
            found.append("\n".join(current))
            current = []
            continue
        depth += bare.count("{") - bare.count("}") + bare.count("/*") - bare.count("*/")
        current.append(line)
    return [block for block in [*found, "\n".join(current)] if block.strip()]


def parts_of(header: pathlib.Path, guard: str) -> tuple[str, str]:
    """A header's introduction and its declarations."""
    introduction, body = header.read_text().split("#ifdef __cplusplus\n}")[0].split(f"#ifndef {guard}", 1)
    intro = text_of(COMMENT.match(introduction)[1]).removeprefix(f"{header.name} - ")
    return intro[0].upper() + intro[1:], body


def reference() -> str:
    intro, body = parts_of(HEADER, "HEADWATER_H")
    first = SECTION.search(body)
    version = re.findall(r"^#define HW_VERSION\w* .*$", body[: first.start()], re.M)
    origin = "<!-- Made by scripts/make_api_reference.py from the headers in include/: do not edit. -->"
    out = ["# The C library", origin, intro,
           "```c\n" + "\n".join(version) + "\n```"]
    sections = list(SECTION.finditer(body))
    for match, after in zip(sections, [*sections[1:], None]):
        out.append("## " + match["title"].strip()[0].upper() + match["title"].strip()[1:])
        if match["text"]:
            out.append(text_of(match["text"]))
        out += [entry(block) for block in blocks(body[match.end() : after.start() if after else len(body)])]
    return "\n\n".join(part for part in [*out, *loops()] if part) + "\n"


def loops() -> list[str]:
    intro, body = parts_of(LLAMA_HEADER, "HEADWATER_LLAMA_H")
    declarations = body.split('extern "C" {\n#endif\n', 1)[1]
    return ["## Your own llama.cpp loop: `headwater-llama.h`", intro, *map(entry, blocks(declarations))]


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, reference(), HEADER))
