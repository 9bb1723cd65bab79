"""What an opponent can collect at most from a policy known in part: never less than from any completion of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepo.audit.board import Match, Subject, facing
from sepo.audit.bounds import at_most
from sepo.games.auction import Auction
from sepo.games.base import Game
from sepo.games.ipd import Ipd
from sepo.games.registry import make
from sepo.games.split import Split
from sepo.policies.base import strategy
from sepo.policies.table import PolicyTable, tabulate
from sepo.solve.expand import expand
from sepo.solve.response import best_response
from sepo.solve.tree import Floats
from sepo.solve.value import infoset_reach
from tests.brute import random_strategy

GAMES: dict[str, Game] = {"kuhn": make("kuhn"), "ipd": Ipd(3), "auction": Auction(2), "split": Split(2)}
OBJECTIVES = {"payoff": {"own": 1.0}, "difference": {"own": 1.0, "other": -1.0}, "harm": {"other": -1.0}}
names, objectives = st.sampled_from(sorted(GAMES)), st.sampled_from(sorted(OBJECTIVES))
seeds, shares = st.integers(0, 10_000), st.floats(0, 1)


def partly(game: Game, seed: int, share: float) -> PolicyTable:
    """Return a random table, often with actions that are never played, that lacks about a share of its states."""
    tree = expand(game)
    vector = random_strategy(tree, seed, 0.2 if seed % 2 else 1.0)
    vector = np.where(vector < 0.05, 0.0, vector)
    vector = vector / np.bincount(tree.owner, vector)[tree.owner]
    table = tabulate(game, tree, vector, "part")
    rng = np.random.default_rng(seed)
    rows = {key: row for key, row in table.table.items() if rng.random() >= share}
    return PolicyTable("part", game.name, game.rules, rows, default="uniform")


def completions(game: Game, table: PolicyTable, seed: int, count: int) -> list[Floats]:
    """Return random completions of a table over the tree of the whole game."""
    tree = expand(game)
    known = np.array([info.key in table.table for info in tree.infosets])[tree.owner]
    rows = strategy(table, tree)
    out = []
    for i in range(count):
        drawn = tabulate(game, tree, random_strategy(tree, seed + i, 0.1 if i % 2 else 1.0), "drawn", default="uniform")
        out.append(np.where(known, rows, strategy(drawn, tree)))  # one answer to a question, whichever seat asks
    return out


def met(game: Game, table: PolicyTable, seat: int) -> Match:
    return facing(Subject(game, table, unknown=True), seat)


@settings(max_examples=60)
@given(name=names, objective=objectives, seed=seeds, share=shares)
def test_no_completion_gives_any_opponent_more(name: str, objective: str, seed: int, share: float):
    game = GAMES[name]
    table, whole = partly(game, seed, share), expand(game)
    for seat in game.seats:
        m = met(game, table, seat)
        bound = at_most(m, m.tree.combine(1 - seat, OBJECTIVES[objective]))
        due = whole.combine(1 - seat, OBJECTIVES[objective])
        for vector in completions(game, table, seed, 4):
            assert best_response(whole, vector, 1 - seat, due).value <= bound + 1e-9


@settings(max_examples=40)
@given(name=names, objective=objectives, seed=seeds)
def test_where_nothing_is_open_it_is_the_best_response(name: str, objective: str, seed: int):
    game = GAMES[name]
    table, whole = partly(game, seed, 0.0), expand(game)
    for seat in game.seats:
        m = met(game, table, seat)
        assert not m.open.any()
        want = best_response(whole, strategy(table, whole), 1 - seat, whole.combine(1 - seat, OBJECTIVES[objective]))
        got = at_most(m, m.tree.combine(1 - seat, OBJECTIVES[objective]))
        assert got == pytest.approx(want.value, abs=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ["ipd", "auction", "split"])
def test_what_is_open_but_never_reached_does_not_loosen_it(name: str, objective: str):
    # Only what a policy that always plays its first action gets to is known: the rest it never gets to.
    game = GAMES[name]
    whole = expand(game)
    first = np.zeros(len(whole.seat))
    first[whole.starts] = 1.0
    reached = infoset_reach(whole, np.where(whole.seat == 0, first, 1.0)) > 0
    full = tabulate(game, whole, first, "first")
    rows = {i.key: full.table[i.key] for i, r in zip(whole.infosets, reached, strict=True) if r and i.seat == 0}
    assert len(rows) < len({i.key for i in whole.infosets if i.seat == 0})
    m = met(game, PolicyTable("first", game.name, game.rules, rows), 0)
    got = at_most(m, m.tree.combine(1, OBJECTIVES[objective]))
    want = best_response(whole, first, 1, whole.combine(1, OBJECTIVES[objective])).value
    assert got == pytest.approx(want, abs=1e-9)


@settings(max_examples=40)
@given(name=names, objective=objectives, seed=seeds, few=shares, more=shares)
def test_knowing_less_never_tightens_it(name: str, objective: str, seed: int, few: float, more: float):
    game = GAMES[name]
    table = partly(game, seed, 0.0)
    rng = np.random.default_rng(seed)
    luck = {key: rng.random() for key in table.table}

    def bound(share: float) -> float:
        rows = {key: row for key, row in table.table.items() if luck[key] >= share}
        m = met(game, PolicyTable("part", game.name, game.rules, rows), 0)
        return at_most(m, m.tree.combine(1, OBJECTIVES[objective]))

    few, more = sorted((few, more))
    assert bound(few) <= bound(more) + 1e-9


@pytest.mark.parametrize(
    ("name", "objective", "most"),
    [
        ("ipd", "difference", 15.0),  # it always cooperates and is always betrayed
        ("split", "payoff", 18.0),  # it always demands 1 and leaves 9
        ("auction", "payoff", 2.5),  # it always bids LOW: 2 by MEDIUM with value 4, 1/2 by a tie with value 2
        ("kuhn", "payoff", 1.5),  # it folds the higher card and pays 2 with the lower one: more than it could do
    ],
)
def test_an_unknown_policy_may_do_the_opponent_every_favour(name: str, objective: str, most: float):
    game = GAMES[name]
    m = met(game, PolicyTable("none", game.name, game.rules, {}), 0)
    assert at_most(m, m.tree.combine(1, OBJECTIVES[objective])) == pytest.approx(most, abs=1e-12)
