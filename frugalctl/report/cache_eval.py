"""What `cache eval` and `cache tune` found, as plain data and as a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

import frugalctl
from frugalctl.errors import UsageError
from frugalctl.levers.semantic_cache.compare import PolicyResult
from frugalctl.levers.semantic_cache.evaluate import BreakEven, CurvePoint, GuardReport
from frugalctl.levers.semantic_cache.trials import Trials
from frugalctl.levers.semantic_cache.tune import Tuned
from frugalctl.report.tables import render_csv
from frugalctl.report.toml import write_toml_value

SCHEMA_VERSION = 1
UNITS = {"pairs": "pairs", "groups": "texts", "log": "questions"}
CURVE_FIELDS = (
    "threshold",
    "hit_rate",
    "wrong_of_all",
    "wrong_of_hits",
    "wrong_of_hits_ci95",
    "recall",
    "hits",
    "right_hits",
    "wrong_hits",
    "saved_usd",
)
SCORE_FIELDS = ("a", "b", "same", "score", "guard", "right")


@dataclass(frozen=True, slots=True)
class Judged:
    """What was judged, and by what.

    Attributes:
        kind: "pairs", "groups" or "log".
        n: pairs, texts, or questions that could be looked up.
        embedder: its name.
        fingerprint: of its vectors.
        normalizer: its name.
        scorer: its name.
        guards: the guards that may refuse.
        candidates: how many near entries were scored.
        input_xxh3: XXH3-128 of the files' bytes.
    """

    kind: str
    n: int
    embedder: str
    fingerprint: str
    normalizer: str
    scorer: str
    guards: tuple[str, ...]
    candidates: int
    input_xxh3: str


@dataclass(frozen=True, slots=True)
class CacheEval:
    """An evaluation.

    Attributes:
        judged: what, and by what.
        auc: before guards; None where it is not defined.
        possible: questions that some entry answers rightly.
        unjudged_hits: hits at the lowest threshold whose answer nobody knows to be right.
        at: the threshold that the guards and the balance are reported at.
        operating: wrong-of-hits -> the lowest threshold that measures no more; None if none.
        curve: points after guards, thresholds descending.
        guards: what each refuses.
        balance: dollars; None if no cost is known.
        translations: other caches' settings; None where the scorer is not the cosine.
        policies: vCache and its equal; none if not asked for.
    """

    judged: Judged
    auc: float | None
    possible: int
    unjudged_hits: int
    at: CurvePoint
    operating: dict[float, CurvePoint | None]
    curve: tuple[CurvePoint, ...]
    guards: tuple[GuardReport, ...]
    balance: BreakEven | None
    translations: dict[str, float] | None
    policies: tuple[PolicyResult, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheTune:
    """A tuning.

    Attributes:
        judged: what was labelled, and what decides.
        tuned: the threshold and how it was found.
        seed: of the splits.
        scorer_file: where the trained scorer lies; None without one.
        translations: other caches' settings; None where the scorer is not the cosine.
    """

    judged: Judged
    tuned: Tuned
    seed: int
    scorer_file: str | None
    translations: dict[str, float] | None


def encode_eval(report: CacheEval) -> dict[str, Any]:
    """The evaluation as plain data; unknown is None."""
    return {
        **_encode_head(report.judged),
        "auc": report.auc,
        "possible": report.possible,
        "unjudged_hits": report.unjudged_hits,
        "at_threshold": _encode_point(report.at),
        "operating_points": [
            {"max_wrong_of_hits": level, "point": point and _encode_point(point)}
            for level, point in report.operating.items()
        ],
        "curve": [_encode_point(point) for point in report.curve],
        "guard_reports": [
            {**asdict(guard), "precision": guard.precision} for guard in report.guards
        ],
        "break_even": report.balance and asdict(report.balance),
        "translations": report.translations,
        **({"policies": _encode_policies(report.policies)} if report.policies else {}),
    }


def encode_tune(report: CacheTune) -> dict[str, Any]:
    """The tuning as plain data; unknown is None."""
    tuned = report.tuned
    return {
        **_encode_head(report.judged),
        "threshold": tuned.threshold,
        "max_wrong_of_hits": tuned.risk.max_wrong_of_hits,
        "confidence": tuned.risk.confidence,
        "seed": report.seed,
        "scorer_file": report.scorer_file,
        "train_rows": tuned.train_rows,
        "calibration_rows": tuned.calibration_rows,
        "clusters": tuned.clusters,
        "calibration": _encode_point(tuned.calibrated),
        "held_out": tuned.held_out and _encode_point(tuned.held_out),
        "untrained": tuned.untrained and _encode_point(tuned.untrained),
        "chosen": tuned.search.chosen and asdict(tuned.search.chosen),
        "attempts": [asdict(attempt) for attempt in tuned.search.attempts],
        "translations": report.translations,
    }


def _encode_head(judged: Judged) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        **asdict(judged),
        "guards": list(judged.guards),
    }


def _encode_point(point: CurvePoint) -> dict[str, Any]:
    return {name: getattr(point, name) for name in CURVE_FIELDS}


def _encode_policies(policies: Sequence[PolicyResult]) -> list[dict[str, Any]]:
    shares = ("hit_rate", "wrong_of_all", "wrong_of_hits")
    return [{**asdict(one), **{name: getattr(one, name) for name in shares}} for one in policies]


def render_eval_csv(report: CacheEval) -> str:
    """The curve, one line a threshold."""
    header = [*CURVE_FIELDS[:4], "wrong_of_hits_low", "wrong_of_hits_high", *CURVE_FIELDS[5:]]
    rows: list[list[object]] = []
    for point in report.curve:
        values = _encode_point(point)
        low, high = values.pop("wrong_of_hits_ci95") or (None, None)
        cells = list(values.values())
        rows.append([*cells[:4], low, high, *cells[4:]])
    return render_csv(header, rows)


def render_tune_csv(report: CacheTune) -> str:
    """The thresholds tested, one line each."""
    attempts = [asdict(attempt) for attempt in report.tuned.search.attempts]
    return render_csv(list(attempts[0]), [list(attempt.values()) for attempt in attempts])


def list_scores(trials: Trials) -> Iterator[dict[str, Any]]:
    """The trials one by one, as `SCORE_FIELDS`; unknown is None."""
    scores, guards = trials.score.tolist(), trials.guard.tolist()
    same, right = (_as_flags(column) for column in (trials.same, trials.right))
    for at, (a, b) in enumerate(zip(trials.a, trials.b, strict=True)):
        yield {
            "a": a,
            "b": b,
            "same": same[at],
            "score": None if scores[at] != scores[at] else scores[at],
            "guard": trials.guards[guards[at]] if guards[at] >= 0 else None,
            "right": right[at],
        }


def _as_flags(column: Any) -> list[int | None]:
    return [None if np.isnan(value) else int(value) for value in column]


def render_scores(trials: Trials, path: str) -> bytes:
    """The trials in the format that the file's extension asks for.

    Raises:
        UsageError: none that we know.
    """
    return choose_scores_format(path)(trials)


def choose_scores_format(path: str) -> Callable[[Trials], bytes]:
    """What writes a file of that extension.

    Raises:
        UsageError: none that we know.
    """
    writers = {".jsonl": _as_jsonl, ".csv": _as_csv, ".parquet": _as_parquet}
    writer = writers.get(PurePath(path).suffix.lower())
    if writer is None:
        raise UsageError(
            f"{path} has no extension that says how to write scores",
            hint=f"known: {', '.join(writers)}",
        )
    return writer


def _as_jsonl(trials: Trials) -> bytes:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in list_scores(trials))
    return "".join(lines).encode("utf-8", "replace")


def _as_csv(trials: Trials) -> bytes:
    rows = [list(row.values()) for row in list_scores(trials)]
    return render_csv(SCORE_FIELDS, rows).encode("utf-8", "replace")


def _as_parquet(trials: Trials) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = (pa.string(), pa.string(), pa.int8(), pa.float64(), pa.string(), pa.int8())
    schema = pa.schema(list(zip(SCORE_FIELDS, kinds, strict=True)))
    table = pa.Table.from_pylist(list(list_scores(trials)), schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def write_cache_recipe(
    report: CacheTune, cache: Mapping[str, Any], normalize: Mapping[str, Any]
) -> str:
    """The recipe that the tuning ends in, with what it rests on.

    Args:
        report: the tuning.
        cache: the table [semantic_cache] that it began with, as far as it is not the default.
        normalize: the table [normalize], likewise.
    """
    judged, tuned = report.judged, report.tuned
    chosen = tuned.search.chosen
    assert chosen is not None
    said = (
        f"Tuned by `frugalctl cache tune` {frugalctl.__version__} on {judged.n:,} "
        f"{UNITS[judged.kind]}; input xxh3 {judged.input_xxh3}; seed {report.seed}.",
        f"Wrong of hits at most {tuned.risk.max_wrong_of_hits:g} at confidence "
        f"{tuned.risk.confidence:g}, over {len(tuned.search.attempts)} thresholds tested.",
        f"Calibration: {chosen.wrong_hits:,} of {chosen.hits:,} hits wrong, exact upper bound "
        f"{chosen.upper_bound:.4f}; {chosen.design_effect:.2f} hits count for one.",
        _describe_held_out(tuned.held_out),
        f"The threshold holds for the embedder {judged.fingerprint} alone.",
    )
    tuned_keys = {
        "embedder": judged.embedder,
        "threshold": tuned.threshold,
        "scorer": report.scorer_file or "cosine",
        "guards": list(judged.guards),
        "candidates": judged.candidates,
    }
    lines = [f"# {line}" for line in said]
    for name, table in (("normalize", normalize), ("semantic_cache", {**cache, **tuned_keys})):
        if table:
            lines += [
                "",
                f"[{name}]",
                *(f"{key} = {write_toml_value(value)}" for key, value in table.items()),
            ]
    return "\n".join(lines) + "\n"


def _describe_held_out(point: CurvePoint | None) -> str:
    if point is None:
        return "Nothing was held out."
    if point.wrong_of_hits is None or point.wrong_of_hits_ci95 is None:
        return "Held out: no hit that is known to be right or wrong."
    low, high = point.wrong_of_hits_ci95
    return (
        f"Held out: hit rate {point.hit_rate:.4f}, {point.wrong_hits:,} of {point.hits:,} hits "
        f"wrong ({point.wrong_of_hits:.4f}, 95 % interval {low:.4f} to {high:.4f})."
    )
