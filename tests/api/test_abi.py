"""Programs built with an earlier headwater.h run with the library of today.

tests/data/abi/<version>/headwater.h are the headers of released versions of this major version, never edited: a new
release adds its own. Struct layouts, numbers and functions of each must be kept; a program compiled with each, and with
headers whose structs end earlier or go on further, runs with this library, with guarded memory around every struct.
"""

import lzma
import re
import shutil
import subprocess

import pytest
from conftest import ATTENTION, LIBRARY, MODEL, ROOT, compiler, run

HEADER = ROOT / "include" / "headwater.h"
LLAMA_HEADER = ROOT / "include" / "headwater-llama.h"
KEPT = sorted((ROOT / "tests/data/abi").glob("*/headwater.h"))
CLIENT = ROOT / "tests/api/client.c"
# Structs that the caller provides and that may grow; all others are frozen or stand behind pointers of the library.
GROWING = re.compile(
    r"^(?:typedef )?struct (hw_(?:\w+_params|token|citation_link|citation_elsewhere|estimate|model_file)) \{\n(.*?)^\}",
    re.M | re.S)


def without_comments(header):
    return re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)


def field_names(statement):
    """`const size_t a, b[3]` -> a, b; of a pointer to a function its name."""
    pointer = re.search(r"\(\*(\w+)\)\(", statement)
    return [pointer[1]] if pointer else re.findall(r"(\w+)\s*(?:\[[^\]]*\])?\s*(?:,|$)", statement)


def structs(header):
    """{name: names of fields}"""
    bodies = re.findall(r"^(?:typedef )?struct (hw_\w+) \{\n(.*?)^\}", without_comments(header), re.M | re.S)
    return {name: [field for statement in body.split(";") for field in field_names(statement.strip())]
            for name, body in bodies}


def constants(header):
    """Names of enumerators."""
    bodies = re.findall(r"\benum(?: \w+)? \{(.*?)\}", without_comments(header), re.S)
    return [name for body in bodies for name in re.findall(r"\b(HW_\w+)\b(?=\s*(?:,|=|$))", body)]


def functions(header):
    """{name: declaration}"""
    found = re.findall(r"^HW_API ([^;{]+);", without_comments(header), re.M)
    lines = [" ".join(declaration.split()) for declaration in found]
    return {re.search(r"(hw_\w+)\(", line)[1]: line for line in lines}


def layout(header, folder):
    """{struct, struct.field or constant: two numbers}: offset and size, or value, as the compiler has them."""
    lines = []
    for name, fields in structs(header).items():
        lines.append(f'printf("{name} 0 %zu\\n", sizeof({name}));')
        lines += [f'printf("{name}.{f} %zu %zu\\n", offsetof({name}, {f}), sizeof((({name} *)0)->{f}));'
                  for f in fields]
    lines += [f'printf("{name} %d 0\\n", (int){name});' for name in constants(header)]
    body = "\n".join(lines)
    (folder / "print.c").write_text(
        f'#include "headwater.h"\n#include <stdio.h>\nint main(void) {{\n{body}\nreturn 0; }}\n')
    subprocess.run([compiler("c"), f"-I{header.parent}", folder / "print.c", "-o", folder / "print"], check=True)
    rows = run(folder / "print").stdout.split("\n")[:-1]
    return {name: (int(first), int(second)) for name, first, second in map(str.split, rows)}


def changed(folder, change):
    """A folder with a header whose growing structs have other fields."""

    def other(match):
        fields = [field for field in match[2].split(";") if field.strip()]
        return match[0].replace(match[2], "".join(f"{field};\n" for field in change(fields)))

    text, n = GROWING.subn(other, without_comments(HEADER))
    assert n >= 15
    (folder / "headwater.h").write_text(text)
    return folder


def ended_earlier(fields):
    return fields[:-1] if len(fields) > 2 else fields


def gone_on(fields):
    return [*fields, "\nuint64_t later[40]"]


@pytest.fixture(scope="module")
def expected(build):
    """What the client prints if it is compiled with the header of today."""
    done = run(build(CLIENT), ATTENTION, MODEL)
    assert done.returncode == 0, done.stdout
    assert "completion \" Paris" in done.stdout
    return done.stdout


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.parent.name)
def test_a_program_of_an_earlier_version_runs(kept, build, expected):
    done = run(build(CLIENT, kept.parent), ATTENTION, MODEL)
    assert (done.returncode, done.stdout) == (0, expected)


