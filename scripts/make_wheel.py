"""Makes the Python wheel: one for every Python 3 on Linux x86-64 whose glibc is not older than this machine's; and the
sdist, for the others, which is built with an engine that is there already.

    make wheel                                                    # what calls this, after the set-up
    build/python-extras/bin/python scripts/make_wheel.py          # build/dist/headwater-...-manylinux_....whl, .tar.gz

scikit-build-core compiles the library and the program (pyproject.toml, cmake/HeadwaterWheel.cmake); auditwheel adds the
system's libraries that they need, and names the oldest glibc that the wheel works with. The licences of those libraries
are then added, from the packages that they come from, and the archive is written anew, compressed as far as zlib can.
"""

import argparse
import base64
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_BYTES = 50_000_000
PLACES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu/openblas-openmp", "/lib/x86_64-linux-gnu")


def run(*command: str) -> None:
    tools = pathlib.Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make_wheel: {' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def package_of(library: str) -> str | None:
    """The Debian package of a library of the wheel; auditwheel adds a hash to names."""
    name = re.sub(r"-[0-9a-f]{8}(?=\.)", "", library)
    for place in PLACES:
        file = pathlib.Path(place) / name
        if not file.exists():
            continue
        for path in (file, file.resolve(), str(file.resolve()).removeprefix("/usr")):
            found = subprocess.run(["dpkg-query", "--search", str(path)], capture_output=True, text=True)
            if found.returncode == 0:
                return found.stdout.split(":")[0]
    return None


def licences(names: list[str]) -> dict[str, bytes]:
    """Copyright files of the libraries' packages, by package; ends the program if one has none."""
    found: dict[str, bytes] = {}
    for name in names:
        library = name.rsplit("/", 1)[-1]
        own = library.startswith(("libheadwater", "libllama", "libggml"))
        if ".so" not in library or own:
            continue
        package = package_of(library)
        file = pathlib.Path(f"/usr/share/doc/{package}/copyright")
        if not package or not file.exists():
            sys.exit(f"make_wheel: {library}: the package that it comes from, with its licence, was not found")
        found[package] = file.read_bytes()
    return found


def record(entries: dict[str, bytes], at: str) -> bytes:
    """RECORD, which lists every file with its hash."""
    rows = []
    for name, data in entries.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}" if name != at else f"{name},,")
    return "\n".join([*rows, ""]).encode()


def finish(repaired: pathlib.Path, target: pathlib.Path) -> None:
    """Adds licences and compresses again."""
    with zipfile.ZipFile(repaired) as old:
        infos = {info.filename: info for info in old.infolist() if not info.is_dir()}
        entries = {name: old.read(name) for name in infos}
    folder = next(name.split("/")[0] for name in entries if ".dist-info/" in name)
    for package, data in licences(list(entries)).items():
        entries[f"{folder}/licenses/bundled/{package}.txt"] = data
    listed = f"{folder}/RECORD"
    entries[listed] = record(entries, listed)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, infos[name].date_time if name in infos else (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = infos[name].external_attr if name in infos else 0o644 << 16
            new.writestr(info, data, compresslevel=9)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--to", type=pathlib.Path, default=ROOT / "build" / "dist", help="folder for the wheel")
    arguments.add_argument("--built", type=pathlib.Path, help="a wheel of scikit-build-core, in place of a build")
    given = arguments.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        built = given.built
        if built is None:
            isolated = ["--no-build-isolation", "--no-deps", "--wheel-dir", work]
            run(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", *isolated, str(ROOT))
            built = next(pathlib.Path(work).glob("*.whl"))
        repaired = pathlib.Path(work) / "repaired"
        run(sys.executable, "-m", "auditwheel", "repair", "--strip", "--wheel-dir", str(repaired), str(built))
        made = next(repaired.glob("*.whl"))
        finish(made, given.to / made.name)
    target = given.to / made.name
    size = target.stat().st_size
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(given.to), str(ROOT))
    for file in (target, *given.to.glob("headwater-*.tar.gz")):
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
    if size > MAX_BYTES:
        sys.exit(f"make_wheel: more than {MAX_BYTES / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
