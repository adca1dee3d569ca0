"""The release's source for arm64, cross-built in a Debian root of its own; its unit tests and the program, which
qemu-user runs there. The root stays, with what is built in it: a call that was interrupted goes on."""

import os
import pathlib
import re

import pytest
from conftest import ROOT, run


@pytest.fixture(scope="module")
def log(release):
    """What building and testing printed."""
    (archive,) = release.glob("headwater-*.tar.gz")
    return run(ROOT / "scripts/build-arm64.sh", archive, pathlib.Path(os.environ["HEADWATER_PACKAGES"]) / "arm64")


def test_unit_tests_pass_on_arm64(log):
    passed, n = map(int, re.search(r"^(\d+)% tests passed, 0 tests failed out of (\d+)$", log, re.M).groups())
    assert passed == 100 and n > 80


def test_the_program_runs_on_arm64(log):
    assert re.search(r"^headwater \d+\.\d+\.\d+$", log, re.M)
