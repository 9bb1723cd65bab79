"""Reach probabilities and expected values against enumeration of every line of play."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sepo.games.base import CHANCE, TERMINAL, Game, State
from sepo.games.registry import make
from sepo.solve.expand import expand
from sepo.solve.gradient import action_gradient
from sepo.solve.tree import Tree
from sepo.solve.value import counterfactual_reach, expected, infoset_reach, node_values, own_reach, reach
from tests.brute import Profile, as_profile, due, expectation, lines, random_strategy

IPD = expand(make("ipd", {"rounds": 3}))


@pytest.mark.parametrize("seed", range(4))
def test_every_features_expectation_is_that_of_enumeration(any_tree: Tree, seed: int):
    vector = random_strategy(any_tree, seed)
    profile = as_profile(any_tree, vector)
    for name in any_tree.names:
        for seat in (0, 1):
            due_here = any_tree.feature(name, seat)
            want = expectation(any_tree.game, profile, name, seat)
            assert expected(any_tree, vector, due_here) == pytest.approx(want, abs=1e-12)
            assert node_values(any_tree, vector, due_here)[0] == pytest.approx(want, abs=1e-12)


def test_a_textbook_value_all_hands_are_shown_down_when_both_always_bet(tree: Tree):
    # Both bet and call everything: each hand is shown down for 2 chips, half of them won by the first seat.
    always = np.tile([0.0, 1.0], 12)
    won = tree.feature("own", 0)
    assert expected(tree, always, won) == pytest.approx(0, abs=1e-12)
    assert expected(tree, always, np.abs(won)) == pytest.approx(2, abs=1e-12)


def test_terminal_reach_sums_to_one_and_every_node_splits_its_reach_among_its_children(any_tree: Tree):
    got = reach(any_tree, random_strategy(any_tree, 1))
    assert got[any_tree.actor == TERMINAL].sum() == pytest.approx(1, abs=1e-12)
    split = np.bincount(any_tree.parent[1:], got[1:], any_tree.nodes)
    inner = any_tree.actor != TERMINAL
    np.testing.assert_allclose(split[inner], got[inner], atol=1e-12)


def test_an_episode_has_the_games_number_of_rounds(any_tree: Tree):
    vector = random_strategy(any_tree, 2)
    for seat in (0, 1):
        assert expected(any_tree, vector, any_tree.feature("round", seat)) == pytest.approx(any_tree.game.rounds)


def test_counterfactual_reach_ignores_the_own_strategy_and_reach_is_its_product_with_it(any_tree: Tree):
    ours, theirs, another = (random_strategy(any_tree, s) for s in (1, 2, 3))
    for seat in (0, 1):
        first = counterfactual_reach(any_tree, any_tree.join(seat, ours, theirs), seat)
        np.testing.assert_array_equal(first, counterfactual_reach(any_tree, any_tree.join(seat, another, theirs), seat))
        alone = any_tree.join(seat, ours, np.ones_like(ours))
        own = np.ones(any_tree.nodes)
        for node in range(1, any_tree.nodes):
            step = alone[any_tree.entry[node]] if any_tree.entry[node] >= 0 else 1.0
            own[node] = own[any_tree.parent[node]] * step
        np.testing.assert_allclose(reach(any_tree, any_tree.join(seat, ours, theirs)), first * own, atol=1e-12)


def test_information_states_are_reached_as_often_as_lines_pass_them(any_tree: Tree):
    vector = random_strategy(any_tree, 5)
    passed = dict.fromkeys(any_tree.index, 0.0)
    for line in lines(any_tree.game, as_profile(any_tree, vector)):
        for seat, key, _ in line.moves:
            passed[seat, key] += line.probability
    got = infoset_reach(any_tree, vector)
    for where, which in any_tree.index.items():
        assert got[which] == pytest.approx(passed[where], abs=1e-12)


@pytest.mark.parametrize("name", ["kuhn", "stakes", "three rounds"])
def test_own_reach_is_the_product_of_the_seats_own_probabilities_on_the_way(name: str, tree: Tree, stakes_tree: Tree):
    played_on = {"kuhn": tree, "stakes": stakes_tree, "three rounds": IPD}[name]
    vector = random_strategy(played_on, 6)
    profile = as_profile(played_on, vector)
    got = own_reach(played_on, vector)
    for line in lines(played_on.game, profile):
        played = [1.0, 1.0]
        for seat, key, action in line.moves:
            assert got[played_on.index[seat, key]] == pytest.approx(played[seat], abs=1e-12)
            played[seat] *= profile[seat, key][action]


def after(game: Game, profile: Profile, state: State, name: str, learner: int, only_round: int | None) -> float:
    """Return what falls due at ``state`` and after it; with ``only_round``, in that round alone."""
    here = due(game, state, name, learner) if only_round in (None, state.round) else 0.0
    if state.actor == TERMINAL:
        return here
    steps = dict(state.chance()) if state.actor == CHANCE else profile[state.actor, game.key(state.view(state.actor))]
    return here + math.fsum(
        p * after(game, profile, state.child(a), name, learner, only_round) for a, p in steps.items()
    )


@pytest.mark.parametrize("immediate", [False, True])
def test_the_value_of_every_node_is_that_of_recursion_from_its_state(any_tree: Tree, immediate: bool):
    game, vector = any_tree.game, random_strategy(any_tree, 3)
    profile = as_profile(any_tree, vector)
    found = [game.root()]
    for state in found:
        if state.actor != TERMINAL:
            actions = [a for a, _ in state.chance()] if state.actor == CHANCE else state.legal()
            found += [state.child(a) for a in actions]
    for name in ("own", "other", "round"):
        got = node_values(any_tree, vector, any_tree.feature(name, 1), immediate=immediate)
        want = [after(game, profile, s, name, 1, s.round if immediate else None) for s in found]
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_immediate_credit_of_a_decision_is_its_own_rounds_payoff_and_no_later_one(stakes_tree: Tree):
    vector = random_strategy(stakes_tree, 4)
    payoff = stakes_tree.feature("own", 0)
    moved = stakes_tree.entry >= 0
    immediate = action_gradient(stakes_tree, vector, payoff, immediate=True)
    for which in (0, 1):
        alone = action_gradient(stakes_tree, vector, np.where(stakes_tree.round == which, payoff, 0.0))
        entries = np.unique(stakes_tree.entry[moved & (stakes_tree.round == which)])
        np.testing.assert_allclose(immediate[entries], alone[entries], atol=1e-12)
    to_go = action_gradient(stakes_tree, vector, payoff)
    early = np.unique(stakes_tree.entry[moved & (stakes_tree.round == 0)])
    assert not np.allclose(immediate[early], to_go[early])
