#!/usr/bin/env bash
# Installs the packages pinned in requirements-packages.txt into build/python-extras: what makes the Python wheel, and
# what its tests use (JupyterLab, Ray, pandas, Matplotlib, pyright). Prints and changes nothing if they are there.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_environment "$root/build/python-extras" "$root/requirements-packages.txt" \
    "JupyterLab, Ray, auditwheel and others into build/python-extras (500 MB, about 2 minutes)"
