"""Makes docs/reference/python.md, the reference of the Python package, from its docstrings.

    build/venv/bin/python scripts/make_python_reference.py           # writes the file
    build/venv/bin/python scripts/make_python_reference.py --check   # exit status 1 if it is not up to date

The package is imported, which needs neither NumPy nor the library. tests/python/test_api.py runs the check.
"""

import ast
import importlib
import inspect
import json
import pathlib
import sys
import textwrap

from generated_file import write_or_check

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference" / "python.md"
MODULES = ("headwater.inseq", "headwater.ray", "headwater.axes")
OPERATORS = ("__getitem__", "__call__")
WIDTH = 110

HEAD = """# Python reference

Made from the docstrings of `python/headwater` by `scripts/make_python_reference.py`: do not edit. The guide is
[docs/guide/python.md](../guide/python.md); what methods and settings compute is in
[formats.md](formats.md) and `headwater methods`.
Options that are not named in a signature are rows of `headwater.settings()`.
"""


def parameter(p: inspect.Parameter) -> str:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(p.kind, "")
    kind = "" if p.annotation is inspect.Parameter.empty else f": {p.annotation}"
    default = "" if p.default is inspect.Parameter.empty else f" = {shown(p.default)}"
    return f"{stars}{p.name}{kind}{default}"


def shown(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value).replace("'", '"')


def signature(name: str, function: object) -> str:
    """name(arguments) -> result, on several lines if it is long."""
    shape = inspect.signature(function)
    result = "" if shape.return_annotation in (inspect.Signature.empty, "None") else f" -> {shape.return_annotation}"
    listed: list[str] = []
    for p in shape.parameters.values():
        if p.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in listed:
            listed.append("*")
        listed += [parameter(p)] if p.name != "self" else []
    line = f"{name}({', '.join(listed)}){result}"
    return line if len(line) <= WIDTH else f"{name}(\n" + "".join(f"    {one},\n" for one in listed) + f"){result}"


def fields(kind: type) -> list[tuple[str, str, str]]:
    """Annotated attributes of a class with the text below each: name, type, text."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: list[tuple[str, str, str]] = []
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        says = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        found.append((node.target.id, ast.unparse(node.annotation), inspect.cleandoc(says)))
    return found


def block(heading: str, code: str, text: str | None) -> str:
    shown = f"```python\n{code}\n```\n" if code else ""
    return "\n".join(part for part in (heading + "\n", shown, examples(inspect.cleandoc(text or ""))) if part) + "\n"


def examples(text: str) -> str:
    """Doctests as code."""
    made: list[str] = []
    inside = False
    for line in text.splitlines():
        starts = line.startswith(">>>")
        if starts and not inside:
            made.append("```pycon")
        if inside and not line:
            made.append("```")
        inside = starts or (inside and bool(line))
        made.append(line)
    return "\n".join([*made, "```"] if inside else made) + ("\n" if made else "")


def member(kind: type, name: str) -> str | None:
    value = inspect.getattr_static(kind, name)
    if isinstance(value, property):
        result = value.fget.__annotations__.get("return", "") if value.fget else ""
        return block(f"#### `{kind.__name__}.{name}`", f"{name}: {result}", value.__doc__)
    if not inspect.isfunction(value):
        return None
    own = name if name not in OPERATORS else {"__getitem__": "result[...]", "__call__": "explainer"}[name]
    code = signature(name, value) if name not in OPERATORS else signature(name, value).replace(name, own, 1)
    return block(f"#### `{kind.__name__}.{name}`", code, value.__doc__)


def described_class(kind: type) -> str:
    code = "" if issubclass(kind, Exception) or "__init__" not in vars(kind) else signature(kind.__name__, kind)
    has_own = kind.__init__.__doc__ if "__init__" in vars(kind) and not hasattr(kind, "__dataclass_fields__") else None
    if hasattr(kind, "__dataclass_fields__"):
        code = ""
    text = "\n\n".join(inspect.cleandoc(one) for one in (kind.__doc__, has_own) if one)
    bases = f" ({', '.join(base.__name__ for base in kind.__bases__)})" if issubclass(kind, Exception) else ""
    made = [block(f"### `{kind.__name__}`{bases}", code, text)]
    listed = [f"- `{n}: {t}`" + (f": {s}" if s else "") for n, t, s in fields(kind)]
    if listed and not issubclass(kind, Exception):
        made.append("\n".join(listed) + "\n")
    names = [n for n in vars(kind) if (not n.startswith("_") or n in OPERATORS) and n not in dict.fromkeys(listed)]
    made += [text for name in names if (text := member(kind, name)) and documented(kind, name)]
    return "\n".join(made)


def documented(kind: type, name: str) -> bool:
    """Plumbing without a docstring, such as `address`, is left out."""
    return name in OPERATORS or bool(inspect.getattr_static(kind, name).__doc__)


def described(name: str, value: object) -> str:
    if inspect.isclass(value):
        return described_class(value)
    return block(f"### `{name}()`", signature(name, value), value.__doc__)


def text() -> str:
    sys.path.insert(0, str(ROOT / "python"))
    package = importlib.import_module("headwater")
    exported = [(name, getattr(package, name)) for name in package.__all__ if not name.startswith("__")]
    errors = [(n, v) for n, v in exported if inspect.isclass(v) and issubclass(v, Exception)]
    classes = [(n, v) for n, v in exported if inspect.isclass(v) and (n, v) not in errors]
    functions = [(n, v) for n, v in exported if not inspect.isclass(v)]
    parts = [HEAD]
    for title, rows in (("Functions", functions), ("Classes", classes), ("Errors", errors)):
        parts += [f"## {title}\n", *(described(name, value) for name, value in rows)]
    for module in map(importlib.import_module, MODULES):
        public = [(n, v) for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
        parts += [f"## `{module.__name__}`\n", inspect.cleandoc(module.__doc__ or "") + "\n"]
        parts += [described(n, v) for n, v in public if not n.startswith("_") and callable(v)]
    return "\n".join(parts).replace("\n\n\n", "\n\n").rstrip("\n") + "\n"




if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, text(), ROOT / "python" / "headwater"))
