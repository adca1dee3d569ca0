"""The shape of functions in C and C++ sources.

    check_functions.py SOURCE_ROOT

Fails on a function, or a pointer to one, of more than six arguments; on a function of more than MAX_LINES lines; on a
static function of fewer than MIN_LINES lines, first to last, that is called in one place and used nowhere else (one
that is compiled for several instruction sets, HW__SIMD, may be); on a conditional expression that is assigned to; on a
field or function whose whole name is a preposition. Reads text, not syntax: comments, strings and preprocessor lines
are blanked first. Prints one line per fault and exits 1 if there is one.
"""

import re
import sys
from pathlib import Path

FOLDERS = ("src", "tools", "include")
SUFFIXES = {".c", ".h", ".cpp"}
MAX_ARGUMENTS = 6
MAX_LINES = 80
MIN_LINES = 4
# A field or function is named by what it is. Accepted are adverbs of place (before, after, above, below), `at` of
# lists, `out` of out parameters, and words that name options or settings (by, through, about, against).
PREPOSITIONS = set(
    "along among around between beyond during for from in into of off on onto since than to toward under until upon "
    "via with".split()
)
# Whose type another library has set.
CALLBACKS = {"on_request"}

BLANKED = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M
)
KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof", "do", "else", "case", "defined", "_Alignof", "offsetof"}
# A name, or (*name) of a pointer, before an opening parenthesis, after something that can be a type.
DECLARED = re.compile(r"(?:[\w*>\]&]\s+\**|\*)(?:(\w+)|\(\s*\*\s*(?:const\s+)?(\w*)\s*(?:\[\w*\])?\s*\))\s*\(")
ASSIGNED_CONDITIONAL = re.compile(
    r"\)\s*(?:(?:->|\.)\w+\s*|\[[^\]]*\]\s*)*(?:[-+*/|&^]|<<|>>)?=(?!=)|\)\s*(?:(?:->|\.)\w+\s*)*(?:\+\+|--)"
)


def blank(text):
    """The text with comments, strings and preprocessor lines as spaces; lines stay where they are."""
    return BLANKED.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


BRACKET = re.compile(r"[()\[\]{}]")


def closing(text, start):
    """Index of the bracket that closes the one at `start`; len(text) if none does."""
    depth = 0
    for found in BRACKET.finditer(text, start):
        depth += 1 if found.group() in "([{" else -1
        if depth == 0:
            return found.start()
    return len(text)


def split_arguments(inside):
    """The parts of a list between commas outside brackets."""
    parts, depth, last = [], 0, 0
    for i, c in enumerate(inside):
        depth += (c in "([{<" and (c != "<")) - (c in ")]}")
        if c == "," and depth == 0:
            parts.append(inside[last:i])
            last = i + 1
    return parts + [inside[last:]]


def is_parameter(text):
    """Whether a part of a list declares a parameter: at least a type and a name, or a type alone that is no
    expression."""
    return (
        re.fullmatch(
            r"\s*(?:\.\.\.|void|(?:const |struct |unsigned |enum )*[\w:<>]+[\s*&]*"
            r"(?:const\s+|\*|restrict\s+)*(?:\w+\s*(?:\[[^\]]*\])*"
            r"|\(\s*\*\s*\w*\s*\)\s*\(.*\))?\s*)",
            text,
            re.S,
        )
        is not None
    )


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def declarations(text):
    """(name, position, arguments) of function definitions, declarations, and pointers to functions."""
    for match in DECLARED.finditer(text):
        name = match[1] or match[2] or "a pointer to a function"
        start = match.end() - 1
        end = closing(text, start)
        arguments = split_arguments(text[start + 1 : end])
        at = match.start(1) if match[1] else match.start(2)
        before = re.search(r"(\w+)\s*\**\s*$", text[max(0, at - 60) : at])
        if match[1] and (match[1] in KEYWORDS or (before and before[1] in KEYWORDS)):
            continue
        if all(is_parameter(a) for a in arguments) and re.match(
            r"\s*(?:[;{,)=]|HW_|__attribute|override|noexcept|const)", text[end + 1 : end + 60]
        ):
            yield name, match.start(1) if match[1] else match.start(), arguments


