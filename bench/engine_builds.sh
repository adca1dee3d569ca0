#!/usr/bin/env bash
# Compares builds of the engine: medians of prefill and decode of plain generation, in alternation.
#
#     bench/engine_builds.sh MODEL.gguf ROUNDS NAME=FOLDER NAME=FOLDER...
#
# Each FOLDER holds libllama and ggml with one backend per processor type (tests/kernels.cmake makes such folders with a
# single one). build/release/headwater-bench is run with the folder before its own engine in the search path. Writes
# medians and ranges to standard output.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ $# -ge 4 ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$1 rounds=$2
shift 2
program=${HEADWATER_BENCH:-build/release/headwater-bench}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for ((round = 1; round <= rounds; round++)); do
    for build in "$@"; do
        LD_LIBRARY_PATH=${build#*=} "$program" -m "$model" --sizes 256 -n 32 --rounds 1 --variants plain -q \
            -o "$folder/one.csv" >/dev/null
        sed 1d "$folder/one.csv" >>"$folder/${build%%=*}.csv"
        head -n 1 "$folder/one.csv" >"$folder/header"
    done
done
for build in "$@"; do
    python3 - "${build%%=*}" "$folder/header" "$folder/${build%%=*}.csv" <<'PYTHON'
import csv, statistics, sys

name, header, rows = sys.argv[1:]
with open(header) as names, open(rows) as values:
    found = list(csv.DictReader(values, next(csv.reader(names))))
text = f"{name:12}"
for key in ("prefill_s", "decode_s"):
    times = sorted(float(row[key]) for row in found)
    text += f"  {key[:-2]} {statistics.median(times):.3f} s ({times[0]:.3f} to {times[-1]:.3f})"
print(text)
PYTHON
done
