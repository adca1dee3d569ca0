# Functions shared by the set-up scripts, which source this file: paths, messages, and downloads of pinned files.
# Nothing here runs by itself. Every script can be interrupted and run again: a file gets its final name only when it is
# complete and its hash is right.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/venv
downloads=$root/build/downloads

say() { printf 'headwater: %s\n' "$*"; }

die() {
    printf 'headwater: %s\n' "$*" >&2
    exit 1
}

# has_hash FILE SHA256: FILE exists and has the pinned hash.
has_hash() { [[ -f $1 ]] && printf '%s  %s\n' "$2" "$1" | sha256sum --check --status -; }

# A separate Python environment, so that nothing is installed into the system's.
ensure_venv() {
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    say "making a Python environment in build/venv (a few seconds)"
    rm -rf "$venv"
    python3 -m venv "$venv" || die "python3 -m venv failed; Debian needs the package python3-venv"
}

# pip, quiet unless standard output is a terminal, where its progress bars are useful.
pip() {
    local quiet=(-qq)
    [[ -t 1 ]] && quiet=()
    "$venv/bin/python" -m pip --disable-pip-version-check "$@" "${quiet[@]}"
}

# python_environment FOLDER REQUIREMENTS WHAT: the packages pinned in REQUIREMENTS in an environment of their own.
# Changes nothing if they are there.
python_environment() {
    local folder=$1 wanted=$2 what=$3 stamp
    stamp=$folder/$(basename "$wanted")
    cmp -s "$wanted" "$stamp" && "$folder/bin/python" -c '' 2>/dev/null && return
    say "installing $what"
    rm -rf "$folder"
    python3 -m venv "$folder" || die "python3 -m venv failed; Debian needs the package python3-venv"
    "$folder/bin/python" -m pip --disable-pip-version-check install -qq --require-hashes -r "$wanted" ||
        die "could not install what $(basename "$wanted") lists; run this again when the network is back"
    cp "$wanted" "$stamp.partial"
    mv "$stamp.partial" "$stamp"
}

# fetch REQUIREMENT FILE SHA256 [PIP OPTION...]: downloads the package's FILE into build/downloads. pip checks the hash
# before it opens the file.
fetch() {
    local requirement=$1 file=$2 sha256=$3
    shift 3
    has_hash "$downloads/$file" "$sha256" && return
    ensure_venv
    local partial=$downloads/$file.partial
    rm -rf "$partial"
    mkdir -p "$partial"
    printf '%s --hash=sha256:%s\n' "$requirement" "$sha256" >"$partial/requirement.txt"
    pip download --no-deps --no-cache-dir --require-hashes "$@" \
        --dest "$partial" -r "$partial/requirement.txt" ||
        die "could not download $requirement; run this again when the network is back"
    has_hash "$partial/$file" "$sha256" || die "$file of $requirement does not have the pinned hash"
    mv "$partial/$file" "$downloads/$file"
    rm -rf "$partial"
}

# Name, prompt, completion and token of each example, each terminated by NUL, because the text contains line breaks.
read_examples() {
    python3 - "$root/examples/note.jsonl" <<'PYTHON'
import json, sys

with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        example = json.loads(line)
        for field in ("name", "prompt", "completion", "token"):
            sys.stdout.buffer.write(example[field].encode() + b"\0")
PYTHON
}
