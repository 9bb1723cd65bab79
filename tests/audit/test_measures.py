"""u, e, c, x and J against enumeration of every hand; the gradient of J against finite differences of J."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linprog

from sepo.audit.measures import (
    KINDS,
    gradient,
    measure,
    objective,
    pool,
    respond,
    root_values,
    scripted,
    seat_value,
    terms,
    worst_case,
)
from sepo.errors import InputError
from sepo.games.base import Game, MeasureSet, Weights
from sepo.policies.table import tabulate
from sepo.solve.expand import expand
from sepo.solve.response import exploitability
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected
from tests.brute import (
    Line,
    as_profile,
    best_value,
    collected,
    expectation,
    lines,
    random_strategy,
)
from tests.kuhn_policies import equilibrium
from tests.small_games import BackwardsStakes

SETS = ("paper", "sepo")


@pytest.fixture(params=["kuhn", "stakes"])
def any_tree(request: pytest.FixtureRequest, tree: Tree, stakes_tree: Tree) -> Tree:
    return tree if request.param == "kuhn" else stakes_tree


class ByHand:
    """The definitions of GAMES.md, by enumeration alone."""

    def __init__(self, tree: Tree, measures: MeasureSet, learner: Floats) -> None:
        self.tree, self.game, self.set, self.learner = tree, tree.game, measures, learner

    def per_round(self, opponent: str, seat: int, name: str) -> float:
        joined = self.tree.join(seat, self.learner, scripted(self.tree)[opponent])
        return expectation(self.game, as_profile(self.tree, joined), name, seat) / self.game.rounds

    def mean(self, opponent: str, name: str) -> float:
        return float(np.mean([self.per_round(opponent, seat, name) for seat in self.game.seats]))

    def most(self, policy: Floats, seat: int, name: str, sign: float) -> float:
        """Return the best of all pure strategies of ``seat``, per round."""
        profile = as_profile(self.tree, policy)
        value = best_value(self.game, profile, seat, lambda line: sign * collected(self.game, line, name, seat))
        return value / self.game.rounds

    @property
    def u(self) -> float:
        return float(np.mean([self.mean(o, "own") for o in self.set.pools["train"]]))

    @property
    def e(self) -> float:
        if self.set.e == "exploitability":
            gains = [self.most(self.learner, 1 - s, "own", 1.0) - seat_value(self.tree, 1 - s) for s in (0, 1)]
            return float(np.mean(gains))
        faults = []
        for name in self.set.pools["exploiter"]:
            own, other = self.mean(name, "own"), self.mean(name, "other")
            if self.set.e == "regret":
                other = float(np.mean([self.most(scripted(self.tree)[name], s, "own", 1.0) for s in (0, 1)]))
            faults.append(max(0.0, other - own))
        return float(np.mean(faults))

    def ratio(self, kind: str) -> float:
        ratio = getattr(self.set, kind)
        if ratio is None:
            return 0.0
        shares = []
        for name in (o for p in ratio.pools for o in self.set.pools[p]):
            above, below = self.mean(name, ratio.numerator), self.mean(name, ratio.denominator)
            shares.append(above / below if below else 0.0)
        return float(np.mean(shares))

    def all(self) -> dict[str, float]:
        return {"u": self.u, "e": self.e, "c": self.ratio("c"), "x": self.ratio("x")}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("seed", range(3))
def test_u_e_c_x_and_j_of_random_policies_are_those_of_enumeration(any_tree: Tree, name: str, seed: int):
    measures = any_tree.game.measures(name)
    learner = random_strategy(any_tree, seed, sharpness=0.5)
    want = ByHand(any_tree, measures, learner).all()
    found = terms(any_tree, measures, learner)
    for kind in KINDS:
        assert measure(found, kind) == pytest.approx(want[kind], abs=1e-12)
    s, (le, lc, lx) = 3 / any_tree.game.max_payoff, measures.weights
    J = s * want["u"] - le * s * want["e"] - lc * want["c"] - lx * want["x"]
    assert objective(found) == pytest.approx(J, abs=1e-12)


def test_the_measures_of_always_pass_are_those_of_counting_on_fingers(tree: Tree):
    """It folds to every bet and wins a chip only in showdowns that nobody bet."""
    found = terms(tree, tree.game.measures("paper"), scripted(tree)["always_pass"])
    # max_exploiter bets queens and kings: 2 of 3 hands lost for a chip; its jack checks and loses a chip.
    assert measure(found, "e") == pytest.approx(2 * (2 / 3 - 1 / 3), abs=1e-12)
    # Against loose_aggressive: seat 0 checks, then folds in 2 of 3 hands; seat 1 only folds, in 2 of 3.
    assert measure(found, "c") == pytest.approx((2 / 3 + 2 / 3) / ((1 + 2 / 3) + 1), abs=1e-12)
    assert measure(found, "x") == 0


def test_given_weights_replace_the_games_own(any_tree: Tree):
    learner = random_strategy(any_tree, 5)
    measures = any_tree.game.measures("paper")
    plain = objective(terms(any_tree, measures, learner, Weights(0, 0, 0)))
    assert plain == pytest.approx(any_tree.game.scale * measure(terms(any_tree, measures, learner), "u"), abs=1e-12)


def test_the_clip_is_on_the_expected_advantage_and_never_on_an_episodes(tree: Tree):
    """Clipped per episode, an equilibrium player would pay for bad luck; on expectation it owes nothing."""
    nash = scripted(tree)["nash"]
    found = terms(tree, tree.game.measures("paper"), nash)
    assert measure(found, "e") == 0
    assert not any(t.active for t in found if t.kind == "e")
    joined = [tree.join(seat, nash, scripted(tree)["max_exploiter"]) for seat in (0, 1)]
    unlucky = [
        sum(
            line.probability * max(0.0, collected(tree.game, line, "other", s) - collected(tree.game, line, "own", s))
            for line in lines(tree.game, as_profile(tree, profile))
        )
        for s, profile in enumerate(joined)
    ]
    assert np.mean(unlucky) > 1


def test_the_clip_is_on_the_mean_over_both_seats_not_on_each_seat(tree: Tree):
    measures = tree.game.measures("paper")
    for seed in range(200):
        learner = random_strategy(tree, seed)
        by_seat = [ByHand(tree, measures, learner).per_round("max_exploiter", s, "other") * 2 for s in (0, 1)]
        if min(by_seat) < -0.05 and np.mean(by_seat) > 0.05:  # one seat ahead, the other further behind
            assert measure(terms(tree, measures, learner), "e") == pytest.approx(np.mean(by_seat), abs=1e-12)
            break
    else:
        pytest.fail("no policy that is ahead in one seat and behind in the mean")


def test_clipped_terms_have_no_gradient(tree: Tree):
    nash = scripted(tree)["nash"]
    found = terms(tree, tree.game.measures("paper"), nash)
    without = [t for t in found if t.kind != "e"]
    np.testing.assert_array_equal(gradient(nash, found), gradient(nash, without))


def test_a_margin_moves_the_clip_and_nothing_else(tree: Tree):
    measures = tree.game.measures("paper")
    nash = scripted(tree)["nash"]
    (behind,) = {round(-sum(t.unclipped * t.share for t in terms(tree, measures, nash) if t.kind == "e"), 12)}
    assert behind > 0.01
    plain = terms(tree, measures, nash)
    for margin, felt in ((0.5 * behind, False), (3.0 * behind, True)):
        found = terms(tree, measures, nash, margin=margin)
        assert {t.active for t in found if t.kind == "e"} == {felt}
        for kind in KINDS:  # nobody is ahead, so e is 0 whoever is felt
            assert measure(found, kind) == measure(plain, kind)
        assert objective(found) == objective(plain)
    learner = random_strategy(tree, 61, sharpness=3.0)
    exploited = [terms(tree, measures, learner, margin=m) for m in (0.0, 5.0)]
    assert all(t.active for t in exploited[1])
    assert objective(exploited[0]) == objective(exploited[1])
    if measure(exploited[0], "e") > 0:
        np.testing.assert_array_equal(gradient(learner, exploited[0]), gradient(learner, exploited[1]))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_the_slope_of_j_when_mass_moves_between_two_actions(any_tree: Tree, name: str, seed: int):
    measures = any_tree.game.measures(name)
    learner = random_strategy(any_tree, 50 + seed, sharpness=3.0)  # interior, almost surely away from kinks
    found = terms(any_tree, measures, learner)
    got = gradient(learner, found)
    step = 1e-6
    slopes = []
    for infoset in any_tree.infosets:
        first = infoset.start
        for second in range(first + 1, infoset.entries.stop):
            direction = np.zeros_like(learner)
            direction[[first, second]] = 1.0, -1.0
            up, down = (objective(terms(any_tree, measures, learner + h * direction)) for h in (step, -step))
            slopes.append((up - down) / (2 * step))
            assert got[first] - got[second] == pytest.approx(slopes[-1], abs=1e-6)
    assert np.abs(slopes).max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_each_measures_terms_have_the_slope_of_that_measure_alone(stakes_tree: Tree, kind: str):
    measures = stakes_tree.game.measures("paper")
    learner = random_strategy(stakes_tree, 61, sharpness=3.0)
    part = [t for t in terms(stakes_tree, measures, learner) if t.kind == kind]
    assert part
    got = gradient(learner, part)
    for infoset in stakes_tree.infosets:
        if len(infoset.decision.legal) > 1:
            direction = np.zeros_like(learner)
            direction[[infoset.start, infoset.start + 1]] = 1.0, -1.0
            up, down = (
                objective([t for t in terms(stakes_tree, measures, learner + h * direction) if t.kind == kind])
                for h in (1e-6, -1e-6)
            )
            assert got @ direction == pytest.approx((up - down) / 2e-6, abs=1e-6)


def test_immediate_credit_is_the_gradient_in_a_game_of_one_round_and_not_in_one_of_two(tree: Tree, stakes_tree: Tree):
    for any_tree, same in ((tree, True), (stakes_tree, False)):
        learner = random_strategy(any_tree, 9)
        found = terms(any_tree, any_tree.game.measures("paper"), learner)
        immediate = gradient(learner, found, immediate=True)
        assert np.allclose(immediate, gradient(learner, found)) is same


def best_sepo_objective(tree: Tree) -> float:
    """Return the largest sepo J there is, by the normal form: mixtures of all 64 pure strategies a seat."""
    pure: list[list[Floats]] = []
    for seat in (0, 1):
        starts = [i.start for i in tree.infosets if i.seat == seat]
        plans = []
        for picks in np.ndindex(*(2,) * len(starts)):
            plan = np.zeros(len(tree.seat))
            plan[np.array(starts) + picks] = 1.0
            plans.append(plan)
        pure.append(plans)
    first = tree.feature("own", 0)
    payoff = np.array([[expected(tree, a + b, first) for b in pure[1]] for a in pure[0]])
    train = pool(tree, tree.game.measures("sepo"), "train")
    s, le = 1.5, 1.5
    total = 0.0
    for seat, matrix in ((0, payoff), (1, -payoff.T)):
        against = np.array(
            [
                np.mean([expected(tree, tree.join(seat, p, a.strategy), tree.feature("own", seat)) for a in train])
                for p in pure[seat]
            ]
        )
        # maximise  s * against . x - le * s * w   where  w >= -(payoff of x against any pure opponent)
        done = linprog(
            np.concatenate([-s * against, [le * s]]),
            A_ub=np.hstack([-matrix.T, -np.ones((64, 1))]),
            b_ub=np.zeros(64),
            A_eq=[[1.0] * 64 + [0.0]],
            b_eq=[1.0],
            bounds=[(0, None)] * 64 + [(None, None)],
        )
        assert done.status == 0
        total -= done.fun / 2
    return total  # the seats' values, -1/18 and 1/18, cancel


def test_the_sepo_optimum_is_the_equilibrium_with_alpha_zero_at_one_eighteenth(tree: Tree):
    measures = tree.game.measures("sepo")
    J = objective(terms(tree, measures, equilibrium(tree, 0.0)))
    assert pytest.approx(1 / 18, abs=1e-12) == J
    assert best_sepo_objective(tree) == pytest.approx(1 / 18, abs=1e-9)


def test_no_random_policy_exceeds_the_sepo_optimum_and_no_equilibrium_with_larger_alpha_does(tree: Tree):
    measures = tree.game.measures("sepo")
    for seed in range(300):
        assert objective(terms(tree, measures, random_strategy(tree, seed, sharpness=0.3))) < 1 / 18
    family = [objective(terms(tree, measures, equilibrium(tree, a))) for a in np.linspace(0, 1 / 3, 7)]
    assert all(a > b for a, b in pairwise(family))


def test_the_paper_objective_rewards_an_exploitable_bluffer_over_nash_and_the_sepo_objective_does_not(
    tree: Tree,
):
    """Always bluffing with the jack and calling with the queen: better than equilibrium as published."""
    p = {"J:": 1, "J:p": 1, "J:b": 0, "J:pb": 0, "Q:": 0, "Q:p": 0, "Q:b": 1, "Q:pb": 1}
    bluffer = np.concatenate([[1 - q, q] for i in tree.infosets for q in [p.get(i.key, 1)]])
    nash = scripted(tree)["nash"]
    paper, sepo = (
        [objective(terms(tree, tree.game.measures(name), policy)) for policy in (bluffer, nash)] for name in SETS
    )
    assert paper[0] > paper[1]
    assert sepo[0] < sepo[1]
    assert exploitability(tree, bluffer) > 0.1


def test_e_of_the_sepo_set_is_exploitability_in_a_zero_sum_game(tree: Tree):
    for seed in range(20):
        learner = random_strategy(tree, seed)
        e = measure(terms(tree, tree.game.measures("sepo"), learner), "e")
        assert e == pytest.approx(exploitability(tree, learner), abs=1e-12)


def test_exploitability_is_refused_where_payoffs_do_not_sum_to_zero(tree: Tree, stakes_tree: Tree):
    learner = random_strategy(stakes_tree, 0)
    wrong = stakes_tree.game.measures("sepo")
    wrong = MeasureSet(wrong.name, wrong.weights, "exploitability", None, None, wrong.pools)
    with pytest.raises(InputError, match="zero-sum games, and 'stakes' is none"):
        terms(stakes_tree, wrong, learner)


def test_given_exploiters_take_the_place_of_the_sets_own(tree: Tree):
    learner = scripted(tree)["tight_passive"]
    measures = tree.game.measures("paper")
    found = terms(tree, measures, learner, exploiters=[respond(tree, learner, {"own": 1.0})])
    assert measure(found, "e") == pytest.approx(2 * 0.25, abs=1e-12)  # the payoff difference
    assert {t.opponent for t in found if t.kind == "e"} == {"best_response"}


def test_regret_against_an_exploiter_is_nothing_for_who_best_responds_to_it(stakes_tree: Tree):
    measures = stakes_tree.game.measures("sepo")
    for adversary in pool(stakes_tree, measures, "exploiter"):
        learner = respond(stakes_tree, adversary.strategy, {"own": 1.0}).strategy
        faults = [
            t.value for t in terms(stakes_tree, measures, learner) if t.kind == "e" and t.opponent == adversary.name
        ]
        assert faults == pytest.approx([0, 0], abs=1e-12)


def test_a_share_of_nothing_is_nothing(stakes_tree: Tree):
    """A learner that never goes right has no share of its right moves, and no gradient from it."""
    left = scripted(stakes_tree)["left"]
    found = [t for t in terms(stakes_tree, stakes_tree.game.measures("sepo"), left) if t.kind == "c"]
    assert found
    assert [t.value for t in found] == [0.0] * len(found)
    assert not gradient(left, found).any()


@pytest.mark.parametrize("sign", [{"own": 1.0}, {"own": 1.0, "other": -1.0}, {"other": -1.0}])
def test_the_found_adversary_attains_the_worst_case_in_both_seats_at_once(any_tree: Tree, sign: dict[str, float]):
    for seed in range(5):
        learner = random_strategy(any_tree, seed)
        found = respond(any_tree, learner, sign)
        swapped = {"own": "other", "other": "own"}
        attained = sum(w * root_values(any_tree, learner, found, swapped[name]) for name, w in sign.items())
        assert attained == pytest.approx(worst_case(any_tree, learner, sign), abs=1e-12)
        for name in scripted(any_tree):
            rival = next(a for a in pool_of_all(any_tree) if a.name == name)
            gained = sum(w * root_values(any_tree, learner, rival, swapped[n]) for n, w in sign.items())
            assert gained <= attained + 1e-12


def pool_of_all(tree: Tree) -> list:
    measures = tree.game.measures("paper")
    return [a for name in measures.pools for a in pool(tree, measures, name)]


def test_values_against_an_opponent_mirror_the_opponents_values_against_the_policy(tree: Tree):
    """With the seats averaged, what a wins from b is what b loses to a; from itself, nothing."""
    every = pool_of_all(tree)
    for a in every:
        assert root_values(tree, a.strategy, a, "own") == pytest.approx(0, abs=1e-12)
        for b in every:
            assert root_values(tree, a.strategy, b, "own") == pytest.approx(
                root_values(tree, b.strategy, a, "other"), abs=1e-12
            )
            assert root_values(tree, a.strategy, b, "own") == pytest.approx(
                -root_values(tree, b.strategy, a, "own"), abs=1e-12
            )


def harmed(game: Game, seat: int, line: Line) -> float:
    return -collected(game, line, "own", seat)


def test_seat_values_are_kuhns_in_closed_form_and_a_linear_programmes_elsewhere(tree: Tree, stakes_tree: Tree):
    assert (seat_value(tree, 0), seat_value(tree, 1)) == pytest.approx((-1 / 18, 1 / 18), abs=1e-15)
    for seat in (0, 1):
        secured = seat_value(stakes_tree, seat)
        for seed in range(20):  # per round, as payoffs are
            learner = random_strategy(stakes_tree, seed, sharpness=0.2)
            profile = as_profile(stakes_tree, learner)
            harm = best_value(stakes_tree.game, profile, 1 - seat, partial(harmed, stakes_tree.game, seat))
            assert -harm / 2 <= secured + 1e-9


@pytest.mark.parametrize("name", SETS)
def test_listing_actions_and_chance_in_another_order_changes_no_measure(stakes: Game, stakes_tree: Tree, name: str):
    other = expand(BackwardsStakes())
    for seed in range(3):
        learner = random_strategy(stakes_tree, seed)
        rows = tabulate(stakes, stakes_tree, learner, "t").probabilities([i.decision for i in other.infosets])
        ours = terms(stakes_tree, stakes.measures(name), learner)
        theirs = terms(other, stakes.measures(name), np.concatenate(rows))
        for kind in KINDS:
            assert measure(theirs, kind) == pytest.approx(measure(ours, kind), abs=1e-12)
        assert math.isclose(objective(ours), objective(theirs), abs_tol=1e-12)
