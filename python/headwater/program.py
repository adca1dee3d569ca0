"""The program `headwater`, which draws figures, writes reports and knows where other programs keep models.

Where it is looked for, first that applies: the file that HEADWATER_BIN names; `bin/` beside this file (a wheel); PATH.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys
from typing import Any

from .errors import ArgumentError, HeadwaterError

SOURCES = ("hf", "ollama", "lmstudio")
BUNDLED = pathlib.Path(__file__).parent / "bin" / "headwater"


def find() -> str:
    """Path of the program."""
    found = os.environ.get("HEADWATER_BIN") or (str(BUNDLED) if BUNDLED.exists() else shutil.which("headwater"))
    if not found:
        raise HeadwaterError(
            f"the program headwater was not found: neither {BUNDLED} nor in PATH; HEADWATER_BIN may name it"
        )
    return found


def call(*arguments: str) -> bytes:
    """Runs the program and returns what it prints. Its message becomes the exception's text."""
    import subprocess  # not at the package's import, which is to be quick

    done = subprocess.run([find(), *arguments], capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout
    message = done.stderr.decode("utf-8", "replace").strip().removeprefix("headwater: ")
    raise (ArgumentError if done.returncode == 2 else HeadwaterError)(message)


def models() -> list[dict[str, Any]]:
    """The models that Hugging Face's cache, Ollama and LM Studio keep on this machine: names that `Model` takes."""
    return json.loads(call("models", "--json"))


def resolve(name: str) -> str:
    """Path of the model that a name such as "ollama:llama3.2:1b" means; a path is returned as it is.

    A name without its tag is accepted where one model only begins with it.
    """
    if os.path.exists(name) or name.split(":")[0] not in SOURCES:
        return name
    listed = models()
    found = [m for m in listed if m["name"] == name] or [m for m in listed if m["name"].startswith(name + ":")]
    if len(found) != 1:
        names = ", ".join(m["name"] for m in found or listed) or "none"
        raise ArgumentError(f"{name}: {len(found)} models of this name are on this machine; there are: {names}")
    return str(found[0]["path"])


def main() -> None:
    """The command `headwater` of the package: runs the program in place of this process."""
    path = find()
    os.execv(path, [path, *sys.argv[1:]])
