#!/usr/bin/env bash
# release.sh TAG [FOLDER]: everything of a release from a tag, in FOLDER (build/packages/TAG):
#
#   headwater-VERSION.tar.gz   the source with all that its build would download   (make-source.sh)
#   *.deb, *.dsc, *.changes    Debian packages, built from that source             (make-deb.sh)
#   *.whl                      the Python package                                  (make_wheel.py)
#   headwater-VERSION.cdx.json bill of materials of the packages                   (make_sbom.py)
#   Dockerfile                 the image, made from the packages
#   SHA256SUMS                 of all these
#
# HEADWATER_LLAMA_PREFIX saves the engine's build, for trying it out. Needs scripts/setup-debian.sh packages, and for
# the wheel `make setup-packages`.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

tag=${1:?release.sh TAG [FOLDER]}
git -C "$root" rev-parse --verify --quiet "$tag^{commit}" >/dev/null || die "there is no tag $tag"
out=$(realpath -m "${2:-$root/build/packages/$tag}")
rm -rf "$out"
mkdir -p "$out"

"$root/scripts/make-source.sh" "$tag" "$out"
archive=$(echo "$out"/headwater-*.tar.gz)
version=$(basename "$archive" .tar.gz)
version=${version#headwater-}
[[ $tag == "v$version" || $tag != v* ]] || die "$tag has version $version in CMakeLists.txt"
"$root/scripts/make-deb.sh" "$archive" "$out"

# What the packages contain and need, as they lie on a machine.
tree=$out/tree
for package in "$out"/headwater_*.deb "$out"/libheadwater1_*.deb; do
    dpkg-deb -x "$package" "$tree"
done
LD_LIBRARY_PATH=$(echo "$tree"/usr/lib/*-linux-gnu) SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct "$tag") \
    python3 "$root/scripts/make_sbom.py" "$tree/usr" "$out/headwater-$version.cdx.json"
rm -rf "$tree"

if [[ -x $root/build/python-extras/bin/python && ${HEADWATER_NO_WHEEL:-0} == 0 ]]; then
    (cd "$root" && build/python-extras/bin/python scripts/make_wheel.py)
    cp "$root"/build/dist/*.whl "$out"
fi
cp "$root/packaging/Dockerfile" "$out"
sums=$(cd "$out" && sha256sum -- *)
printf '%s\n' "$sums" >"$out/SHA256SUMS"
say "release: $out"
