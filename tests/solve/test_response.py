"""Best responses and exploitability against theory, OpenSpiel and all pure strategies."""

from __future__ import annotations

import numpy as np
import pyspiel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_spiel.python.algorithms.exploitability import exploitability as openspiel_exploitability
from open_spiel.python.policy import TabularPolicy

from sepo.audit.measures import scripted
from sepo.errors import ContractError, ShortcutError
from sepo.games.base import Memory, State
from sepo.games.registry import make
from sepo.solve import response
from sepo.solve.expand import expand, walk
from sepo.solve.response import best_response, best_responses, exploitability
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected
from tests.brute import as_profile, best_value, collected, random_strategy
from tests.kuhn_policies import KEYS, betting, equilibrium
from tests.small_games import Late, MergedLate, matrix_game
from tests.small_repeated import Pennies

KUHN = expand(make("kuhn"))
OBJECTIVES = {
    "payoff": {"own": 1.0},
    "difference": {"own": 1.0, "other": -1.0},
    "harm": {"other": -1.0},
}
probabilities = st.lists(st.floats(0, 1), min_size=12, max_size=12)


@pytest.mark.parametrize(
    ("name", "chips"),
    [("nash", 0.0), ("nash_approx", 0.0556), ("tight_passive", 0.25), ("loose_aggressive", 0.1667)],
)
def test_scripts_are_as_exploitable_as_published(tree: Tree, name: str, chips: float):
    got = exploitability(tree, scripted(tree)[name])
    assert got == pytest.approx(chips, abs=1e-9 if chips == 0 else 5e-5)


@settings(deadline=None, max_examples=60)
@given(alpha=st.floats(0, 1 / 3))
def test_every_equilibrium_of_kuhns_family_has_exploitability_zero(alpha: float):
    assert exploitability(KUHN, equilibrium(KUHN, alpha)) == pytest.approx(0, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    alpha=st.floats(0, 1 / 3),
    key=st.sampled_from(["J:p", "J:b", "Q:p", "Q:b", "K:b", "K:p"]),
    p=st.floats(0, 1),
)
def test_leaving_the_second_seats_unique_equilibrium_costs_something(alpha: float, key: str, p: float):
    policy = equilibrium(KUHN, alpha)
    entries = KUHN.infosets[KUHN.index[1, key]].entries
    moved = abs(policy[entries][1] - p)
    policy[entries] = 1 - p, p
    assert exploitability(KUHN, policy) >= moved * 1e-3 - 1e-12


def as_openspiel(tree: Tree, vector: Floats, policy: TabularPolicy) -> TabularPolicy:
    """Write a strategy into OpenSpiel's table, whose keys are card number and betting, as in ``0pb``."""
    for infoset in tree.infosets:
        card, line = infoset.key.split(":")
        policy.policy_for_key(f"{'JQK'.index(card)}{line}")[:] = vector[infoset.entries]
    return policy


