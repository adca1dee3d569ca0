#!/usr/bin/env bash
# What an explanation costs beside plain generation, at the sizes of docs/faithfulness.md; every run is a line of
# build/bench/cost.csv. Run it on a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

model=${1:-build/models/SmolLM2-135M-Instruct.Q4_1.gguf}
mkdir -p build/bench
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000000} # threads may wait for each other: nothing else runs
build/release/headwater bench -m "$model" --sizes 25,1300 -n 64 --rounds "${ROUNDS:-7}" -o build/bench/cost.csv
