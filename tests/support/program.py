"""The built program and the models, for the tests that run it. A conftest.py imports the fixtures that its tests use.

$HEADWATER_BIN is the program, $HEADWATER_TEST_MODELS the folder of GGUF models; ctest sets both, and nothing is skipped
without them.
"""

import os
import pathlib

import pytest


def setting(name):
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"${name} is not set; ctest sets it", returncode=3)
    return pathlib.Path(value).resolve()


def program_path(name):
    path = setting(name)
    assert path.is_file(), f"no program at {path}"
    return path


def model_path(name):
    path = setting("HEADWATER_TEST_MODELS") / name
    assert path.is_file(), f"no model at {path}"
    return path


@pytest.fixture(scope="session")
def program():
    return program_path("HEADWATER_BIN")


@pytest.fixture(scope="session")
def smollm():
    return model_path("SmolLM2-135M-Instruct.Q4_1.gguf")
