"""docs/reference/api.md is made from the header of today, and names all of it."""

import importlib.util
import re
import subprocess
import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
spec = importlib.util.spec_from_file_location("make_api_reference", ROOT / "scripts" / "make_api_reference.py")
maker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(maker)

HEADER = (ROOT / "include" / "headwater.h").read_text()
LLAMA_HEADER = (ROOT / "include" / "headwater-llama.h").read_text()
SECTIONS = list(maker.SECTION.finditer(HEADER))
REFERENCE = (ROOT / "docs" / "reference" / "api.md").read_text()


def test_it_is_made_from_the_header():
    subprocess.run([sys.executable, ROOT / "scripts" / "make_api_reference.py", "--check"], check=True)


def test_the_header_lists_its_sections():
    section = HEADER.split("Sections, in this order:")[1].split("Conventions")[0]
    listed = re.findall(r"^ \*     ([a-z ]+?)  +\S", section, re.M)
    titles = [match["title"].strip() for match in SECTIONS]
    assert len(listed) == len(titles) and all(title.startswith(name) for name, title in zip(listed, titles)), listed


def test_it_names_every_function_and_type():
    names = set(re.findall(r"\bhw_[a-z]\w*\b", HEADER + LLAMA_HEADER))
    assert len(names) > 250
    assert names - set(re.findall(r"\bhw_[a-z]\w*\b", REFERENCE)) == set()


def comments_above():
    """{function that can fail: the comments above it in its paragraph and section, the nearest first}"""
    found = {}
    for match, after in zip(SECTIONS, [*SECTIONS[1:], None]):
        for block in maker.blocks(HEADER[match.end() : after.start() if after else len(HEADER)]):
            for function in re.finditer(r"^HW_API hw_err (hw_\w+)\(", block, re.M):
                comments = re.findall(r"/\*(.*?)\*/", block[: function.start()], re.S)
                found[function[1]] = [*reversed(comments), match["text"] or ""]
    return found


def test_every_function_that_can_fail_says_how():
    functions = comments_above()
    assert len(functions) > 50
    assert [name for name, comments in functions.items() if not re.search(r"\b[Ee]rrors?\b", " ".join(comments))] == []
