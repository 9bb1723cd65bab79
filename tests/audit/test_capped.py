"""The best policy under a cap on its worst case: the normal form's own programme, audits, and what no cap changes."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from sepo.audit.arena import Adversary, Ground, ground_of, layout, respond
from sepo.audit.capped import capped
from sepo.audit.ceiling import ceiling
from sepo.audit.measures import BEHIND, objective, per_round, terms
from sepo.audit.methods import Options
from sepo.audit.scorecard import audit
from sepo.audit.solved import solved
from sepo.errors import InputError
from sepo.games.base import Game, MeasureName, Weights
from sepo.games.registry import make
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import own_reach
from tests.small_games import paid_in


def audited(game: Game, measures: MeasureName, cap: float, weights: Weights | None = None) -> tuple[Any, Any]:
    """Return what a solved policy claims and the scorecard of the table that it is written as."""
    document, table = solved(game, measures, weights, cap)
    options = Options(sets=measures, method="exact", adversaries=True)
    return document, audit(table, {measures: game}, options)


@pytest.mark.parametrize("measures", ["paper", "sepo"])
@pytest.mark.parametrize("cap", [0.0, 0.4, 1.1])
def test_the_written_policy_audits_to_its_j_and_keeps_to_the_cap(measures: MeasureName, cap: float) -> None:
    game = make("ipd", {"rounds": 4}, measures)
    document, card = audited(game, measures, cap)
    assert card["measures"][measures]["J"]["value"] == pytest.approx(document["J"], abs=1e-8)
    assert 0 <= document["bound"] - document["J"] < 1e-8
    assert card["worst_case_advantage"]["value"] == pytest.approx(cap, abs=1e-8)  # both games would rather have more


@pytest.mark.parametrize("measures", ["paper", "sepo"])
def test_a_cap_that_does_not_bind_changes_nothing(measures: MeasureName) -> None:
    game = make("ipd", {"rounds": 4}, measures)
    ground, chosen = ground_of(game), game.measures(measures)
    assert capped(ground, chosen, 5.0).j == pytest.approx(ceiling(ground, chosen).j, abs=1e-8)


@pytest.mark.parametrize("unit", [1e-12, 1e-7, 1e9])
@pytest.mark.parametrize("weights", [None, Weights(20.0, 0.0, 0.0)])
def test_the_best_under_a_cap_is_the_same_however_small_or_large_payoffs_are(
    weights: Weights | None, unit: float
) -> None:
    game = make("ipd", {"rounds": 3})
    tree = ground_of(game)
    assert isinstance(tree, Tree)
    want = capped(tree, game.measures("sepo"), 0.5, weights)
    scaled = paid_in(tree, unit)
    found = capped(scaled, game.measures("sepo"), 0.5 * unit, weights)
    assert (found.j, found.bound) == pytest.approx((want.j, want.bound), abs=1e-8)
    assert found.price * unit == pytest.approx(want.price, abs=1e-8)
    assert found.table[""] == pytest.approx(want.table[""], abs=1e-8)
    with pytest.raises(InputError, match="; 0 is the least"):
        capped(scaled, game.measures("sepo"), -0.5 * unit, weights)


@pytest.mark.parametrize("weights", [Weights(2.4, 1.0, 1.8), Weights(20.0, 0.0, 0.0), Weights(0.0, 0.0, 0.0)])
@pytest.mark.parametrize("cap", [0.0, 0.7, 2.0])
def test_the_normal_form_knows_no_better(weights: Weights, cap: float) -> None:
    """In two rounds every pure policy can meet every pure opponent: mixtures of them are all there is."""
    game = make("ipd", {"rounds": 2})
    ground, chosen = ground_of(game), game.measures("sepo")
    found = capped(ground, chosen, cap, weights)
    linear, clips, ahead = [], [], []
    for mine in pure(ground, 0):
        at_it = terms(ground, chosen, mine, weights)
        linear.append(sum(t.coefficient * t.share * t.value for t in at_it if t.kind != "e"))
        clips.append([t.unclipped for t in at_it if t.kind == "e"])
        ahead.append([per_round(ground, mine, Adversary("anyone", theirs), 0, BEHIND) for theirs in pure(ground, 1)])
    prices = np.array([t.coefficient * t.share for t in at_it if t.kind == "e"])
    count, kinks = len(linear), len(prices)
    over = np.vstack([np.hstack([np.array(clips).T, -np.eye(kinks)]), np.pad(np.array(ahead).T, ((0, 0), (0, kinks)))])
    done = linprog(
        -np.concatenate([linear, prices]),
        A_ub=over,
        b_ub=np.concatenate([np.zeros(kinks), np.full(len(ahead[0]), cap)]),
        A_eq=np.concatenate([np.ones(count), np.zeros(kinks)])[None],
        b_eq=[1.0],
    )
    assert done.status == 0
    assert found.j == pytest.approx(-done.fun, abs=1e-8)


def pure(ground: Ground, seat: int) -> list[Floats]:
    """Return every pure policy of a seat, (entries,)."""
    assert isinstance(ground, Tree)
    own = [i.entries for i in ground.infosets if i.seat == seat]
    out = []
    for choice in product(*(range(e.stop - e.start) for e in own)):
        vector = layout(ground).uniform
        for entries, action in zip(own, choice, strict=True):
            vector[entries] = np.eye(entries.stop - entries.start)[action]
        out.append(vector)
    return out


def test_every_cap_is_worth_more_than_a_tighter_one_and_no_more_than_in_proportion() -> None:
    """The best J is a concave function of the cap, as the optimum of a linear programme is of its limits."""
    game = make("ipd", {"rounds": 4})
    ground, chosen = ground_of(game), game.measures("sepo")
    j = [capped(ground, chosen, cap).j for cap in np.linspace(0, 2, 6)]
    steps = np.diff(j)
    assert (steps > -1e-9).all()
    assert steps[0] > 0.05
    assert (np.diff(steps) < 1e-9).all()


def test_the_price_is_what_j_falls_by_where_the_cap_is_tightened() -> None:
    game = make("ipd", {"rounds": 4})
    ground, chosen = ground_of(game), game.measures("sepo")
    for cap in (0.3, 0.9, 5.0):
        around = [capped(ground, chosen, cap + by).j for by in (-0.01, 0.01)]
        assert capped(ground, chosen, cap).price == pytest.approx((around[1] - around[0]) / 0.02, abs=1e-6)


def test_where_the_plan_never_comes_it_goes_on_with_what_is_best() -> None:
    """A hand that trembles there is ahead of one that goes on uniformly, in J and in the worst case."""
    game = make("ipd", {"rounds": 4})
    ground, chosen = ground_of(game), game.measures("sepo")
    found = capped(ground, chosen, 0.3).strategy
    assert isinstance(ground, Tree)
    never = (own_reach(ground, found)[ground.owner] == 0) & (ground.seat == 0)
    assert never.any()

    def shaken(policy: Floats) -> tuple[float, float]:
        trembling = 0.9 * policy + 0.1 * ground.uniform
        worst = respond(ground, trembling, {"own": 1.0, "other": -1.0})
        return objective(terms(ground, chosen, trembling)), per_round(ground, trembling, worst, 0, BEHIND)

    j, worst = shaken(found)
    carelessly = shaken(np.where(never, ground.uniform, found))
    assert j > carelessly[0] + 0.01
    assert worst < carelessly[1] - 0.01


def test_what_cannot_be_capped_says_why() -> None:
    def tried(name: str, cap: float, rules: dict[str, int] | None = None) -> None:
        game = make(name, rules)
        capped(ground_of(game), game.measures("sepo"), cap)

    with pytest.raises(InputError, match=r"no policy keeps its worst-case advantage within -0\.5; 0 is the least"):
        tried("ipd", -0.5, {"rounds": 3})
    with pytest.raises(InputError, match="e of the 'sepo' measures is the worst case itself"):
        tried("kuhn", 0.1)
    with pytest.raises(InputError, match="not at nan"):
        tried("ipd", float("nan"), {"rounds": 3})
    with pytest.raises(InputError, match="too large"):
        tried("auction", 0.1)
    with pytest.raises(InputError, match="histories merge"):
        tried("auction", 0.1, {"rounds": 2})


@pytest.mark.parametrize("measures", ["paper", "sepo"])
@pytest.mark.parametrize(("name", "rules"), [("split", {"rounds": 2}), ("commons", {"rounds": 3})])
def test_other_games_have_their_ceiling_too(name: str, rules: dict[str, int], measures: MeasureName) -> None:
    game = make(name, rules, measures)
    ground, chosen = ground_of(game), game.measures(measures)
    assert capped(ground, chosen, 100.0).j == pytest.approx(ceiling(ground, chosen).j, abs=1e-8)