def test_a_program_whose_structs_end_earlier_runs(tmp_path, build, expected):
    done = run(build(CLIENT, changed(tmp_path, ended_earlier)), ATTENTION, MODEL)
    assert (done.returncode, done.stdout) == (0, expected)


def test_a_program_whose_structs_go_on_runs_unless_it_sets_what_is_not_known(tmp_path, build, expected):
    program = build(CLIENT, changed(tmp_path, gone_on), ["-DLATER_FIELDS"])
    done = run(program, ATTENTION, MODEL)
    assert done.returncode == 0
    lines = done.stdout.split("\n")
    refused = [line for line in lines if line.startswith("later field: HW_ERR_ARGUMENT, hw_view_params: a field that")]
    assert len(refused) == 1
    assert "\n".join(line for line in lines if line not in refused) == expected


def test_structs_filled_without_their_size_are_found(tmp_path, build):
    unsized = tmp_path / "unsized.so"
    source = ROOT / "tests/api/unsized.c"
    subprocess.run([compiler("c"), "-shared", "-fPIC", f"-I{HEADER.parent}", source, "-o", unsized], check=True)
    program = build(CLIENT, changed(tmp_path, ended_earlier))
    done = run(program, ATTENTION, MODEL, environment={"LD_PRELOAD": str(unsized)})
    assert done.returncode == 1
    damaged = re.findall(r"damaged: \d+ bytes around (\w+)", done.stdout)
    assert damaged == ["hw_worker_params", "hw_check_params", "hw_confirm_params"]


def is_kept(name, old, new):
    """Structs whose comment does not end with "Frozen." may grow; fields and numbers stay."""
    grows = name in structs(HEADER) and name not in frozen_structs() and new[name][1] > old[name][1]
    counts = name.startswith("HW_N_") and new[name][0] > old[name][0]  # the number of kinds grows with them
    return new[name] == old[name] or grows or counts


def frozen_structs():
    return re.findall(r"Frozen\. \*/\s+typedef struct (hw_\w+) \{", HEADER.read_text())


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.parent.name)
def test_layouts_numbers_and_functions_are_kept(kept, tmp_path):
    old, new = layout(kept, tmp_path), layout(HEADER, tmp_path)
    assert len(old) > 350
    assert [name for name in old if name not in new or not is_kept(name, old, new)] == []
    for name in new.keys() - old.keys():
        owner, _, field = name.partition(".")
        assert not field or owner not in old or new[name][0] >= old[owner][1], f"{name}: behind the earlier {owner}"
    before, now = functions(kept), functions(HEADER)
    assert {name: now.get(name) for name in before} == before


def test_only_public_functions_are_exported():
    done = run("nm", "-D", "--defined-only", LIBRARY)
    names = [line.split()[-1] for line in done.stdout.splitlines()]
    assert len(names) > 150
    assert [name for name in names if not re.fullmatch(r"hw_[a-z]\w*", name)] == []
    assert sorted(set(names)) == sorted([*functions(HEADER), *functions(LLAMA_HEADER)])


def test_the_name_that_programs_load_has_the_major_version():
    major = re.search(r"#define HW_VERSION_MAJOR +(\d+)", HEADER.read_text())[1]
    assert f"[libheadwater.so.{major}]" in run("readelf", "-d", LIBRARY).stdout


@pytest.mark.skipif(not shutil.which("abidiff"), reason="abidiff (package abigail-tools) is not installed")
@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.parent.name)
def test_libabigail_finds_nothing_incompatible(kept, tmp_path):
    stored = kept.parent / "libheadwater.abi.xz"
    (tmp_path / "old.abi").write_bytes(lzma.decompress(stored.read_bytes()))
    done = run("abidiff", "--headers-dir2", HEADER.parent, "--drop-private-types", tmp_path / "old.abi", LIBRARY)
    removed_or_failed = 1 | 2 | 8
    assert done.returncode & removed_or_failed == 0, done.stdout
