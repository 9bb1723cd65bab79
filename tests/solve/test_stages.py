"""Trees grown a round at a time are those of a plain walk, state by state: every array, every value, every refusal."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import get_args

import numpy as np
import pytest

from sepo.errors import ContractError, TooLargeError
from sepo.games.auction import Auction
from sepo.games.base import Decision, Memory
from sepo.games.commons import Commons
from sepo.games.ipd import Ipd
from sepo.games.repeated import Deal, RepeatedGame, Settled
from sepo.games.split import Split
from sepo.keys import generator
from sepo.solve.expand import plain_walk, walk
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected, reach
from tests.small_extended import Betrayed, Halved

GAMES: dict[str, RepeatedGame] = {
    "ipd": Ipd(4),
    "auction": Auction(2),
    "auction, clipped": Auction(2, overbid_loss=False),
    "split": Split(2),
    "commons": Commons(3, stock=4),
    "one round": Ipd(1),
    "one auction": Auction(1),
    "extended, with what is public": Halved(3),
    "extended, with a feature": Betrayed(3),
}
ARRAYS = ("parent", "child", "actor", "infoset", "entry", "round", "chance", "first", "count", "features", "last")
MEMORIES: tuple[Memory, ...] = get_args(Memory)
FIXED = [(), (0,), (1,), (0, 1)]
CASES = list(product(GAMES, MEMORIES, FIXED))


def remembering(memory: Memory, seed: int = 0) -> Callable[[Decision], Floats]:
    """Make a random strategy, about half of whose actions are never played, that remembers no more than it may."""

    def answer(decision: Decision) -> Floats:
        number, rounds, public, private = decision.view
        seen = {"round": (), "last": rounds[-1:], "all": rounds}[memory]
        rng = generator(seed, decision.seat, number, tuple(map(tuple, seen)), public, private)
        p = rng.dirichlet(np.ones(len(decision.legal))) * (rng.random(len(decision.legal)) < 0.5)
        p[rng.integers(len(p))] += 0.1
        return p / p.sum()

    return answer


def both(name: str, memory: Memory, seats: tuple[int, ...]) -> tuple[Tree, Tree]:
    """Return the tree grown and the tree walked, pruned to random strategies in some seats."""
    fixed = {seat: remembering(memory) for seat in seats}
    return walk(GAMES[name], fixed, memory), plain_walk(GAMES[name], fixed, memory)


def spread(tree: Tree, seed: int) -> Floats:
    """Return a random strategy of every seat that is not fixed, keyed by information state; fixed ones as they are."""
    out = tree.fixed.copy()
    for info in tree.infosets:
        if np.isnan(out[info.entries]).any():
            view = info.decision.view
            rng = generator(seed, info.seat, info.key, view.number, view.public)
            out[info.entries] = rng.dirichlet(np.ones(len(info.decision.legal)))
    return out


@pytest.mark.parametrize(("name", "memory", "seats"), CASES)
def test_a_tree_grown_a_round_at_a_time_is_the_tree_walked_state_by_state(name: str, memory: Memory, seats):
    grown, walked = both(name, memory, seats)
    for array in ARRAYS:
        one, other = getattr(grown, array), getattr(walked, array)
        np.testing.assert_array_equal(one, other, err_msg=array)
        assert one.dtype.kind == other.dtype.kind, array
    assert (grown.levels, grown.merged, grown.names) == (walked.levels, walked.merged, walked.names)
    assert grown.infosets == walked.infosets  # seats, entries, keys, views, legal actions
    if seats:
        np.testing.assert_array_equal(grown.played, walked.played)
    else:
        assert grown.played is None
        assert walked.played is None


@pytest.mark.parametrize(("name", "memory", "seats"), CASES)
def test_every_feature_has_the_same_expectation_on_both(name: str, memory: Memory, seats):
    grown, walked = both(name, memory, seats)
    for seed in range(2):
        one, other = spread(grown, seed), spread(walked, seed)
        np.testing.assert_array_equal(one, other)
        for seat, feature in product((0, 1), grown.names):
            a, b = (expected(t, p, t.feature(feature, seat)) for t, p in ((grown, one), (walked, other)))
            assert a == pytest.approx(b, abs=1e-12)


@pytest.mark.parametrize("seats", FIXED)
@pytest.mark.parametrize("memory", ["round", "last"])
@pytest.mark.parametrize("name", GAMES)
def test_strategies_with_a_short_memory_fare_alike_on_the_whole_tree_and_on_the_one_that_forgets(
    name: str, memory: Memory, seats
):
    game = GAMES[name]
    whole, short = plain_walk(game), walk(game, {s: remembering(memory) for s in seats}, memory)
    profiles = [
        np.concatenate([remembering(memory)(info.decision) for info in tree.infosets]) for tree in (whole, short)
    ]
    for seat, feature in product((0, 1), whole.names):
        a, b = (expected(t, p, t.feature(feature, seat)) for t, p in zip((whole, short), profiles, strict=True))
        assert a == pytest.approx(b, abs=1e-12)
    assert short.nodes <= whole.nodes


@pytest.mark.parametrize(("name", "memory", "seats"), CASES)
def test_every_node_of_a_pruned_tree_can_be_reached(name: str, memory: Memory, seats):
    grown, _ = both(name, memory, seats)
    assert (reach(grown, spread(grown, 0)) > 0).all()


@pytest.mark.parametrize(("name", "memory", "seats"), CASES)
def test_one_node_more_than_allowed_is_refused_by_both(name: str, memory: Memory, seats):
    fixed = {seat: remembering(memory) for seat in seats}
    nodes = walk(GAMES[name], fixed, memory).nodes
    for how in (walk, plain_walk):
        assert how(GAMES[name], fixed, memory, max_nodes=nodes).nodes == nodes
        with pytest.raises(TooLargeError, match=f"more than {nodes - 1} nodes"):
            how(GAMES[name], fixed, memory, max_nodes=nodes - 1)


class Later(Ipd):
    """Chance deals in the second round alone."""

    def deals(self, number, public, private):
        return [Deal("x", 0.5, None, ("x", None)), Deal("y", 0.5, None, ("y", None))] if number == 1 else ()


class Kept(Ipd):
    """What is dealt in the first round stays private."""

    def settle(self, public, private, first, second):
        return Settled((0.0, 0.0), ((0.0,) * 3, (0.0,) * 3), public, ("x", None))


class Narrowed(Ipd):
    """Once both have defected nobody can cooperate."""

    def actions(self, public):
        return ("DEFECT",) if public else super().actions(public)

    def settle(self, public, private, first, second):
        return super().settle(public, private, first, second)._replace(public=first == second == "DEFECT" or None)


@pytest.mark.parametrize(
    ("game", "why"),
    [
        (Later, "round 2 is dealt otherwise than round 1"),
        (Kept, r"\('x', None\) is still private once a round is settled"),
        (Narrowed, "round 2 has other actions than round 1"),
    ],
)
def test_a_game_whose_rounds_are_not_alike_must_say_so(game: type[Ipd], why: str):
    with pytest.raises(ContractError, match=f"game 'ipd': its rounds are not alike, so set alike = False: {why}"):
        walk(game(3))
    game.alike = False
    assert walk(game(3)).nodes == plain_walk(game(3)).nodes
