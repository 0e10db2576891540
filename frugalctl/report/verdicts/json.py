"""Verdicts as JSON; `schemas/check.schema.json` describes it."""

from __future__ import annotations

import json
from typing import Any

import frugalctl
from frugalctl.report.gate import Verdict
from frugalctl.report.verdicts.model import SCHEMA_VERSION, Judgement, as_pair, count_statuses


def encode_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data."""
    return {
        "gate": verdict.gate.text,
        "name": verdict.gate.name,
        "metric": verdict.metric,
        "base": verdict.base,
        "head": verdict.head,
        "compared": verdict.compared,
        "compared_ci95": as_pair(verdict.interval),
        "noise": verdict.noise,
        "pairs": verdict.pairs,
        "status": verdict.status,
        "failed": verdict.failed,
    }


def encode_judgement(judgement: Judgement) -> dict[str, Any]:
    """All of it as plain data; `gates_failed` and its like count the gates of a status."""
    prompts = judgement.prompts
    counts = count_statuses(judgement.verdicts).items()
    return {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        **{f"gates_{status.replace(' ', '_')}": count for status, count in counts},
        "gates": [encode_verdict(verdict) for verdict in judgement.verdicts],
        "warnings": [*judgement.warnings, *(prompts.remarks if prompts else ())],
        **({"prompts": list(prompts.records)} if prompts else {}),
        "base": judgement.base,
        "head": judgement.head,
    }


def render_json(judgement: Judgement) -> str:
    """One indented object."""
    return json.dumps(encode_judgement(judgement), indent=2, ensure_ascii=False) + "\n"


def render_jsonl(judgement: Judgement) -> str:
    """A line a gate."""
    records = map(encode_verdict, judgement.verdicts)
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
