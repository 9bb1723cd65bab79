"""Meetings on pruned and forgetful trees against the tree of the whole game."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sepo.audit.board import Subject, against, facing, longer, match
from sepo.audit.exact import Expectations, best_values, extremes, quantities
from sepo.audit.figures import ANYONE
from sepo.audit.measures import Adversary, per_round, scripted
from sepo.errors import TooLargeError
from sepo.games.auction import Auction
from sepo.games.base import Game
from sepo.games.contract import check
from sepo.games.ipd import Ipd
from sepo.games.registry import make
from sepo.policies.base import Policy, strategy
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.table import PolicyTable, tabulate
from sepo.solve.expand import expand
from sepo.solve.response import best_response
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import move_reach
from tests.brute import random_strategy
from tests.small_games import Drawn, Late, Node, chooses, draws, leaf
from tests.small_repeated import Guess

GAMES: dict[str, Game] = {"kuhn": make("kuhn"), "ipd": Ipd(4), "auction": Auction(2), "late": Late()}
OBJECTIVES = ({"own": 1.0}, {"own": 1.0, "other": -1.0}, {"other": -1.0})


def random_table(game: Game, seed: int, idle: float = 0.0) -> PolicyTable:
    """Return a random table; actions up to ``idle`` times as likely as the likeliest are never played."""
    tree = expand(game)
    vector = random_strategy(tree, seed)
    vector = np.where(vector <= idle * np.maximum.reduceat(vector, tree.starts)[tree.owner], 0.0, vector)
    return tabulate(game, tree, vector / np.bincount(tree.owner, vector)[tree.owner], f"random {seed}")


def policies(game: Game) -> list[Policy]:
    scripts = [ScriptPolicy(f"script:{name}", name) for name in game.opponents]
    return [*scripts, UniformPolicy(), random_table(game, 0), random_table(game, 1, idle=0.3)]


CASES = [(name, i) for name, game in GAMES.items() for i in range(len(policies(game)))]


def share(tree: Tree, profile: Floats, seat: int, action: str) -> float:
    """Return how often an action is taken in an episode, by going through all moves of the whole tree."""
    passed = move_reach(tree, profile)
    taken = 0.0
    for move in range(1, tree.moves):
        where = tree.infoset[tree.parent[move]]
        if where >= 0 and tree.infosets[where].seat == seat:
            info = tree.infosets[where]
            if info.decision.legal[tree.entry[move] - info.start] == action:
                taken += passed[move]
    return taken


@pytest.mark.parametrize(("name", "which"), CASES)
def test_a_meeting_has_the_expectations_of_the_whole_tree(name: str, which: int):
    game = GAMES[name]
    policy, whole = policies(game)[which], expand(game)
    learner, subject = strategy(policy, whole), Subject(game, policy)
    for other, seat in product(game.opponents, game.seats):
        m = match(subject, other, seat)
        assert m.tree.nodes <= whole.nodes
        assert not m.open.any()
        found = quantities(m)
        adversary = Adversary(other, scripted(whole)[other])
        for quantity, value in found.items():
            if not quantity.startswith("play "):
                want = per_round(whole, learner, adversary, seat, {quantity: 1.0})
                assert value == pytest.approx(want, abs=1e-12), (other, quantity)
        assert set(found) >= {"own", "other", "round", *game.features}


@pytest.mark.parametrize("name", GAMES)
def test_actions_are_counted_as_on_the_whole_tree(name: str):
    game = GAMES[name]
    whole = expand(game)
    for policy in (random_table(game, 2, idle=0.3), UniformPolicy()):
        learner, subject = strategy(policy, whole), Subject(game, policy)
        for other, seat in product(list(game.opponents)[:4], game.seats):
            profile = whole.join(seat, learner, scripted(whole)[other])
            found = quantities(match(subject, other, seat))
            for action in {a for info in whole.infosets for a in info.decision.legal}:
                got = found.get(f"play {seat} {action}", np.zeros(1))
                assert got == pytest.approx(share(whole, profile, seat, action), abs=1e-12)


@pytest.mark.parametrize(("name", "which"), CASES)
def test_the_best_anyone_does_against_a_policy_is_that_of_the_whole_tree(name: str, which: int):
    game = GAMES[name]
    policy, whole = policies(game)[which], expand(game)
    learner, subject = strategy(policy, whole), Subject(game, policy)
    for seat, objective in product(game.seats, OBJECTIVES):
        want = best_response(whole, learner, 1 - seat, whole.combine(1 - seat, objective)).value
        for memory in ("round", "all"):
            m = facing(subject, seat, memory)
            got = best_response(m.tree, m.profile, 1 - seat, m.tree.combine(1 - seat, objective)).value
            assert got == pytest.approx(want, abs=1e-12)
            assert np.isnan(m.profile[m.tree.seat == 1 - seat]).all()
            assert not np.isnan(m.profile[m.tree.seat == seat]).any()


@pytest.mark.parametrize("name", GAMES)
def test_the_best_anyone_does_against_a_script_is_that_of_the_whole_tree(name: str):
    game = GAMES[name]
    whole = expand(game)
    for other, seat, objective in product(game.opponents, (0, 1), OBJECTIVES):
        m = against(game, other, seat)
        assert (m.open == (m.tree.mover == seat)).all()
        got = best_response(m.tree, m.profile, seat, m.tree.combine(seat, objective)).value
        want = best_response(whole, scripted(whole)[other], seat, whole.combine(seat, objective)).value
        assert got == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize(("script", "hits"), [("left", 0.5), ("uniform", 0.5), ("honest", 5 / 6)])
def test_anyone_learns_of_what_stays_private_from_what_is_played_and_from_nothing_else(script: str, hits: float):
    check(Guess())
    assert best_values(Guess(), script) == pytest.approx([hits])  # honest: known from the second round on
    m = against(Guess(), script, 0)
    assert best_response(m.tree, m.profile, 0, m.tree.feature("own", 0)).value == pytest.approx(3 * hits)
    subject, values = Subject(Guess(seats=(1,)), ScriptPolicy(f"script:{script}", script)), Expectations()
    values.add("", "", np.zeros(1))
    extremes(subject, values)
    assert values.values[values.columns[ANYONE, "worst"]] == pytest.approx([hits])
    assert values.values[values.columns[ANYONE, "gap"]] == pytest.approx([0.0])
    m = facing(subject, 1)
    assert best_response(m.tree, m.profile, 0, m.tree.combine(0, OBJECTIVES[1])).value == pytest.approx(3 * hits)


class Unhashed(Node):
    """A node that is equal to others by value and cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]


