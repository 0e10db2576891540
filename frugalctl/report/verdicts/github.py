"""Verdicts as GitHub's workflow commands: notes in the list of checks.

The commands and their escapes: https://docs.github.com/actions/reference/workflow-commands
"""

from __future__ import annotations

from frugalctl.report.gate import Verdict
from frugalctl.report.tables import clip, printable
from frugalctl.report.verdicts.model import Judgement, explain, name_gate, tell_outcome

_MOST = 10
_LEVELS = {"failed": "error", "noise": "warning", "new": "notice"}
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
        reasons, remarks = judgement.prompts.reasons, judgement.prompts.remarks
        found += [_command("notice", "prompts", reason) for _, reason in reasons]
        found += [_command("notice", "prompts", text) for text in remarks]
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


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_escape_title(clip(title))}::{_escape(clip(message, _LONGEST_LINE))}"


def _escape(text: str) -> str:
    """As GitHub decodes it."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_title(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C").replace(";", "%3B")
