#!/usr/bin/env bash
# A FrugalGPT cascade for your own log: chosen on its first part, judged on the rest.
#
# When to use it: you have a log whose requests were answered by several models, each answer with a
# quality and a confidence (an offline evaluation of a few hundred requests is enough to begin with).
# `optimize` finds which models to ask in which order and when to stop. What it promises of the rows
# that it has seen is not worth much, so the policy is chosen on the first 70 % of the log and replayed
# on the last 30 %, which it has not seen, against the best single model.
#
# On sample_data/answers.jsonl, chosen on 1,120 requests and judged on 480 others, later ones:
#   cost       $2.6367 -> $0.3892 (-85.2 %)
#   quality    -0.0063, 95 % interval [-0.0208, +0.0083]
#   latency    -994 ms on the mean, -1121 ms at the 95th percentile
# It fails (exit 1) if quality falls by more than the loss that you allow, or nothing is saved. The
# answers of the sample are invented; see sample_data/README.md.
#
# Usage: cascade-by-optimize.sh LOG [LOSS [RECIPE]]    LOSS is 0.02, RECIPE cascade.toml
# The log is taken to be in the order of time.
set -euo pipefail

if [ $# -lt 1 ]; then
    echo "usage: cascade-by-optimize.sh LOG [LOSS [RECIPE]]" >&2
    exit 2
fi
log=$1 loss=${2:-0.02} recipe=${3:-cascade.toml}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

frugalctl log convert "$log" -o "$work/all.jsonl"
lines=$(wc -l <"$work/all.jsonl")
first=$((lines * 7 / 10))
head -n "$first" "$work/all.jsonl" >"$work/first.jsonl"
tail -n "+$((first + 1))" "$work/all.jsonl" >"$work/later.jsonl"

frugalctl optimize "$work/first.jsonl" --max-quality-loss "$loss" --confidence 0.9 -o "$recipe"
frugalctl replay "$work/later.jsonl" --recipe "$recipe"
frugalctl check "$work/later.jsonl" --recipe "$recipe" \
    --fail-if "delta.quality < -$loss" --fail-if 'delta.cost_usd >= 0'
