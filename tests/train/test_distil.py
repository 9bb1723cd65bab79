"""The arm that is taught the best policy there is: it nears the ceiling, and bad settings are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sepo.audit.arena import Arena, Ground, ground_of
from sepo.audit.capped import capped
from sepo.audit.ceiling import ceiling, exploiters_of
from sepo.audit.measures import Play, objective, per_round, respond, terms
from sepo.audit.sweep import mass_of
from sepo.errors import InputError
from sepo.games.base import MeasureName
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Floats, Tree
from sepo.train.learner import Learner
from sepo.train.optimise import Optimiser
from sepo.train.recipe import Recipe, parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from sepo.train.target import HELD
from tests.models import tiny_model


def document(model: str, train: dict) -> dict:
    return {
        "name": "distil",
        "game": "kuhn",
        "model": {"policy": model, "adapter": "full"},
        "audit": {"adversaries": False},
        "train": {"start": "base", "learning_rate": 0.01, "legal_mass": 0.0, "exploiter": "pool", **train},
        "arms": [{"name": "distil"}],
    }


def optimiser(recipe: Recipe, ground: Ground, measures: MeasureName = "sepo") -> Optimiser:
    """Make the stage of a recipe's first arm, on its model as it is."""
    settings = recipe.settings(recipe.arms[0])
    lm = load_model(recipe.model.policy)
    make_trainable(lm, "full")
    learner = Learner(DirectPolicy(lm, "x"), ground, settings)
    return Optimiser(learner, ground.game.measures(measures), settings, ("distil",))


@pytest.mark.no_cover
def test_a_model_that_is_taught_the_ceiling_nears_an_equilibrium(tmp_path: Path) -> None:
    recipe = parse_recipe(document(tiny_model(tmp_path / "tiny"), {"steps": 200, "target": "ceiling"}), "distil")
    run(recipe, tmp_path / "run", lambda e: None)
    lines = read_metrics(tmp_path / "run" / "arms" / "distil" / "seed-0" / "metrics.jsonl")
    first, last = lines[0], lines[-1]
    assert last["exploitability"] < 0.1 * first["exploitability"]
    assert last["measures"]["sepo"]["J"] > 0.9 * (1 / 18)
    assert lines[-2]["loss"] < lines[0]["loss"]


@pytest.mark.parametrize("cap", [0.4, None])
def test_what_is_taught_may_be_the_best_policy_that_nobody_is_far_ahead_of(tmp_path: Path, cap: float | None) -> None:
    game = make("ipd", {"rounds": 4})
    ground, chosen = ground_of(game), game.measures("sepo")
    over = {"steps": 3, "target": "ceiling", "worst_case": cap}
    recipe = parse_recipe(document(tiny_model(tmp_path), over) | {"game": "ipd"}, "distil")
    stage = optimiser(recipe, ground)
    stage.advance(stage.learner.look(stage.wanted(0), gradient=True))
    assert stage.target.strategy is not None
    best = ceiling(ground, chosen).j if cap is None else capped(ground, chosen, cap).j
    assert objective(terms(ground, chosen, stage.target.strategy)) == pytest.approx(best, abs=1e-8)
    worst = respond(ground, stage.target.strategy, {"own": 1.0, "other": -1.0})
    ahead = per_round(ground, stage.target.strategy, worst, 0, {"other": 1.0, "own": -1.0})
    assert ahead == pytest.approx(1.25 if cap is None else cap, abs=1e-8)  # a round's 5 points, of four rounds


@pytest.mark.parametrize("cap", [5.0, None])
def test_what_is_taught_keeps_exploiters_a_margin_behind(tmp_path: Path, cap: float | None) -> None:
    """As mirror descent does; nobody can be behind `always_defect`, who is the other exploiter."""
    game = make("ipd", {"rounds": 4})
    ground, chosen = ground_of(game), game.measures("paper")
    for margin in (0.0, 0.5):
        over = {"steps": 3, "target": "ceiling", "worst_case": cap, "margin": margin}
        stage = optimiser(parse_recipe(document(tiny_model(tmp_path), over) | {"game": "ipd"}, "x"), ground, "paper")
        stage.advance(stage.learner.look(stage.wanted(0), gradient=True))
        assert stage.target.strategy is not None
        found = exploiters_of(terms(ground, chosen, stage.target.strategy))
        assert sorted(t.unclipped for ts in found for t in ts) == pytest.approx([-margin, 0.0], abs=1e-8)


