"""Quality and cost against the size of something: exemplars in a prompt, inputs in a batch.

Each line of the outcomes says which size a request was answered with. Sizes are compared on the
requests that both have. Which size loses no more than allowed is tested in a fixed sequence, from
the reference on and stopping at the first that fails, so that trying many sizes costs no
confidence (Maurer, Hothorn and Lehmacher, 1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import numpy as np

from frugalctl.errors import BadLine, InputError, PriceError
from frugalctl.levers.compress.records import Record, read_records
from frugalctl.report.tables import UNKNOWN, Table, format_interval, format_usd

Price = Callable[[str | None, Mapping[str, int]], float]
_COUNTS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")


@dataclass(frozen=True, slots=True)
class SizeOutcome:
    """How one request was answered.

    Attributes:
        id: of the request.
        size: exemplars in its prompt, or inputs in its batch.
        selection: how the exemplars were chosen, "" if it does not say.
        quality: in [0, 1].
        cost_usd: None where it is not known.
    """

    id: str
    size: int
    selection: str
    quality: float
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One size, and what it does.

    Attributes:
        size: the size.
        selection: how the exemplars were chosen, "" if it is not said.
        requests: how many were answered with it.
        quality: their mean quality.
        quality_ci95: its bootstrap interval; None of fewer than two.
        loss: mean quality that the reference has more, on `shared` requests; NaN without any.
        loss_ci95: its bootstrap interval.
        shared: requests that the reference answered too.
        p_value: that it loses more than allowed; None where it was not tested.
        granted: whether it was shown to lose no more.
        cost_usd: mean of a request; None where one is not known.
    """

    size: int
    selection: str
    requests: int
    quality: float
    quality_ci95: tuple[float, float] | None
    loss: float
    loss_ci95: tuple[float, float] | None
    shared: int
    p_value: float | None
    granted: bool
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """The sizes, the reference first.

    Attributes:
        points: in the order in which they were tested.
        max_loss: the quality that may be lost.
        confidence: of the test.
        chosen: the last one granted, or the reference.
    """

    points: tuple[CurvePoint, ...]
    max_loss: float
    confidence: float
    chosen: CurvePoint


def read_size_outcomes(
    lines: Iterable[bytes], *, source: str, name: str, price: Price
) -> list[SizeOutcome]:
    """Outcomes of JSON lines `{id, NAME, quality, selection?, model?, usage? | cost_usd?}`.

    Args:
        lines: of the file.
        source: its name.
        name: of the field that says the size: "exemplars", a list of ids or a number of them, or
            "batch_size", a number.
        price: dollars of a call of a model with these tokens; raises `PriceError`.

    Raises:
        BadLine: a line is no such object, or a request is there twice with one size.
        InputError: there is none.
    """
    found: list[SizeOutcome] = []
    seen: dict[tuple[str, int, str], int] = {}
    for number, record in read_records(lines, source=source):
        try:
            one = _read_outcome(record, name, price)
        except InputError as error:
            raise BadLine(
                error.message,
                source=source,
                line=number,
                hint=f"a line is {{id, {name}, quality, selection?, model?, usage? | cost_usd?}}",
            ) from None
        key = (one.id, one.size, one.selection)
        if key in seen:
            raise BadLine(
                f"{one.id!r} was answered with {one.size} on line {seen[key]} too",
                source=source,
                line=number,
            )
        seen[key] = number
        found.append(one)
    if not found:
        raise InputError("has no outcomes", where=source)
    return found


def build_curve(
    outcomes: Sequence[SizeOutcome],
    *,
    most_first: bool,
    max_loss: float,
    confidence: float,
    seed: int,
) -> Curve:
    """Quality and cost by size.

    Args:
        outcomes: of `read_size_outcomes`.
        most_first: whether the largest size is the reference, or the smallest.
        max_loss: the mean quality that may be lost, in [0, 1).
        confidence: of the test, in (0, 1).
        seed: of the bootstrap.
    """
    groups: dict[tuple[int, str], dict[str, SizeOutcome]] = {}
    for one in outcomes:
        groups.setdefault((one.size, one.selection), {})[one.id] = one
    order = sorted(groups, key=lambda key: (-key[0] if most_first else key[0], key[1]))
    reference = groups[order[0]]
    points = [_measure(order[0], reference, reference, seed, None)]
    going = True
    for key in order[1:]:
        p_value = _test(groups[key], reference, max_loss) if going else None
        going = p_value is not None and p_value <= 1 - confidence
        points.append(_measure(key, groups[key], reference, seed, p_value, granted=going))
    chosen = [point for point in points if point.granted]
    return Curve(tuple(points), max_loss, confidence, chosen[-1] if chosen else points[0])


def lay_out_curve(curve: Curve, name: str) -> Table:
    """The curve as a table.

    Args:
        curve: what was measured.
        name: what the size counts.
    """
    rows = tuple(_lay_out_point(curve, point) for point in curve.points)
    first, chosen = curve.points[0], curve.chosen
    label = _name_point(chosen)
    if chosen is first:
        verdict = f"No other is shown to lose at most {curve.max_loss:g}: {label} {name} stay."
    else:
        verdict = (
            f"Chosen: {label} {name}; the quality lost is at most {curve.max_loss:g} against "
            f"{_name_point(first)}, confidence {curve.confidence:.0%}."
        )
    columns = (f"{name}>", "requests>", "quality>", "loss, paired>", "cost of 1,000>", "within>")
    notes = (verdict, "95 % bootstrap intervals; tested in this order, up to the first that fails.")
    return Table("Quality by outcomes", columns, rows, notes)


