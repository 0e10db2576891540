"""A threshold, and if asked for a pair scorer, from labels: trained, calibrated, held out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.calibrate import Risk, Search, search_threshold
from frugalctl.levers.semantic_cache.evaluate import CurvePoint, trace_curve
from frugalctl.levers.semantic_cache.labels import Groups, Labels, Logged, Pairs
from frugalctl.levers.semantic_cache.protocols import Integers, Mask
from frugalctl.levers.semantic_cache.ranking import Matching, prepare
from frugalctl.levers.semantic_cache.trials import (
    Trials,
    connect_pairs,
    number_answers,
    number_clusters,
    try_labels,
)

if TYPE_CHECKING:
    from frugalctl.levers.semantic_cache.scorer_learned import LearnedScorer

TRAIN_SHARE = 0.4
HELD_OUT_SHARE = 0.2
LEAST_CLUSTERS = 20
"""With fewer, how much labels of one cluster go wrong together cannot be told."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A threshold that keeps its bound, and how that was found.

    Attributes:
        threshold: the least score of a hit.
        risk: what was asked for.
        search: the thresholds that were tested.
        train_rows: labels that the scorer was trained on; 0 without training.
        calibration_rows: trials that the threshold was chosen on.
        held_out_rows: trials that were held out.
        clusters: sets of trials among these that may go wrong together.
        calibrated: what the threshold does there.
        held_out: what it does on trials that neither the scorer nor the threshold saw; None
            where none were held out.
        scorer: what was trained; None without training.
        untrained: what the scorer that was there before does at a threshold of its own, on the
            same trials; None without training, or where it has none.
    """

    threshold: float
    risk: Risk
    search: Search
    train_rows: int
    calibration_rows: int
    held_out_rows: int
    clusters: int
    calibrated: CurvePoint
    held_out: CurvePoint | None
    scorer: LearnedScorer | None
    untrained: CurvePoint | None


def tune(
    labels: Labels,
    matching: Matching,
    risk: Risk,
    *,
    learn: bool = False,
    held_out_share: float = HELD_OUT_SHARE,
    seed: int = 0,
    source: str = "",
) -> Tuned:
    """Choose the lowest threshold that keeps a bound on wrong-of-hits.

    Labels are split by cluster: pairs that share a text, the texts of a group, questions of a log
    with the same answer. A scorer is trained on `TRAIN_SHARE` of them, a share is held out for the
    report, and the threshold is chosen on the rest.

    Args:
        labels: pairs, groups or a log.
        matching: what decides; its scorer is replaced if one is trained.
        risk: the bound and its confidence.
        learn: whether to train a scorer.
        held_out_share: of the labels, in [0, 1).
        seed: of the splits and of the training.
        source: the name of the file, for messages.

    Raises:
        InputError: too few labels, or no threshold that keeps the bound.
    """
    rng = np.random.default_rng(seed)
    scorer, train_rows, before = None, 0, matching
    if learn:
        trained = draw_clusters(cluster_labels(labels), TRAIN_SHARE, rng)
        scorer = train_on(take_labels(labels, trained), matching, seed)
        matching = replace(matching, scorer=scorer)
        labels, train_rows = take_labels(labels, ~trained), int(trained.sum())
        held_out_share /= 1 - TRAIN_SHARE
    trials = try_labels(labels, matching)
    held_out = draw_clusters(trials.clusters, held_out_share, rng)
    calibration, kept_back = trials.take(~held_out), trials.take(held_out)
    search = _search(calibration, risk)
    if search.attempts:
        _require_clusters(calibration, source)
    threshold = _require_threshold(search, calibration, risk, source)
    return Tuned(
        threshold=threshold,
        risk=risk,
        search=search,
        train_rows=train_rows,
        calibration_rows=len(calibration),
        held_out_rows=len(kept_back),
        clusters=len(np.unique(calibration.clusters)),
        calibrated=trace_curve(calibration).points([threshold])[0],
        held_out=trace_curve(kept_back).points([threshold])[0] if len(kept_back) else None,
        scorer=scorer,
        untrained=_try_untrained(labels, before, ~held_out, risk) if learn else None,
    )


def _search(trials: Trials, risk: Risk) -> Search:
    return search_threshold(trials.served_score, 1.0 - trials.right, trials.clusters, risk)


def _try_untrained(
    labels: Labels, matching: Matching, chosen: Mask, risk: Risk
) -> CurvePoint | None:
    """What training is to be compared with."""
    trials = try_labels(labels, matching).take(chosen)
    threshold = _search(trials, risk).threshold
    return None if threshold is None else trace_curve(trials).points([threshold])[0]


def draw_clusters(clusters: Integers, share: float, rng: np.random.Generator) -> Mask:
    """bool[n], rows of randomly drawn whole clusters that make up about a share of all rows."""
    numbers = number_clusters(clusters)
    sizes = np.bincount(numbers)
    order = rng.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order] / 2
    drawn = np.zeros(len(sizes), dtype=np.bool_)
    drawn[order[before < share * len(clusters)]] = True
    return drawn[numbers]


def cluster_labels(labels: Labels) -> Integers:
    """int64[n], numbers for labels that must stay together; -1 never stands for one cluster."""
    if isinstance(labels, Pairs):
        return connect_pairs(labels.a, labels.b)
    if isinstance(labels, Groups):
        alone = labels.groups.max(initial=0) + 1 + np.arange(len(labels.texts))
        return number_clusters(np.where(labels.groups >= 0, labels.groups, alone))
    return number_answers(labels.questions)


def take_labels(labels: Labels, chosen: Mask) -> Labels:
    """The labels of a mask."""
    if isinstance(labels, Pairs):
        return Pairs(_take(labels.a, chosen), _take(labels.b, chosen), labels.same[chosen])
    if isinstance(labels, Groups):
        return Groups(_take(labels.texts, chosen), labels.groups[chosen])
    columns: dict[str, Any] = {
        field.name: _take(getattr(labels.questions, field.name), chosen)
        for field in fields(labels.questions)
    }
    return Logged(replace(labels.questions, **columns), labels.cost_usd[chosen])


def _take(column: Any, chosen: Mask) -> Any:
    if isinstance(column, np.ndarray):
        return cast("Integers", column)[chosen]
    if isinstance(column, list):
        return [
            item for item, taken in zip(cast("list[Any]", column), chosen, strict=True) if taken
        ]
    return column


def train_on(labels: Labels, matching: Matching, seed: int) -> LearnedScorer:
    """Train a scorer on labelled pairs, or on pairs mined from groups or from a log's answers."""
    from frugalctl.levers.semantic_cache.scorer_mining import mine_pairs
    from frugalctl.levers.semantic_cache.scorer_training import train_scorer

    if isinstance(labels, Pairs):
        ready = prepare([*labels.a, *labels.b], matching)
        one = np.arange(len(labels.a), dtype=np.int64)
        other, same = one + len(one), labels.same
        clusters = cluster_labels(labels)
    else:
        texts, groups = _name_groups(labels)
        ready = prepare(texts, matching)
        one, other, same = mine_pairs(texts, groups, ready.vectors, matching.candidates)
        clusters = np.array(groups, dtype=np.int64)[one]
    return train_scorer(
        ready.pick(one),
        ready.pick(other),
        same,
        ready.vectors[one],
        ready.vectors[other],
        groups=clusters.tolist(),
        seed=seed,
        embedder_fingerprint=matching.embedder.fingerprint,
    )


