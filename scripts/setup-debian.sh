#!/usr/bin/env bash
# Checks that the compilers, tools and libraries for building Headwater are installed. Missing packages are installed
# with apt-get if this runs as root or sudo needs no password; otherwise they are listed. Prints and changes nothing if
# nothing is missing. `setup-debian.sh tests`: also checks the packages for the tests; `setup-debian.sh packages`: those
# for `make test-packages`.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

cmake_is_new() {
    local version
    version=$(cmake --version | sed -n '1s/^cmake version //p')
    [[ $(printf '3.25\n%s\n' "$version" | sort -V | head -n 1) == 3.25 ]]
}

# Debian package | command that tests for it
needs=(
    "gcc|cc --version"
    "g++|c++ --version"
    "make|make --version"
    "cmake|cmake_is_new"
    "ninja-build|ninja --version"
    "pkg-config|pkg-config --version"
    "libjansson-dev|pkg-config --exists jansson"
    "libicu-dev|pkg-config --exists icu-uc icu-i18n"
    "libssl-dev|pkg-config --exists libcrypto"
    "libopenblas-openmp-dev|compgen -G '/usr/lib/*/openblas-openmp/pkgconfig/openblas.pc'"
    "zlib1g-dev|pkg-config --exists zlib"
    "libcairo2-dev|pkg-config --exists cairo cairo-svg cairo-pdf"
    "libpango1.0-dev|pkg-config --exists pangocairo"
    "libmicrohttpd-dev|pkg-config --exists libmicrohttpd"
    "libsqlite3-dev|pkg-config --exists sqlite3"
    "libcurl4|compgen -G '/usr/lib/*/libcurl*.so.4'"
    "libcmocka-dev|pkg-config --exists cmocka"
    "fontconfig|fc-list --version"
    "fonts-dejavu-core|[[ \$(fc-list) == *DejaVuSans.ttf* ]]"
    "fonts-noto-core|[[ \$(fc-list) == *NotoSansDevanagari-Regular* ]]"
    "fonts-noto-cjk|[[ \$(fc-list) == *NotoSansCJK* ]]"
    "fonts-noto-color-emoji|[[ \$(fc-list) == *NotoColorEmoji* ]]"
    "python3|python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'"
    "python3-venv|python3 -c 'import venv, ensurepip'"
)
# scripts/test-packages.sh.
[[ ${1:-} != packages ]] || needs+=(
    "zsh|command -v zsh"
    "fish|command -v fish"
    "mandoc|command -v mandoc"
    "man-db|command -v man"
    "debhelper|command -v dh"
    "lintian|command -v lintian"
    "mmdebstrap|command -v mmdebstrap"
    "qemu-user-static|command -v qemu-aarch64-static"
    "buildah|command -v buildah"
)
[[ ${1:-} != tests ]] || needs+=("abigail-tools|command -v abidiff")
[[ ${1:-} != tests ]] || needs+=("chromium|command -v chromium") # chromium --version would start the browser
[[ ${1:-} != tests ]] || needs+=("firefox-esr|command -v firefox-esr")
# Slurm needs root: other users skip its test.
[[ ${1:-} != tests || $(id -u) != 0 ]] || needs+=(
    "slurmctld|[[ -x /usr/sbin/slurmctld ]]"
    "slurmd|[[ -x /usr/sbin/slurmd ]]"
    "slurm-client|command -v sbatch"
    "munge|[[ -x /usr/sbin/munged ]]"
)

missing_packages() {
    local need
    for need in "${needs[@]}"; do
        eval "${need#*|}" >/dev/null 2>&1 || printf '%s\n' "${need%%|*}"
    done
}

as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

mapfile -t missing < <(missing_packages)
[[ ${#missing[@]} == 0 ]] && exit 0

if ! command -v apt-get >/dev/null; then
    die "missing, by Debian's names: ${missing[*]} (cmake 3.25, Python 3.11, or newer)"
fi
if [[ $(id -u) != 0 ]] && ! sudo -n true 2>/dev/null; then
    die "missing; please install: sudo apt-get install ${missing[*]}"
fi

say "installing Debian packages: ${missing[*]} (up to 200 MB, about a minute)"
export DEBIAN_FRONTEND=noninteractive
as_root apt-get update -qq
as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

mapfile -t missing < <(missing_packages)
if [[ ${#missing[@]} != 0 ]]; then
    die "installed, yet still missing or too old (cmake 3.25, Python 3.11): ${missing[*]}"
fi
