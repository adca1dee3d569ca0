"""What the slow tests of the Python package share: the wheel, and a Python that has it installed.

`make test-packages` runs them with build/python-extras, after `make wheel`. $HEADWATER_WHEEL is another wheel, and
$HEADWATER_TEST_MODELS another folder of models.
"""

import os
import pathlib
import site
import subprocess
import sys

import pytest
from patience import HANG_S

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = pathlib.Path(os.environ.get("HEADWATER_TEST_MODELS", ROOT / "build" / "models"))
MODEL = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"
PACKAGES = site.getsitepackages()[0]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "PYTHON"))}
ENVIRONMENT |= {"GOMP_SPINCOUNT": "1000", "HEADWATER_MODEL": str(MODEL)}


@pytest.fixture(scope="session")
def wheel():
    named = os.environ.get("HEADWATER_WHEEL")
    built = sorted((ROOT / "build" / "dist").glob("headwater-*.whl"), key=lambda file: file.stat().st_mtime)
    if not named and not built:
        pytest.fail("there is no wheel in build/dist: make wheel")
    return pathlib.Path(named) if named else built[-1]


@pytest.fixture(scope="session")
def python(wheel, tmp_path_factory):
    """A Python with the wheel, and the packages of this one."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "extras.pth").write_text(PACKAGES + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def run(python):
    """run("-c", "...") or run(example, ...): what the Python with the wheel prints."""

    def ran(*arguments, env=ENVIRONMENT, **options):
        command = [python, *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANG_S, **options)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return ran
