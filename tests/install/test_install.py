"""An installation, moved to another folder: its parts, the program, projects that use it by CMake and pkg-config."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import BUILD, ROOT, run

IN_LIBC = {"pthread", "dl"} # by glibc 2.34
CONSUMER = ROOT / "tests/install/consumer"
PRINTED = re.compile(r'\d+\.\d+\.\d+: \d+ tokens, rollout begins at "[^"]+"\n')
EXPLAIN = ["explain", "-p", "Anna keeps her key in the red box. Where is the key? ", "-n", "3", "--chat",
           "--hide", "stopwords:en"]


def elf_files(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if path.open("rb").read(4) == b"\x7fELF"]


def test_it_has_every_part(prefix, libraries):
    for path in ("bin/headwater", "include/headwater.h", "include/headwater.hpp", "share/doc/headwater/LICENSE",
                 "share/doc/headwater/THIRD_PARTY.md", "share/man/man1/headwater.1",
                 "share/man/man1/headwater-explain.1", "share/headwater/headwater-report.js",
                 "share/bash-completion/completions/headwater", "share/zsh/site-functions/_headwater",
                 "share/fish/vendor_completions.d/headwater.fish"):
        assert (prefix / path).is_file(), path
    for path in ("libheadwater.so", "libheadwater.a", "pkgconfig/headwater.pc",
                 "cmake/headwater/headwater-config.cmake", "headwater/libheadwater-figure.so",
                 "headwater/libheadwater-templates.so"):
        assert (libraries / path).is_file(), path


def test_no_path_of_the_source_or_of_the_build_is_in_it(prefix):
    """Run paths are relative, and the files that other builds read name no folder of this machine."""
    for path in elf_files(prefix):
        found = re.findall(r"R(?:UN)?PATH.*\[(.*)\]", run("readelf", "-d", path))
        assert all(part.startswith("$ORIGIN") for entry in found for part in entry.split(":")), (path, found)
    for path in [*prefix.rglob("*.cmake"), *prefix.rglob("*.pc")]:
        assert str(ROOT) not in path.read_text() and str(BUILD) not in path.read_text(), path


def test_the_program_opens_only_what_is_installed(prefix, model, tmp_path):
    """Without a chat template, which a forked process renders: the loader's log would break what that returns."""
    words = [word for word in EXPLAIN if word != "--chat"]
    run(prefix / "bin/headwater", *words, "-m", model, "-o", tmp_path / "a.png", cwd=tmp_path,
        environment={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": tmp_path / "loaded"})
    text = "".join(path.read_text() for path in tmp_path.glob("loaded.*"))
    loaded = {os.path.realpath(name) for name in re.findall(r"file=(/\S[^\[]*?) \[\d+\];  generating link map", text)}
    own = {os.path.basename(name) for name in loaded if name.startswith(str(prefix))}
    assert "libheadwater-figure.so" in own and any(name.startswith("libggml-cpu") for name in own), own
    assert any("openblas" in name for name in loaded)
    assert not [name for name in loaded if name.startswith((str(ROOT), str(BUILD)))]
    assert (tmp_path / "a.png").stat().st_size > 1000


HIDE = 'for folder in "$1" "$2"; do mount -t tmpfs none "$folder" || exit 77; done; cd "$3"; shift 3; exec "$@"'


def test_the_program_runs_where_source_and_build_are_hidden(prefix, model, tmp_path):
    shutil.copy(model, tmp_path / "model.gguf")
    done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", HIDE, "sh", BUILD, ROOT, tmp_path,
                           prefix / "bin/headwater", *EXPLAIN, "-m", "model.gguf", "-o", "a.html"],
                          capture_output=True, text=True)
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip("this user may not mount anything")
    assert done.returncode == 0, done.stderr
    assert "rollout" in done.stdout and (tmp_path / "a.html").stat().st_size > 500_000


def check_consumer(program, model, tmp_path):
    assert PRINTED.fullmatch(run(program, model, cwd=tmp_path))


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_a_cmake_project_finds_the_package(prefix, model, tmp_path, kind):
    run("cmake", "-S", CONSUMER, "-B", tmp_path, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCONSUMER_KIND={kind}")
    run("cmake", "--build", tmp_path)
    assert ("libheadwater.so" in run("readelf", "-d", tmp_path / "consumer")) == (kind == "shared")
    check_consumer(tmp_path / "consumer", model, tmp_path)


def test_a_package_of_another_major_version_is_not_found(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES NONE)\n"
                                             "find_package(headwater 2.0 REQUIRED)\n")
    done = subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}"],
                          capture_output=True, text=True)
    assert done.returncode != 0 and 'requested version "2.0"' in re.sub(r"\s+", " ", done.stderr)


def pkg_config(libraries, *words):
    """Its words one by one: a folder may have a space in its name, which it escapes."""
    out = run("pkg-config", *words, "headwater", environment={"PKG_CONFIG_PATH": libraries / "pkgconfig"})
    return [word.replace("\\ ", " ") for word in re.findall(r"(?:[^\s\\]|\\.)+", out)]


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_pkg_config_gives_what_a_program_needs(libraries, model, tmp_path, kind):
    static = kind == "static"
    words = pkg_config(libraries, "--cflags", "--libs", *(["--static"] if static else []))
    if static: # the archive, where the shared library lies beside it
        words = ["-l:libheadwater.a" if word == "-lheadwater" else word for word in words]
    else:
        words.append(f"-Wl,-rpath,{libraries}")
    run("cc", "-std=c11", CONSUMER / "consumer.c", "-o", tmp_path / "consumer", *words)
    assert ("libheadwater.so" in run("readelf", "-d", tmp_path / "consumer")) == (not static)
    check_consumer(tmp_path / "consumer", model, tmp_path)


def test_a_shared_consumer_links_nothing_but_the_library(libraries):
    assert [word for word in pkg_config(libraries, "--libs") if word.startswith("-l")] == ["-lheadwater"]


def needed_of(path):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", path)))


def test_the_private_libraries_are_those_that_the_library_itself_needs(libraries):
    """Requires.private and Libs.private against the shared library: nothing is missing, nothing is too much."""
    named = {word[2:] for word in pkg_config(libraries, "--static", "--libs") if word.startswith("-l")}
    named = {re.sub(r"^:?(?:lib)?|\.so.*$", "", name) for name in named} - {"headwater", *IN_LIBC}
    named |= {"gomp"} if "-fopenmp" in pkg_config(libraries, "--static", "--libs") else set()
    needed = {re.sub(r"^lib|\.so.*$", "", name) for name in needed_of(libraries / "libheadwater.so")}
    assert needed - named - {"c", "gcc_s", "ld-linux-x86-64"} == set()
    assert named - needed - {"icudata", "stdc++"} == set() # ICU's data, which icu-uc itself needs
