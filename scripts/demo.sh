#!/usr/bin/env bash
# Explains the four prompts of examples/note.jsonl, each twice: with the model's own completion, and with the completion
# of the original note. The output is saved under build/demo. $HEADWATER_MODEL selects another model; $HEADWATER_BIN
# another program.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

program=${HEADWATER_BIN:-$root/build/release/headwater}
model=${HEADWATER_MODEL:-$root/build/models/SmolLM2-135M-Instruct.Q4_1.gguf}
out=$root/build/demo

[[ -x $program ]] || die "no program at $program; make demo builds it"
[[ -f $model ]] || die "no model at $model"
mkdir -p "$out"
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000} # as in tests/CMakeLists.txt: fast on a busy machine

heading() { printf '\n━━━ %s ━━━\n\n' "$1"; }

# explain NAME OPTION...: prints, and saves build/demo/NAME.json and the whole trace.
explain() {
    local name=$1
    shift
    "$program" explain -m "$model" "$@" \
        -o "$out/$name.json" --trace "$out/$name.trace.safetensors" </dev/null
}

while IFS= read -r -d '' name && IFS= read -r -d '' prompt &&
    IFS= read -r -d '' completion && IFS= read -r -d '' token; do
    heading "$name: the model's own completion"
    explain "$name-own" -p "$prompt" -n 16
    heading "$name: the note's completion, read at \"$token\""
    explain "$name-note" -p "$prompt" --completion "$completion" --token "$token" --preset note
done < <(read_examples)

printf '\n'
say "saved under build/demo"
