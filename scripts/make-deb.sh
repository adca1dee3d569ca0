#!/usr/bin/env bash
# make-deb.sh SOURCE.tar.gz FOLDER: Debian packages of a release's source (make-source.sh), by dpkg-buildpackage, in
# FOLDER. Needs the packages of packaging/debian/control. HEADWATER_LLAMA_PREFIX saves the engine's build, for trying
# it out.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

archive=$(realpath "$1")
mkdir -p "$2"
cd "$2"
version=$(basename "$archive" .tar.gz)
version=${version#headwater-}
cp "$archive" "headwater_$version.orig.tar.gz"
rm -rf "headwater-$version"
tar -xzf "headwater_$version.orig.tar.gz"
cd "headwater-$version"
cp -r packaging/debian debian
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp)
export SOURCE_DATE_EPOCH
DEB_BUILD_OPTIONS="parallel=${JOBS:-$(nproc)} ${DEB_BUILD_OPTIONS:-}" dpkg-buildpackage -us -uc
cd ..
rm -rf "headwater-$version"
say "packages: $(echo ./*.deb)"
