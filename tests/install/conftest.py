"""The build, installed into a folder of its own by `cmake --install`. $HEADWATER_BUILD is the build folder."""

import os
import pathlib
import shutil
import subprocess

import pytest
from program import model_path

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["HEADWATER_BUILD"])


def run(*command, environment=None, cwd=None, status=0):
    """What a command printed; it must end with this status."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd,
                          env={**os.environ, **(environment or {})})
    assert done.returncode == status, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """Where the installation lies after it was moved away from the place that it was installed into."""
    made, moved = tmp_path_factory.mktemp("made") / "first", tmp_path_factory.mktemp("moved") / "opt of headwater"
    run("cmake", "--install", BUILD, "--prefix", made)
    shutil.move(made, moved)
    return moved


@pytest.fixture(scope="session")
def libraries(prefix):
    """The folder of libheadwater.so."""
    (library,) = prefix.glob("lib*/**/libheadwater.so")
    return library.parent


@pytest.fixture(scope="session")
def model():
    return model_path("SmolLM2-135M-Instruct.Q4_1.gguf")
