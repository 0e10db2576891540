import math
import random
import statistics

import numpy as np
import pyarrow as pa
import pytest

from frugalctl.report.bootstrap import MAX_CLUSTERS, Clusters, ClusterSums, bootstrap_means


def gather(sessions, *columns):
    clusters = Clusters().assign(pa.array(sessions, pa.string()))
    groups = []
    for values in columns:
        group = ClusterSums()
        group.add(clusters, np.array(values, dtype=np.float64))
        groups.append(group)
    return groups


def resample(sessions, values, replicates, seed):
    """The slow reference: draw whole sessions, pool their rows, take the mean."""
    rng = random.Random(seed)
    members = {}
    for session, value in zip(sessions, values, strict=True):
        members.setdefault(session, []).append(value)
    pools = list(members.values())
    means = sorted(
        statistics.fmean([value for pool in rng.choices(pools, k=len(pools)) for value in pool])
        for _ in range(replicates)
    )
    return means[round(0.025 * (replicates - 1))], means[round(0.975 * (replicates - 1))]


def simulate(rng, sessions, size):
    """Qualities that agree within a session: their mean is 0.5 in the population."""
    names, values = [], []
    for at in range(sessions):
        level = rng.random()
        for _ in range(size):
            names.append(f"s{at}")
            values.append(0.8 * level + 0.2 * rng.random())
    return names, values


def test_it_agrees_with_explicit_resampling_of_sessions():
    names, values = simulate(random.Random(5), 40, 5)
    extra = random.Random(6).sample(range(200), 60)
    names += [f"s{at % 40}" for at in extra]
    values += [0.9] * 60
    ((low, high),) = bootstrap_means(gather(names, values), seed=0, replicates=8000)
    slow_low, slow_high = resample(names, values, replicates=4000, seed=1)
    width = high - low
    assert low == pytest.approx(slow_low, abs=0.05 * width)
    assert high == pytest.approx(slow_high, abs=0.05 * width)


def test_clustered_intervals_cover_and_plain_ones_do_not():
    rng = random.Random(2)
    covered = {"clustered": 0, "plain": 0}
    for run in range(150):
        names, values = simulate(rng, 40, 8)
        for kind, keys in (("clustered", names), ("plain", [None] * len(names))):
            ((low, high),) = bootstrap_means(gather(keys, values), seed=run, replicates=250)
            covered[kind] += low <= 0.5 <= high
    assert 0.87 <= covered["clustered"] / 150 <= 0.99
    assert covered["plain"] / 150 < 0.75


def test_coverage_survives_sessions_that_share_clusters():
    rng = np.random.default_rng(4)
    hits, runs = 0, 60
    for run in range(runs):
        count = 3 * MAX_CLUSTERS
        names = np.repeat(np.arange(count), 2).astype(str).tolist()
        levels = np.repeat(rng.random(count), 2)
        ((low, high),) = bootstrap_means(gather(names, levels), seed=run, replicates=100)
        hits += low <= 0.5 <= high
        assert 0.6 < (high - low) / (2 * 1.96 * math.sqrt(1 / 12 / count)) < 1.5
    assert hits / runs > 0.8


@pytest.mark.parametrize(
    ("sessions", "values"),
    [
        (["s"], [1.0]),
        (["s", "s", "s"], [0.0, 1.0, 1.0]),
        ([None], [0.5]),
        (["s", "t"], [1.0, math.nan]),
        (["s", "t"], [math.nan, math.nan]),
    ],
)
def test_no_interval_from_fewer_than_two_clusters(sessions, values):
    assert bootstrap_means(gather(sessions, values), seed=0) == [None]


def test_each_quantity_has_its_own_answer():
    sessions = ["s", "t", "u"]
    full, one = [0.0, 0.5, 1.0], [math.nan, math.nan, 1.0]
    found = bootstrap_means(gather(sessions, full, one), seed=0)
    assert found[0] == (0.0, 1.0)
    assert found[1] is None


def test_requests_without_a_session_are_their_own_clusters():
    alone = bootstrap_means(gather([None] * 50, [0.0, 1.0] * 25), seed=0)
    apart = bootstrap_means(gather([f"s{at}" for at in range(50)], [0.0, 1.0] * 25), seed=0)
    assert alone == apart


def test_the_seed_decides():
    groups = gather([str(at) for at in range(60)], [at / 60 for at in range(60)])
    assert bootstrap_means(groups, seed=1) == bootstrap_means(groups, seed=1)
    assert bootstrap_means(groups, seed=1) != bootstrap_means(groups, seed=2)


def test_clusters_do_not_depend_on_batches_even_beyond_the_limit():
    rng = random.Random(8)
    count = MAX_CLUSTERS + 500
    sessions = [
        None if rng.random() < 0.2 else f"s{rng.randrange(count)}" for _ in range(3 * count)
    ]
    whole = Clusters().assign(pa.array(sessions, pa.string()))
    clusters = Clusters()
    parts = [
        clusters.assign(pa.array(sessions[at : at + 777], pa.string()))
        for at in range(0, len(sessions), 777)
    ]
    assert np.array_equal(whole, np.concatenate(parts))
    assert whole.min() >= 0 and whole.max() < MAX_CLUSTERS
    of_session = {}
    for session, cluster in zip(sessions, whole.tolist(), strict=True):
        if session is not None:
            assert of_session.setdefault(session, cluster) == cluster
