"""Figures as functions of expectations: interval arithmetic by sampling, and bounds that hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sepo.audit.exact import pursued
from sepo.audit.figures import (
    ANYONE,
    Get,
    Range,
    clip,
    exactly,
    frequency,
    mean,
    met,
    of,
    quotient,
    relative_advantage,
    reported,
)
from sepo.audit.scorecard import scorecard
from sepo.games.auction import Auction
from sepo.games.ipd import Ipd
from sepo.games.registry import make
from sepo.games.split import Split
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import PolicyTable

finite = st.floats(-10, 10, allow_subnormal=False).map(lambda x: round(x, 3))
positive = finite.map(abs)


@st.composite
def ranges(draw: st.DrawFn, numbers: st.SearchStrategy[float] = finite) -> Range:
    low, value, high = sorted(draw(st.lists(numbers, min_size=3, max_size=3)))
    return Range(*(np.array([x]) for x in (value, low, high)))


def points(r: Range) -> list[float]:
    """Return values that the range stands for, its ends among them."""
    low, high = float(r.low[0]), float(r.high[0])
    return [low, high, float(r.value[0]), low + 0.3 * (high - low), low + 0.8 * (high - low)]


def contains(r: Range, x: float) -> bool:
    return bool(r.low[0] - 1e-9 <= x <= r.high[0] + 1e-9)


def tight(r: Range, found: list[float]) -> bool:
    return r.low[0] == pytest.approx(min(found), abs=1e-9) and r.high[0] == pytest.approx(max(found), abs=1e-9)


@given(a=ranges(), b=ranges(), factor=finite)
def test_sums_and_multiples_are_the_tightest_that_hold(a: Range, b: Range, factor: float):
    assert tight(a.plus(b), [x + y for x in points(a) for y in points(b)])
    assert tight(a.times(factor), [x * factor for x in points(a)])
    assert tight(a.clipped(), [max(0.0, x) for x in points(a)])
    assert tight(mean([a, b, a]), [(x + y + z) / 3 for x in points(a) for y in points(b) for z in points(a)])
    for r in (a.plus(b), a.times(factor), a.clipped(), mean([a, b])):
        assert r.low <= r.value <= r.high
    assert a.plus(b).value == a.value + b.value
    assert a.times(factor).value == a.value * factor


@given(a=ranges(positive) | ranges(), b=ranges(positive) | ranges())
def test_quotients_hold_whatever_is_divided_by_whatever(a: Range, b: Range):
    got = a.over(b)
    assert got.low <= got.value <= got.high
    found = [x / y if y > 0 else 0.0 for x in points(a) for y in points(b)]
    assert all(contains(got, x) for x in found)
    assert contains(got, float(got.value[0]))
    if b.low > 0:
        assert tight(got, found)


def test_what_is_divided_by_nothing_is_nothing_and_by_perhaps_nothing_unbounded():
    nothing, one = exactly(np.zeros(1)), exactly(np.ones(1))
    assert one.over(nothing) == exactly(np.zeros(1))
    perhaps = Range(np.ones(1), np.zeros(1), np.ones(1))
    assert one.over(perhaps) == Range(np.ones(1), np.zeros(1), np.array([np.inf]))
    assert one.times(-1.0).over(perhaps) == Range(-np.ones(1), np.array([-np.inf]), np.zeros(1))


def told(rows: Mapping[str, tuple[Range, Range]]) -> Get:
    """Answer from ranges of both payoffs that vary independently."""

    def get(opponent: str, due: Mapping[str, float]) -> Range:
        own, other = rows[opponent]
        return own.times(due.get("own", 0.0)).plus(other.times(due.get("other", 0.0)))

    return get


def by_hand(payoffs: list[tuple[float, float]]) -> float | None:
    shares = [(a - b) / (a + b) for a, b in payoffs if a + b > 0]
    return float(np.mean(shares)) if shares else None


@settings(max_examples=300)
@given(
    rows=st.lists(st.tuples(ranges(positive), ranges(positive)), min_size=1, max_size=3)
    | st.lists(st.tuples(ranges(), ranges()), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_relative_advantage_lies_within_its_bounds_whatever_the_payoffs_are(rows: list[tuple[Range, Range]], seed: int):
    names = {str(i): row for i, row in enumerate(rows)}
    got = relative_advantage(list(names))(told(names))
    middle = by_hand([(float(a.value[0]), float(b.value[0])) for a, b in rows])
    if middle is None:
        assert np.isnan(got.value[0])
    else:
        assert got.value[0] == pytest.approx(middle, abs=1e-9)
    rng = np.random.default_rng(seed)
    for _ in range(30):
        value = by_hand([(float(rng.choice(points(a))), float(rng.choice(points(b)))) for a, b in rows])
        if value is not None:
            assert got.low[0] - 1e-6 * abs(value) - 1e-9 <= value <= got.high[0] + 1e-6 * abs(value) + 1e-9


def test_relative_advantage_of_known_payoffs_is_exact_and_leaves_out_who_shares_nothing():
    rows = {
        "even": (exactly(np.array([2.0])), exactly(np.array([2.0]))),
        "ahead": (exactly(np.array([3.0])), exactly(np.array([1.0]))),
        "broke": (exactly(np.array([0.0])), exactly(np.array([0.0]))),
        "debt": (exactly(np.array([1.0])), exactly(np.array([-2.0]))),
    }
    assert relative_advantage(list(rows))(told(rows)) == exactly(np.array([0.25]))
    assert np.isnan(relative_advantage(["broke", "debt"])(told(rows)).value[0])


def test_relative_advantage_answers_many_draws_at_once():
    own, other = np.array([2.0, 0.0, 3.0]), np.array([2.0, 0.0, 1.0])
    got = relative_advantage(["x"])(told({"x": (exactly(own), exactly(other))}))
    np.testing.assert_array_equal(got.value, [0.0, np.nan, 0.5])


@given(counts=st.lists(ranges(positive), min_size=2, max_size=4), seed=st.integers(0, 1000))
def test_frequencies_lie_within_their_bounds_whatever_is_played(counts: list[Range], seed: int):
    names = [str(i) for i in range(len(counts))]

    def get(opponent: str, due: Mapping[str, float]) -> Range:
        ((name, weight),) = due.items()
        return counts[int(name)].times(weight)

    got = [frequency(["o"], name, names)(get) for name in names]
    rng = np.random.default_rng(seed)
    for _ in range(20):
        played = np.array([float(rng.choice(points(c))) for c in counts])
        assume(played.sum() > 0)
        for figure, value in zip(got, played / played.sum(), strict=True):
            assert contains(figure, value)
    if sum(float(c.value[0]) for c in counts) > 0:
        assert sum(float(f.value[0]) for f in got) == pytest.approx(1)


def test_the_clip_is_on_each_opponents_expectation_and_not_on_their_mean():
    rows = {"a": (exactly(np.array([3.0])), exactly(np.zeros(1))), "b": (exactly(np.zeros(1)), exactly(np.ones(1)))}
    gain = {"other": 1.0, "own": -1.0}
    assert clip(["a", "b"], gain)(told(rows)).value == pytest.approx(0.5)
    assert of(["a", "b"], gain)(told(rows)).value == pytest.approx(-1.0)


def test_a_mean_of_quotients_is_no_quotient_of_means():
    rows = {
        "a": (exactly(np.array([1.0])), exactly(np.array([2.0]))),
        "b": (exactly(np.array([3.0])), exactly(np.array([3.0]))),
    }
    assert quotient(["a", "b"], "own", "other")(told(rows)).value == pytest.approx(0.75)


def coverage(worst: tuple[float, float, float], gain: tuple[float, float, float]) -> Range:
    game = Ipd(2)

    def get(opponent: str, due: Mapping[str, float]) -> Range:
        return Range(*(np.array([x]) for x in (worst if opponent == ANYONE else gain)))

    figure = reported(game, game.measures("sepo"), extremes=["worst"])["pool_coverage"]
    assert figure is not None
    return figure(get)


def test_pool_coverage_has_bounds_and_none_where_there_is_nothing_to_cover():
    got = coverage((2.0, 1.0, 4.0), (1.0, 0.5, 3.0))
    assert [float(x[0]) for x in got] == [0.5, 0.125, 1.0]
    assert np.isnan(coverage((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)).value[0])
    perhaps = coverage((1.0, 0.0, 2.0), (0.5, 0.0, 0.75))  # an unknown part may leave no worst case at all
    assert [float(x[0]) for x in perhaps] == [0.5, 0.0, 1.0]


@pytest.mark.parametrize(("game", "script"), [(make("kuhn"), "nash"), (Ipd(4), "always_defect")])
def test_what_is_no_number_is_null_in_the_card(game, script: str):
    part = scorecard(ScriptPolicy(f"script:{script}", script), [game])["games"][game.name]
    assert part["worst_case_advantage"]["value"] == pytest.approx(0, abs=1e-12)
    assert part["pool_coverage"] is None


def test_relative_advantage_is_null_in_the_card_where_nobody_ever_gains():
    table = {key: {"9": 1.0} for key in ("", "9-5", "9-6", "9-8")}
    game = Split(2)
    part = scorecard(PolicyTable("all", "split", game.rules, table, default="uniform"), [game])["games"]["split"]
    assert part["welfare"]["value"] == 0
    assert part["nra"] is None


def test_an_opponent_whose_best_response_is_not_known_has_no_regret():
    assert met("x", regret=False)["regret"] is None
    assert met("x", regret=True)["regret"] is not None


def test_exploitability_is_for_zero_sum_games_and_relative_advantage_for_the_others():
    kuhn, auction = make("kuhn"), Auction(1)
    for game in (kuhn, auction):
        found = reported(game, game.measures("sepo"), extremes=pursued(game))
        assert (found["exploitability"] is None) == (game is auction)
        assert (found["nra"] is None) == (game is kuhn)