@pytest.mark.parametrize("small", [response.SMALL, 0])
def test_200_random_policies_are_as_exploitable_as_openspiel_says(
    tree: Tree, small: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(response, "SMALL", small)  # up to which a tree is answered by sequences, else by nodes
    game = pyspiel.load_game("kuhn_poker")
    policy = TabularPolicy(game)
    for seed in range(200):
        vector = random_strategy(tree, seed, sharpness=0.3 if seed % 2 else 1.0)
        theirs = openspiel_exploitability(game, as_openspiel(tree, vector, policy))
        assert exploitability(tree, vector) == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(p=probabilities)
def test_exploitability_is_never_negative_nor_above_the_stakes(p: list[float]):
    assert -1e-12 <= exploitability(KUHN, betting(KUHN, dict(zip(KEYS, p, strict=True)))) <= 2


@settings(deadline=None, max_examples=40)
@given(one=probabilities, other=probabilities)
def test_exploitability_is_a_sum_over_the_two_seats_parts(one: list[float], other: list[float]):
    a, b = (betting(KUHN, dict(zip(KEYS, p, strict=True))) for p in (one, other))
    crossed = exploitability(KUHN, KUHN.join(0, a, b)) + exploitability(KUHN, KUHN.join(0, b, a))
    assert crossed == pytest.approx(exploitability(KUHN, a) + exploitability(KUHN, b), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(p=probabilities, objective=st.sampled_from(sorted(OBJECTIVES)), seat=st.integers(0, 1))
def test_in_a_zero_sum_game_payoff_and_harm_agree_and_the_difference_is_twice_the_payoff(
    p: list[float], objective: str, seat: int
):
    policy = betting(KUHN, dict(zip(KEYS, p, strict=True)))
    payoff = best_response(KUHN, policy, seat, KUHN.combine(seat, OBJECTIVES["payoff"])).value
    got = best_response(KUHN, policy, seat, KUHN.combine(seat, OBJECTIVES[objective])).value
    assert got == pytest.approx({"payoff": 1, "harm": 1, "difference": 2}[objective] * payoff, abs=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("seat", [0, 1])
def test_playing_the_best_response_earns_exactly_what_it_claims(any_tree: Tree, seat: int, objective: str):
    collects = any_tree.combine(seat, OBJECTIVES[objective])
    for seed in range(20):
        policy = random_strategy(any_tree, seed)
        found = best_response(any_tree, policy, seat, collects)
        played = any_tree.join(seat, found.strategy, policy)
        assert expected(any_tree, played, collects) == pytest.approx(found.value, abs=1e-12)


def test_a_best_response_is_pure_at_the_own_seat_and_leaves_the_other_seat_as_it_was(any_tree: Tree):
    policy = random_strategy(any_tree, 0)
    for seat in (0, 1):
        found = best_response(any_tree, policy, seat, any_tree.feature("own", seat)).strategy
        own = any_tree.seat == seat
        np.testing.assert_array_equal(found[~own], policy[~own])
        assert set(found[own]) <= {0.0, 1.0}
        np.testing.assert_allclose(np.bincount(any_tree.owner, found), 1)


@pytest.mark.parametrize("seat", [0, 1])
def test_no_random_or_scripted_opponent_does_better_than_the_best_response(any_tree: Tree, seat: int):
    collects = any_tree.feature("own", seat)
    rivals = [random_strategy(any_tree, 1000 + s, sharpness=0.2) for s in range(100)]
    rivals += scripted(any_tree).values()
    for policy in (random_strategy(any_tree, 7), *scripted(any_tree).values()):
        best = best_response(any_tree, policy, seat, collects).value
        gained = [expected(any_tree, any_tree.join(seat, rival, policy), collects) for rival in rivals]
        assert max(gained) <= best + 1e-12


def test_the_responders_own_part_of_the_profile_does_not_matter(any_tree: Tree):
    policy, another = random_strategy(any_tree, 1), random_strategy(any_tree, 2)
    for seat in (0, 1):
        collects = any_tree.feature("own", seat)
        first = best_response(any_tree, policy, seat, collects)
        second = best_response(any_tree, any_tree.join(seat, another, policy), seat, collects)
        assert first.value == second.value


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("seat", [0, 1])
def test_the_best_response_is_the_best_of_all_pure_strategies(any_tree: Tree, seat: int, objective: str):
    game = any_tree.game
    weights = OBJECTIVES[objective]
    for seed in range(2):
        policy = random_strategy(any_tree, seed)
        want = best_value(
            game,
            as_profile(any_tree, policy),
            seat,
            lambda line: sum(w * collected(game, line, name, seat) for name, w in weights.items()),
        )
        got = best_response(any_tree, policy, seat, any_tree.combine(seat, weights)).value
        assert got == pytest.approx(want, abs=1e-12)


def test_ties_go_to_the_first_action():
    tree = expand(matrix_game([[1, 1], [1, 1]]))
    found = best_response(tree, np.full(4, 0.5), 0, tree.feature("own", 0))
    assert found.strategy[:2].tolist() == [1.0, 0.0]


def test_a_unilateral_gain_in_matching_pennies_is_what_the_bias_of_the_other_gives():
    tree = expand(matrix_game([[1, -1], [-1, 1]]))
    played = np.array([0.5, 0.5, 0.8, 0.2])  # the column player shows the first side 8 times in 10
    assert best_response(tree, played, 0, tree.feature("own", 0)).value == pytest.approx(0.6)
    assert exploitability(tree, played) == pytest.approx(0.3)  # and the row player gives nothing away


def test_exploitability_where_states_merge():
    tree = expand(Pennies(2, seats=(0, 1)))
    assert tree.merged
    assert exploitability(tree, tree.uniform) == pytest.approx(0.0)
    heads = np.concatenate([np.eye(2)[0] for _ in tree.infosets])
    assert exploitability(tree, heads) == pytest.approx(3.0)  # a stake of 1.5 on average, lost in either seat, twice


class ForgottenLate(Late):
    """The same, its states merging for short memories."""

    def forgetful(self, memory: Memory) -> State:
        return self.root()


def test_an_information_state_at_two_depths_is_answered_once():
    tree = expand(Late())
    for seat in (0, 1):
        assert best_response(tree, tree.uniform, seat, tree.feature("own", seat)).value == pytest.approx(0.5)


def test_where_states_merge_an_information_state_at_two_depths_is_refused():
    tree = expand(MergedLate())
    assert tree.merged
    assert tree.depth.tolist() == [-1, -1]
    with pytest.raises(ContractError, match=r"where states merge .* must be equally deep"):
        best_response(tree, tree.uniform, 1, tree.feature("own", 1))
    with pytest.raises(ShortcutError, match="'late': what is seen does not tell how far it is"):
        walk(ForgottenLate(), {0: lambda d: np.full(2, 0.5)}, "round")
    both = {seat: lambda d: np.full(2, 0.5) for seat in (0, 1)}
    tree = walk(ForgottenLate(), both, "round")
    assert expected(tree, tree.fixed, tree.feature("own", 0)) == pytest.approx(0.45)


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize(("name", "rules"), [("kuhn", {}), ("ipd", {"rounds": 3}), ("auction", {"rounds": 2})])
def test_many_profiles_are_answered_as_each_of_them(name: str, rules: dict[str, int], seat: int):
    tree = expand(make(name, rules))
    due = tree.combine(seat, OBJECTIVES["difference"])
    profiles = np.stack([random_strategy(tree, seed) for seed in range(5)])
    wanted = [best_response(tree, p, seat, due).strategy.tolist() for p in profiles]
    assert best_responses(tree, profiles, seat, due).tolist() == wanted
    assert len({tuple(w) for w in wanted}) > 1
