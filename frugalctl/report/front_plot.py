"""The front as a picture, beside everything that it has to beat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, cast

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.files import replacing
from frugalctl.levers.cascade.table import Floats
from frugalctl.report.optimize import OptimizeReport

SUFFIXES = (".png", ".svg")

# Okabe and Ito's colours, told apart by colour-blind people; marks and lines differ as well
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
_LABEL_STEPS = ((6, 5), (6, -11), (-6, 5), (-6, -11), (6, 16), (6, -22), (-6, 16), (-6, -22))
_WIDE_COSTS = 20


@dataclass(frozen=True, slots=True)
class Dot:
    """A named point: USD for 1,000 requests, mean quality, mean latency (NaN where unknown)."""

    name: str
    cost: float
    quality: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class FrontPlot:
    """What is drawn.

    Attributes:
        title: one line.
        cost: float64[p], USD for 1,000 requests of the front's policies.
        quality: float64[p].
        latency_ms: float64[p], NaN where unknown.
        hull: int64, which of them random mixing cannot beat.
        singles: single models.
        lines: names and corners of baselines that are lines.
        oracle: what nobody can beat.
        chosen: the chosen policy, on the rows that it was chosen on.
        heldout: it, or policies chosen in the same way, on rows held out; None without any.
        quality_ci95: interval of its mean quality; None likewise.
    """

    title: str
    cost: Floats
    quality: Floats
    latency_ms: Floats
    hull: Any
    singles: tuple[Dot, ...]
    lines: tuple[tuple[str, tuple[Dot, ...]], ...]
    oracle: Dot
    chosen: Dot
    heldout: Dot | None
    quality_ci95: tuple[float, float] | None


def plot_of(report: OptimizeReport) -> FrontPlot:
    """What of a report is drawn."""
    found, front = report.optimized, report.front
    dots = [
        (one.name, Dot(" + ".join(one.models), one.cost_usd * 1000, one.quality, one.latency_ms))
        for one in report.baselines
    ]
    named = {name: tuple(dot for other, dot in dots if other == name) for name, _ in dots}
    held, train = found.heldout, found.train
    interval = None
    if held is not None:
        low, high = held.delta_quality_ci95
        interval = (held.reference_quality + low, held.reference_quality + high)
    return FrontPlot(
        title=f"Cost, quality and latency of {report.rows:,} requests",
        cost=front.cost_usd * 1000,
        quality=front.quality,
        latency_ms=front.latency_ms,
        hull=report.hull,
        singles=named["single"],
        lines=tuple((name, named[name]) for name in ("zero router", "knn router") if name in named),
        oracle=named["oracle"][0],
        chosen=Dot(
            "chosen",
            float(train.cost_usd.mean()) * 1000,
            float(train.quality.mean()),
            float(train.latency_ms.mean()),
        ),
        heldout=None
        if held is None
        else Dot("held out", held.cost_usd / held.rows * 1000, held.quality, held.latency_ms),
        quality_ci95=interval,
    )


def check_suffix(path: str) -> None:
    """Refuse what cannot be drawn before the work starts.

    Raises:
        UsageError: the file is neither PNG nor SVG.
    """
    if PurePath(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is no picture", hint=f"--plot takes {' or '.join(SUFFIXES)}")


def draw_front(plot: FrontPlot, path: str) -> None:
    """Draw into a PNG or SVG file; the same data make the same bytes.

    Raises:
        UsageError: see `check_suffix`.
        OutputError: the target cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    check_suffix(path)
    # the one entry point whose types matplotlib leaves open
    rc_context = cast("Any", matplotlib).rc_context
    timed = not math.isnan(plot.chosen.latency_ms)
    style = {"svg.hashsalt": "frugalctl", "font.size": 9, "text.parse_math": False}
    with rc_context(style), replacing(path) as temporary:
        figure: Any = Figure(figsize=(11 if timed else 7.5, 5.6), layout="constrained", dpi=150)
        axes = figure.subplots(1, 2 if timed else 1, sharey=True, squeeze=False)[0]
        _draw_costs(axes[0], plot)
        if timed:
            _draw_latency(axes[1], plot)
        figure.suptitle(plot.title)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        kind = PurePath(path).suffix.lower()[1:]
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(temporary, format=kind, metadata=metadata)


