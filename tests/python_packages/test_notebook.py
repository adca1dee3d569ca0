"""examples/notebook.ipynb in a real JupyterLab, driven by a browser."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest
from browser import open_browser
from conftest import ENVIRONMENT, ROOT
from patience import patience
from shown import is_shown


KERNEL_IS_IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture
def lab(python, tmp_path):
    """Address of a JupyterLab whose kernels have the wheel."""
    shutil.copy(ROOT / "examples" / "notebook.ipynb", tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**ENVIRONMENT, "HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    options = [f"--ServerApp.port={port}", "--IdentityProvider.token=t", "--no-browser", "--allow-root",
               "--expose-app-in-browser"]
    command = [python, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={tmp_path}"]
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(int(5 * patience(120))):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=t")
                break
            assert server.poll() is None, (tmp_path / "lab.log").read_text()[-3000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/lab/tree/notebook.ipynb?token=t"
    finally:
        server.terminate()
        server.wait()


def test_a_result_is_an_interactive_report(lab):
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 1600})
        page.set_default_timeout(1000 * patience(240))
        page.goto(lab)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_function(KERNEL_IS_IDLE)
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(".jp-OutputArea-output img")  # the figure
        frame = page.wait_for_selector('iframe[title="Headwater report"]')
        report = page.frame_locator('iframe[title="Headwater report"]')
        report.get_by_text("Dubai").first.wait_for()
        page.wait_for_function("f => f.style.height !== '480px'", arg=frame)
        height = int(frame.evaluate("f => f.style.height").removesuffix("px"))
        assert 200 < height <= 640
        tokens = report.locator("[data-k]")
        assert tokens.count() > 8
        tokens.nth(9).click()
        page.get_by_text("The key is in the blue cup. [1]").wait_for()
        assert page.locator(".jp-OutputArea-output table").count() == 1
        assert page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
        if os.environ.get("HEADWATER_SCREENSHOT"):
            page.screenshot(path=os.environ["HEADWATER_SCREENSHOT"])


CELLS = """
import ast, json, sys
names = {}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        *body, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        print(eval(compile(ast.Expression(last.value), "cell", "eval"), names), end=chr(0))
"""


def test_the_guide_shows_what_the_cells_give(run):
    printed = run("-c", CELLS, ROOT / "examples" / "notebook.ipynb").split("\0")
    is_shown("\n".join(line.rstrip() for line in printed[2].splitlines()), "docs/guide/python.md")
    assert f"`{printed[4]}`" in (ROOT / "docs" / "guide" / "python.md").read_text()
