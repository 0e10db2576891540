#!/usr/bin/env bash
# A night job: what the batch tier saves on the tasks that can wait until the morning.
#
# When to use it: summaries, extractions, labels, evaluations: whatever nobody waits for. Providers
# answer a batch within a day, mostly at half of the price. The log does not say what can wait: you
# do, by task. Those requests are moved to the batch tier, and both bills are compared. This asks
# nothing of the recipe language, for a tier is a property of a request, as its model is.
#
# On sample_data/requests.jsonl with the tasks summarise and extract, of which some go by batch:
#   cost       $1.5702 -> $1.5547 (-1.0 %), of that summarise $0.0384 -> $0.0250,
#              extract $0.0049 -> $0.0028
#   quality    +0.0000: the same model answers the same prompt
#   latency    unknown for what is moved (a batch takes up to a day), so left out on both sides
# Both bills are of the same requests, so the interval of the change is paired, request by request.
# Not in it: batches need not find the cache that the day's requests keep warm. A model without a batch
# price becomes unpriced, and is said to be.
#
# Usage: batch-night.sh LOG TASK...
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: batch-night.sh LOG TASK..." >&2
    exit 2
fi
log=$1
shift

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

frugalctl log convert "$log" -o "$work/all.jsonl"
tasks=$(jq -nc '$ARGS.positional' --args -- "$@")
jq -c '.task // empty' "$work/all.jsonl" | sort -u >"$work/tasks"
if ! jq -rn --argjson tasks "$tasks" --slurpfile known "$work/tasks" \
    'def list: map(tojson | gsub("\\p{C}"; "?")) | join(", ");
    ($tasks - $known) as $lost
    | if $lost == [] then empty
      else "no request has the task \($lost | list); there are: \($known | list)\n" | halt_error(1)
      end' 2>"$work/lost"; then
    echo "batch-night: $(cat "$work/lost")" >&2
    exit 2
fi
# an id for requests that have none: both bills are compared request by request
jq -c --argjson tasks "$tasks" \
    '(.id // "line \(input_line_number)") as $id
    | .id = $id
    | if .task | IN($tasks[]) then del(.latency_ms, .ttft_ms) else . end' \
    "$work/all.jsonl" >"$work/day.jsonl"
jq -c --argjson tasks "$tasks" \
    'if .task | IN($tasks[]) then .service_tier = "batch" else . end' \
    "$work/day.jsonl" >"$work/night.jsonl"

frugalctl -q replay "$work/day.jsonl" -o "$work/day.parquet" >/dev/null
frugalctl -q replay "$work/night.jsonl" -o "$work/night.parquet" >/dev/null
frugalctl diff "$work/day.parquet" "$work/night.parquet"
