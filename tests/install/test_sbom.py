"""The bill of materials of an installation names everything that is in it and everything that it needs."""

import json
import os
import re
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT, run


@pytest.fixture(scope="module")
def parts(prefix, tmp_path_factory):
    out = tmp_path_factory.mktemp("sbom") / "headwater.cdx.json"
    run(sys.executable, ROOT / "scripts/make_sbom.py", prefix, out)
    document = json.loads(out.read_text())
    refs = [part["bom-ref"] for part in document["components"]]
    assert len(set(refs)) == len(refs) and document["dependencies"][0]["dependsOn"] == refs
    return {part["purl"]: part for part in document["components"]}


def sonames(parts):
    properties = [entry for part in parts.values() for entry in part.get("properties", [])]
    return {entry["value"] for entry in properties if entry["name"] == "headwater:soname"}


def test_every_library_that_the_loader_finds(parts, prefix):
    """By the loader itself: the program, the figures and the templates, with everything that they load."""
    needed = set()
    for line in run("ldd", prefix / "bin/headwater", *prefix.rglob("*.so*")).splitlines():
        name, _, place = line.strip().partition(" => ")
        if place and not os.path.realpath(place.split(" (")[0]).startswith(os.path.realpath(prefix)):
            needed.add(name)
    assert "libcairo.so.2" in needed and needed <= sonames(parts)
    assert {"libopenblas.so.0", "libcurl.so.4"} <= sonames(parts)


def test_every_library_that_the_sources_open_by_name(parts):
    names = set()
    for path in [*(ROOT / "src").rglob("*.c"), *(ROOT / "tools").rglob("*.c")]:
        names |= set(re.findall(r'"(lib[\w-]+\.so\.[\d.]+)"', path.read_text()))
    assert names - {"libcurl-gnutls.so.4"} <= sonames(parts)  # the other build of the same library


def test_every_package_in_the_page(parts):
    lock = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    inside = {(path.split("node_modules/")[-1], entry["version"]) for path, entry in lock.items()
              if path and not entry.get("dev")}
    found = {(part["name"], part["version"]) for purl, part in parts.items() if purl.startswith("pkg:npm/")}
    assert found == inside and ("echarts", "6.1.0") in found
    third_party = (ROOT / "THIRD_PARTY.md").read_text()
    assert all(f"`{name}`" in third_party for name, _ in inside)


def test_the_engine_as_it_was_built(parts, prefix):
    stamp = ROOT / "build/deps/llama/.headwater-engine"
    if not stamp.exists():
        pytest.skip("the engine was not built by scripts/setup-engine.sh")
    version, sha256 = re.search(r"llama-cpp-python (\S+)\nsha256 (\w+)", stamp.read_text()).groups()
    part = parts[f"pkg:pypi/llama-cpp-python@{version}"]
    assert part["hashes"] == [{"alg": "SHA-256", "content": sha256}]
    (library,) = [path for path in prefix.rglob("libllama-common.so.*") if not path.is_symlink()]
    inside = {name["name"]: name["version"] for name in part["components"]}
    binary = library.read_bytes()
    assert f"json_abi_v{inside['nlohmann-json'].replace('.', '_')}".encode() in binary
    assert f"\0{inside['cpp-httplib']}\0".encode() in binary


def test_the_lists_of_stop_words(parts):
    wheels = (ROOT / "build/deps/stopwords").glob("*.whl")
    for wheel in wheels:
        (part,) = [part for part in parts.values() if part["name"] == wheel.stem]
        digest = subprocess.run(["sha256sum", wheel], capture_output=True, text=True, check=True).stdout.split()[0]
        assert part["hashes"] == [{"alg": "SHA-256", "content": digest}]


def test_the_same_installation_gives_the_same_document(prefix, tmp_path):
    made = []
    for name in ("a", "b"):
        run(sys.executable, ROOT / "scripts/make_sbom.py", prefix, tmp_path / name,
            environment={"SOURCE_DATE_EPOCH": "1"})
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1] and str(BUILD).encode() not in made[0]
