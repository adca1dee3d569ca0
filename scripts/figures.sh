#!/usr/bin/env bash
# Draws the figures of docs/guide/figures.md into docs/guide/figures: those of the original note with our own numbers,
# and one of every kind. $HEADWATER_MODEL selects another model; $HEADWATER_BIN another program.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

program=${HEADWATER_BIN:-$root/build/release/headwater}
model=${HEADWATER_MODEL:-$root/build/models/SmolLM2-135M-Instruct.Q4_1.gguf}
out=$root/docs/guide/figures
traces=$root/build/figures

[[ -x $program ]] || die "no program at $program; make build makes it"
[[ -f $model ]] || die "no model at $model"
mkdir -p "$out" "$traces"
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000} # as in tests/CMakeLists.txt: fast on a busy machine

# The note's figures differ in what they leave out: the tokens that each hides besides token 0 and the note's list, and
# the tokens of that list that it shows.
declare -A hidden=([sunny]=',/^ \?$/' [rome]=',"Q","A"')
declare -A shown=([putin]='" is"' [abdul]='" is"' [sunny]='" is"')
declare -A token
while IFS= read -r -d '' name && IFS= read -r -d '' prompt &&
    IFS= read -r -d '' completion && IFS= read -r -d '' token[$name]; do
    "$program" explain -q -m "$model" -p "$prompt" --completion "$completion" --trace "$traces/$name.safetensors" \
        </dev/null >/dev/null
done < <(read_examples)

# plot EXAMPLE FILE OPTION...
plot() {
    local trace=$traces/$1.safetensors file=$2
    shift 2
    "$program" plot "$trace" -o "$out/$file" "$@"
    say "docs/guide/figures/$file"
}

# as_in_the_note EXAMPLE KIND
as_in_the_note() {
    plot "$1" "note-$1-$2.png" --preset note --kind "$2" --token "${token[$1]}" \
        --hide "first,note${hidden[$1]:-}" --keep "${shown[$1]:-}"
}

for name in putin abdul sunny rome; do
    as_in_the_note "$name" bars
done
as_in_the_note sunny heatmap
as_in_the_note rome heatmap

plot sunny bars.png --kind bars --token sunny
plot sunny heatmap.png --kind heatmap --token sunny --method logit
plot sunny heatmap-dark.png --kind heatmap --token sunny --method rollout --theme dark --hide first
plot sunny map.png --kind map --method logit --hide first
plot rome text.png --kind text --token David --method logit
plot rome text-dark.png --kind text --token David --method logit --theme dark
plot sunny profile.png --kind profile --token sunny --method logit --top 5
plot rome segments.png --kind bars --token David --method logit --by sentence
