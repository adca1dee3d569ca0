#!/usr/bin/env bash
# rpc-workers.sh [COMMAND...]: starts workers on this machine, for trying and testing `--rpc`.
#
# Starts $WORKERS workers (2) on ports from $PORT on (50052) with $THREADS threads each (0: one per core), waits until
# each answers, and sets RPC_WORKERS to their addresses for COMMAND; without a command it prints the addresses and
# waits. All are stopped at the end, also on Ctrl-C.
#
#   scripts/rpc-workers.sh sh -c 'headwater explain -m model.gguf -p "..." --rpc "$RPC_WORKERS"'
set -euo pipefail
source "$(dirname "$0")/lib.sh"

program=${HEADWATER_BIN:-$root/build/release/headwater}
port=${PORT:-50052}
count=${WORKERS:-2}
workers=()

[[ -x $program ]] || die "no program at $program; make builds it"

stop() {
    trap - EXIT
    kill "${workers[@]}" 2>/dev/null || true
    wait
}
trap stop EXIT
trap 'exit 130' INT TERM

RPC_WORKERS=
for ((p = port; p < port + count; p++)); do
    "$program" worker --port "$p" --threads "${THREADS:-0}" --quiet &
    workers+=($!)
    RPC_WORKERS+="${RPC_WORKERS:+,}127.0.0.1:$p"
done
export RPC_WORKERS

for ((tries = 0; ; tries++)); do
    "$program" info --rpc "$RPC_WORKERS" >/dev/null 2>&1 && break
    kill -0 "${workers[@]}" 2>/dev/null || die "a worker did not start"
    ((tries < 100)) || die "the workers $RPC_WORKERS do not answer"
    sleep 0.1
done

if (($#)); then
    "$@"
else
    echo "$RPC_WORKERS"
    wait
fi
