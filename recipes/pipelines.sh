#!/usr/bin/env bash
# Answers from the JSON of a report, by jq.
#
# When to use it: you want one figure in a chat, a list in a ticket, a column in a sheet. Every command
# prints JSON with --json, so that a report is a line of jq away from whatever else you use. Copy the
# lines that you need. Results are tab-separated. Names come from the log and may hold anything, so
# control characters and marks that turn the direction of text are taken out of them.
#
# On sample_data/requests.jsonl:
#   spenders   hanok-market comes first: $0.6872, 43.8 % of $1.5702
#   days       2026-10-28 is the dearest: $0.2681, 1.24 times the median day
#   answers    a right answer costs $0.0048 in faq, $0.0072 in code, $0.0001 in extract; agent, chat and
#              manual have no price, for nobody judged them
#   misses     five tickets; the dearest: entries that expired lost $0.4837 in 75 requests
#   chat       one line for a webhook
#
# Usage: pipelines.sh spenders|days|answers|misses|chat LOG
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "usage: pipelines.sh spenders|days|answers|misses|chat LOG" >&2
    exit 2
fi

replay() { frugalctl -q replay "$1" --json; }
plain='def plain: . // "(none)" | gsub("\\p{C}"; "?");'

case $1 in
spenders) # tenant, dollars, share of the bill
    replay "$2" | jq -r "$plain"'
      .recipe.cost_usd as $all
      | .tenants | map(select(.cost_usd != null)) | sort_by(-.cost_usd) | .[:10][]
      | [(.tenant | plain), .cost_usd, (1000 * .cost_usd / $all | round / 10)] | @tsv'
    ;;
days) # day, dollars, times the median day
    replay "$2" | jq -r "$plain"'
      (.days | map(.cost_usd | values) | sort | .[length / 2 | floor]) as $median
      | .days | map(select(.cost_usd != null)) | sort_by(-.cost_usd)[]
      | [.day, .cost_usd, (100 * .cost_usd / $median | round / 100)] | @tsv'
    ;;
answers) # task, dollars for one right answer if those that nobody judged are as good; else empty
    replay "$2" | jq -r "$plain"'
      .tasks[]
      | [(.task | plain),
         if .quality and .cost_usd then .cost_usd / (.requests * .quality) else null end]
      | @tsv'
    ;;
misses) # a list for a ticket: why the prompt cache missed, the dearest cause first
    frugalctl -q prefix report "$2" --json | jq -r "$plain"'
      .causes | map(select(.lost_usd > 0)) | sort_by(-.lost_usd)[]
      | "- [ ] \(.description): $\(10000 * .lost_usd | round / 10000) in \(.requests) requests"
        + (.example.divergence | if . then "; \(.kind) in the \(.role | plain) message" else "" end)'
    ;;
chat) # a message for a webhook
    replay "$2" | jq -c '
      {text: "LLM: $\(100 * .recipe.cost_usd | round / 100) for \(.log.requests) requests, \(
        .log.first_day // "?") to \(.log.last_day // "?"); \(.log.unpriced | add // 0) without a price"}'
    ;;
*)
    echo "pipelines: unknown: $1" >&2
    exit 2
    ;;
esac
