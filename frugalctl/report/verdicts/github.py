"""Verdicts as GitHub's workflow commands: notes in the list of checks.

The commands and their escapes: https://docs.github.com/actions/reference/workflow-commands
"""

from __future__ import annotations

import re

from frugalctl.report.gate import Verdict
from frugalctl.report.tables import clip, printable
from frugalctl.report.verdicts.model import (
    Judgement,
    PromptFindings,
    explain,
    name_gate,
    tell_outcome,
)

_MOST = 10
_LEVELS = {"failed": "error", "ignored": "warning", "new": "notice", "not judged": "notice"}
_LONGEST_LINE = 1_000


def render_github(judgement: Judgement) -> str:
    """At most ten annotations, the worst first; the last says how many more there are.

    Gates that passed have none of their own, but one for all if none failed.
    """
    found = [
        *(_annotate(verdict) for verdict in _sort(judgement.verdicts)),
        *(_command("warning", "frugalctl", text) for text in judgement.warnings),
    ]
    if judgement.prompts:
        found += [
            _command("notice", "prompts", reason, _find_place(file, reason))
            for file, reason in _list_reasons(judgement.prompts)
        ]
        found += [_command("notice", "prompts", text) for text in judgement.prompts.remarks]
    if judgement.verdicts and not any(verdict.failed for verdict in judgement.verdicts):
        found.insert(0, _command("notice", "frugalctl", tell_outcome(judgement.verdicts)))
    if len(found) > _MOST:
        more = len(found) - _MOST + 1
        told = f"{more:,} more, which --format markdown shows: {tell_outcome(judgement.verdicts)}"
        found[_MOST - 1 :] = [_command("notice", "frugalctl", told)]
    return "".join(f"{line}\n" for line in found)


def _sort(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    levels = list(_LEVELS)
    told = [verdict for verdict in verdicts if verdict.status in levels]
    return sorted(told, key=lambda verdict: levels.index(verdict.status))


def _annotate(verdict: Verdict) -> str:
    return _command(_LEVELS[verdict.status], name_gate(verdict.gate), explain(verdict))


def _list_reasons(prompts: PromptFindings) -> list[tuple[str, str]]:
    """Sentences with the file of the prompt that each is about; empty where unknown."""
    files = {record["prompt"]: record.get("file") or "" for record in prompts.records}
    return [(files[prompt], reason) for prompt, reason in prompts.reasons]


def _find_place(file: str, reason: str) -> str:
    """Where an annotation stands: `file=prompts/faq.md,line=3,`."""
    if not file:
        return ""
    line = re.match(r":(\d+)", reason.removeprefix(file)) if reason.startswith(file) else None
    return f"file={_escape_property(file)},{f'line={line[1]},' if line else ''}"


def _command(level: str, title: str, message: str, place: str = "") -> str:
    named = f"{place}title={_escape_property(clip(title))}"
    return f"::{level} {named}::{_escape(clip(message, _LONGEST_LINE))}"


def _escape(text: str) -> str:
    """As GitHub decodes it."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C").replace(";", "%3B")
