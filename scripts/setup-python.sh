#!/usr/bin/env bash
# Installs the packages pinned in requirements-test.txt into build/venv: NumPy, safetensors, gguf, pytest, Playwright
# and clang-format; into build/clients those of requirements-clients.txt. Prints and changes nothing if they are there.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

wanted=$root/requirements-test.txt
stamp=$venv/requirements-test.txt

if ! cmp -s "$wanted" "$stamp" || ! "$venv/bin/python" -c '' 2>/dev/null; then
    ensure_venv
    say "installing Python packages for the tests into build/venv (70 MB, about 15 s)"
    pip install --require-hashes -r "$wanted" ||
        die "could not install what requirements-test.txt lists; run this again when the network is back"
    cp "$wanted" "$stamp.partial"
    mv "$stamp.partial" "$stamp"
fi

# The clients of test_clients.py have an environment of their own: nothing else of the tests sees their packages.
python_environment "$root/build/clients" "$root/requirements-clients.txt" \
    "OpenAI's, Anthropic's and Cohere's clients into build/clients (150 MB, about 40 s)"
