"""Dual ascent keeps budgets: on a table policy of ipd it lands on them from both sides, at the constrained optimum."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepo.audit.arena import Ground, ground_of, layout
from sepo.audit.ceiling import ceiling
from sepo.audit.measures import measure, objective, terms
from sepo.audit.sweep import slope
from sepo.errors import InputError
from sepo.games.base import Weights
from sepo.games.registry import make
from sepo.solve.gradient import centred
from sepo.solve.tree import Floats
from sepo.train.dual import DAMPING, MOST, Dual
from sepo.train.mirror import MASS_FLOOR, MirrorRules, Push, improve
from sepo.train.objective import CreditRules
from sepo.train.opposition import Opposition
from sepo.train.recipe import parse_recipe
from sepo.train.target import Target

GAME = make("ipd", {}, "paper")
PAPER = GAME.measures("paper")
USUAL = PAPER.weights
RULES = MirrorRules(eta=10.0, alpha=0.005, steps=300, decay=50.0)


class Landed(NamedTuple):
    """Where a table policy and the weight of e end up: e, J without e, and e over the last updates."""

    weight: float
    e: float
    rest: float
    tail: Floats


@cache
def ground() -> Ground:
    return ground_of(GAME)


def descend(dual: Dual) -> Landed:
    """Improve a table from uniform by mirror descent, the weights moving with every step."""
    entries = layout(ground())
    seen = []

    def push(at: Floats, step: int) -> Push:
        seen.append(measure(terms(ground(), PAPER, at), "e"))
        found, mass = slope(terms(ground(), PAPER, at, dual.update({"e": seen[-1]})), at, entries)
        return Push(at * centred(entries, at, found), np.maximum(mass, MASS_FLOOR))

    policy = improve(entries, 1.0 / entries.sizes[entries.owner], push, RULES)
    found = terms(ground(), PAPER, policy, USUAL._replace(e=0.0))
    return Landed(dual.weights().e, measure(found, "e"), objective(found), np.array(seen[-50:]))


@pytest.mark.no_cover
@pytest.mark.parametrize("budget", [0.2, 0.6])
@pytest.mark.parametrize("start", [0.0, 5.0])  # far too much e (3.6), and none at all
def test_it_lands_on_the_budget_from_both_sides_and_nothing_within_it_is_better(budget: float, start: float):
    landed = descend(Dual({"e": budget}, USUAL._replace(e=start), 0.2))
    assert landed.e == pytest.approx(budget, abs=0.02)
    assert np.abs(landed.tail - budget).max() < 0.06
    # weak duality: with any weight, the best J there is, plus weight * s * budget, bounds what policies within it reach
    bounds = [ceiling(ground(), PAPER, USUAL._replace(e=w)).bound + w * GAME.scale * budget for w in (0.06, 2.2)]
    allowed = 0.02 * GAME.scale * 2.2  # what the last of e over its budget may be worth
    assert min(bounds) - 0.04 < landed.rest < min(bounds) + allowed  # keeping e at 0 instead would cost 0.5


@pytest.mark.parametrize(
    "more",
    [{}, {"mirror": {"decay": 20}}, {"mirror": {"steps": 1500}}, {"margin": 0.3}],
    ids=str,
)
@pytest.mark.parametrize("budget", [0.02, 0.05, 0.15])
def test_targets_land_on_a_budget_against_a_best_response_and_are_the_best_within_it(budget: float, more: dict):
    """Of Kuhn poker, where long steps against a best response circle: each target starts from the last.

    A best response is never behind by a margin, so with one the policies are the same.
    """
    game = make("kuhn")
    kuhn, chosen = ground_of(game), game.measures("sepo")
    document = {
        "name": "budget",
        "game": "kuhn",
        "model": {"policy": "bundled:smollm2"},
        "train": {"start": "base", "lambda": {"e": "auto", "budget": budget}, **more},
        "arms": [{"name": "sepo"}],
    }
    recipe = parse_recipe(document, "budget")
    section = recipe.settings(recipe.arms[0])
    opposition = Opposition(kuhn, chosen, section)
    rules = CreditRules(section.credit, section.estimator, section.scale, section.returns)
    target, policy = Target(layout(kuhn), opposition, section, rules, ("budget",)), layout(kuhn).uniform
    for number in range(0, 12, section.mirror.projections):
        target.renew(policy, number)
        assert target.strategy is not None
        policy = target.strategy
        assert measure(opposition.terms(policy), "e") == pytest.approx(budget, abs=0.004)
    # weak duality, as above, at the weights between which the best policy jumps
    bounds = [
        ceiling(kuhn, chosen, Weights(w, 0.0, 0.0)).bound / game.scale + w * budget for w in (2 / 9, 1 / 3, 1 / 2)
    ]
    assert min(bounds) - 0.003 < measure(opposition.terms(policy), "u") < min(bounds) + 0.003


def test_a_budget_that_is_kept_anyway_costs_nothing():
    landed = descend(Dual({"e": 4.0}, USUAL._replace(e=1.0), 0.2))
    assert landed.weight == 0.0
    assert landed.e < 4.0
    assert landed.rest == pytest.approx(ceiling(ground(), PAPER, USUAL._replace(e=0.0)).j, abs=0.02)


def test_only_weights_with_a_budget_move():
    dual = Dual({"x": 0.1}, Weights(1.0, 2.0, 3.0), 0.5)
    assert dual.update({"e": 9.0, "c": None, "x": 0.2}) == Weights(1.0, 2.0, pytest.approx(3.25))
    assert dual.update({"x": 0.1}).x == pytest.approx(3.25 - 0.5 * DAMPING * 0.5)  # on the budget: the damping alone
    nothing = Dual({"e": 0.0}, Weights(1.0, 2.0, 3.0), 0.5)
    assert nothing.update({"e": 0.0}) == Weights(1.0, 2.0, 3.0)  # a budget of nothing that is kept
    assert nothing.update({"e": 0.1}).e == pytest.approx(1.0 + 0.5 * (1 + DAMPING))


measures = st.floats(0, 1e6)


@given(st.lists(measures, min_size=1, max_size=20), st.floats(0, 10), st.floats(0, 10), st.floats(0.01, 1))
def test_weights_stay_within_their_bounds_and_a_saved_state_continues_alike(
    values: list[float], budget: float, start: float, rate: float
):
    dual = Dual({"e": budget}, Weights(start, 1.0, 1.0), rate)
    for value in values:
        before = dual.weights().e
        after = dual.update({"e": value}).e
        assert 0 <= after <= MOST
        assert abs(after - before) <= rate * (1 + 2 * DAMPING) + 1e-9
    again = Dual({"e": budget}, Weights(0.0, 1.0, 1.0), rate)
    again.load(json.loads(json.dumps(dual.state())))
    for value in values:
        assert again.update({"e": value}) == dual.update({"e": value})


def test_it_does_not_wind_up():
    dual = Dual({"e": 1.0}, Weights(0.5, 0.0, 0.0), 0.1)
    for _ in range(1000):  # long within the budget
        dual.update({"e": 0.0})
    assert dual.weights().e == 0.0
    dual.update({"e": 2.0})
    assert dual.weights().e > 0.0  # heard at once
    for _ in range(5000):  # long beyond it, as under a budget that nothing can keep
        dual.update({"e": 1e9})
    assert dual.weights().e == MOST


def test_what_makes_no_sense_is_refused_and_moves_nothing():
    for budgets, start, rate, said in (
        ({"u": 1.0}, Weights(0, 0, 0), 0.1, "not 'u'"),
        ({"e": -1.0}, Weights(0, 0, 0), 0.1, "budget of e"),
        ({"e": float("nan")}, Weights(0, 0, 0), 0.1, "budget of e"),
        ({"c": 1.0}, Weights(0, -1, 0), 0.1, "weight c"),
        ({"c": 1.0}, Weights(0, 0, 0), 0.0, "rate"),
    ):
        with pytest.raises(InputError, match=said):
            Dual(budgets, start, rate)
    dual = Dual({"e": 1.0, "c": 1.0}, Weights(1.0, 1.0, 1.0), 0.1)
    for values in ({"e": 2.0}, {"e": 2.0, "c": None}, {"e": 2.0, "c": float("nan")}):
        with pytest.raises(InputError, match="c has a budget"):
            dual.update(values)
    assert dual.weights() == Weights(1.0, 1.0, 1.0)
    for state in ({}, {"weights": {"e": 1}, "last": {}}, {"weights": {"e": 1, "c": 1, "x": 1}, "last": {"x": 0.5}}):
        with pytest.raises(InputError, match="state of dual ascent"):
            dual.load(state)
