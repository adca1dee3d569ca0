#!/usr/bin/env bash
# Makes all data of docs/design/performance.md: build/bench/*.csv and docs/design/performance/*.png.
#
#   bench/run.sh [--quick] [PART...]    PART: short long longest peers; default: all
#
# --quick runs the same steps with few tokens, one round and the fast peers, as a test of the script. Run it on an idle
# machine. MODEL=FILE.gguf measures another model (except for peers).
set -euo pipefail
cd "$(dirname "$0")/.."

quick=false
[[ ${1:-} == --quick ]] && quick=true && shift
parts=${*:-short long longest peers}
model=${MODEL:-build/models/SmolLM2-135M-Instruct.Q4_1.gguf}
out=build/bench
$quick && out=build/bench/quick
mkdir -p "$out"
# some environments restrict OpenBLAS to kernels of an older processor, half as fast
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000000} # threads may spin while they wait, because nothing else runs

bench() { # NAME OPTION...
    local name=$1
    shift
    build/release/headwater-bench -m "$model" -o "$out/cost-$name.csv" "$@"
}

short() {
    if $quick; then
        bench short --sizes 25,128 -n 8 --rounds 1
    else
        bench short --sizes 25,256,1024 -n 64 --rounds 5
    fi
}

long() {
    if $quick; then
        bench long --sizes 512 -n 8 --rounds 1 --variants rollout+logit,by-sentence,contribution+logit
    else
        bench long --sizes 4096 -n 64 --rounds 5
    fi
}

# Prompts beyond the trained context: the output is meaningless there, but the cost is not.
longest() {
    $quick && return
    bench longest --sizes 16384 --ctx 16640 -n 64 --rounds 1 --variants contribution+logit,by-sentence
}

setup_peers() {
    cmp -s bench/requirements.txt build/peers/requirements.txt && return
    echo "installing torch, transformers, Inseq, ContextCite and matplotlib into build/peers (1.5 GB)"
    python3 -m venv build/peers
    build/peers/bin/python -m pip install -qq --disable-pip-version-check -r bench/requirements.txt
    cp bench/requirements.txt build/peers/requirements.txt
}

peers() {
    if $quick; then
        build/peers/bin/python bench/peers.py -n 4 --rounds 1 -o "$out/peers-short.csv" \
            --peers headwater,headwater-sentence,headwater-f32,n-passes,one-pass,inseq-attention
    else
        build/peers/bin/python bench/peers.py --sizes 25 --rounds 3 -o "$out/peers-short.csv"
        build/peers/bin/python bench/peers.py --sizes 1300 --rounds 1 -o "$out/peers-long.csv"
    fi
}

setup_peers
for part in $parts; do
    case $part in
    short | long | longest | peers) "$part" ;;
    *) echo "$part: there are short, long, longest and peers" >&2 && exit 2 ;;
    esac
done
build/peers/bin/python bench/plot.py "$out" "$($quick && echo "$out" || echo docs/design/performance)"
if $quick; then
    build/peers/bin/python bench/table.py "$out"
else
    build/peers/bin/python bench/table.py "$out" docs/design/performance.md
fi
