#!/usr/bin/env bash
# Draws the pictures of algorithm.md with the simulator. Usage: docs/pictures.sh, from the root of the repository.
set -euo pipefail
simulate() {
    .venv/bin/kpa simulate --service-time 'lognormal 2s 0.4' --container-concurrency 5 --start-up-time 20s --seed 7 "${@:2}" \
        --png "docs/images/$1.png" >/dev/null
}
waves='hold 8 3m, burst 2 40s, hold 8 2m, burst 2 40s, hold 8 2m, burst 2 40s, hold 8 3m'
simulate panic --load 'hold 4 4m, burst 16 50s, hold 4 7m' --replicas 2
simulate waves --load "$waves" --replicas 4 --set scale-down-delay=0s --set stable-window=30s --set max-scale-down-rate=2
simulate waves-delayed --load "$waves" --replicas 4 --set scale-down-delay=60s --set stable-window=30s --set max-scale-down-rate=2
