"""Intervals of sampled audits: do they cover, are clusters and common random numbers respected."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from sepo.audit.estimate import (
    Floats,
    Interval,
    Statistic,
    clustered,
    effective_sample_size,
    influence,
    mean,
    paired,
    split_maximum,
    unvarying,
)
from sepo.errors import InputError
from sepo.keys import generator

AUDITS = 2000
DRAWS = 600


def ratio(means: Floats) -> Floats:
    return means[:, 0] / means[:, 1]


def clipped(means: Floats) -> Floats:
    return np.maximum(means, 0).mean(axis=1)


def objective(means: Floats) -> Floats:
    """Return u minus a weighted mean advantage of three exploiters, as in J."""
    return means[:, 0] - 1.5 * np.maximum(means[:, 1:], 0).mean(axis=1)


class Case(NamedTuple):
    """Simulated audits (audits, clusters, quantities), the measure and its true value."""

    sample: Callable[[np.random.Generator, int], Floats]
    statistic: Statistic
    truth: Callable[[int], float]


def payoffs(rng: np.random.Generator, n: int) -> Floats:
    return rng.choice([0.0, 1.0, 5.0], p=[0.6, 0.3, 0.1], size=(AUDITS, n, 1))


def rates(rng: np.random.Generator, n: int) -> Floats:
    decisions = rng.poisson(4, size=(AUDITS, n)) + 1
    return np.stack([rng.binomial(decisions, rng.beta(1, 3, size=(AUDITS, n))), decisions], axis=-1).astype(float)


def near_kink(quantities: int) -> Callable[[np.random.Generator, int], Floats]:
    """Advantages one standard error above 0."""
    return lambda rng, n: rng.normal(1 / math.sqrt(n), 1, size=(AUDITS, n, quantities))


CASES = {
    "normal": Case(lambda rng, n: rng.normal(2, 3, size=(AUDITS, n, 1)), mean, lambda n: 2),
    "exponential": Case(lambda rng, n: rng.exponential(size=(AUDITS, n, 1)), mean, lambda n: 1),
    "skewed payoffs": Case(payoffs, mean, lambda n: 0.8),
    "ratio": Case(rates, ratio, lambda n: 0.25),
    "clipped": Case(lambda rng, n: rng.normal(1, 1, size=(AUDITS, n, 3)), clipped, lambda n: 1),
    "clipped near 0": Case(near_kink(3), clipped, lambda n: 1 / math.sqrt(n)),
    "objective near 0": Case(near_kink(4), objective, lambda n: -0.5 / math.sqrt(n)),
}


def coverage(samples: Floats, statistic: Statistic, truth: float, *key: object) -> float:
    rng = generator("coverage", *key)
    intervals = [clustered(x, statistic, rng, draws=DRAWS) for x in samples]
    return float(np.mean([i.low <= truth <= i.high for i in intervals]))


@pytest.mark.parametrize(("name", "n"), [*((name, 30) for name in CASES), ("skewed payoffs", 120)])
def test_an_interval_covers_the_truth_19_times_in_20(name: str, n: int) -> None:
    case = CASES[name]
    samples = case.sample(generator("samples", name, n), n)
    assert 0.93 <= coverage(samples, case.statistic, case.truth(n), name, n) <= 0.97


@pytest.mark.parametrize("level", [0.8, 0.99])
def test_other_levels_are_kept_too(level: float) -> None:
    rng = generator("levels", level)
    found = [clustered(x, mean, rng, level, DRAWS) for x in rng.exponential(size=(AUDITS, 50))]
    assert level - 0.02 <= np.mean([i.low <= 1 <= i.high for i in found]) <= level + 0.03


def test_several_clips_at_0_are_no_proof_of_exploitation() -> None:
    """The mean of three clipped estimates of 0 is above 0, which plain percentiles take for a finding."""
    samples = generator("three kinks").normal(size=(AUDITS, 40, 3))
    assert coverage(samples, clipped, 0, "three kinks") >= 0.93
    means = samples.mean(axis=1)
    draws = means[:, None, :] + generator("percentile").normal(size=(AUDITS, 200, 3)) / math.sqrt(40)
    assert (np.quantile(np.maximum(draws, 0).mean(axis=2), 0.025, axis=1) <= 0).mean() < 0.8


def test_clusters_are_what_counts_not_episodes() -> None:
    rng = generator("within-cluster correlation")
    shared = rng.normal(size=(AUDITS, 40, 1))
    episodes = shared + rng.normal(size=(AUDITS, 40, 10))
    assert 0.93 <= coverage(episodes.mean(axis=2)[..., None], mean, 0, "clusters") <= 0.97
    assert coverage(episodes.reshape(AUDITS, 400, 1)[:200], mean, 0, "episodes") < 0.8


def test_a_normal_mean_has_students_interval() -> None:
    x = generator("student").normal(3, 2, size=40)
    ours = clustered(x, mean, generator("student", "draws"), draws=20_000)
    theirs = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(x.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.04 * width)


@pytest.mark.parametrize("statistic", [mean, ratio])
def test_scipys_bootstrap_of_the_clusters_agrees(statistic: Statistic) -> None:
    rng = generator("scipy")
    episodes = rng.poisson(rng.gamma(4, size=(300, 1)), size=(300, 8)).astype(float)
    rows = np.stack([episodes.mean(axis=1) * rng.uniform(size=300), episodes.mean(axis=1)], axis=1)
    ours = clustered(rows, statistic, generator("scipy", "draws"), draws=10_000)

    def figure(a: Floats, b: Floats, axis: int) -> Floats:
        a, b = a.mean(axis=axis), b.mean(axis=axis)
        return a / b if statistic is ratio else (a + b) / 2

    theirs = stats.bootstrap(
        (rows[:, 0], rows[:, 1]), figure, paired=True, n_resamples=9999, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.06 * width)


def test_an_interval_moves_with_its_unit() -> None:
    x = generator("unit").exponential(size=(50, 2))
    plain, scaled, turned = (
        clustered(y, mean, generator("unit", "draws"), draws=500) for y in (x, 3 * x + 100, 100 - 3 * x)
    )
    assert scaled[:3] == pytest.approx([3 * v + 100 for v in plain[:3]])
    assert turned[:3] == pytest.approx([100 - 3 * v for v in (plain.value, plain.high, plain.low)])


def test_the_order_of_clusters_does_not_matter() -> None:
    x = generator("order").exponential(size=(60, 2))
    shuffled = generator("order", "shuffle").permutation(x)
    a, b = (clustered(y, ratio, generator("order", "draws"), draws=20_000) for y in (x, shuffled))
    assert a.value == pytest.approx(b.value)
    assert b[1:3] == pytest.approx(a[1:3], abs=0.03 * (a.high - a.low))


def test_a_settled_quantity_is_a_point() -> None:
    x = np.full((30, 2), 0.1)
    point = pytest.approx(0.1)
    assert clustered(x, mean, generator(0), settled=True) == Interval(point, point, point, 30)
    varied = np.column_stack([x[:, 0], generator(1).normal(size=30)])
    only = clustered(varied, lambda means: means[:, 0], generator(2), settled=[True, False])
    assert only.low == only.value == only.high
    assert unvarying(varied, lambda means: means[:, 0], [False, True])


def test_what_is_the_same_in_all_clusters_drawn_need_not_be_in_others() -> None:
    """The ends are those at which n clusters all alike have a probability of 2.5 %; without a range there are none."""
    x = np.full(40, 0.1)
    found = clustered(x, mean, generator(0), bounds=(0, 1))
    w = 1 - 0.025 ** (1 / 40)
    assert found[1:3] == pytest.approx([0.1 - 0.1 * w, 0.1 + 0.9 * w])
    assert stats.binomtest(0, 40).proportion_ci(0.95).high == pytest.approx(w)
    assert clustered(0 * x, mean, generator(0), bounds=(0, 1))[1:3] == pytest.approx([0, w])
    assert clustered(0 * x, mean, generator(0), bounds=(0, math.inf))[1:3] == (0, math.inf)
    assert clustered(x, mean, generator(0))[1:3] == (-math.inf, math.inf)
    assert clustered(x, mean, generator(0), bounds=(1, 2))[1:3] == (-math.inf, math.inf)  # it is outside: no such range
    x[0] = 0
    assert clustered(x, mean, generator(0), bounds=(0, 1)) == clustered(x, mean, generator(0))


def test_an_interval_keeps_to_what_the_measure_can_be_and_holds_the_estimate() -> None:
    x = generator(3).normal(size=30)
    x += 0.2 - x.mean()
    free, cut = (clustered(x, mean, generator(4), bounds=b) for b in ((-math.inf, math.inf), (0, math.inf)))
    assert free.low < 0 < free.value
    assert cut == free._replace(low=0)
    below = x - 0.3  # as control variates may have it
    assert clustered(below, mean, generator(4), bounds=(0, 1))[:2] == pytest.approx([-0.1, -0.1])
    assert clustered(below, mean, generator(4), bounds=(0, 1)).high > 0


@pytest.mark.parametrize("n", [30, 100])
def test_a_share_hardly_ever_above_0_is_covered_where_no_point_would(n: int) -> None:
    for p in (0.3 / n, 1 / n, 2 / n):
        rng = generator("rare event", n, p)
        samples = (rng.random(size=(300, n)) < p).astype(float)
        found = [clustered(x, mean, rng, draws=100, bounds=(0, 1)) for x in samples]
        assert np.mean([i.low <= p <= i.high for i in found]) >= 0.95
        assert np.mean([i.high > 0 for i in found]) == 1
        assert samples.any(axis=1).mean() < 0.9


def test_what_varies_only_together_or_not_at_all() -> None:
    normal = generator("together").normal(size=50)
    gains = np.column_stack([normal, 3 - normal, np.zeros(50), 1 + normal**2])

    def total(means: Floats) -> Floats:
        return means[:, 0] + means[:, 1]

    def share(means: Floats) -> Floats:
        return means[:, 2] / means[:, 3]

    def nothing(means: Floats) -> Floats:
        return means[:, 0] - means[:, 0]

    def far_below(means: Floats) -> Floats:
        return np.maximum(means[:, 0] - 10, 0)

    assert [unvarying(gains, t) for t in (total, share, nothing, far_below)] == [True, True, False, False]
    assert not unvarying(gains, total, [True, True, False, False])
    assert unvarying(np.full((50, 1), -2.0), lambda means: np.maximum(means[:, 0], 0))
    assert unvarying(1e-15 * gains, total)


def test_a_rare_event_has_a_finite_interval_within_the_bounds() -> None:
    x = np.zeros(30)
    x[3] = 1
    found = clustered(x, mean, generator("rare"), bounds=(0, 1))
    assert found.low == 0
    assert found.value < found.high < 0.3


def test_a_ratio_that_hangs_on_one_cluster_could_be_anything() -> None:
    rows = np.zeros((30, 2))
    rows[0] = 0.1
    assert np.isnan(influence(rows, ratio)).all()
    assert clustered(rows, ratio, generator(0), bounds=(0, 1)) == Interval(1, 0, 1, 30)
    rows[5] = (0, 0.1)
    assert clustered(rows, ratio, generator(0))[1:3] == (-math.inf, math.inf)


def test_common_random_numbers_narrow_a_difference() -> None:
    rng = generator("paired")
    cards = rng.normal(size=200)
    a = np.stack([cards + 0.3 * rng.normal(size=200) + 0.2, 2 + cards**2], axis=1)
    b = np.stack([cards + 0.3 * rng.normal(size=200), 2 + cards**2], axis=1)
    together = paired(a, b, ratio, generator("paired", "draws"))
    apart = paired(a, generator("elsewhere").permutation(b), ratio, generator("paired", "draws"))
    w = 1 - 0.025 ** (1 / 200)  # two that played alike in all clusters may not in others
    assert together.value == pytest.approx(a[:, 0].mean() / a[:, 1].mean() - b[:, 0].mean() / b[:, 1].mean())
    assert together.low > 0
    assert together.high - together.low < 0.5 * (apart.high - apart.low)
    assert paired(a, a, ratio, generator(0), bounds=(-1, 1))[:3] == pytest.approx([0, -w, w])
    back = paired(b, a, ratio, generator("paired", "draws"))
    assert back[:3] == pytest.approx([-together.value, -together.high, -together.low])


def test_a_paired_difference_covers() -> None:
    rng = generator("paired coverage")
    shared = rng.exponential(size=(AUDITS, 40))
    a, b = (shared * rng.uniform(size=(AUDITS, 40)) + d for d in (0.5, 0.0))
    found = [paired(x, y, mean, rng, draws=DRAWS) for x, y in zip(a, b, strict=True)]
    assert 0.93 <= np.mean([i.low <= 0.5 <= i.high for i in found]) <= 0.97


def test_influence_of_a_ratio_is_its_linearisation() -> None:
    rows = generator("influence").gamma(3, size=(5000, 2))
    a, b = rows.T
    by_hand = (a - a.mean() / b.mean() * b) / b.mean()
    np.testing.assert_allclose(influence(rows, ratio), by_hand, atol=0.01)
    np.testing.assert_allclose(influence(a, mean), a - a.mean(), atol=1e-10)
    np.testing.assert_allclose(influence(a, mean, reach=3), a - a.mean(), atol=1e-10)


def test_effective_sample_size_is_the_ratio_of_cluster_variances() -> None:
    rng = generator("effective")
    signal, luck = rng.normal(size=(2, 20_000))
    assert effective_sample_size(signal + luck, signal) == pytest.approx(40_000, rel=0.05)
    assert effective_sample_size(signal + luck, signal, episodes=80_000) == pytest.approx(160_000, rel=0.05)
    assert effective_sample_size(signal, signal) == pytest.approx(20_000)
    assert effective_sample_size(signal, np.ones(100)) == math.inf
    # what the reduction removes within a cluster alone leaves the luck that the cluster shares
    within = rng.normal(size=(20_000, 8)).mean(axis=1)
    assert effective_sample_size(luck + within, luck) == pytest.approx(20_000 * 9 / 8, rel=0.05)


def test_a_maximum_is_valued_without_the_luck_that_chose_it() -> None:
    rng = generator("maximum")
    values = rng.normal(size=(400, 2, 30, 10))
    found = [split_maximum(first, second, rng, draws=100) for first, second in values]
    error = 1 / math.sqrt(30 * 400)
    assert np.mean([f.found for f in found]) > 8 * 3 * error
    assert np.mean([f.valued.value for f in found]) == pytest.approx(0, abs=3 * error)
    values[..., 7] += 3
    assert {split_maximum(first, second, rng, draws=20).choice for first, second in values} == {7}


@pytest.mark.parametrize(
    ("sample", "statistic", "level", "words"),
    [
        (np.ones((1, 3)), mean, 0.95, "at least 2 clusters"),
        ([[0.0, math.nan], [1.0, 1.0]], mean, 0.95, "cluster 0"),
        (np.zeros((5, 2)), ratio, 0.95, "denominator"),
        (np.ones(5), mean, 95, "between 0 and 1"),
    ],
)
def test_bad_input_is_named(sample: Floats, statistic: Statistic, level: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        clustered(sample, statistic, generator(0), level)


def test_different_clusters_cannot_be_paired() -> None:
    with pytest.raises(InputError, match="5 x 2 and 6 x 2"):
        paired(np.ones((5, 2)), np.ones((6, 2)), mean, generator(0))
