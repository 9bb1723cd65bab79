"""Maximin values from the literature and in closed form, and strategies that attain them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepo.solve.expand import expand
from sepo.solve.maximin import maximin
from sepo.solve.response import best_response, exploitability
from sepo.solve.tree import Tree
from tests.brute import random_strategy
from tests.small_games import Drawn, chooses, draws, leaf, matrix_game, paid_in


def secured(tree: Tree, strategy: np.ndarray, seat: int) -> float:
    """Return the own payoff against the opponent that does the most harm."""
    return -best_response(tree, strategy, 1 - seat, tree.combine(1 - seat, {"other": -1.0})).value


@pytest.mark.parametrize(("seat", "value"), [(0, -1 / 18), (1, 1 / 18)])
def test_kuhns_value_is_one_eighteenth_for_the_second_seat(tree: Tree, seat: int, value: float):
    assert maximin(tree, seat).value == pytest.approx(value, abs=1e-9)
    assert tree.game.maximin[seat] == pytest.approx(value, abs=1e-12)


def test_kuhns_two_maximin_strategies_together_are_an_equilibrium(tree: Tree):
    both = tree.join(0, maximin(tree, 0).strategy, maximin(tree, 1).strategy)
    assert exploitability(tree, both) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seat", [0, 1])
def test_the_strategy_secures_the_value_and_no_random_one_secures_more(any_tree: Tree, seat: int):
    found = maximin(any_tree, seat)
    own = any_tree.seat == seat
    np.testing.assert_allclose(
        np.bincount(any_tree.owner[own], found.strategy[own], len(any_tree.infosets))[np.unique(any_tree.owner[own])],
        1,
    )
    assert not found.strategy[~own].any()
    assert secured(any_tree, found.strategy, seat) == pytest.approx(found.value, abs=1e-8)
    for seed in range(100):
        assert secured(any_tree, random_strategy(any_tree, seed, sharpness=0.3), seat) <= found.value + 1e-8


@pytest.mark.parametrize("unit", [1e-12, 1e-7, 1e9])
def test_the_strategy_is_the_same_however_small_or_large_payoffs_are(any_tree: Tree, unit: float):
    for seat in (0, 1):
        value = maximin(any_tree, seat).value
        tree = paid_in(any_tree, unit)
        found = maximin(tree, seat)
        assert found.value / unit == pytest.approx(value, abs=1e-9)
        assert secured(tree, found.strategy, seat) / unit == pytest.approx(value, abs=1e-8)


@settings(deadline=None, max_examples=40)
@given(payoffs=st.lists(st.integers(-5, 5), min_size=4, max_size=4))
def test_a_two_by_two_game_has_its_textbook_value(payoffs: list[int]):
    a, b, c, d = payoffs
    lower = max(min(a, b), min(c, d))
    upper = min(max(a, c), max(b, d))
    # With a saddle point that is the value; without one both seats mix (von Neumann).
    value = lower if lower == upper else (a * d - b * c) / (a + d - b - c)
    tree = expand(matrix_game([[a, b], [c, d]]))
    assert maximin(tree, 0).value == pytest.approx(value, abs=1e-8)
    assert maximin(tree, 1).value == pytest.approx(-value, abs=1e-8)


def test_matching_pennies_with_a_bias_is_mixed_against_the_bias():
    tree = expand(matrix_game([[3, -1], [-1, 1]]))
    found = maximin(tree, 0)
    assert found.value == pytest.approx(1 / 3, abs=1e-9)
    assert found.strategy[:2] == pytest.approx([1 / 3, 2 / 3], abs=1e-8)


def test_rock_paper_scissors_is_fair_and_uniform():
    tree = expand(matrix_game([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]))
    found = maximin(tree, 0)
    assert found.value == pytest.approx(0, abs=1e-9)
    assert found.strategy[:3] == pytest.approx([1 / 3] * 3, abs=1e-8)


def test_payoffs_on_the_way_and_chance_count():
    # A fair coin decides which of two games is played, openly: values 1 and 3.
    tree = expand(
        Drawn(
            draws(
                ("heads", 0.5, chooses(0, "heads", take=leaf(1), leave=leaf(0))),
                ("tails", 0.5, chooses(1, "tails", give=leaf(3), more=leaf(7))),
            )
        )
    )
    assert maximin(tree, 0).value == pytest.approx(2, abs=1e-9)


def test_states_that_its_own_play_never_reaches_are_played_uniformly():
    later = chooses(0, "later", x=leaf(-3), y=leaf(-4))
    tree = expand(Drawn(chooses(0, "first", stop=leaf(1), go=later)))
    assert maximin(tree, 0).strategy.tolist() == [1.0, 0.0, 0.5, 0.5]
