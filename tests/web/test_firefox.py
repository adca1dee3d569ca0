"""The page in Debian's Firefox: one flow, in tests/web/firefox.mjs, with a real model behind it."""

import os
import pathlib
import subprocess

from conftest import ROOT
from patience import HANG_S

FIREFOX = os.environ.get("HEADWATER_FIREFOX", "/usr/bin/firefox-esr")
NODE = ROOT / "build" / "deps" / "node"


def test_first_look_source_closer_and_report(server, tmp_path):
    script = pathlib.Path(__file__).with_name("firefox.mjs")
    paths = f"{NODE}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["node", str(script), FIREFOX, server.url], capture_output=True, text=True, timeout=HANG_S,
                          env=os.environ | {"PATH": paths, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["first look", "click on a source", "look closer", "report"]
