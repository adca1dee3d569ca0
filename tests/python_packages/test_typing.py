"""Types of the package hold, by pyright's strict rules (pyproject.toml)."""

import subprocess
import sys

from conftest import ROOT


def test_pyright_strict():
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "0 errors, 0 warnings" in done.stdout, done.stdout[-4000:]
