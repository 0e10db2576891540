"""What `cache eval` and `cache tune` found, as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from frugalctl.levers.semantic_cache.compare import PolicyResult
from frugalctl.levers.semantic_cache.evaluate import BreakEven, CurvePoint, GuardReport
from frugalctl.levers.semantic_cache.translate import SCALES
from frugalctl.report.cache_eval import UNITS, CacheEval, CacheTune, Judged
from frugalctl.report.tables import (
    UNKNOWN,
    Table,
    format_number,
    format_usd,
    render_markdown,
)

_CURVE_ROWS = 16
_POINT_COLUMNS = (
    "threshold>",
    "hit rate>",
    "wrong of all>",
    "wrong of hits>",
    "95 % interval>",
    "recall>",
)
_HOW = {
    "pairs": "Each pair is one question put to one entry.",
    "groups": "Each text is put to all others; texts without a group must never hit.",
    "log": "Each question is put to those before it in its scope; an answer is right if the "
    "logged answers agree word for word, or the references do.",
}


def lay_out_eval(report: CacheEval) -> list[Table]:
    """The evaluation's tables, in reading order."""
    tables = [_overview(report), _operating(report), _curve(report.curve)]
    if report.guards:
        tables.append(_guards(report.guards, report.at.threshold))
    if report.balance is not None:
        tables.append(_balance(report.balance, report.at))
    if report.policies:
        tables.append(_policies(report.policies))
    tables.append(_translations(report.translations, report.at.threshold))
    return tables


def render_eval_markdown(report: CacheEval) -> str:
    """The evaluation in Markdown."""
    return render_markdown(lay_out_eval(report))


def lay_out_tune(report: CacheTune) -> list[Table]:
    """The tuning's tables, in reading order."""
    tables = [_tuned(report), _attempts(report)]
    tables.append(_translations(report.translations, report.tuned.threshold))
    return tables


def render_tune_markdown(report: CacheTune) -> str:
    """The tuning in Markdown."""
    return render_markdown(lay_out_tune(report))


def _overview(report: CacheEval) -> Table:
    judged = report.judged
    rows = [
        *_describe(judged),
        ("AUC, before guards", format_number(report.auc, 4)),
        ("questions that some entry answers", format_number(report.possible)),
        (f"at {report.at.threshold:.4g}: hit rate", _percent(report.at.hit_rate)),
        ("  wrong of hits", _percent(report.at.wrong_of_hits)),
        ("  95 % interval", _interval(report.at)),
        ("  recall", _percent(report.at.recall)),
    ]
    notes = [_HOW[judged.kind]]
    if report.unjudged_hits:
        notes.append(
            f"{report.unjudged_hits:,} candidates have no answer to compare: hits, but neither "
            "right nor wrong."
        )
    return Table(_title(judged), ("", "value>"), tuple(rows), tuple(notes))


def _title(judged: Judged) -> str:
    return f"Semantic cache: {judged.n:,} {UNITS[judged.kind]}"


def _describe(judged: Judged) -> list[tuple[str, str]]:
    return [
        ("embedder", judged.embedder),
        ("normaliser", judged.normalizer),
        ("scorer", judged.scorer),
        ("guards", ", ".join(judged.guards) or "none"),
    ]


def _operating(report: CacheEval) -> Table:
    rows = tuple(
        (f"{level:.3g}", *(_point(point) if point else ("none", "", "", "", "", "")))
        for level, point in report.operating.items()
    )
    notes = (
        "The lowest threshold that measured no more, which is no promise; `frugalctl cache tune` "
        "gives one.",
    )
    return Table("Operating points", ("wrong of hits at most>", *_POINT_COLUMNS), rows, notes)


