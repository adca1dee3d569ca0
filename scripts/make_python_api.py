"""Makes python/headwater/c_api.py, the ctypes declarations of the C library, from include/headwater.h.

    build/venv/bin/python scripts/make_python_api.py           # writes the file
    build/venv/bin/python scripts/make_python_api.py --check   # exit status 1 if it is not up to date

The header is preprocessed by the C compiler ($CC, else cc) with stand-ins for the three standard headers, and parsed by
pycparser. tests/python/test_api.py runs the check, and compares sizes and offsets with those that the C compiler
gives.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from generated_file import write_or_check
from pycparser import c_ast, c_parser

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "headwater.h"
TARGET = ROOT / "python" / "headwater" / "c_api.py"

STANDARD = {
    "stdbool.h": "typedef _Bool bool;",
    "stddef.h": "typedef unsigned long size_t;\n#define NULL ((void *)0)",
    "stdint.h": "typedef int int32_t; typedef unsigned int uint32_t; typedef long int64_t; typedef unsigned long "
    "uint64_t; typedef unsigned short uint16_t; typedef unsigned char uint8_t;",
}

# C name: (ctypes name, Python type)
BASIC = {
    "bool": ("c_bool", "bool"),
    "_Bool": ("c_bool", "bool"),
    "int": ("c_int", "int"),
    "unsigned int": ("c_uint", "int"),
    "char": ("c_char", "bytes"),
    "unsigned char": ("c_ubyte", "int"),
    "size_t": ("c_size_t", "int"),
    "int32_t": ("c_int32", "int"),
    "uint8_t": ("c_uint8", "int"),
    "uint16_t": ("c_uint16", "int"),
    "uint32_t": ("c_uint32", "int"),
    "int64_t": ("c_int64", "int"),
    "uint64_t": ("c_uint64", "int"),
    "float": ("c_float", "float"),
    "double": ("c_double", "float"),
}

HEAD = '''"""ctypes declarations of headwater.h. Made by scripts/make_python_api.py: do not edit.

