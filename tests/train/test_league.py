"""The growing pool of exploiters: what is the same, what weighs more, and that each earns what it is kept for."""

from __future__ import annotations

import numpy as np
import pytest

from sepo.audit.arena import Adversary, Arena, ground_of, respond
from sepo.audit.measures import measure, terms, worst_case
from sepo.games.registry import make
from sepo.policies.base import strategy
from sepo.solve.response import exploitability
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import own_reach
from sepo.train.league import MOST, League, itself
from sepo.train.mirror import softmax
from tests.brute import as_profile, lines

GAME = make("kuhn")


@pytest.fixture(scope="module")
def tree() -> Tree:
    found = ground_of(GAME)
    assert isinstance(found, Tree)
    return found


def policy(tree: Tree, seed: int, spread: float = 1.0) -> Floats:
    return softmax(tree, spread * np.random.default_rng(seed).normal(size=len(tree.seat)))


def answer(tree: Tree, seed: int) -> Adversary:
    return respond(tree, policy(tree, seed, 3.0), {"own": 1.0})


def test_the_same_answer_found_again_weighs_more(tree: Tree) -> None:
    league = League(tree)
    assert league.note(answer(tree, 0))
    assert not league.note(answer(tree, 0))
    assert league.note(answer(tree, 1))
    assert [(a.name, a.weight) for a in league.found] == [("found_1", 2.0), ("found_2", 1.0)]


def test_answers_that_differ_where_they_never_come_are_the_same(tree: Tree) -> None:
    league, one = League(tree), answer(tree, 0)
    never = np.flatnonzero(own_reach(tree, one.strategy) == 0)
    assert never.size
    other = one.strategy.copy()
    info = tree.infosets[never[0]]
    other[info.entries] = other[info.entries][::-1]
    assert not np.array_equal(other, one.strategy)
    league.note(one)
    assert not league.note(Adversary("again", other))


def test_e_is_the_weighted_mean_over_all_of_them(tree: Tree) -> None:
    league = League(tree)
    for seed in (0, 0, 0, 1, 2):
        league.note(answer(tree, seed))
    learner, chosen = policy(tree, 9), GAME.measures("paper")
    whole = measure(terms(tree, chosen, learner, exploiters=league.found), "e")
    each = [measure(terms(tree, chosen, learner, exploiters=[a]), "e") for a in league.found]
    weights = [a.weight for a in league.found]
    assert weights == [3.0, 1.0, 1.0]
    assert whole == pytest.approx(np.average(each, weights=weights), abs=1e-12)


def test_an_exploiter_is_written_as_a_policy_that_earns_what_it_was_found_for(tree: Tree) -> None:
    learner = policy(tree, 3)
    league = League(tree)
    league.note(respond(tree, learner, {"own": 1.0}))
    table = league.tables()["found_1"]
    found = strategy(table, tree)
    earned = [
        measure(terms(tree, GAME.measures("paper"), learner, exploiters=[Adversary("x", found)]), "e"),
        exploitability(tree, learner) * 2,
    ]
    assert earned[0] == pytest.approx(earned[1], abs=1e-12)  # what one side wins the other loses
    assert table.notes == {"found": 1.0}


def test_in_a_symmetrical_game_the_row_is_that_of_the_seat_that_opposes(tree: Tree) -> None:
    game = make("ipd", {"rounds": 6})
    arena = ground_of(game)
    assert isinstance(arena, Arena)
    learner = arena.space.uniform
    found = respond(arena, learner, {"own": 1.0, "other": -1.0})
    league = League(arena)
    league.note(found)
    rows = league.tables()["found_1"].table
    for info in arena.whole.infosets:
        if info.seat == 1:
            assert list(rows[info.key].values()) == found.strategy[info.entries].tolist()
    ahead = worst_case(arena.whole, arena.on_whole(learner), {"own": 1.0, "other": -1.0})
    assert measure(terms(arena, game.measures("paper"), learner, exploiters=league.found), "e") == pytest.approx(ahead)


def test_a_league_goes_on_from_its_state_and_holds_so_many(tree: Tree) -> None:
    league = League(tree)
    for seed in range(200):
        league.note(answer(tree, seed))
    assert len(league.found) <= MOST
    again = League(tree)
    again.load(league.state())
    assert [(a.name, a.weight) for a in again.found] == [(a.name, a.weight) for a in league.found]
    for seed in (3, 500, 501):
        assert again.note(answer(tree, seed)) == league.note(answer(tree, seed))
    assert [(a.name, a.weight) for a in again.found] == [(a.name, a.weight) for a in league.found]


def test_a_past_self_is_the_policy_in_the_other_seat(tree: Tree) -> None:
    learner = policy(tree, 4)
    past = itself(tree, learner)
    (ahead, behind) = (
        measure(terms(tree, GAME.measures("paper"), learner, exploiters=[a]), "e")
        for a in (past, respond(tree, learner, {"own": 1.0}))
    )
    assert ahead == pytest.approx(0, abs=1e-12)  # nobody is ahead of itself over both seats
    assert behind > 0.1


def test_where_the_learner_has_one_seat_its_past_self_plays_the_other_alike() -> None:
    game = make("ipd", {"rounds": 3})
    arena = Arena(game, tuple(game.opponents))
    learner = softmax(arena.space, np.random.default_rng(0).normal(size=len(arena.space.uniform)))
    past = itself(arena, learner)
    table = {i.key: learner[i.entries].tolist() for i in arena.space.infosets}
    other = [i for i in arena.whole.infosets if i.seat == 1]
    assert len(other) > 10
    for info in other:
        assert past.strategy[info.entries].tolist() == table.get(info.key, [0.5, 0.5])
    assert sum(i.key in table for i in other) > 10


def test_a_league_keeps_what_the_policy_was(tree: Tree) -> None:
    league = League(tree)
    for seed in (0, 0, 1):
        league.note(itself(tree, policy(tree, seed)))
    assert [(a.name, a.weight) for a in league.found] == [("found_1", 2.0), ("found_2", 1.0)]
    kept = league.tables()["found_2"]
    assert strategy(kept, tree) == pytest.approx(policy(tree, 1))


def test_where_histories_merge_answers_are_the_same_that_differ_where_they_never_come() -> None:
    merged = ground_of(make("auction", {"rounds": 2}))
    assert isinstance(merged, Tree)
    assert merged.merged
    one = respond(merged, merged.uniform, {"own": 1.0})
    seen = {
        (seat, key)
        for line in lines(merged.game, as_profile(merged, np.where(merged.seat == 1, one.strategy, merged.uniform)))
        for seat, key, _ in line.moves
        if line.probability
    }
    comes = [i for i in merged.infosets if i.seat == 1 and (1, i.key) in seen]
    never = [i for i in merged.infosets if i.seat == 1 and (1, i.key) not in seen]
    assert comes
    assert never
    for infosets, new in ((comes, True), (never, False)):
        other = one.strategy.copy()
        for info in infosets:
            other[info.entries] = np.roll(other[info.entries], 1)
        league = League(merged)
        assert league.note(one)
        assert league.note(Adversary("other", other)) is new
