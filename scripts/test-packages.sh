#!/usr/bin/env bash
# The checks of packages, which take minutes and are not part of `make test`: tests/packages over build/release.
# Arguments go to pytest: `scripts/test-packages.sh -k deb`.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

cd "$root"
export HEADWATER_BIN=$root/build/release/headwater HEADWATER_BUILD=$root/build/release
export HEADWATER_TEST_MODELS=${HEADWATER_TEST_MODELS:-$root/build/models} GOMP_SPINCOUNT=1000 PYTHONDONTWRITEBYTECODE=1
export HEADWATER_PACKAGES=${HEADWATER_PACKAGES:-$root/build/packages}
export HEADWATER_RELEASE=${HEADWATER_RELEASE:-$HEADWATER_PACKAGES/HEAD}
[[ -f $HEADWATER_RELEASE/SHA256SUMS ]] || HEADWATER_NO_WHEEL=1 scripts/release.sh HEAD "$HEADWATER_RELEASE"
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider tests/packages "$@"
