"""The image of packaging/Dockerfile, built by buildah on a bare root in place of the published image of Debian."""

import re
import shutil

import pytest
from conftest import ROOT, run

BASE, IMAGE = "localhost/headwater-test-base", "localhost/headwater-test"


@pytest.fixture(scope="module")
def image(release, bare_tar):
    name = run("buildah", "from", "scratch").strip()
    run("buildah", "add", name, bare_tar, "/")
    run("buildah", "commit", "--rm", name, BASE)
    run("buildah", "build", "--isolation", "chroot", "--build-arg", f"BASE={BASE}", "-f", ROOT / "packaging/Dockerfile",
        "-t", IMAGE, release)
    container = run("buildah", "from", "--pull-never", IMAGE).strip()
    yield container
    run("buildah", "rm", container)
    run("buildah", "rmi", "--force", IMAGE, BASE)


def test_the_image_runs_the_program_as_a_user(image, smollm, tmp_path):
    shutil.copy(smollm, tmp_path / "model.gguf")
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)

    def inside(*command):
        return run("buildah", "run", "--isolation", "chroot", "-v", f"{tmp_path}:/work", image, "--", *command)

    assert inside("id", "-u").strip() == "1000"
    assert re.fullmatch(r"headwater \d+\.\d+\.\d+\n", inside("headwater", "--version"))
    words = ["-m", "/work/model.gguf", "-p", "The key is", "-n", "2", "-o", "/work/a.png"]
    assert "rollout" in inside("headwater", "explain", *words)
    assert (tmp_path / "a.png").stat().st_size > 1000
