"""The wheel: what is in it, and that it needs nothing of the machine but glibc; the sdist."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from conftest import ENVIRONMENT, MODEL, PACKAGES, ROOT

# Libraries of the system that the wheel must not use.
OURS = ("icu", "jansson", "microhttpd", "cairo", "pango", "glib-2", "gobject", "gio", "X11", "Xext", "Xrender", "gomp",
        "openblas", "gfortran", "gnutls", "gmp", "harfbuzz", "fontconfig", "freetype", "expat")
EXPLAINS = """
import json, headwater
model = headwater.Model({model!r}, context=256{more})
made = model.explain("My name is Abdul, I am from", n=2, methods="logit")
print(json.dumps([made.completion, made.top(1)]))
"""
DRAWS = """
chat = model.explain([{"role": "user", "content": "Name a colour."}], n=1)
print(len(made.plot("heatmap").data) > 9999, "</html>" in made.report(), chat.run.tokens[0].role)
print(model.cite("Where is the key?", ["The key is in the blue cup.", "Paula plays the harp."], n=40))
"""


def test_one_wheel_for_every_python(wheel):
    assert re.fullmatch(r"headwater-[\d.]+-py3-none-manylinux_2_\d+_x86_64\.whl", wheel.name)
    assert wheel.stat().st_size < 50_000_000
    command = [sys.executable, "-m", "auditwheel", "show", wheel]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    tag = wheel.name.split("-")[-1].removesuffix(".whl")
    assert f'following platform tag: "{tag}"' in " ".join(shown.stdout.split()), shown.stdout
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    libraries = [name for name in names if name.startswith("headwater.libs/") and ".so" in name]
    assert libraries and "headwater/py.typed" in names
    assert len([name for name in names if "libggml-cpu-" in name]) > 10
    bundled = [f"bundled/{package}.txt" for package in ("libopenblas0-openmp", "libicu72", "libcairo2")]
    for licence in [*bundled, "THIRD_PARTY.md"]:
        assert any(name.endswith(licence) for name in names), licence


def test_import_is_fast(run):
    """Processor time: on a quiet machine the wall time too."""
    code = "import time; t = time.process_time(); import headwater; print(time.process_time() - t)"
    assert min(float(run("-c", code)) for _ in range(5)) < 0.2


def test_it_runs_where_the_system_has_none_of_its_libraries(python, tmp_path):
    """In a mount namespace of its own, with the source tree and the system's copies hidden."""
    if subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True).returncode:
        pytest.skip("mount namespaces cannot be made here")
    (tmp_path / "run.py").write_text(EXPLAINS.format(model=str(tmp_path / "models" / MODEL.name), more="") + DRAWS)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "models").mkdir()
    (tmp_path / "extras").mkdir()
    system = pathlib.Path("/usr/lib/x86_64-linux-gnu")
    files = [f for name in OURS for f in system.rglob(f"lib{name}*.so*") if f.is_file()]
    assert files
    script = [
        "set -e",
        f"mount --bind {MODEL.resolve().parent} {tmp_path}/models; mount --bind {PACKAGES} {tmp_path}/extras",
        *(f"mount --bind {tmp_path}/empty {file}" for file in sorted({str(f.resolve()) for f in files})),
        f"mount -t tmpfs none {ROOT}; cd {tmp_path}",
        f"PYTHONPATH={tmp_path}/extras {python} run.py",
    ]
    command = ["unshare", "--mount", "--map-root-user", "bash", "-c", "\n".join(script)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    first, drawn, cited = done.stdout.splitlines()
    assert json.loads(first)[0] == " the city"
    assert drawn.startswith("True True") and cited == "The key is in the blue cup. [1]"


def test_a_processor_without_avx(python):
    qemu = os.environ.get("HEADWATER_QEMU") or shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if not qemu:
        pytest.skip("qemu-user is not installed")
    code = EXPLAINS.format(model=str(MODEL), more=", threads=1")
    code += "print(headwater.program.call('info', '-m', model.info.path).decode())"
    command = [qemu, "-cpu", "Nehalem", str(python), "-c", code]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    completion, top = json.loads(done.stdout.splitlines()[0])
    assert completion == " the city" and top[0][0] == " from"


def test_the_program_is_a_command(python):
    done = subprocess.run([python.parent / "headwater", "--version"], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("headwater ")


def test_the_sdist_builds(tmp_path):
    """From the sdist alone, with the engine that is here."""
    build = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("headwater-*.tar.gz")
    with tarfile.open(sdist) as content:
        names = {name.split("/", 1)[1] for name in content.getnames() if "/" in name}
    assert {"CMakeLists.txt", "build/page/index.html", "python/headwater/model.py", "include/headwater.h"} <= names
    assert sdist.stat().st_size < 5_000_000
    assert not any(name.startswith(("tests/", "web/", "build/dist", "docs/")) for name in names)
    engine = (ROOT / "build" / "deps" / "llama").resolve()
    environment = {**ENVIRONMENT, "SKBUILD_CMAKE_DEFINE": f"HEADWATER_LLAMA_PREFIX={engine}"}
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, sdist]
    done = subprocess.run(wheel, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert list(tmp_path.glob("headwater-*-py3-none-linux_x86_64.whl"))
