#!/usr/bin/env python3
"""make_sbom.py PREFIX OUT.cdx.json

A software bill of materials (CycloneDX 1.6) of an installation: what its files were made of, and what they need to run.

  linked       libraries that `ldd` finds outside PREFIX, with their own needs, as Debian packages
  opened       libraries that the program opens by name
  engine       llama.cpp with what it contains, by the pins of scripts/setup-engine.sh
  page         packages of web/package-lock.json that are in the page, not those that build it
  stop words   the packages of scripts/setup-stopwords.sh

$SOURCE_DATE_EPOCH sets the time.
"""

import base64
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Opened at run time (src/math/blas.c, tools/headwater/models/web_client.c): soname, and whether all works without it.
OPENED = [("libopenblas.so.0", "required"), ("libcurl.so.4", "optional")]
# In vendor/ of the engine's source, and in its libraries: name, version, licence.
IN_ENGINE = [("nlohmann-json", "3.12.0", "MIT"), ("cpp-httplib", "0.58.0", "MIT")]


def output(*command, check=True):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=check).stdout


def component(name, version, purl, licence=None, **more):
    found = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if licence:
        found["licenses"] = [{"license": {"id": licence}}]
    return found | more


# ---------------------------------------------------------------- Debian's libraries


def elf_files(prefix):
    files = [path for path in prefix.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if path.open("rb").read(4) == b"\x7fELF"]


def linked(prefix):
    """Paths of the libraries that the files of the installation need, by soname; those of the installation left out."""
    text = output("ldd", *elf_files(prefix))
    if "not found" in text:
        sys.exit(f"make_sbom.py: libraries of {prefix} are not there:\n{text}")
    found = dict(re.findall(r"^\s+(\S+) => (/\S.*) \(0x", text, re.M))
    own = prefix.resolve()
    return {name: place for name, place in found.items() if not pathlib.Path(place).resolve().is_relative_to(own)}


def opened():
    cache = output("/sbin/ldconfig", "-p")
    found = {}
    for name, scope in OPENED:
        place = re.search(rf"^\s+{re.escape(name)} .*=> (\S+)$", cache, re.M)
        if not place:
            sys.exit(f"make_sbom.py: {name} is not installed")
        found[name] = place[1], scope
    return found


def packages_of(places):
    """Name, version, architecture of the Debian package of each file."""
    spellings = {}  # merged /usr: some packages list their files below /lib
    for place in places:
        real = os.path.realpath(place)
        spellings |= {path: place for path in (real, real.removeprefix("/usr"), place)}
    owners = {}
    for line in output("dpkg", "-S", *spellings, check=False).splitlines():
        names, _, path = line.rpartition(": ")
        owners[spellings[path]] = names.split(", ")[0]
    if missing := set(places) - set(owners):
        sys.exit(f"make_sbom.py: no Debian package has {', '.join(sorted(missing))}")
    shown = "${binary:Package} ${Package} ${Version} ${Architecture}\n"
    listed = [line.split() for line in output("dpkg-query", "-W", "-f", shown, *set(owners.values())).splitlines()]
    known = {key: words[1:] for words in listed for key in (words[0], words[1])}
    return {place: known[name] for place, name in owners.items()}


def debian_components(prefix):
    places = {name: (place, "required") for name, place in linked(prefix).items()} | opened()
    packages = packages_of([place for place, _ in places.values()])
    found = {}
    for soname, (place, scope) in sorted(places.items()):
        name, version, arch = packages[place]
        purl = f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={arch}"
        entry = found.setdefault(purl, component(name, version, purl, scope=scope, properties=[]))
        entry["properties"].append({"name": "headwater:soname", "value": soname})
    return list(found.values())


# ---------------------------------------------------------------- what is inside


def pins(script):
    return dict(re.findall(r"^(version|sha256)=(\S+)$", (ROOT / "scripts" / script).read_text(), re.M))


def engine_component():
    engine = pins("setup-engine.sh")
    purl = f"pkg:pypi/llama-cpp-python@{engine['version']}"
    inside = [component(name, version, f"pkg:generic/{name}@{version}", licence)
              for name, version, licence in IN_ENGINE]
    return component("llama.cpp", engine["version"], purl, "MIT", components=inside,
                     description="libllama and ggml, from the source in the package llama-cpp-python",
                     hashes=[{"alg": "SHA-256", "content": engine["sha256"]}])


def stopword_components():
    script = (ROOT / "scripts/setup-stopwords.sh").read_text()
    return [component(name, version, f"pkg:pypi/{name}@{version}", "MIT",
                      hashes=[{"alg": "SHA-256", "content": sha256}])
            for name, version, sha256 in re.findall(r"^get (\S+) (\S+) ([0-9a-f]{64})$", script, re.M)]


def page_components():
    lock = json.loads((ROOT / "web/package-lock.json").read_text())
    found = {}
    for path, entry in lock["packages"].items():
        if not path or entry.get("dev"):
            continue
        name = path.split("node_modules/")[-1]
        purl = f"pkg:npm/{name.replace('@', '%40')}@{entry['version']}"
        algorithm, digest = entry["integrity"].split("-", 1)
        hashes = [{"alg": algorithm.replace("sha", "SHA-"), "content": base64.b64decode(digest).hex()}]
        found[purl] = component(name, entry["version"], purl, entry["license"], hashes=hashes)
    return list(found.values())


# ---------------------------------------------------------------- the document


def document(prefix):
    version = re.search(r"project\(headwater VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    own = f"pkg:generic/headwater@{version}"
    parts = [engine_component(), *stopword_components(), *page_components(), *debian_components(prefix)]
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", datetime.datetime.now().timestamp()))
    made = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "metadata": {"timestamp": made, "component": {"type": "application", "bom-ref": own, "name": "headwater",
                                                      "version": version, "licenses": [{"license": {"id": "MIT"}}]}},
        "components": parts,
        "dependencies": [{"ref": own, "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(body, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1} | body


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    text = json.dumps(document(pathlib.Path(sys.argv[1])), indent=2, ensure_ascii=False)
    pathlib.Path(sys.argv[2]).write_text(text + "\n")


if __name__ == "__main__":
    main()