def _draw_costs(axes: Any, plot: FrontPlot) -> None:
    """Quality over cost, with every baseline."""
    axes.plot(plot.cost, plot.quality, ".", ms=3, color=_BLUE, alpha=0.4, label="front, in sample")
    order = plot.hull
    axes.plot(
        plot.cost[order], plot.quality[order], "-", lw=1.8, color=_BLUE, label="its hull, in sample"
    )
    for (name, corners), (colour, mark) in zip(
        plot.lines, ((_GREY, "--"), (_GREEN, ":")), strict=False
    ):
        x, y = [dot.cost for dot in corners], [dot.quality for dot in corners]
        axes.plot(x, y, mark, lw=1.4, color=colour, label=name)
    axes.plot(
        [dot.cost for dot in plot.singles],
        [dot.quality for dot in plot.singles],
        "s",
        ms=5,
        color=_GREY,
        mec="white",
        label="single models",
    )
    axes.plot(plot.oracle.cost, plot.oracle.quality, "*", ms=11, color=_GREEN, label="oracle")
    _draw_choice(axes, plot, "cost")
    costs = [dot.cost for dot in plot.singles if dot.cost > 0]
    if costs and len(costs) == len(plot.singles) and max(costs) > _WIDE_COSTS * min(costs):
        _use_log_scale(axes)
    axes.set_xlabel("USD for 1,000 requests")
    axes.set_ylabel("mean quality")
    axes.grid(alpha=0.25)
    _label(axes, [(dot.name, dot.cost, dot.quality) for dot in plot.singles])


def _use_log_scale(axes: Any) -> None:
    """Costs at 1, 2 and 5 of each power of ten, written out."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_latency(axes: Any, plot: FrontPlot) -> None:
    """Quality over latency: what a cascade pays in time."""
    axes.plot(plot.latency_ms, plot.quality, ".", ms=3, color=_BLUE, alpha=0.4)
    axes.plot(
        [dot.latency_ms for dot in plot.singles],
        [dot.quality for dot in plot.singles],
        "s",
        ms=5,
        color=_GREY,
        mec="white",
    )
    axes.plot(plot.oracle.latency_ms, plot.oracle.quality, "*", ms=11, color=_GREEN)
    _draw_choice(axes, plot, "latency_ms")
    axes.set_xlabel("mean latency, ms")
    axes.grid(alpha=0.25)
    _label(axes, [(dot.name, dot.latency_ms, dot.quality) for dot in plot.singles])


def _draw_choice(axes: Any, plot: FrontPlot, along: str) -> None:
    axes.plot(
        getattr(plot.chosen, along),
        plot.chosen.quality,
        "o",
        ms=9,
        mfc="none",
        mec=_RED,
        mew=2,
        label="chosen, in sample",
    )
    if plot.heldout is None or plot.quality_ci95 is None:
        return
    low, high = plot.quality_ci95
    y = plot.heldout.quality
    axes.errorbar(
        getattr(plot.heldout, along),
        y,
        yerr=[[max(y - low, 0.0)], [max(high - y, 0.0)]],
        fmt="D",
        ms=6,
        capsize=4,
        color=_RED,
        label="held out, 95 %",
    )


def _label(axes: Any, points: list[tuple[str, float, float]]) -> None:
    """Name the points, each where its name meets no other name and no other point."""
    figure: Any = axes.figure
    figure.draw_without_rendering()
    spots: Any = axes.transData.transform(np.array([[x, y] for _, x, y in points]))
    taken: list[Any] = []
    for (name, x, y), _ in sorted(
        zip(points, spots.tolist(), strict=True), key=lambda pair: pair[1][0]
    ):
        best: tuple[int, Any, Any] | None = None
        for across, up in _LABEL_STEPS:
            text = axes.annotate(
                name,
                (x, y),
                xytext=(across, up),
                textcoords="offset points",
                ha="left" if across > 0 else "right",
                fontsize=7,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
            )
            box = text.get_window_extent()
            clashes = _count_clashes(box, taken, spots, axes.get_window_extent())
            if best is None or clashes < best[0]:
                if best is not None:
                    best[1].remove()
                best = (clashes, text, box)
            else:
                text.remove()
            if not best[0]:
                break
        if best is not None:
            taken.append(best[2])


def _count_clashes(box: Any, taken: list[Any], spots: Any, frame: Any) -> int:
    outside = not (frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 <= box.y1)
    covered = sum(bool(box.contains(x, y)) for x, y in spots.tolist())
    return 3 * outside + covered + 2 * sum(bool(box.overlaps(other)) for other in taken)
