"""What `check` found: plain data, and the words that every renderer shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frugalctl.report.diff import (
    NO_PAIRS,
    Change,
    compare_reports,
    format_metric,
    format_metric_interval,
    format_pairs,
    note_pairs,
    warn_differences,
)
from frugalctl.report.gate import Gate, Verdict, judge_gates
from frugalctl.report.metrics import Body
from frugalctl.report.model import Interval
from frugalctl.report.noise import Pairs
from frugalctl.report.tables import Table, clip, format_percent

SCHEMA_VERSION = 1

_STATUSES = ("passed", "failed", "new", "ignored", "not judged")
_SHOWN = {"failed": "FAILED", "ignored": "within noise"}
NOT_JUDGED = "not judged: quality and latency are not known of a change of prompts"
_ORIGIN = ("prices", "price_book", "as_of", "input_xxh3", "recipe", "seed")


@dataclass(frozen=True, slots=True)
class PromptFindings:
    """What a change of prompt templates does, told above the verdicts.

    Attributes:
        tables: for people.
        remarks: what a reader should know.
        records: the prompts as plain data, each with its `prompt` and, in lines, `why`.
    """

    tables: tuple[Table, ...]
    remarks: tuple[str, ...]
    records: tuple[dict[str, Any], ...]

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        """Why the cost changes: prompts, and a sentence each."""
        return tuple(
            (record["prompt"], sentence)
            for record in self.records
            for sentence in (record["why"] or "").split("\n")
            if sentence
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """All of it.

    Attributes:
        verdicts: in the order of the gates.
        warnings: what else than the recipe differs between the reports.
        changes: from the base report, empty without one.
        base: how the base report was made, None without one.
        head: how the report that was judged was made.
        prompts: in a check of prompt templates, what changes and why.
    """

    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...]
    changes: tuple[Change, ...]
    base: dict[str, Any] | None
    head: dict[str, Any]
    prompts: PromptFindings | None = None


def judge_reports(
    gates: Sequence[Gate],
    head: Body,
    base: Body | None,
    *,
    pairs: Pairs | None = None,
    allow_new: bool = False,
    ignore_noise: bool = False,
    prompts: PromptFindings | None = None,
    names: tuple[str, str] = ("the report", "the base report"),
) -> Judgement:
    """Evaluate gates, and note what else a reader wants to know of the two reports.

    Args:
        gates: the gates.
        head: the report to judge.
        base: the report to compare with, if any.
        pairs: changes that are known request by request, from ledgers.
        allow_new: as `judge_gates` has it.
        ignore_noise: likewise.
        prompts: what was found of prompts.
        names: as `judge_gates` has it.

    Raises:
        UsageError: a gate cannot be judged, as `judge_gates` says.
    """
    return Judgement(
        verdicts=judge_gates(
            gates,
            head,
            base,
            pairs=pairs,
            allow_new=allow_new,
            ignore_noise=ignore_noise,
            names=names,
        ),
        warnings=(
            *([] if base is None else warn_differences(base, head, pairs)),
            *_warn_coverage(head),
        ),
        changes=() if base is None else tuple(compare_reports(base, head, pairs)),
        base=None if base is None else _describe_origin(base),
        head=_describe_origin(head),
        prompts=prompts,
    )


def _warn_coverage(body: Body) -> list[str]:
    """Sentences on requests that a gate does not see."""
    log = body.get("log", {})
    requests, uncovered = log.get("requests"), log.get("uncovered")
    unpriced = sum(log.get("unpriced", {}).values())
    found: list[str] = []
    if requests and uncovered:
        found.append(
            f"{uncovered:,} of {requests:,} requests ({uncovered / requests:.1%}) lack an outcome "
            "that is needed, and are in no figure (log.uncovered_share can be gated)"
        )
    if requests and unpriced:
        names = clip(", ".join(log["unpriced"]))
        found.append(
            f"{unpriced:,} of {requests:,} requests ({unpriced / requests:.1%}) have no price, and "
            f"are in no cost (log.unpriced can be gated): {names}"
        )
    return found


def _describe_origin(body: Body) -> dict[str, Any]:
    origin = body.get("origin", {})
    return {
        "schema_version": body.get("schema_version"),
        "frugalctl_version": body.get("frugalctl_version"),
        **{key: origin.get(key) for key in _ORIGIN},
    }


def count_statuses(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many gates there are of each status."""
    statuses = [verdict.status for verdict in verdicts]
    return {status: statuses.count(status) for status in _STATUSES}


