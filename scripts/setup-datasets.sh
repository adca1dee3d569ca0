#!/usr/bin/env bash
# Writes the data sets of docs/research/faithfulness.md into build/datasets; make_datasets.py describes them.
#
# Their real text is lcet10.txt, the proceedings of a workshop at the Library of Congress (1992, Project Gutenberg), one
# of the test files in Brotli's source package; only that file is unpacked. The injected instructions are those of the
# package agentdojo (MIT licence), which is read and not installed.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

text=$root/build/texts/lcet10.txt
text_hash=5314ba1dbb03f471df88bec6cd120a938ef60d0fd3511c5c1dce61bf7463245f
package=Brotli-1.1.0
injections=agentdojo-0.1.35-py3-none-any.whl

get_text() {
    has_hash "$text" "$text_hash" && return
    say "downloading a text for the data sets (7 MB, about 10 s)"
    ensure_venv
    fetch Brotli==1.1.0 "$package.tar.gz" \
        81de08ac11bcb85841e440c13611c00b67d3bf82698314928d0b676362546724 --no-binary :all:
    mkdir -p "${text%/*}"
    tar -xzOf "$downloads/$package.tar.gz" "$package/tests/testdata/lcet10.txt" >"$text.partial"
    has_hash "$text.partial" "$text_hash" || die "lcet10.txt of $package does not have the pinned hash"
    mv "$text.partial" "$text"
    rm -f "$downloads/$package.tar.gz"
}

get_text
fetch agentdojo==0.1.35 "$injections" \
    364bea4219716b716bf639f504d195943f7f6a5535d312ca41d7098704a2affd
ensure_venv
"$venv/bin/python" "$root/scripts/make_datasets.py" --text "$text" --agentdojo "$downloads/$injections" \
    "$root/build/datasets" "$@"
