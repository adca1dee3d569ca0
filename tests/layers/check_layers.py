"""Checks the order of layers: every #include and every call between files must point downwards, without circles.

    check_layers.py SOURCE_ROOT OBJECT_FILE...

Includes are read from the sources, calls from the symbols of the object files (nm), so that calls through the public
header count too. Prints one line per violation and exits 1 if there is one.
"""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

# From the bottom up. A file may use its own folder and folders below; folders in one inner list are at the same level
# and may not use one another.
LIBRARY = [["base"], ["math"], ["engine"], ["engine/llama/device"], ["engine/llama/file"], ["engine/llama/graph"],
           ["engine/llama", "engine/import"], ["data"], ["text"], ["methods"], ["occlusion"], ["capture"],
           ["capture/foreign"], ["view"], ["evaluate"], ["formats"]]
PROGRAM = [
    ["cli"],
    ["models"],
    ["export"],
    ["picture"],
    ["terminal"],
    ["figure"],
    ["job"],
    ["serve/protocol"],
    ["serve/dialects", "serve/engine", "serve/jobs"],
    ["serve", "eval"],
    ["commands"],
    [""],
]
TREES = {"src": LIBRARY, "tools/headwater": PROGRAM, "tools/bench": [[""]]}
# What a tree may use of the others beside the public header. The bench reaches the library's hooks, and the program's
# terminal.
SEEN = {
    "src": [],
    "tools/headwater": ["src/base/"],
    "tools/bench": ["src/base/", "src/engine/", "src/capture/capture", "tools/headwater/cli/"],
}

# Tables with rows from higher folders. Such a file may contain only the table: no function.
TABLES = {"src/methods/method_table", "src/formats/format_table"}

# External headers that only one file, or one folder, may include.
RESERVED = [(re.compile(r"^(llama|ggml|gguf)[-\w]*\.h$|^llama-common/|^(chat|common|minja)\.h$"), "src/engine/llama/"),
            (re.compile(r"^(cblas|openblas\w*)\.h$"), "src/math/blas.")]

# These folders of the program, with those inside them, take plain parameters and may not include the command line's
# options.
NO_OPTIONS = ["figure", "terminal", "serve", "picture", "export", "models"]
OPTIONS = {"tools/headwater/cli/options.h", "tools/headwater/cli/command.h"}

SOURCES = {".c", ".h", ".cpp"}
MAX_MODULES = 15  # of a folder: a file, or a source with its header
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def rank_of(tree):
    return {folder: (i, folder) for i, level in enumerate(TREES[tree]) for folder in level}


def tree_of(path):
    """The tree that a path from the root belongs to, or None."""
    return next((t for t in TREES if path.startswith(t + "/")), None)


def folder_of(path, tree):
    return str(Path(path).parent.relative_to(tree)).replace(".", "", 1) if Path(path).parent != Path(tree) else ""


def module_of(path):
    return re.sub(r"\.(c|h|cpp)$", "", path)


def may_use(user, used):
    """Whether a file may use another, both as paths from the root."""
    a, b = tree_of(user), tree_of(used)
    if a != b:
        return any(used.startswith(path) for path in SEEN[a])
    ranks = rank_of(a)
    low, high = ranks[folder_of(used, a)], ranks[folder_of(user, a)]
    return low == high or low[0] < high[0]


def read_includes(root, faults):
    """Yields (file, included file) for the project's own files; reports the others."""
    for path in sorted(p for t in TREES for p in (root / t).rglob("*.*") if p.suffix in SOURCES):
        name = str(path.relative_to(root))
        for kind, target in INCLUDE.findall(path.read_text()):
            for pattern, owner in RESERVED:
                if pattern.match(target) and not name.startswith(owner):
                    faults.append(f"{name} includes {target}: only {owner}* may")
            if kind == "<" or target.startswith(("headwater.h", "headwater-", "headwater_")):
                continue
            roots = [tree_of(name), "src"] + ["tools/headwater"] * (tree_of(name) == "tools/bench")
            found = next((f"{r}/{target}" for r in roots if (root / r / target).is_file()), None)
            if found:
                yield name, found
            elif not any(p.match(target) for p, _ in RESERVED):
                faults.append(f'{name} includes "{target}": no such file below {" or ".join(dict.fromkeys(roots))}')


