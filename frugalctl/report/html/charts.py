"""The pictures of the page, each drawn from plain numbers; no picture says more than its table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frugalctl.report.html import svg
from frugalctl.report.html.svg import drawing

WIDTH, HEIGHT = 400, 230
WIDE = 860
_MARGIN, _LETTER, _GAP = 60, 7, 12  # in pixels: beside the axis, a letter, between two labels


@dataclass(frozen=True, slots=True)
class Line:
    """A curve over the periods of a timeline; None where there is nothing to show."""

    name: str
    values: Sequence[float | None]
    colour: str
    thin: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the cost-quality picture, with the interval of its quality."""

    name: str
    cost: float
    quality: float
    ci95: tuple[float, float] | None
    colour: str
    marker: str
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the waterfall, from one amount to another."""

    name: str
    start: float
    end: float
    shown: str
    colour: str


def draw_waterfall(bars: Sequence[Bar], name: str) -> str:
    """Bars from the baseline down to the recipe."""
    with drawing(WIDTH, 60 + 40 * len(bars), name) as (figure, found):
        axes = figure.subplots()
        right = max(max(bar.start, bar.end) for bar in bars) or 1.0
        for at, bar in enumerate(bars):
            low, high = sorted((bar.start, bar.end))
            axes.barh(at, high - low, left=low, height=0.56, color=bar.colour, linewidth=0)
            axes.text(high + right * 0.015, at, bar.shown, va="center", fontsize=10)
            if at + 1 < len(bars):
                axes.plot([bar.end] * 2, [at + 0.28, at + 0.72], color=svg.MUTED, lw=0.8)
        axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
        axes.tick_params(axis="y", labelcolor=svg.INK)
        axes.invert_yaxis()
        axes.set_xlim(min(0.0, *(min(bar.start, bar.end) for bar in bars)), right * 1.22)
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(_usd_ticks())
    return found[0]


def draw_lines(
    lines: Sequence[Line], labels: Sequence[str], name: str, *, wide: bool, percent: bool
) -> str:
    """Curves over periods, named where they end; percentages run from 0 to 100."""
    with drawing(WIDE if wide else WIDTH, HEIGHT, name) as (figure, found):
        axes = figure.subplots()
        for line in lines:
            style = {"lw": 1.2, "alpha": 0.55} if line.thin else {"lw": 2.2}
            values = [float("nan") if value is None else value for value in line.values]
            dots = "o" if len(values) < 40 else ""
            at = range(len(values))
            axes.plot(at, values, color=line.colour, label=line.name, marker=dots, ms=3.5, **style)
        room = ((WIDE if wide else WIDTH) - _MARGIN) // (_LETTER * max(map(len, labels)) + _GAP)
        step = -(-len(labels) // room)
        ticks = range(0, len(labels), step)
        axes.set_xticks(ticks, [labels[at] for at in ticks])
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.set_ylim(bottom=0)
        axes.grid(visible=False, axis="x")
        axes.locator_params(axis="y", nbins=5)
        axes.yaxis.set_major_formatter("{x:g} %" if percent else _usd_ticks())
        columns = len(lines) if wide else 2
        figure.legend(loc="outside upper left", ncols=columns, labelcolor=svg.INK)
    return found[0]


def draw_histograms(
    sides: Sequence[tuple[str, Sequence[float], Sequence[float], str]],
    marks: Sequence[tuple[str, float, str]],
    name: str,
) -> str:
    """Shares of requests over a logarithmic axis.

    Args:
        sides: name, edges of the bins (one more than shares), shares in per cent, colour.
        marks: label, value and colour of the lines that stand at percentiles.
        name: of the chart.
    """
    with drawing(WIDTH, HEIGHT + 20, name) as (figure, found):
        axes = figure.subplots()
        axes.set_xscale("log")
        for label, edges, shares, colour in sides:
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.22, lw=0)
            axes.stairs(shares, edges, color=colour, lw=1.6, label=label)
        top = axes.get_ylim()[1]
        axes.set_ylim(0, top * (1 + 0.09 * len(sides)))
        heights = {colour: place for place, (_, _, _, colour) in enumerate(sides)}
        for label, value, colour in marks:
            y = top * (1.02 + 0.085 * heights[colour])
            axes.plot([value] * 2, [0, y], color=colour, lw=1, ls=(0, (3, 2)))
            side = {"p95": "right", "p99": "left"}.get(label, "center")
            axes.text(value, y, label, color=svg.INK, ha=side, va="bottom", fontsize=8)
        axes.xaxis.set_major_formatter("{x:,g}")
        _spread_ticks(axes, [edge for _, edges, _, _ in sides for edge in edges])
        axes.yaxis.set_major_formatter("{x:g} %")
        axes.locator_params(axis="y", nbins=4)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("latency, ms")
        figure.legend(loc="outside upper left", ncols=len(sides), labelcolor=svg.INK)
    return found[0]


def draw_front(marks: Sequence[Mark], front: Sequence[tuple[float, float]], name: str) -> str:
    """Quality over cost, with the Pareto front of the single models."""
    with drawing(WIDTH, HEIGHT + 40, name) as (figure, found):
        axes = figure.subplots()
        if front:
            x, y = zip(*front, strict=True)
            axes.step(x, y, where="post", color=svg.MUTED, lw=1, ls=(0, (4, 3)))
        for mark in marks:
            if mark.ci95 is not None:
                axes.plot([mark.cost] * 2, mark.ci95, color=mark.colour, lw=1.2, alpha=0.7)
            edge, face = (mark.colour, svg.SURFACE) if mark.hollow else (svg.SURFACE, mark.colour)
            axes.plot(mark.cost, mark.quality, mark.marker, ms=8, mfc=face, mec=edge)
        costs = [mark.cost for mark in marks]
        if min(costs) > 0 and max(costs) > 20 * min(costs):
            axes.set_xscale("log")
            _spread_ticks(axes, costs)
        else:
            axes.locator_params(axis="x", nbins=6)
        axes.margins(x=0.14, y=0.12)
        axes.xaxis.set_major_formatter(_usd_ticks())
        axes.locator_params(axis="y", nbins=6)
        axes.set_xlabel("USD for 1,000 requests")
        axes.set_ylabel("mean quality")
        name_points(axes, marks, front)
    return found[0]


def _spread_ticks(axes: Any, values: Sequence[float]) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 where it is short, else at powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    subs = (1.0,) if max(values) > 2000 * min(values) else (1.0, 2.0, 5.0)
    if max(values) < 60 * min(values):
        subs = (1.0, 2.0, 3.0, 5.0, 7.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=9))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def _usd_ticks() -> Any:
    def show(value: float, _: int) -> str:
        return f"\u2212${-value:,g}" if value < 0 else f"${value:,g}"

    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(show)


_SPOTS = tuple((across, up) for up in (5, -12, -4, 14, -21, 24, -31) for across in (8, -8)) + (
    (0, 10),
    (0, -17),
    (0, 20),
    (0, -27),
)


def name_points(axes: Any, marks: Sequence[Mark], front: Sequence[tuple[float, float]]) -> None:
    """Name the points, each where its name meets as few points, lines and names as possible."""
    figure = axes.figure
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    taken = find_drawn(axes, marks, front)
    for mark in sorted(marks, key=lambda mark: (mark.cost, mark.quality, mark.name)):
        tried: list[tuple[int, int, Any]] = []
        for across, up in _SPOTS:
            text = axes.annotate(
                mark.name,
                (mark.cost, mark.quality),
                xytext=(across, up),
                textcoords="offset points",
                ha="left" if across > 0 else "right" if across < 0 else "center",
                fontsize=9,
            )
            box = text.get_window_extent()
            outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0
            clashes = 3 * outside + sum(bool(box.overlaps(other)) for other in taken)
            tried.append((clashes, len(tried), text))
            if not clashes:
                break
        *_, kept = min(tried, key=lambda spot: spot[:2])
        for *_, text in tried:
            if text is not kept:
                text.remove()
        taken.append(kept.get_window_extent())


def find_drawn(axes: Any, marks: Sequence[Mark], front: Sequence[tuple[float, float]]) -> list[Any]:
    """Boxes around the points, their intervals and the steps of the front, in pixels."""
    from matplotlib.transforms import Bbox

    corners = [
        corner for (_, y), (x, now) in itertools.pairwise(front) for corner in ((x, y), (x, now))
    ]
    path = [*front[:1], *corners]
    lines = [*itertools.pairwise(path)]
    lines += [((m.cost, m.ci95[0]), (m.cost, m.ci95[1])) for m in marks if m.ci95 is not None]
    points = [((mark.cost, mark.quality),) * 2 for mark in marks]
    pixels = axes.figure.dpi / 72
    boxes: list[Any] = []
    for ends, pad in [*((line, 1) for line in lines), *((point, 4) for point in points)]:
        (x0, y0), (x1, y1) = axes.transData.transform(ends)
        box = Bbox([[min(x0, x1), min(y0, y1)], [max(x0, x1), max(y0, y1)]])
        boxes.append(box.padded(pad * pixels))
    return boxes
