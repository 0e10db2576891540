#!/usr/bin/env bash
# What a change of the prompts will cost, before it is merged. It calls no model and needs no secret.
#
# When to use it: prompts are files in your repository, and a log shows what was sent with them. A new
# line in a system prompt is paid with every request, and a date or an id near its head makes the
# provider's prompt cache useless; nobody sees either in a review. The requests of the log are rendered
# again with the prompts as they are now, and compared with those of the commit that the branch left.
#
# On the 125 questions to hanok-market in sample_data/requests.jsonl, with the system prompt as a file:
#   a first line with the time, "It is {now}.": red, $0.6889 -> $1.0923 (+58.6 %), $2.9954 -> $4.7497 a
#   month, and the reason: {now} changes with every request, so nothing behind it is read from the cache
#   "Be brief." as a last line instead: green, +0.3 %
#   quality    unknown: nobody has answered the new prompt yet. It counts tokens and replays the cache
#
# Usage: ci-prompts.sh PROMPTS LOG [BRANCH]    BRANCH is origin/main; exit 1 if it gets over 5 % dearer
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: ci-prompts.sh PROMPTS LOG [BRANCH]" >&2
    exit 2
fi
prompts=$1 log=$2 branch=${3:-origin/main}

# what others merged since is not this branch's doing
base=$(git merge-base "$branch" HEAD) || exit 2
if git diff --quiet "$base" -- "$prompts"; then
    echo "ci-prompts: no prompt has changed since $branch" >&2
    exit 0
fi
frugalctl check "$prompts" --against "$log" --base "$base" --fail-if 'cost_usd > +5%'
