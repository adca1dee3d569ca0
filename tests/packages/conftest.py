"""A release, made by scripts/release.sh in $HEADWATER_RELEASE, and bare Debian roots to install it into."""

import os
import pathlib
import shutil
import subprocess

import pytest
from program import program, smollm  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*command, **more):
    """What a command printed; it must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-5000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def release():
    return pathlib.Path(os.environ["HEADWATER_RELEASE"])


@pytest.fixture(scope="session")
def bare_tar():
    """Debian with apt and nothing else, as an archive that later runs use again."""
    path = pathlib.Path(os.environ["HEADWATER_PACKAGES"]) / "bare.tar"
    if not path.exists():
        run("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", path.with_suffix(".partial.tar"))
        path.with_suffix(".partial.tar").rename(path)
    return path


class Debian:
    """A bare root that programs run in by chroot."""

    def __init__(self, folder, tar):
        self.folder = folder
        run("tar", "-xpf", tar, "-C", folder)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
        for name in ("proxy", "certificates"):
            for file in pathlib.Path("/etc/apt/apt.conf.d").glob(f"*{name}*"):
                shutil.copy(file, folder / "etc/apt/apt.conf.d")
        run("mount", "-t", "proc", "proc", folder / "proc")
        self.run("apt-get", "update", "-qq")

    def run(self, *command, directory="/"):
        words = ["chroot", self.folder, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                 "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "GOMP_SPINCOUNT=1000", "sh", "-c",
                 f'cd {directory}; exec "$@"', "sh"]
        return run(*words, *command)

    def install(self, *packages):
        self.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)

    def close(self):
        run("umount", self.folder / "proc")
