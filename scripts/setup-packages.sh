#!/usr/bin/env bash
# Installs the packages pinned in requirements-packages.txt into build/python-extras: what makes the Python wheel, and
# what its tests use (JupyterLab, Ray, pandas, Matplotlib, pyright). `setup-packages.sh tests`: also those of
# requirements-frameworks.txt into build/frameworks. Prints and changes nothing if they are there.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_environment "$root/build/python-extras" "$root/requirements-packages.txt" \
    "JupyterLab, Ray, auditwheel and others into build/python-extras (500 MB, about 2 minutes)"

[[ ${1:-} != tests ]] || python_environment "$root/build/frameworks" "$root/requirements-frameworks.txt" \
    "LangChain and LlamaIndex into build/frameworks (380 MB, about 2 minutes)"
