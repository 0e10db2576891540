"""A matplotlib figure as SVG that takes its colours and its font from the page around it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

INK, MUTED, GRID, SURFACE = "#010101", "#010102", "#010103", "#010104"
BASELINE, RECIPE, SAVING, LOSS = "#010105", "#010106", "#010107", "#010108"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    SURFACE: "surface",
    BASELINE: "baseline",
    RECIPE: "recipe",
    SAVING: "saving",
    LOSS: "loss",
}
_POINTS = 72
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": ["sans-serif"],
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "path.simplify": True,
}
_PROLOG = re.compile(r"\A.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_GLOBAL_STYLE = re.compile(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL)
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?:url\(#|href="#)([^)"]*)')
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
_FONT = re.compile(r"font: ([\d.]+px) [^;\"]*|font-family: [^;\"]*;? ?")


@contextmanager
def drawing(width: int, height: int, name: str) -> Generator[tuple[Any, list[str]]]:
    """A figure to draw on, and the list that its SVG is put into at the end of the block.

    Args:
        width: in CSS pixels at the scale 1.
        height: likewise.
        name: makes the ids of the SVG differ from those of other charts on the page.
    """
    import matplotlib
    from matplotlib.figure import Figure

    # the one entry point whose types matplotlib leaves open
    rc_context = cast("Any", matplotlib).rc_context
    with rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # glyphs that the measuring font lacks are drawn by the reader's browser all the same
        warnings.filterwarnings("ignore", message="Glyph ")
        size = (width / _POINTS, height / _POINTS)
        figure: Any = cast("Any", Figure)(figsize=size, layout="constrained")
        found: list[str] = []
        yield figure, found
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator")))
        found.append(_adapt(out.getvalue(), name))


def _adapt(svg: str, name: str) -> str:
    """Without prolog, metadata and global style; colours by variable, ids by chart."""
    svg = _METADATA.sub("", _GLOBAL_STYLE.sub("", _PROLOG.sub("", svg)))
    used = set(_REFERENCE.findall(svg))
    svg = _ID.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", svg)
    svg = _REFERENCE.sub(lambda match: match[0].replace("#", f"#{name}-"), svg)
    svg = _FONT.sub(lambda match: f"font-size: {match[1]}" if match[1] else "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    opening = '<svg viewBox="{}" role="img" aria-labelledby="{}-title {}-desc" class="chart">'
    return _SIZE.sub(lambda match: opening.format(match[1], name, name), svg, count=1).strip()
