"""Which models and rows of a log can be optimised over, and what to say of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

import numpy as np

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.cascade.table import OutcomeTable
from frugalctl.replay.learn import LearnOptions


def pick_models(
    table: OutcomeTable, names: Sequence[str], excluded: Sequence[str] = ()
) -> OutcomeTable:
    """The table of some models, all of them without names.

    Raises:
        UsageError: a name that the log does not have, or fewer than two models.
        InputError: the log has fewer than two.
    """
    for name in (*names, *excluded):
        if name not in table.models:
            raise unknown_model(name, table.models)
    kept = [name for name in (names or table.models) if name not in excluded]
    kept = list(dict.fromkeys(kept))
    if len(table.models) < 2:
        only = f", {table.models[0]}" if table.models else ""
        raise InputError(
            f"the log has answers of {len(table.models)} model{only}: there is nothing to choose",
            hint="log `outcomes` of several models for the same requests",
        )
    if len(kept) < 2:
        raise UsageError(f"{len(kept)} model is left, and two are needed", hint="--models a,b")
    return table if tuple(kept) == table.models else table.select(tuple(kept))


def sparse_models(table: OutcomeTable) -> list[str]:
    """Models with less than half as many known answers as another has.

    A policy is searched over the requests that all of its models answered, so one model that
    few requests went to would leave few requests.
    """
    known = table.present & ~np.isnan(table.quality) & ~np.isnan(table.cost_usd)
    counts = known.sum(axis=0)
    few = 2 * counts < counts.max(initial=0)
    return [name for name, one in zip(table.models, few.tolist(), strict=True) if one]


def unknown_model(name: str, known: Sequence[str]) -> UsageError:
    """The error for a model that the log does not have."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known[:12])}"
    return UsageError(f"the log has no outcome of {name}", hint=hint)


def explain_incomplete(table: OutcomeTable) -> InputError:
    """The error for a log without a request that can be searched over."""
    for name, values in (("cost", table.cost_usd), ("quality", table.quality)):
        unknown = [
            model
            for at, model in enumerate(table.models)
            if np.isnan(values[:, at]).all() and table.present[:, at].any()
        ]
        if unknown:
            hint = "--prices log takes the log's own costs; tokens are needed for the book's"
            return InputError(
                f"no {name} is known of {', '.join(unknown)}",
                hint=hint if name == "cost" else "log `quality` (0 to 1) in each outcome",
            )
    return InputError(
        "no request has the quality and the cost of every model",
        hint="--models a,b takes some of them",
    )


def describe_rows(table: OutcomeTable, rows: OutcomeTable, learn: LearnOptions) -> Iterator[str]:
    """What a reader should know of the rows that are left of a log."""
    skipped = len(table) - len(rows)
    if skipped:
        yield f"{skipped:,} of {len(table):,} requests lack an outcome, its quality or its cost"
    if len(rows) < 100:
        yield f"{len(rows)} requests are few: expect wide intervals"
    timed = int((~np.isnan(rows.latency_ms).any(axis=1)).sum())
    if timed < len(rows):
        yield (
            f"{len(rows) - timed:,} of {len(rows):,} requests lack the latency of a model; a policy"
            " that calls it for them has an unknown one on the front"
        )
    if (rows.quality == rows.quality[:, :1]).all():
        yield "all models have the same quality on every request: the cheapest is as good as any"
    if learn.score == "confidence" and np.isnan(rows.confidence).all():
        yield "no confidence and no answers' texts: only single models can be searched"
    twins = [
        (one, other)
        for at, one in enumerate(rows.models)
        for other in rows.models[at + 1 :]
        if _are_twins(rows, one, other)
    ]
    for one, other in twins[:3]:
        yield f"{one} and {other} have the same quality and cost on every request"


def _are_twins(rows: OutcomeTable, one: str, other: str) -> bool:
    a, b = rows.models.index(one), rows.models.index(other)
    same_quality = bool((rows.quality[:, a] == rows.quality[:, b]).all())
    return same_quality and bool((rows.cost_usd[:, a] == rows.cost_usd[:, b]).all())
