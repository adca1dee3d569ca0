#!/usr/bin/env bash
# Installs the packages pinned in requirements-test.txt into build/venv: NumPy, safetensors, gguf, pytest and
# Playwright. Prints and changes nothing if they are there.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

wanted=$root/requirements-test.txt
stamp=$venv/requirements-test.txt

cmp -s "$wanted" "$stamp" && "$venv/bin/python" -c '' 2>/dev/null && exit 0

ensure_venv
say "installing Python packages for the tests into build/venv (70 MB, about 15 s)"
pip install --require-hashes -r "$wanted" ||
    die "could not install what requirements-test.txt lists; run this again when the network is back"
cp "$wanted" "$stamp.partial"
mv "$stamp.partial" "$stamp"
