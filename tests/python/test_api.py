"""The declarations are those of the header; exceptions cover its codes; the package is quick to import."""

import ctypes
import doctest
import importlib
import os
import pathlib
import subprocess
import sys

import pytest

from headwater import c_api, errors

ROOT = pathlib.Path(__file__).resolve().parents[2]


def compiled(folder, lines):
    """What a C program of these statements prints."""
    body = "\n".join(lines)
    text = f'#include "headwater.h"\n#include <stdio.h>\nint main(void) {{\n{body}\nreturn 0; }}\n'
    (folder / "print.c").write_text(text)
    command = [os.environ.get("CC", "cc"), "-I", ROOT / "include", folder / "print.c", "-o", folder / "print"]
    subprocess.run(command, check=True)
    return subprocess.run([folder / "print"], check=True, capture_output=True, text=True).stdout.splitlines()


def structs():
    return {name: kind for name, kind in vars(c_api).items() if name.startswith("hw_") and isinstance(kind, type)
            and issubclass(kind, ctypes.Structure)}


def test_sizes_and_offsets_are_those_of_the_compiler(tmp_path):
    lines, expected = [], []
    for name, kind in structs().items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ctypes.sizeof(kind)}")
        for field, *_ in kind._fields_:
            lines.append(f'printf("{name}.{field} %zu\\n", offsetof({name}, {field}));')
            expected.append(f"{name}.{field} {getattr(kind, field).offset}")
    constants = [n for n, v in vars(c_api).items() if n.startswith("HW_") and isinstance(v, int)]
    lines += [f'printf("{name} %d\\n", (int){name});' for name in constants]
    expected += [f"{name} {getattr(c_api, name)}" for name in constants]
    assert len(expected) > 300
    assert compiled(tmp_path, lines) == expected, "run scripts/make_python_api.py"


def test_declarations_are_made_from_the_header():
    pytest.importorskip("pycparser", reason="pycparser, which requirements-test.txt lists, is not installed")
    subprocess.run([sys.executable, ROOT / "scripts" / "make_python_api.py", "--check"], check=True)


def test_every_function_is_in_the_library():
    library = ctypes.CDLL(os.environ["HEADWATER_LIBRARY"])
    assert [name for name in c_api.FUNCTIONS if not hasattr(library, name)] == []


def test_each_code_has_its_exception():
    codes = {v: n for n, v in vars(c_api).items() if n.startswith("HW_ERR_")}
    assert {code: kind.code for code, kind in errors.BY_CODE.items()} == codes


@pytest.mark.parametrize("module", ["errors", "tables", "foreign"])
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(importlib.import_module(f"headwater.{module}"))
    assert result.attempted and not result.failed


def test_import_is_quick():
    """It takes time where it imports what takes time, and needs the library only at the first call."""
    slow = ("asyncio", "matplotlib", "numpy", "pandas", "pyarrow", "ray", "subprocess", "torch", "transformers")
    code = f"import sys, headwater; print([m for m in {slow} if m in sys.modules], headwater.__version__)"
    environment = {**os.environ, "HEADWATER_LIBRARY": "/no/such/file"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["[]", c_api.HW_VERSION]


def test_the_reference_is_made_from_the_docstrings():
    subprocess.run([sys.executable, ROOT / "scripts" / "make_python_reference.py", "--check"], check=True)


@pytest.mark.parametrize(("module", "call", "says"), [
    ("pandas", "result.to_pandas()", "pip install pandas"),
    ("pandas", "result.attributions[0].to_pandas()", "pip install pandas"),
    ("torch", "headwater.from_transformers(None, None, '')", "pip install torch transformers"),
])
def test_packages_that_are_missing_are_named(module, call, says):
    code = f"""
import sys, headwater
sys.modules[{module!r}] = None
result = headwater.from_attentions([[[1, 0], [.5, .5]]], n_prompt=1)
try: {call}
except ModuleNotFoundError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip().endswith(says)