def _curve(points: Sequence[CurvePoint]) -> Table:
    step = max(1, -(-len(points) // _CURVE_ROWS))
    shown = [*points[:-1:step], *points[-1:]]
    notes = ("After guards. Intervals are exact, and take hits for independent.",)
    if len(shown) < len(points):
        notes = (*notes, f"{len(shown)} of {len(points)} points; --format json has them all.")
    return Table("By threshold", _POINT_COLUMNS, tuple(map(_point, shown)), notes)


def _point(point: CurvePoint) -> tuple[str, ...]:
    return (
        f"{point.threshold:.4f}",
        _percent(point.hit_rate),
        _percent(point.wrong_of_all),
        _percent(point.wrong_of_hits),
        _interval(point),
        _percent(point.recall),
    )


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.2f} %"


def _interval(point: CurvePoint) -> str:
    if point.wrong_of_hits_ci95 is None:
        return ""
    low, high = point.wrong_of_hits_ci95
    return f"{100 * low:.2f} to {100 * high:.2f} %"


def _guards(guards: Sequence[GuardReport], threshold: float) -> Table:
    rows = tuple(
        (
            guard.guard,
            format_number(guard.right_hits_lost),
            format_number(guard.wrong_hits_refused),
            "" if guard.precision is None else _percent(guard.precision),
        )
        for guard in guards
    )
    columns = ("guard", "right hits lost>", "wrong hits refused>", "precision>")
    notes = ("Best candidates from the threshold on, each guard asked without the others.",)
    return Table(f"Guards at {threshold:.4g}", columns, rows, notes)


def _balance(balance: BreakEven, at: CurvePoint) -> Table:
    rows = [
        ("saved by hits", format_usd(balance.saved_usd)),
        ("  a hit", format_usd(balance.saved_per_hit_usd)),
        ("wrong hits", format_number(at.wrong_hits)),
    ]
    if balance.net_usd is not None:
        rows.append(("  lost by them", format_usd(balance.wrong_cost_usd)))
        rows.append(("net", format_usd(balance.net_usd, sign=True)))
    if balance.wrong_answer_usd is not None:
        rows.append(("break-even cost of a wrong answer", format_usd(balance.wrong_answer_usd)))
    return Table(f"Dollars at {at.threshold:.4g}", ("", "value>"), tuple(rows))


def _policies(policies: Sequence[PolicyResult]) -> Table:
    rows = tuple(
        (
            one.policy if one.threshold is None else f"{one.policy} {one.threshold:.4f}",
            format_number(one.hits),
            _percent(one.hit_rate),
            _percent(one.wrong_of_all),
            _percent(one.wrong_of_hits),
        )
        for one in policies
    )
    columns = ("policy", "hits>", "hit rate>", "wrong of all>", "wrong of hits>")
    notes = (
        "The same questions in their order, from an empty cache; the threshold is the lowest that "
        "makes no more errors.",
    )
    return Table("A boundary for each entry against one threshold", columns, rows, notes)


def _translations(translations: dict[str, float] | None, threshold: float) -> Table:
    title = f"{threshold:.4g} in other caches"
    if translations is None:
        note = "The score is no cosine: other caches have nothing like it."
        return Table(title, ("cache", "setting", "value>"), (), (note,))
    rows = tuple(
        (cache, SCALES[cache].option, f"{value:.6g}") for cache, value in translations.items()
    )
    note = "With the same embedder. Their vectors of another embedder have other thresholds."
    return Table(title, ("cache", "setting", "value>"), rows, (note,))


def _tuned(report: CacheTune) -> Table:
    tuned, judged = report.tuned, report.judged
    chosen = tuned.search.chosen
    assert chosen is not None
    rows = [
        *_describe(judged),
        ("threshold", f"{tuned.threshold:g}"),
        ("wrong of hits at most", _percent(tuned.risk.max_wrong_of_hits)),
        ("  at confidence", _percent(tuned.risk.confidence)),
        ("calibrated on", f"{tuned.calibration_rows:,} in {tuned.clusters:,} clusters"),
        ("  hit rate", _percent(tuned.calibrated.hit_rate)),
        ("  wrong of hits", f"{chosen.wrong_hits:,} of {chosen.hits:,}"),
        ("  upper bound", _percent(chosen.upper_bound)),
        ("  hits that count for one", f"{chosen.design_effect:.2f}"),
    ]
    if tuned.train_rows:
        rows.insert(4, ("scorer trained on", format_number(tuned.train_rows)))
    if tuned.held_out is not None:
        held = tuned.held_out
        rows += [
            ("held out: hit rate", _percent(held.hit_rate)),
            ("  wrong of hits", _percent(held.wrong_of_hits)),
            ("  95 % interval", _interval(held)),
        ]
    return Table(_title(judged), ("", "value>"), tuple(rows), (_HOW[judged.kind],))


def _attempts(report: CacheTune) -> Table:
    rows = tuple(
        (
            f"{one.threshold:.4f}",
            format_number(one.hits),
            format_number(one.wrong_hits),
            _percent(one.upper_bound),
            _percent(one.confidence),
            "" if one.lasting else "no",
            "passed" if one.passed else "",
        )
        for one in report.tuned.search.attempts
    )
    columns = (
        "threshold>",
        "hits>",
        "wrong>",
        "upper bound>",
        "at confidence>",
        "lasts",
        "",
    )
    notes = ("Lasts: whether a sample to come, as large, would keep the bound too.",)
    return Table("Thresholds tested, from high to low", columns, rows, notes)