def encode_curve(curve: Curve | None) -> dict[str, Any] | None:
    """The curve as plain data; unknown is None."""
    if curve is None:
        return None
    return {
        "max_quality_loss": curve.max_loss,
        "confidence": curve.confidence,
        "chosen": {"size": curve.chosen.size, "selection": curve.chosen.selection},
        "points": [
            {
                "size": point.size,
                "selection": point.selection,
                "requests": point.requests,
                "quality": point.quality,
                "quality_ci95": point.quality_ci95,
                "loss": None if math.isnan(point.loss) else point.loss,
                "loss_ci95": point.loss_ci95,
                "shared_requests": point.shared,
                "p_value": point.p_value,
                "granted": point.granted,
                "cost_usd": point.cost_usd,
            }
            for point in curve.points
        ],
    }


def _lay_out_point(curve: Curve, point: CurvePoint) -> tuple[str, ...]:
    first = point is curve.points[0]
    loss = UNKNOWN
    if not math.isnan(point.loss):
        loss = f"{point.loss:+z.3f} {format_interval(point.loss_ci95, 3, sign=True)}".strip()
    verdict = "yes" if point.granted else "not tested" if point.p_value is None else "not shown"
    return (
        _name_point(point),
        f"{point.requests:,}",
        f"{point.quality:.3f} {format_interval(point.quality_ci95, 3)}".strip(),
        "" if first else loss,
        UNKNOWN if point.cost_usd is None else format_usd(point.cost_usd * 1000),
        "reference" if first else verdict,
    )


def _name_point(point: CurvePoint) -> str:
    return f"{point.size} ({point.selection})" if point.selection else str(point.size)


def _measure(
    key: tuple[int, str],
    own: Mapping[str, SizeOutcome],
    reference: Mapping[str, SizeOutcome],
    seed: int,
    p_value: float | None,
    *,
    granted: bool = False,
) -> CurvePoint:
    quality = [one.quality for one in own.values()]
    loss = _find_loss(own, reference)
    costs = [one.cost_usd for one in own.values() if one.cost_usd is not None]
    return CurvePoint(
        key[0],
        key[1],
        len(quality),
        float(np.mean(quality)),
        _bootstrap(quality, seed),
        float(np.mean(loss)) if loss else math.nan,
        _bootstrap(loss, seed),
        len(loss),
        p_value,
        granted,
        float(np.mean(costs)) if len(costs) == len(own) else None,
    )


def _find_loss(own: Mapping[str, SizeOutcome], reference: Mapping[str, SizeOutcome]) -> list[float]:
    return [reference[name].quality - own[name].quality for name in reference if name in own]


def _test(
    own: Mapping[str, SizeOutcome], reference: Mapping[str, SizeOutcome], max_loss: float
) -> float:
    # Slow to import, and needed only where there are outcomes; so below.
    from frugalctl.levers.cascade.loss_test import lost_p_value

    loss = np.array(_find_loss(own, reference), dtype=np.float64)
    return lost_p_value(loss, np.arange(len(loss)), max_loss) if len(loss) else 1.0


def _bootstrap(values: Sequence[float], seed: int) -> tuple[float, float] | None:
    from frugalctl.report.bootstrap import MAX_CLUSTERS, ClusterSums, bootstrap_means

    sums = ClusterSums()
    if values:
        sums.add(np.arange(len(values)) % MAX_CLUSTERS, np.array(values, dtype=np.float64))
    return bootstrap_means([sums], seed)[0]


def _read_outcome(record: Record, name: str, price: Price) -> SizeOutcome:
    size = _read_size(record.get(name), name)
    quality, selection = record.get("quality"), record.get("selection", "")
    if not _is_number(quality) or not 0 <= quality <= 1:
        raise InputError("quality is not a number from 0 to 1")
    if not isinstance(selection, str):
        raise InputError("selection is not a text")
    identity = record.get("id")
    if not isinstance(identity, str | int):
        raise InputError("needs the id of the request")
    return SizeOutcome(str(identity), size, selection, float(quality), _read_cost(record, price))


def _read_size(value: Any, name: str) -> int:
    if isinstance(value, list) and name == "exemplars":
        value = len(cast("list[Any]", value))
    least = 0 if name == "exemplars" else 1
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is not a number of at least {least}")
    return value


def _read_cost(record: Record, price: Price) -> float | None:
    cost, usage = record.get("cost_usd"), record.get("usage")
    if cost is not None:
        if not _is_number(cost) or not cost >= 0:
            raise InputError("cost_usd is not a number of at least 0")
        return float(cost)
    if usage is None:
        return None
    if not isinstance(usage, dict):
        raise InputError("usage is not an object")
    fields = cast(Record, usage)
    counts = {one: fields.get(f"{one}_tokens") or 0 for one in _COUNTS}
    if not all(isinstance(one, int) and one >= 0 for one in counts.values()):
        raise InputError("usage has a count that is not a whole number")
    if fields.get("input_tokens") is None or fields.get("output_tokens") is None:
        return None
    cached = {one: counts[one] for one in _COUNTS[1:4]}
    fresh, answer = counts["input"] - sum(cached.values()), counts["output"] - counts["reasoning"]
    if min(fresh, answer) < 0:
        raise InputError("usage has more cached or reasoning tokens than tokens")
    tokens = {"fresh_input": fresh, **cached, "output": answer, "reasoning": counts["reasoning"]}
    try:
        return price(record.get("model"), tokens)
    except PriceError:
        return None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