Names are those of the header. Pointers to opaque structs and to numbers are `c_void_p`; text that need not end with a
NUL is `c_void_p` too, with its length beside it.
"""
# pyright: reportUninitializedInstanceVariable=false

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_size_t,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

'''


def preprocess() -> str:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in STANDARD.items():
            (pathlib.Path(folder) / name).write_text(text + "\n")
        compiler = os.environ.get("CC", "cc")
        command = [compiler, "-E", "-P", "-nostdinc", "-I", folder, "-D__attribute__(x)=", str(HEADER)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def macros() -> dict[str, str]:
    """Macros of numbers and texts; HW_X_INIT and the like are no constants."""
    value = r'[-+]?[0-9][-+.0-9eExXa-fA-FpP]*|"[^"]*"'
    return dict(re.findall(rf"^#define (HW_[A-Z0-9_]+) +({value})$", HEADER.read_text(), re.M))


class Header:
    def __init__(self) -> None:
        self.structs: dict[str, c_ast.Struct] = {}
        self.enums: dict[str, list[tuple[str, int]]] = {}
        self.callbacks: dict[str, c_ast.FuncDecl] = {}
        self.functions: dict[str, c_ast.FuncDecl] = {}
        self.order: list[str] = []
        self.constants: dict[str, int] = {}
        for node in c_parser.CParser().parse(preprocess()).ext:
            self.add(node)

    def add(self, node: c_ast.Node) -> None:
        if isinstance(node, c_ast.FuncDef):
            return  # defined in the header: compiled into C programs, not exported
        kind = node.type
        if isinstance(node, c_ast.Decl) and isinstance(kind, c_ast.FuncDecl):
            self.functions[node.name] = kind
        elif isinstance(kind, c_ast.PtrDecl) and isinstance(kind.type, c_ast.FuncDecl):
            self.callbacks[node.name] = kind.type
            self.order.append(node.name)
        else:
            inner = kind.type if isinstance(kind, c_ast.TypeDecl) else kind
            if isinstance(inner, c_ast.Enum) and inner.values:
                self.add_enum(inner.name or "", inner)
            if isinstance(inner, c_ast.Struct) and inner.decls:
                self.structs[inner.name] = inner
                self.order.append(inner.name)

    def add_enum(self, name: str, enum: c_ast.Enum) -> None:
        value, rows = 0, []
        for item in enum.values.enumerators:
            value = self.number(item.value) if item.value else value
            rows.append((item.name, value))
            self.constants[item.name] = value
            value += 1
        self.enums[name] = rows

    def number(self, node: c_ast.Node) -> int:
        if isinstance(node, c_ast.Constant):
            return int(node.value.rstrip("uUlL"), 0)
        if isinstance(node, c_ast.UnaryOp) and node.op == "-":
            return -self.number(node.expr)
        if isinstance(node, c_ast.ID):
            return self.constants[node.name]
        raise SystemExit(f"{HEADER}: an enumerator's value of kind {type(node).__name__} is not supported")

    # ---------------------------------------------------------------- types

    def named(self, names: list[str]) -> tuple[str, str]:
        name = " ".join(names)
        if name in BASIC:
            return BASIC[name]
        if name in self.enums:
            return "c_int", "int"
        if name in self.structs:
            return name, name
        if name in self.callbacks:
            return name, "Any"
        raise SystemExit(f"{HEADER}: type {name} is not known")

    def pointed(self, node: c_ast.Node, terminated: bool) -> tuple[str, str]:
        """A pointer to `node`."""
        if isinstance(node, c_ast.FuncDecl):
            return self.callback(node), "Any"
        if isinstance(node, c_ast.PtrDecl):
            is_text = isinstance(node.type, c_ast.TypeDecl) and getattr(node.type.type, "names", None) == ["char"]
            return ("POINTER(c_char_p)" if is_text and "const" in node.type.quals else "POINTER(c_void_p)"), "Any"
        names = getattr(node.type, "names", None) or [node.type.name]
        name = " ".join(names)
        if name == "char":
            constant = "const" in node.quals
            return ("c_char_p", "bytes | None") if terminated and constant else ("c_void_p", "int | None")
        if name in self.structs:
            return f"POINTER({name})", "Any"
        return "c_void_p", "int | None"

    def type_of(self, node: c_ast.Node, terminated: bool = True) -> tuple[str, str]:
        if isinstance(node, c_ast.PtrDecl):
            return self.pointed(node.type, terminated)
        if isinstance(node, c_ast.ArrayDecl):
            inner, _ = self.type_of(node.type)
            return f"{inner} * {self.number(node.dim)}", "bytes" if inner == "c_char" else "Any"
        if isinstance(node.type, c_ast.Struct):
            return node.type.name, node.type.name
        if isinstance(node.type, c_ast.Enum):
            return "c_int", "int"
        return self.named(node.type.names)

    def result(self, node: c_ast.FuncDecl, terminated: bool = True) -> str:
        if isinstance(node.type, c_ast.TypeDecl) and getattr(node.type.type, "names", None) == ["void"]:
            return "None"
        return self.type_of(node.type, terminated)[0]

    def arguments(self, node: c_ast.FuncDecl) -> list[str]:
        params = node.args.params if node.args else []
        found = []
        for p in params:
            if isinstance(p.type, c_ast.TypeDecl) and getattr(p.type.type, "names", None) == ["void"]:
                continue
            writes = isinstance(p.type, c_ast.PtrDecl) and self.is_number(p.type.type)
            found.append(f"POINTER({self.type_of(p.type.type)[0]})" if writes else self.argument(p))
        return found

    def argument(self, p: c_ast.Decl) -> str:
        kind = p.type
        if isinstance(kind, c_ast.ArrayDecl):
            return "c_void_p"
        return self.type_of(kind)[0]

    def is_number(self, node: c_ast.Node) -> bool:
        """A number that a function writes through a pointer: *n, *begin."""
        if not isinstance(node, c_ast.TypeDecl) or "const" in node.quals or isinstance(node.type, c_ast.Struct):
            return False
        name = " ".join(node.type.names) if isinstance(node.type, c_ast.IdentifierType) else ""
        return name in self.enums or (name in BASIC and name not in ("char", "float"))

    def callback(self, node: c_ast.FuncDecl) -> str:
        """Pointers that a callback gets are addresses."""
        kinds = [self.type_of(p.type)[0] for p in node.args.params]
        kinds = ["c_void_p" if k.startswith("POINTER") else k for k in kinds]
        return f"CFUNCTYPE({', '.join([self.result(node), *kinds])})"

    # ---------------------------------------------------------------- text

    def struct(self, name: str) -> str:
        decls = self.structs[name].decls
        counts = {d.name for d in decls}
        fields, types = [], []
        for d in decls:
            terminated = d.name != "bytes" and f"{d.name}_bytes" not in counts
            kind, python = self.type_of(d.type, terminated)
            fields.append((d.name, kind))
            types.append(f"    {d.name}: {python}")
        rows = "".join(f'        ("{n}", {k}),\n' for n, k in fields)
        return "\n".join([f"class {name}(Structure):", *types, "    _fields_ = [", rows.rstrip("\n"), "    ]"])

    def function(self, name: str) -> str:
        node = self.functions[name]
        lengths = [p for p in (node.args.params if node.args else []) if p.name in ("n_bytes", "n")]
        result = self.result(node, terminated=not lengths)
        arguments = self.arguments(node)
        line = f'    "{name}": ({result}, [{", ".join(arguments)}]),'
        if len(line) <= 120:
            return line
        rows = "".join(f"            {argument},\n" for argument in arguments)
        return f'    "{name}": (\n        {result},\n        [\n{rows}        ],\n    ),'

    def text(self) -> str:
        parts = [HEAD.rstrip("\n"), ""]
        parts += [f"{name} = {value}" for name, value in macros().items()]
        for name, rows in self.enums.items():
            parts += ["", f"# enum {name}".rstrip(), *(f"{n} = {v}" for n, v in rows)]
        for name in self.order:
            parts += ["", ""] if name in self.structs else [""]
            is_struct = name in self.structs
            parts.append(self.struct(name) if is_struct else f"{name} = {self.callback(self.callbacks[name])}")
        parts += ["", "", "# name: (result, arguments)", "FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {"]
        parts += [self.function(name) for name in self.functions]
        return "\n".join([*parts, "}", ""])


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, Header().text(), HEADER))
