"""The headers list the errors of each function that can fail. The library's sources return no others, and each of
these; and a pointer that is NULL is an error of every one of them."""

import re
import sys

import pytest
from conftest import ROOT, run

sys.path.insert(0, str(ROOT / "tests/support"))
from error_reach import CODES, Sources  # noqa: E402
from test_reference import maker  # noqa: E402

HEADERS = [ROOT / "include" / name for name in ("headwater.h", "headwater-llama.h")]
DECLARED = re.compile(r"^HW_API hw_err (hw_\w+)\(", re.M)
NAMED = re.compile(rf"\b({'|'.join(CODES)})\b")


def comments_of_functions():
    """{function: (its comment or that of its paragraph or section, the functions declared before it)}, in order."""
    found = {}
    for header in HEADERS:
        text = "/* ------------ start */\n" + header.read_text()
        sections = list(maker.SECTION.finditer(text))
        for section, after in zip(sections, [*sections[1:], None]):
            for block in maker.blocks(text[section.end():after.start() if after else len(text)]):
                for function in DECLARED.finditer(block):
                    comments = re.findall(r"/\*(.*?)\*/", block[:function.start()], re.S)
                    about = [c for c in [*reversed(comments), section["text"] or ""] if re.search(r"\b[Ee]rrors?\b", c)]
                    text_of = re.sub(r"\n \*", " ", about[0] if about else "")
                    found[function[1]] = (" ".join(text_of.split()), list(found))
    return found


COMMENTS = comments_of_functions()


def documented(function):
    """The codes that a comment lists, with those of the functions that it refers to: "as hw_explain()"; "as above"."""
    comment, before = COMMENTS[function]
    listed = re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", lambda m: m[0] if m[0] == "()" else " ", comment)
    listed = listed[re.search(r"\b[Ee]rrors?\b", listed).start():]
    codes = set(NAMED.findall(re.sub(r"without \w+", "", listed)))
    for other in re.findall(r"\b(hw_\w+)\(\)", listed):
        codes |= documented(other) if other in COMMENTS and other != function else set()
    if re.search(r"as above", listed):
        codes |= documented(before[-1])
    return codes - set(re.findall(r"without (\w+)", listed)) | {"ARGUMENT"}  # of any NULL pointer: the header's start


@pytest.fixture(scope="module")
def sources():
    return Sources(ROOT / "src")


NO_STOP = "no stop function reaches it"
LATER = "what it installs runs later: in the caller's decodes and hw_tap_finish()"
IN_MEMORY = "reading from memory does not fail"
# Ways that the sources' text shows and no call takes: (function, code): why.
NOT_TAKEN = {
    ("hw_model_check_chat", "CANCELLED"): NO_STOP,
    ("hw_run_tokenize", "FORMAT"): "the library's own byte ranges of messages rise",
    ("hw_trace_import", "CANCELLED"): NO_STOP,
    ("hw_trace_import_bytes", "CANCELLED"): NO_STOP,
    ("hw_trace_import", "ENGINE"): "the file's weights are checked before they are captured: FORMAT",
    ("hw_trace_import_bytes", "ENGINE"): "as of hw_trace_import()",
    ("hw_trace_import", "UNSUPPORTED"): "it decodes with the engine that replays files, which has no signals",
    ("hw_trace_import_bytes", "UNSUPPORTED"): "as of hw_trace_import()",
    ("hw_trace_import_bytes", "IO"): IN_MEMORY,
    ("hw_state_open_bytes", "IO"): IN_MEMORY,
    ("hw_trace_open_bytes", "IO"): IN_MEMORY,
    ("hw_result_open_bytes", "IO"): IN_MEMORY,
    ("hw_filter_check", "UNSUPPORTED"): "it matches no text",
    ("hw_view_new", "CANCELLED"): NO_STOP,
    ("hw_trace_builder_rows", "CANCELLED"): "no explainer reads its rows",
    ("hw_trace_builder_rows", "UNSUPPORTED"): "no explainer reads its rows",
    **{("hw_tap_new", code): LATER for code in ("IO", "FORMAT", "ENGINE", "CANCELLED")},
    **{("hw_tap_install", code): LATER for code in ("UNSUPPORTED", "ENGINE", "MEMORY")},
    ("hw_tap_begin", "CANCELLED"): NO_STOP,
    ("hw_tap_finish", "CANCELLED"): NO_STOP,
}
STORED = {"hw_tap_error"}  # returns what an earlier call found


@pytest.mark.parametrize("function", COMMENTS)
def test_every_error_is_listed(sources, function):
    found = sources.codes(function)
    if function.endswith("_parse"):
        found = {"ARGUMENT": (function,)}  # defined by a macro
    assert found, "not found in src/"
    missing = {code: " -> ".join(way) for code, way in found.items()
               if code not in documented(function) and (function, code) not in NOT_TAKEN}
    assert missing == {}
    extra = documented(function) - set(found) - {"ARGUMENT"}
    assert function in STORED or extra == set(), "listed, and never returned"


def test_exceptions_are_needed(sources):
    assert [key for key in NOT_TAKEN if key[1] not in sources.codes(key[0]) or key[1] in documented(key[0])] == []


# ------------------------------------------------------------------ NULL

OUT = ("out", "begin", "end", "n_bytes", "err")  # names of parameters that are written
CALL = """
#include "headwater-llama.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
static _Alignas(16) char space[8][8192];
int main(void) {
    hw_log_set(NULL, NULL);
    CALLS
    return 0;
}
"""
ONE = """
    if (fork() == 0) {{
        hw_error err = {{.msg = ""}};
        hw_err rc = {call};
        printf("{name} %s %s\\n", hw_err_name(rc), err.code == rc && err.msg[0] ? "said" : "silent");
        fflush(stdout);
        _exit(0);
    }}
    wait(NULL);
"""
# Pointers that may be NULL are all that these have.
ALL_NULLABLE = {"hw_device_list_new": "HW_OK", "hw_explainer_new": "HW_OK", "hw_filter_check": "HW_OK"}


def argument(position, declaration):
    """What the call passes: memory for what is written, NULL and 0 for all else."""
    kind, name = re.fullmatch(r"(.*?)(\w+)", declaration.strip()).groups()
    if name == "err":
        return "&err"
    if "*" not in kind:
        return f"({kind.strip()}){{0}}"
    return f"(void *)space[{position}]" if name in OUT and "const" not in kind else "NULL"


def test_null_is_an_error_of_every_function(tmp_path, build):
    declarations = [one for header in HEADERS
                    for one in re.findall(r"^HW_API hw_err (hw_\w+)\((.*?)\);", header.read_text(), re.S | re.M)]
    calls = []
    for name, text in declarations:
        passed = ", ".join(argument(i, one) for i, one in enumerate(text.split(",")))
        calls.append(ONE.format(name=name, call=f"{name}({passed})"))
    source = tmp_path / "null.c"
    source.write_text(CALL.replace("CALLS", "".join(calls)))
    lines = [line.split() for line in run(build(source)).stdout.splitlines()]
    assert [line[0] for line in lines] == list(COMMENTS), "a call that is missing here has crashed"
    wrong = [line for line in lines if line[1:] != ["HW_ERR_ARGUMENT", "said"] and line[1] != ALL_NULLABLE.get(line[0])]
    assert wrong == []