def read_symbols(objects):
    """(defined: symbol -> file, used: file -> symbols, code: files that define a function); files as paths from the
    root."""
    defined, used, code = {}, defaultdict(set), set()
    listing = subprocess.run(["nm", "-A", "-P", *objects], check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        path, symbol, kind = line.split()[:3]
        match = re.search(r"\.dir/(?:\./)?((?:src|tools)/.*\.(?:c|cpp))\.o:$", path)
        if not match:
            continue
        name = match[1]
        if kind == "U":
            used[name].add(symbol)
        elif kind.isupper():
            defined[symbol] = name
        if kind in "Tt":
            code.add(name)
    return defined, used, code


def circles(edges):
    """Strongly connected sets of more than one node (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in sorted(edges.get(v, ())):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            at = stack.index(v)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for v in sorted(edges):
        if v not in index:
            visit(v)
    return found


def check_places(root, faults):
    for tree in TREES:
        known = rank_of(tree)
        for path in sorted(p for p in (root / tree).rglob("*.*") if p.suffix in SOURCES):
            folder = folder_of(str(path.relative_to(root)), tree)
            if folder not in known:
                faults.append(
                    f"{path.relative_to(root)}: the folder {tree}/{folder} has no place in the order of layers"
                )


def check_sizes(root, faults):
    for tree in TREES:
        for folder in rank_of(tree):
            modules = {p.stem for p in (root / tree / folder).iterdir() if p.suffix in SOURCES}
            if len(modules) > MAX_MODULES:
                faults.append(f"{tree}/{folder} has {len(modules)} modules, more than {MAX_MODULES}: split the folder")


def check_descriptions(root, faults):
    """Each folder has its place in docs/design/design.md, and a paragraph in the comment that its first file begins
    with."""
    design = (root / "docs/design/design.md").read_text(encoding="utf-8")
    for tree in TREES:
        for folder in rank_of(tree):
            files = sorted((root / tree / folder).glob("*.h")) or sorted((root / tree / folder).glob("*.c"))
            name = folder or tree.removeprefix("tools/")
            if f"`{name}/`" not in design:
                faults.append(f"docs/design/design.md does not describe the folder `{name}/` of {tree}")
            title = str(files[0].parent.relative_to(root)).split("/", 1)[1]
            if f"The folder {title}/: " not in files[0].read_text(encoding="utf-8").split("*/", 1)[0]:
                faults.append(f"{files[0].relative_to(root)}: its head comment does not describe the folder {title}/")


def reaches(start, includes):
    """All files that a file includes, directly or indirectly."""
    seen, todo = set(), [start]
    while todo:
        for used in includes.get(todo.pop(), ()):
            if used not in seen:
                seen.add(used)
                todo.append(used)
    return seen


def check_options(includes, faults):
    for user in sorted(includes):
        if any(user.startswith(f"tools/headwater/{folder}/") for folder in NO_OPTIONS):
            for used in sorted(reaches(user, includes) & OPTIONS):
                faults.append(f"{user} sees the command line: it includes {used}, directly or by way of another header")


def main():
    root, objects, faults = Path(sys.argv[1]), sys.argv[2:], []
    sys.setrecursionlimit(10000)
    check_places(root, faults)
    if faults:
        return report(faults)
    edges, includes = defaultdict(set), defaultdict(set)
    for user, used in read_includes(root, faults):
        includes[user].add(used)
        if module_of(user) not in TABLES:
            edges[module_of(user)].add(module_of(used))
        if not may_use(user, used):
            faults.append(f"{user} includes {used}, which is above it or beside it")
    defined, uses, code = read_symbols(objects)
    if not any(n.startswith("src/") for n in uses) or not any(n.startswith("tools/") for n in uses):
        faults.append("no object files of the library or of the program: calls were not checked")
    for table in sorted(TABLES):
        if table + ".c" in code:
            faults.append(f"{table}.c: is a table of rows from higher folders and may define no function")
    for symbol, file in sorted(defined.items()):
        if file.startswith("src/base/") and re.match(r"hw_[^_]", symbol):
            faults.append(
                f"{file} defines {symbol}(), which is public: the program has the base twice, and public functions once"
            )
    for user in sorted(uses):
        for symbol in sorted(uses[user]):
            used = defined.get(symbol)
            if not used or used == user or tree_of(user) != tree_of(used) and tree_of(used) == "src" and \
                    symbol.startswith("hw_") and not symbol.startswith("hw__"):
                continue  # every file may use the public header
            if module_of(user) in TABLES:
                continue
            edges[module_of(user)].add(module_of(used))
            if not may_use(user, used):
                faults.append(f"{user} uses {symbol}() of {used}, which is above it or beside it")
    for circle in circles(edges):
        faults.append("a circle between files: " + ", ".join(circle))
    check_options(includes, faults)
    check_descriptions(root, faults)
    check_sizes(root, faults)
    return report(faults)


def report(faults):
    print("\n".join(faults) or "every include and every call points downwards")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
