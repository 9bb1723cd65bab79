"""What a policy of which a part is open can be worth: held against its completions, by all of them and at random."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepo.games.auction import Auction
from sepo.games.ipd import Ipd
from sepo.games.registry import make
from sepo.solve.expand import expand, walk
from sepo.solve.response import best_response, completed
from sepo.solve.tree import Bools, Floats, Tree
from sepo.solve.value import expected
from tests.brute import random_strategy
from tests.small_games import Stakes
from tests.solve.test_stages import remembering

TREES: dict[str, Tree] = {
    "kuhn": expand(make("kuhn")),
    "stakes": expand(Stakes()),
    "ipd": expand(Ipd(3)),
    "auction": expand(Auction(2)),
    "ipd that forgets": walk(Ipd(4), {}, "last"),
    "auction, one seat fixed": walk(Auction(2), {1: remembering("all")}),
}
WEIGHTS = {"own": 1.0, "other": -0.7}
tree_names = st.sampled_from(sorted(TREES))
seeds = st.integers(0, 10_000)
seats = st.integers(0, 1)


def profile_on(tree: Tree, seed: int) -> Floats:
    """Return a random strategy where the tree has no fixed one."""
    return np.where(np.isnan(tree.fixed), random_strategy(tree, seed), tree.fixed)


def opened(tree: Tree, seat: int, share: float, seed: int) -> Bools:
    """Open some of a seat's information states; those that the tree was pruned to cannot be."""
    known = ~np.isnan(tree.fixed[tree.starts])
    return (np.random.default_rng(seed).random(len(tree.infosets)) < share) & (tree.mover == seat) & ~known


def filled(tree: Tree, profile: Floats, free: Bools, other: Floats) -> Floats:
    return np.where(free[tree.owner], other, profile)


@settings(max_examples=80)
@given(name=tree_names, seat=seats, share=st.floats(0, 1), seed=seeds, sharpness=st.sampled_from([0.1, 1.0]))
def test_the_value_of_every_completion_lies_within_the_bounds_and_both_are_attained(
    name: str, seat: int, share: float, seed: int, sharpness: float
):
    tree = TREES[name]
    profile, free, due = profile_on(tree, seed), opened(tree, seat, share, seed), tree.combine(seat, WEIGHTS)
    most, least = completed(tree, profile, seat, due, free), completed(tree, profile, seat, -due, free)
    for other in range(8):
        value = expected(tree, filled(tree, profile, free, random_strategy(tree, seed + 1 + other, sharpness)), due)
        assert -least.value - 1e-9 <= value <= most.value + 1e-9
    for found, sign in ((most, 1.0), (least, -1.0)):
        np.testing.assert_array_equal(found.strategy[~free[tree.owner]], profile[~free[tree.owner]])
        np.testing.assert_allclose(np.bincount(tree.owner, found.strategy), 1)
        assert set(found.strategy[free[tree.owner]]) <= {0.0, 1.0}
        assert expected(tree, found.strategy, sign * due) == pytest.approx(found.value, abs=1e-9)


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize("name", TREES)
def test_the_bound_is_the_best_of_all_pure_completions(name: str, seat: int):
    tree, rng = TREES[name], np.random.default_rng(4)
    profile, due = profile_on(tree, 4), tree.combine(seat, WEIGHTS)
    may = np.flatnonzero(opened(tree, seat, 1.1, 0))
    if not may.size:
        return
    for _ in range(4):
        chosen = rng.permutation(may)[:5]
        free = np.isin(np.arange(len(tree.infosets)), chosen)
        values = []
        for picks in product(*(range(tree.sizes[i]) for i in chosen)):
            pure = profile.copy()
            for i, pick in zip(chosen, picks, strict=True):
                pure[tree.infosets[i].entries] = 0.0
                pure[tree.starts[i] + pick] = 1.0
            values.append(expected(tree, pure, due))
        assert completed(tree, profile, seat, due, free).value == pytest.approx(max(values), abs=1e-9)
        assert -completed(tree, profile, seat, -due, free).value == pytest.approx(min(values), abs=1e-9)


@settings(max_examples=30)
@given(name=tree_names, seat=seats, seed=seeds)
def test_with_nothing_open_the_bound_is_the_value(name: str, seat: int, seed: int):
    tree = TREES[name]
    profile, due = profile_on(tree, seed), tree.combine(seat, WEIGHTS)
    for open_ in (np.zeros(len(tree.infosets), dtype=bool), opened(tree, 1 - seat, 1.1, seed)):  # the other's: no say
        found = completed(tree, profile, seat, due, open_)
        assert found.value == pytest.approx(expected(tree, profile, due), abs=1e-9)
        np.testing.assert_array_equal(found.strategy, profile)


@settings(max_examples=30)
@given(name=tree_names, seat=seats, seed=seeds)
def test_with_everything_open_the_bound_is_the_best_response(name: str, seat: int, seed: int):
    tree = TREES[name]
    profile, due = profile_on(tree, seed), tree.combine(seat, WEIGHTS)
    free = opened(tree, seat, 1.1, seed)
    if free.any():
        found = completed(tree, profile, seat, due, free)
        assert found.value == pytest.approx(best_response(tree, profile, seat, due).value, abs=1e-9)


@settings(max_examples=30)
@given(name=tree_names, seat=seats, seed=seeds, few=st.floats(0, 0.5), more=st.floats(0, 1))
def test_opening_more_never_narrows_the_bounds(name: str, seat: int, seed: int, few: float, more: float):
    tree = TREES[name]
    profile, due = profile_on(tree, seed), tree.combine(seat, WEIGHTS)
    less, wide = opened(tree, seat, few, seed), opened(tree, seat, more, seed + 1)
    for sign in (1.0, -1.0):
        narrow = completed(tree, profile, seat, sign * due, less).value
        assert completed(tree, profile, seat, sign * due, less | wide).value >= narrow - 1e-9
