#!/usr/bin/env bash
# Provides the engine, llama.cpp's libllama with ggml, and writes its location into build/deps/engine (a prefix, or
# "system"), for cmake/FindEngine.cmake. Uses the first that works:
#
#   1. $HEADWATER_LLAMA_PREFIX, your own prefix (with CUDA, for example); remembered in build/deps/engine
#   2. the choice remembered in build/deps/engine; delete that file to choose again
#   3. the system's own package, if cmake/engine-probe compiles and runs with it
#   4. llama.cpp built here, from the pinned source in the Python package llama-cpp-python,
#      into build/deps/llama: libllama, ggml with one CPU backend per processor type, and llama.cpp's own `common`
#      library with its headers (chat templates)
#
# A release's source has the engine's in vendor/engine: then nothing is downloaded. `setup-engine.sh source FOLDER` puts
# it there, in FOLDER: what the library needs, with its correction, without the programs and tests.
#
# For another processor: CMAKE_TOOLCHAIN_FILE in the environment (cmake/toolchains), and HEADWATER_EMULATOR, which runs
# its programs.
#
# Prints and changes nothing if the engine is there.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

version=0.3.36
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
tarball=llama_cpp_python-$version.tar.gz
flags=(
    -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON
    -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_SERVER=OFF
    -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DGGML_RPC=ON
    # One build for every x86-64 processor: ggml selects the best of its CPU backends at start.
    -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON
    -DCMAKE_INSTALL_LIBDIR=lib '-DCMAKE_INSTALL_RPATH=$ORIGIN'
)

built=build/deps/llama # relative to the source folder, so that the folder can be moved
work=$root/build/deps/work-$version
choice=$root/build/deps/engine
stamp=$root/$built/.headwater-engine

layout=3 # version of the build result; increase it when the result changes
wanted_stamp() {
    printf 'llama-cpp-python %s\nsha256 %s\nflags %s\nlayout %s\n' "$version" "$sha256" "${flags[*]}" $layout
}

is_built() { [[ -f $stamp && $(<"$stamp") == "$(wanted_stamp)" ]]; }

remember() {
    mkdir -p "$root/build/deps"
    printf '%s\n' "$1" >"$choice.partial"
    mv "$choice.partial" "$choice"
}

# probe PREFIX: tests whether the engine there has what Headwater needs. The log is kept.
probe() {
    local probe_dir=$root/build/deps/probe log=$root/build/deps/probe.log works=1
    rm -rf "$probe_dir"
    mkdir -p "$probe_dir"
    {
        cmake -S "$root/cmake/engine-probe" -B "$probe_dir" -G Ninja \
            -DHEADWATER_LLAMA_PREFIX="$1" &&
            cmake --build "$probe_dir" &&
            ${HEADWATER_EMULATOR:-} "$probe_dir/engine_probe"
    } >"$log" 2>&1 || works=0
    rm -rf "$probe_dir"
    [[ $works == 1 ]]
}

use_named_prefix() {
    [[ -f $choice && $(<"$choice") == "$HEADWATER_LLAMA_PREFIX" ]] && return
    probe "$HEADWATER_LLAMA_PREFIX" ||
        die "the llama.cpp at $HEADWATER_LLAMA_PREFIX cannot be used; build/deps/probe.log says why"
    remember "$HEADWATER_LLAMA_PREFIX"
    say "engine: llama.cpp at $HEADWATER_LLAMA_PREFIX"
}

unpack_source() {
    [[ -d $work/source ]] && return
    if [[ -d $root/vendor/engine ]]; then
        mkdir -p "$work"
        cp -r "$root/vendor/engine" "$work/source"
        return
    fi
    say "downloading llama.cpp's source, in llama-cpp-python $version (77 MB, about 10 s)"
    fetch "llama-cpp-python==$version" "$tarball" "$sha256" --no-binary llama-cpp-python
    rm -rf "$work/partial"
    mkdir -p "$work/partial"
    tar -xzf "$downloads/$tarball" -C "$work/partial" --strip-components=3 \
        "llama_cpp_python-$version/vendor/llama.cpp"
    fix_tile_configuration "$work/partial/ggml/src/ggml-cpu/amx/mmq.cpp"
    mv "$work/partial" "$work/source"
}

# GCC before 13 assumes that the instruction for loading the tile configuration reads 8 of its 64 bytes, and drops the
# stores of the others: the first product of quantised weights then ends in SIGILL on every processor with AMX. This
# marks all bytes as read.
fix_tile_configuration() {
    local load='    _tile_loadconfig(&tc);'
    grep -qxF "$load" "$1" || die "${1##*/} of llama.cpp has changed: update fix_tile_configuration"
    sed -i "s|^$load\$|    __asm__ volatile(\"\" : : \"m\"(tc));\n&|" "$1"
}

build_engine() {
    local log=$work/build.log
    say "building llama.cpp (about 13 minutes on 2 cores, less on more; log: ${log#"$root"/})"
    # The version is the source's own: prevents CMake from asking git, which would describe this repository.
    GIT_CEILING_DIRECTORIES=$work cmake -S "$work/source" -B "$work/build" -G Ninja \
        "${flags[@]}" -DCMAKE_INSTALL_PREFIX="$root/$built" >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; die "llama.cpp cannot be configured"; }
    cmake --build "$work/build" ${JOBS:+--parallel "$JOBS"} >>"$log" 2>&1 ||
        { tail -n 40 "$log" >&2; die "llama.cpp does not build"; }
}

install_engine() {
    rm -rf "${root:?}/$built"
    cmake --install "$work/build" >>"$work/build.log" 2>&1 || die "llama.cpp cannot be installed"
    # Moves the plug-ins beside libggml, where the library looks for them; its own search would begin in the current
    # folder.
    mv "$root/$built"/bin/libggml-*.so "$root/$built/lib/"
    mkdir -p "$root/$built/include/llama-common"
    (cd "$work/source/common" && find . -name '*.h' -exec cp --parents -t "$root/$built/include/llama-common" {} +)
    cp "$work/source/LICENSE" "$root/$built/LICENSE"
    probe "$built" || die "the llama.cpp just built cannot be used; build/deps/probe.log says why"
    wanted_stamp >"$stamp"
    remember "$built"
    rm -rf "$work" "$downloads/$tarball"
    say "engine: llama.cpp, built into $built"
}

if [[ ${1:-} == source ]]; then
    unpack_source
    mkdir -p "$2"
    (cd "$work/source" && cp -r CMakeLists.txt LICENSE AUTHORS cmake common ggml include licenses src vendor "$2")
    printf 'llama-cpp-python %s\nsha256 %s\n' "$version" "$sha256" >"$2/headwater-origin"
    rm -rf "$work"
    exit 0
fi
if [[ -n ${HEADWATER_LLAMA_PREFIX:-} ]]; then
    use_named_prefix
    exit 0
fi
if [[ -f $choice && $(<"$choice") != "$built" ]]; then
    exit 0
fi
if is_built; then
    [[ -f $choice ]] || remember "$built"
    exit 0
fi
if [[ ! -f $choice ]] && probe system; then
    remember system
    say "engine: the system's llama.cpp"
    exit 0
fi
unpack_source
build_engine
install_engine
