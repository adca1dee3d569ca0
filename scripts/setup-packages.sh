#!/usr/bin/env bash
# Installs the packages pinned in requirements-packages.txt into build/python-extras: what makes the Python wheel, and
# what its tests use (JupyterLab, Ray, pandas, Matplotlib, pyright). Prints and changes nothing if they are there.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

wanted=$root/requirements-packages.txt
extras=$root/build/python-extras
stamp=$extras/requirements-packages.txt

cmp -s "$wanted" "$stamp" && "$extras/bin/python" -c '' 2>/dev/null && exit 0

say "installing JupyterLab, Ray, auditwheel and others into build/python-extras (500 MB, about 2 minutes)"
rm -rf "$extras"
python3 -m venv "$extras" || die "python3 -m venv failed; Debian needs the package python3-venv"
"$extras/bin/python" -m pip --disable-pip-version-check install -qq --require-hashes -r "$wanted" ||
    die "could not install what requirements-packages.txt lists; run this again when the network is back"
cp "$wanted" "$stamp.partial"
mv "$stamp.partial" "$stamp"