@pytest.mark.parametrize("cap", [0.4, None])
def test_a_question_of_both_seats_is_taught_the_learners_answer(tmp_path: Path, cap: float | None) -> None:
    game = make("ipd", {"rounds": 2})
    ground, chosen = ground_of(game), game.measures("sepo")
    assert isinstance(ground, Tree)
    over = {"target": "ceiling", "worst_case": cap, "steps": 60, "coverage": 0.5}
    recipe = parse_recipe(document(tiny_model(tmp_path), over) | {"game": "ipd", "rules": {"rounds": 2}}, "distil")
    run(recipe, tmp_path / "run", lambda e: None)
    last = read_metrics(tmp_path / "run" / "arms" / "distil" / "seed-0" / "metrics.jsonl")[-1]
    best = ceiling(ground, chosen).j if cap is None else capped(ground, chosen, cap).j
    assert last["measures"]["sepo"]["J"] == pytest.approx(best, abs=0.05)


def test_what_is_lost_at_a_question_of_both_seats_is_the_learners_loss(tmp_path: Path) -> None:
    """A policy that strays from its target at one question: that one weighs by the payoff lost there, others least."""
    game = make("ipd", {"rounds": 2})
    ground, focus = ground_of(game), 0.03
    assert isinstance(ground, Tree)
    over = {"steps": 1, "mirror": {"focus": focus, "values": "mean"}, "lambda": {"e": 0.0, "c": 0.0, "x": 0.0}}
    recipe = parse_recipe(document(tiny_model(tmp_path), over) | {"game": "ipd", "rules": {"rounds": 2}}, "distil")
    stage = optimiser(recipe, ground)
    stays = ground.uniform
    mass = mass_of(stage.opposition.terms(Play(stays)), stays, ground)

    def worth(policy: Floats) -> float:
        return objective(stage.opposition.terms(Play(policy)))

    for which, question in enumerate(ground.questions):
        asked = [n for n, info in enumerate(ground.infosets) if info.key == question.key and info.seat == 0]
        found = []
        for action in ([1.0, 0.0], [0.0, 1.0]):
            strays = stays.copy()
            for n in asked:
                strays[ground.infosets[n].entries] = action
            found.append((worth(stays) - worth(strays), strays))
        lost, strays = max(found, key=lambda f: f[0])
        loss = lost / mass[asked].sum()
        expected = np.full(len(ground.questions), HELD)
        expected[which] = loss / (loss + focus)
        assert loss > 0.01
        assert stage.target.stakes(stays, strays) == pytest.approx(expected, rel=1e-9)


def test_under_a_cap_a_policy_is_met_by_whoever_gets_farthest_ahead_of_it(tmp_path: Path) -> None:
    """A policy that is taken advantage of where the game's opponents hardly lead, in a game asked about by samples."""
    game = make("ipd", {"rounds": 6})
    ground, model = ground_of(game), tiny_model(tmp_path)
    assert isinstance(ground, Arena)
    leak = next(i for i, info in enumerate(ground.space.infosets) if info.key == "CC,CC,CD,DD")
    shares = []
    for cap in (0.4, None):
        over = {"steps": 3, "target": "ceiling", "worst_case": cap, "episodes": 4, "states": 8}
        recipe = parse_recipe(document(model, over) | {"game": "ipd", "rules": {"rounds": 6}}, "distil")
        stage = optimiser(recipe, ground)
        stage.wanted(0)
        stage.learner.seen[:] = True
        policy = capped(ground, game.measures("sepo"), 0.4).strategy.copy()
        shares.append([stage.asking.share(policy, None)[leak]])
        policy[ground.space.infosets[leak].entries] = [1.0, 0.0]  # cooperates with who has just defected twice
        shares[-1].append(stage.asking.share(policy, None)[leak])
    (taught, caught), plain = shares
    assert caught > 5 * taught
    assert caught > 5 * plain[1]
    assert plain[0] == pytest.approx(plain[1], rel=0.2)


def test_a_worst_case_is_of_a_ceiling_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="worst_case is of target 'ceiling'"):
        parse_recipe(document(tiny_model(tmp_path / "tiny"), {"worst_case": 0.5}), "distil")


def test_a_ceiling_is_no_target_of_a_clipped_update_nor_of_a_budget(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny")
    with pytest.raises(InputError, match="target 'ceiling' needs update 'mmd'"):
        parse_recipe(document(model, {"target": "ceiling", "update": "clipped"}), "distil")
    budget = {"target": "ceiling", "steps": 1, "lambda": {"e": "auto", "budget": 0.1}}
    with pytest.raises(InputError, match="best policy at fixed weights"):
        parse_recipe(document(model, budget), "distil")
