"""The Debian packages: by lintian, installed into a bare root and run there, and used there to build a program."""

import re
import shutil

import pytest
from conftest import ROOT, Debian, run

PROMPT = "Anna keeps her key in the red box. Where is the key?"


def test_lintian_finds_nothing(release):
    (changes,) = release.glob("*.changes")
    assert run("lintian", "--fail-on", "error,warning", "--allow-root", changes).strip() == ""


def test_packages_hold_each_file_once(release):
    owners = {}
    for package in release.glob("*.deb"):
        for line in run("dpkg-deb", "-c", package).splitlines():
            path = line.split()[5]
            assert path.endswith("/") or path not in owners, (path, package.name, owners[path])
            owners[path] = package.name
    assert "./usr/bin/headwater" in owners and any(path.endswith("/man1/headwater-explain.1.gz") for path in owners)


@pytest.fixture(scope="module")
def installed(release, bare_tar, smollm, tmp_path_factory):
    debian = Debian(tmp_path_factory.mktemp("root"), bare_tar)
    (debian.folder / "packages").mkdir()
    for package in [*release.glob("headwater_*.deb"), *release.glob("libheadwater*.deb")]:
        shutil.copy(package, debian.folder / "packages")
    shutil.copy(smollm, debian.folder / "model.gguf")
    names = sorted(path.name for path in (debian.folder / "packages").iterdir() if "-dbgsym" not in path.name)
    debian.install(*[f"/packages/{name}" for name in names if "-dev" not in name], "fonts-dejavu-core")
    debian.names = names
    yield debian
    debian.close()


def test_the_program_runs_in_a_bare_root(installed):
    assert re.fullmatch(r"headwater \d+\.\d+\.\d+\n", installed.run("headwater", "--version"))
    out = installed.run("headwater", "explain", "-m", "/model.gguf", "-p", PROMPT, "-n", "3", "--chat", "--hide",
                        "stopwords:en", "-o", "/tmp/a.png", "-o", "/tmp/a.html", "-o", "/tmp/a.json")
    assert "rollout" in out and "logit" in out
    assert all((installed.folder / "tmp" / name).stat().st_size > 1000 for name in ("a.png", "a.html", "a.json"))
    assert "explain" in installed.run("headwater", "complete", "exp")
    loaded = installed.run("sh", "-c", "ldd /usr/bin/headwater /usr/lib/*/headwater/*.so*")
    assert "libheadwater.so.1" in loaded and "not found" not in loaded


def test_a_program_is_built_in_it(installed):
    development = [f"/packages/{name}" for name in installed.names if "-dev" in name]
    installed.install("gcc", "libc6-dev", "pkg-config", *development)
    shutil.copy(ROOT / "tests/install/consumer/consumer.c", installed.folder / "tmp/consumer.c")
    for static in ("", "--static"):
        archive = "| sed s/-lheadwater/-l:libheadwater.a/" if static else ""
        command = f"gcc consumer.c -o consumer $(pkg-config {static} --cflags --libs headwater {archive})"
        installed.run("sh", "-ec", command, directory="/tmp")
        assert "rollout begins at" in installed.run("/tmp/consumer", "/model.gguf")


def test_nothing_is_left_behind(installed):
    installed.run("apt-get", "purge", "-y", "-qq", "headwater", "libheadwater1")
    assert not [path for path in (installed.folder / "usr").rglob("*headwater*") if path.is_file()]