FIELD = re.compile(
    r"^[ \t]*(?:const |struct |unsigned |static |volatile |enum )*[\w:<>]+(?:\s+const)?[\s*]+"
    r"((?:\**\w+(?:\[[^\]]*\])*(?:\s*=[^,;]*)?\s*,\s*)*"
    r"\**\w+(?:\[[^\]]*\])*)\s*(?:=[^;]*)?;",
    re.M,
)


def variables(text):
    """(name, position) of fields and variables."""
    for match in FIELD.finditer(text):
        for name in re.finditer(r"(?:^|,)\s*\**(\w+)", re.sub(r"=[^,;]*", lambda m: " " * len(m.group()), match[1])):
            yield name[1], match.start(1)


def check(path, faults):
    name = str(path)
    text = blank(path.read_text())

    def fault(at, what):
        faults.append(f"{name}:{line_of(text, at)}: {what}")

    for function, at, arguments in declarations(text):
        if len(arguments) > MAX_ARGUMENTS and function not in CALLBACKS:
            fault(at, f"{function}() takes {len(arguments)} arguments, {MAX_ARGUMENTS} at most are accepted")
        if function in PREPOSITIONS:
            fault(at, f'the function "{function}" is named by a preposition')
    for match in re.finditer(r"\b(?:struct|union)\s*\w*\s*\{", text):
        start = match.end() - 1
        for word, at in variables(text[start + 1 : closing(text, start)]):
            if word in PREPOSITIONS:
                fault(start + 1 + at, f'the field "{word}" is named by a preposition')
    for match in re.finditer(r"(?<=[;{}])\s*\*?\s*\(", text):
        start = match.end() - 1
        end = closing(text, start)
        if re.search(r"\?[^:]*:", text[start:end]) and ASSIGNED_CONDITIONAL.match(text, end):
            fault(start, "a conditional expression is assigned to: choose a pointer first")


# A function's first line, which begins in column 0, and the rest up to the brace that opens its body.
DEFINITION = re.compile(r"^(?![ \t#}/])([^;{}()=\n]*?\b(\w+)\s*\((?:[^;{}]|\n)*?\))\s*\{", re.M)


def definitions(text):
    """(head, name, first line, number of lines) of functions."""
    for match in DEFINITION.finditer(text):
        end = closing(text, match.end() - 1)
        if match[2] not in KEYWORDS:
            yield match[1], match[2], line_of(text, match.start()), text.count("\n", match.start(), end) + 1


def is_helper(text, name):
    """Whether a name stands in its definition and one call alone, forward declarations aside."""
    text = re.sub(rf"^static [^;{{}}()=]*\b{name}\([^;{{}}]*\);", "", text, flags=re.M)
    uses = re.findall(rf"\b{name}\b(\s*\()?", text)
    return len(uses) == 2 and all(uses)


def check_lengths(path, faults):
    text = blank(path.read_text())
    for head, name, line, n_lines in definitions(text):
        if n_lines > MAX_LINES:
            faults.append(f"{path}:{line}: {name}() has {n_lines} lines, {MAX_LINES} at most are accepted")
        short = n_lines < MIN_LINES and head.startswith("static ") and path.suffix != ".h"
        if short and is_helper(text, name):
            faults.append(f"{path}:{line}: {name}() has {n_lines} lines and one caller: write it there")


def main():
    root, faults = Path(sys.argv[1]), []
    for folder in FOLDERS:
        for path in sorted(p for p in (root / folder).rglob("*") if p.suffix in SUFFIXES):
            check(path, faults)
            check_lengths(path, faults)
    print("\n".join(dict.fromkeys(f.replace(str(root) + "/", "") for f in faults)) or "every function is in shape")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