def tell_outcome(verdicts: Sequence[Verdict]) -> str:
    """The outcome in a few words: "1 of 3 gates failed"."""
    count = count_statuses(verdicts)
    if not verdicts:
        return "no gates"
    judged = len(verdicts) - count["not judged"]
    of_all = f"{judged} gate{'' if judged == 1 else 's'}"
    if count["failed"]:
        noisy = sum(verdict.failed and bool(verdict.noise) for verdict in verdicts)
        told = _list_counts((noisy, "within noise"), (count["not judged"], "not judged"))
        return ", ".join([f"{count['failed']} of {of_all} failed", *told])
    told = _list_counts(
        (count["new"], "new"),
        (count["ignored"], "within noise"),
        (count["not judged"], "not judged"),
    )
    return f"{of_all} passed{' (' + ', '.join(told) + ')' if told else ''}"


def _list_counts(*counts: tuple[int, str]) -> list[str]:
    return [f"{number} {text}" for number, text in counts if number]


def name_gate(gate: Gate) -> str:
    """A gate as messages call it: `budget: cost_usd > 5`."""
    return f"{gate.name}: {gate.text}" if gate.name else gate.text


def show_values(verdict: Verdict) -> str:
    """`old -> new`, or the value alone."""
    if verdict.status == "not judged":
        return ""
    head = format_metric(verdict.metric, verdict.head)
    if verdict.base is None:
        return head
    return f"{format_metric(verdict.metric, verdict.base)} -> {head}"


def show_change(verdict: Verdict) -> str:
    """The change that was compared, empty for a value."""
    if verdict.base is None or verdict.compared is None:
        return ""
    if verdict.gate.percent:
        return format_percent(verdict.compared)
    return format_metric(verdict.metric, verdict.compared, sign=True)


def show_interval(verdict: Verdict) -> str:
    """The interval of the change, in its unit."""
    if verdict.interval is None or not verdict.compared:
        return ""
    if verdict.gate.percent:
        low, high = map(format_percent, verdict.interval)
        return f"[{low}, {high}]"
    return format_metric_interval(verdict.metric, verdict.interval)


def explain(verdict: Verdict) -> str:
    """What was found, in one line: `recipe.cost_usd: $1.00 -> $1.10 (+10.0 %)`."""
    if verdict.status == "not judged":
        return f"{verdict.metric}: {NOT_JUDGED}"
    change, interval = show_change(verdict), show_interval(verdict)
    text = f"{verdict.metric}: {show_values(verdict)}"
    if change:
        of = "" if verdict.pairs is None else f", paired, {verdict.pairs:,} requests"
        text += f" ({change}{of})"
    if verdict.status == "new":
        return f"{text}; new: nothing to compare with"
    if verdict.noise:
        of = " of independent samples" if _show_pairs(verdict) == NO_PAIRS else ""
        text += f"; within noise: the 95 % interval of the change{of} is {interval}"
    return text


def lay_out_verdicts(verdicts: Sequence[Verdict]) -> Table:
    """The verdicts as a table, without the columns that are empty."""
    columns = ("", "gate", "fails if", "value>", "change>", "95 % interval>", "pairs>")
    rows = [
        (
            _SHOWN.get(verdict.status, verdict.status),
            clip(verdict.gate.name or ""),
            clip(verdict.gate.text),
            show_values(verdict),
            show_change(verdict),
            f"{show_interval(verdict)}{' noise' if verdict.noise else ''}",
            _show_pairs(verdict),
        )
        for verdict in verdicts
    ]
    always = ("", "fails if", "value>", "change>")
    kept = [
        at
        for at, column in enumerate(columns)
        if column in always or any(row[at] not in ("", NO_PAIRS) for row in rows)
    ]
    return Table(
        "Gates",
        tuple(columns[at] for at in kept),
        tuple(tuple(row[at] for at in kept) for row in rows),
        note_pairs([(one.interval, one.pairs) for one in verdicts if _show_pairs(one)]),
    )


def _show_pairs(verdict: Verdict) -> str:
    if not verdict.gate.relative or (not verdict.compared and verdict.pairs is None):
        return ""
    return format_pairs(verdict.interval, verdict.pairs)


def as_pair(interval: Interval | None) -> list[float] | None:
    """An interval as plain data."""
    return None if interval is None else list(interval)
