#!/usr/bin/env bash
# A budget for any CI, in plain shell: this branch's log against that of the main branch.
#
# When to use it: your tests or evaluations call models and write a log, and nobody should merge what
# makes them dearer, slower or worse without noticing. On the main branch its ledger is kept; on every
# other branch the log is judged against it. What is kept is a ledger: if both logs have the same
# requests, by their ids, changes are compared request by request, and small ones are seen.
# github-workflow.yml does the same with comments.
#
# On sample_data/requests.jsonl against its own report nothing fails. With the questions of the FAQ sent
# to claude-opus-5 throughout, `cost_usd > +5%` fails: $1.5702 -> $1.7877 (+13.9 %).
#
# Usage: ci-budget.sh keep LOG [LEDGER]     on the main branch: keep the ledger (llm-budget.parquet)
#        ci-budget.sh check LOG [LEDGER]    on a branch: exit 1 if a gate fails, 2 if it cannot be judged
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: ci-budget.sh keep|check LOG [LEDGER]" >&2
    exit 2
fi
action=$1 log=$2 ledger=${3:-llm-budget.parquet}

case $action in
keep)
    frugalctl replay "$log" -o "$ledger"
    ;;
check)
    # where there is nothing to compare with, the absolute gates still hold
    gates=(--fail-if 'cost_usd > 2' --fail-if 'quality < 0.8')
    if [ -e "$ledger" ]; then
        gates+=(--baseline "$ledger" --fail-if 'cost_usd > +5%')
        gates+=(--fail-if 'quality < -0.02' --fail-if 'latency_ms.p95 > +20%')
        gates+=(--fail-if 'log.unpriced > +0')
    else
        echo "ci-budget: no $ledger to compare with; only the absolute gates are judged" >&2
    fi
    frugalctl check "$log" "${gates[@]}"
    ;;
*)
    echo "ci-budget: not 'keep' or 'check': $action" >&2
    exit 2
    ;;
esac
