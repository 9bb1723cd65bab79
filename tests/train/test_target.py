"""Targets in games whose histories merge, where several pasts of its own lead a seat to one information state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sepo.audit.arena import ground_of
from sepo.audit.ceiling import ceiling
from sepo.audit.measures import objective, terms
from sepo.games.base import MeasureName
from sepo.games.registry import make
from sepo.policies.script import opponent
from sepo.solve.tree import Floats, Tree
from sepo.train.mirror import softmax
from sepo.train.objective import CreditRules
from sepo.train.opposition import Opposition
from sepo.train.recipe import parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from sepo.train.sections import TrainSection
from sepo.train.target import Target
from tests.brute import as_profile, lines
from tests.models import tiny_model

SETS: tuple[MeasureName, ...] = ("paper", "sepo")


def auction(of: MeasureName) -> Tree:
    found = ground_of(make("auction", {"rounds": 2}, of))
    assert isinstance(found, Tree)
    assert found.merged
    return found


def improved(tree: Tree, of: MeasureName, policy: Floats, **mirror: float) -> Floats:
    section = TrainSection.model_validate({"exploiter": "pool", "mirror": mirror})
    target = Target(tree, Opposition(tree, tree.game.measures(of), section), section, CreditRules(), ("target",))
    target.renew(policy, 0)
    assert target.strategy is not None
    return target.strategy


def passed(tree: Tree, name: str, policy: Floats) -> Floats:
    """Return how likely the learner passes each of its information states, from every line of play. (infosets,)."""
    game, other = tree.game, opponent(tree.game, name)
    profile = {
        (i.seat, i.key): as_profile(tree, policy)[i.seat, i.key] if i.seat == 0 else other.script(i.decision)
        for i in tree.infosets
    }
    whole = {key: {a: row.get(a, 0.0) for a in game_actions(tree, key)} for key, row in profile.items()}
    out = np.zeros(len(tree.infosets))
    for line in lines(game, whole):
        for seat, key, _ in line.moves:
            out[tree.index[seat, key]] += line.probability * (seat == 0)
    return out


def game_actions(tree: Tree, key: tuple[int, str]) -> tuple[str, ...]:
    return tuple(tree.infosets[tree.index[key]].decision.legal)


@pytest.mark.parametrize("of", SETS)
def test_a_step_follows_the_mean_advantage_over_the_meetings_of_a_state(of: MeasureName) -> None:
    """The derivative of J by differences, over how often every line of play passes the state."""
    tree = auction(of)
    measures = tree.game.measures(of)
    policy = softmax(tree, np.random.default_rng(4).normal(size=len(tree.seat)))
    found = terms(tree, measures, policy)
    mass = sum(abs(t.weight) * passed(tree, t.opponent, policy) for t in found)
    slope = np.zeros(len(policy))
    for entry in np.flatnonzero(tree.seat == 0).tolist():
        ends = [policy + sign * 1e-6 * (np.arange(len(policy)) == entry) for sign in (1, -1)]
        slope[entry] = (objective(terms(tree, measures, ends[0])) - objective(terms(tree, measures, ends[1]))) / 2e-6
    value = np.bincount(tree.owner, policy * slope)
    advantage = (slope - value[tree.owner]) / np.maximum(mass, 0.01)[tree.owner]
    eta, alpha = 0.3, 0.01
    want = softmax(tree, (np.log(policy) + eta * advantage) / (1 + eta * alpha))
    got = improved(tree, of, policy, eta=eta, alpha=alpha, steps=1)
    own = tree.seat == 0
    np.testing.assert_allclose(got[own], want[own], atol=1e-6)
    assert np.abs(got - policy)[own].max() > 0.01


@pytest.mark.parametrize("of", SETS)
@pytest.mark.parametrize("values", ["counterfactual", "mean"])
def test_targets_come_to_the_best_policy_there_is(of: MeasureName, values: str) -> None:
    tree = auction(of)
    measures = tree.game.measures(of)
    found = improved(tree, of, tree.uniform, values=values, steps=300)
    best = ceiling(tree, measures).j
    assert best - 0.002 < objective(terms(tree, measures, found)) <= best + 1e-9
    assert objective(terms(tree, measures, tree.uniform)) < best - 0.5


def test_a_small_auction_is_trained_on_with_every_kind_of_exploiter(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    document = {
        "name": "small",
        "game": "auction",
        "rules": {"rounds": 2},
        "measures": "paper",
        "model": {"policy": tiny_model(tmp_path / "tiny"), "adapter": "full"},
        "episodes": 0,
        "audit": {"adversaries": False, "best": False},
        "train": {"start": "base", "steps": 20, "learning_rate": 0.01, "mirror": {"steps": 50, "projections": 5}},
        "arms": [{"name": n, "train": {"exploiter": n}} for n in ("pool", "best_response", "growing", "league")],
    }
    run(parse_recipe(document, "small"), tmp_path / "run", lambda event: None)
    for arm in document["arms"]:
        first, *_, last, end = read_metrics(tmp_path / "run" / "arms" / arm["name"] / "seed-0" / "metrics.jsonl")
        assert last["loss"] < 0.8 * first["loss"]
        assert end["step"] == 20
