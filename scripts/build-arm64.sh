#!/usr/bin/env bash
# build-arm64.sh SOURCE.tar.gz ROOT: builds a release's source for arm64 in a Debian root of its own and runs the unit
# tests under qemu-user. The root, in the folder ROOT, is made by the first call; the packages of this machine stay as
# they are. Everything continues where an earlier call was interrupted. As root, with mmdebstrap and qemu-user-static.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

archive=$(realpath "$1")
mkdir -p "$(dirname "$2")"
debian=$(realpath -m "$2")
name=$(basename "$archive" .tar.gz)
needs=(crossbuild-essential-arm64 cmake ninja-build pkg-config python3)
for library in libcairo2-dev libcmocka-dev libicu-dev libjansson-dev libmicrohttpd-dev libopenblas-openmp-dev \
    libpango1.0-dev libsqlite3-dev libssl-dev zlib1g-dev; do
    needs+=("$library:arm64")
done
needs+=(fonts-dejavu-core)

if [[ ! -f $debian/usr/bin/aarch64-linux-gnu-gcc ]]; then
    say "making a Debian root with a cross compiler for arm64 in $debian (1.2 GB, 10 minutes)"
    rm -rf "$debian"
    mmdebstrap --quiet --variant=buildd --architectures=amd64,arm64 --include="$(IFS=,; echo "${needs[*]}")" \
        bookworm "$debian"
fi
cp "$(command -v qemu-aarch64-static)" "$debian/usr/bin/"
# The source of another archive replaces the one that is there; what was built stays where it still fits.
tree=$debian/source/$name
hash=$(sha256sum "$archive" | cut -d ' ' -f 1)
if [[ ! -f $tree.sha256 || $(<"$tree.sha256") != "$hash" ]]; then
    mkdir -p "$tree"
    find "$tree" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
    tar -xzf "$archive" -C "$debian/source"
    printf '%s\n' "$hash" >"$tree.sha256"
fi

# In the root: engine, library, program, unit tests. Tests that read the sources, and need Python packages, have run
# natively.
chroot "$debian" env -i PATH=/usr/bin:/bin:/usr/sbin HOME=/root LANG=C.UTF-8 JOBS="${JOBS:-$(nproc)}" \
    CMAKE_TOOLCHAIN_FILE="/source/$name/cmake/toolchains/aarch64-linux-gnu.cmake" \
    HEADWATER_EMULATOR=qemu-aarch64-static GOMP_SPINCOUNT=1000 bash -euo pipefail -c '
    cd "/source/$0"
    mountpoint -q /proc || mount -t proc proc /proc
    trap "umount /proc" EXIT
    scripts/setup-engine.sh
    scripts/setup-stopwords.sh
    scripts/setup-web.sh
    cmake --preset dev --log-level=WARNING >/dev/null
    cmake --build --preset dev --parallel "$JOBS"
    ctest --preset dev -L unit -E "unit\.(layers|functions|style|format)$" --parallel "$JOBS"
    build/dev/headwater --version 2>/dev/null || qemu-aarch64-static build/dev/headwater --version
' "$name"