def test_a_game_that_knows_no_shorter_form_is_walked_as_it_is_whatever_its_states_are_equal_to():
    check(Late())
    assert best_values(Late(), "even") == pytest.approx([0.5])
    for game in (Drawn(Unhashed(0, "s", (("L", leaf(1), 1.0), ("R", leaf(0), 1.0)))), Late()):
        m = facing(Subject(game, UniformPolicy()), 0)
        assert m.tree.nodes == expand(game).nodes
    end = leaf(1)
    early = chooses(0, "s", L=end, R=end)  # the same end stands at two depths
    m = facing(Subject(Drawn(draws(("now", 0.5, end), ("then", 0.5, early))), UniformPolicy()), 0)
    assert not m.tree.merged


def test_two_short_memories_need_few_nodes_however_long_the_game():
    game = Ipd(12)
    m = match(Subject(game, ScriptPolicy("script:generous_tit_for_tat", "generous_tit_for_tat")), "pavlov", 0)
    assert m.tree.nodes < 12 * 4 * 7
    with pytest.raises(TooLargeError):
        match(Subject(game, UniformPolicy()), "tit_for_two_tats", 0, max_nodes=10_000)


def test_the_longer_of_two_memories_counts():
    memories = ("round", "last", "all")
    for (i, one), (j, other) in product(enumerate(memories), repeat=2):
        assert longer(one, other) == memories[max(i, j)]


def test_a_table_may_be_unknown_in_part_and_is_uniform_there():
    game = Ipd(2)
    table = PolicyTable("part", "ipd", game.rules, {"": {"COOPERATE": 1.0}})
    subject = Subject(game, table, unknown=True)
    m = match(subject, "mixed", 0)
    keys = {info.key for info, open_ in zip(m.tree.infosets, m.open, strict=True) if open_}
    assert keys == {"CC", "CD"}
    for info in m.tree.infosets:
        if info.seat == 0 and info.key:
            assert m.profile[info.entries].tolist() == [0.5, 0.5]
    assert all(subject.knows(i.decision) == (i.key == "") for i in m.tree.infosets if i.seat == 0)


def test_a_table_that_does_not_quite_sum_to_one_is_normalised():
    game = Ipd(1)
    table = PolicyTable("near", "ipd", game.rules, {"": {"COOPERATE": 0.25 + 4e-7, "DEFECT": 0.75}})
    m = match(Subject(game, table), "always_defect", 0)
    assert m.profile[m.tree.seat == 0].sum() == pytest.approx(1, abs=1e-15)