def _name_groups(labels: Groups | Logged) -> tuple[list[str], list[int]]:
    """Texts, and a number for each set of them that has the same answer."""
    groups: list[int] = cluster_labels(labels).tolist()
    if isinstance(labels, Groups):
        return labels.texts, groups
    questions = labels.questions
    rows = [at for at, fit in enumerate(questions.cacheable) if fit]
    return [questions.texts[at] for at in rows], [groups[at] for at in rows]


def _require_clusters(trials: Trials, source: str) -> None:
    """Refuse labels that hang together so much that they are as good as a few."""
    clusters = len(np.unique(trials.clusters))
    if clusters < LEAST_CLUSTERS:
        raise InputError(
            f"{len(trials):,} labels hang together as {clusters:,} independent sets; at least "
            f"{LEAST_CLUSTERS} are needed",
            where=source,
            hint="pairs that share a text, however many pairs lie between, are one set: give each "
            "question few partners, or label groups instead",
        )


def _require_threshold(search: Search, trials: Trials, risk: Risk, source: str) -> float:
    if search.threshold is not None:
        return search.threshold
    asked = f"{risk.max_wrong_of_hits:.3g} wrong of hits at {risk.confidence:.3g} confidence"
    if not search.attempts:
        usable = int((np.isfinite(trials.served_score) & ~np.isnan(trials.right)).sum())
        raise InputError(
            f"too few labels: {usable:,} that may hit cannot show {asked}; at least "
            f"{risk.binomial_hits:,} hits are needed though none be wrong",
            where=source,
            hint=f"{risk.needed_hits:,} such hits let a sample to come keep it too, and wrong "
            "or dependent ones ask for more: label more, or ask for a higher bound",
        )
    best = min(search.attempts, key=lambda attempt: attempt.upper_bound)
    why = "" if best.lasting else "; a sample to come, as large, may break the bound"
    raise InputError(
        f"no threshold keeps {asked}: of the {len(search.attempts)} tested the best, "
        f"{best.threshold:.4g}, has {best.wrong_hits:,} of {best.hits:,} hits wrong, at most "
        f"{best.upper_bound:.1%} ({best.design_effect:.1f} hits count for one){why}",
        where=source,
        hint="train a scorer (--scorer learned), use a better embedder, label more, or ask for a "
        "higher bound",
    )
