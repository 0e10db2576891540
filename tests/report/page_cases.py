"""Pages from rows as plain data, and from the sample log."""

from dataclasses import replace
from pathlib import Path

from report_cases import META, make_batch

from frugalctl.replay.ledger import SingleModel
from frugalctl.report.html.collect import PageTotals
from frugalctl.report.html.render import render_html
from frugalctl.report.summary import summarise

SAMPLE = Path(__file__).parents[2] / "sample_data" / "requests.jsonl"
SINGLES = tuple(
    SingleModel(
        model=name,
        requests=answered,
        cost_usd=cost_usd,
        cost_usd_ci95=(0.9 * cost_usd, 1.1 * cost_usd),
        quality=quality,
        quality_ci95=(quality - 0.05, quality + 0.05),
        n=answered,
        latency_ms=None,
        latency_ms_ci95=None,
        latency_n=0,
    )
    for name, answered, cost_usd, quality in (
        ("small", 11, 0.0001, 0.7),
        ("worse", 11, 0.0015, 0.6),
        ("large", 11, 0.002, 0.9),
        ("rare", 3, 0.0005, 0.95),
    )
)


def page_of(rows, *, levers=True, size=None, **meta):
    """The page of rows, cut into batches of a size."""
    size = size or len(rows)
    totals = PageTotals()
    batches = [make_batch(rows[at : at + size], levers=levers) for at in range(0, len(rows), size)]
    kept = replace(META, **({} if levers else {"levers": ()}), **meta)
    report = summarise(totals.watch(batches), lambda: totals.keep(kept))
    return totals.page(report)


def render(rows, **more):
    return render_html(page_of(rows, **more))
