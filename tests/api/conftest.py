"""What these tests share. $HEADWATER_LIBRARY is the shared library, $HEADWATER_TEST_MODELS the folder of models."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = pathlib.Path(os.environ["HEADWATER_LIBRARY"])
MODEL = pathlib.Path(os.environ["HEADWATER_TEST_MODELS"]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
ATTENTION = ROOT / "tests/data/golden/random_attention.safetensors"
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2")


def compiler(language):
    return os.environ.get("CXX", "c++") if language == "c++" else os.environ.get("CC", "cc")


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Compiles a program against a folder's headers and links it with the library."""

    def built(source, include=ROOT / "include", options=(), libraries=()):
        language = "c++" if source.suffix == ".cpp" else "c"
        out = tmp_path_factory.mktemp(source.stem) / source.stem
        link = [LIBRARY, *libraries, f"-Wl,-rpath,{LIBRARY.parent}"]
        command = [compiler(language), *STRICT, f"-I{include}", *options, source, "-o", out, *link, "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return out

    return built


def run(*command, environment=None):
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
