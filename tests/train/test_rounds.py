"""Games of so many rounds that no history can be held: solved, audited and trained on by beliefs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import sepo.audit.arena
from sepo.audit.arena import Arena, ground_of, met, trained_on
from sepo.audit.ceiling import ceiling
from sepo.audit.measures import Play, objective, terms
from sepo.audit.scorecard import audit_table
from sepo.audit.solved import solved
from sepo.audit.sweep import slope
from sepo.errors import ContractError, InputError
from sepo.games.base import MeasureName
from sepo.games.registry import make
from sepo.games.repeated import RepeatedGame
from sepo.policies.script import ScriptPolicy
from sepo.solve.belief import Beliefs
from sepo.solve.expand import walk
from sepo.solve.gradient import centred
from sepo.train.mirror import MirrorRules, Push, improve
from sepo.train.part import drawn
from sepo.train.recipe import parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from tests.models import tiny_model

MOST = 5_000
"""Nodes of a meeting from which on it is by beliefs here, so that a game of few rounds is one of many."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sepo.audit.arena, "walk", partial(walk, max_nodes=MOST))


@pytest.mark.parametrize("measures", ["paper", "sepo"])
@pytest.mark.parametrize(
    ("name", "rules"), [("ipd", {"rounds": 6}), ("split", {"rounds": 3}), ("commons", {"rounds": 5})]
)
def test_the_best_policy_by_beliefs_is_the_best_by_histories(
    name: str, rules: dict[str, int], measures: MeasureName
) -> None:
    game = make(name, rules, measures)
    assert isinstance(game, RepeatedGame)
    histories, beliefs = (Arena(game, trained_on(game), forgets=forgets) for forgets in (False, True))
    assert beliefs.beliefs is not None
    assert len(beliefs.space.infosets) < len(histories.space.infosets) / 2
    chosen = game.measures(measures)
    large, few = ceiling(histories, chosen), ceiling(beliefs, chosen)
    assert few.j == pytest.approx(large.j, abs=1e-8)
    assert few.bound == pytest.approx(large.bound, abs=1e-8)
    # any policy over beliefs, played out by histories, has the J that it has by beliefs: each history is located
    policy = np.concatenate(
        [
            np.random.default_rng(s).dirichlet(np.ones(len(i.decision.legal)))
            for s, i in enumerate(beliefs.space.infosets)
        ]
    )
    rows = []
    for infoset in histories.space.infosets:
        state = beliefs.state_of(infoset.decision)
        assert state is not None
        rows.append(policy[beliefs.space.infosets[state].entries])
    assert objective(terms(histories, chosen, np.concatenate(rows))) == pytest.approx(
        objective(terms(beliefs, chosen, policy)), abs=1e-9
    )


@pytest.mark.parametrize("measures", ["paper", "sepo"])
def test_twelve_rounds_are_solved_and_the_policy_audits_to_the_j_it_claims(measures: MeasureName) -> None:
    game = make("ipd", {"rounds": 12}, measures)
    document, table = solved(game, measures)
    assert document["bound"] - document["J"] < 1e-8
    card = audit_table(table, game, adversaries=False)
    assert card["method"] == "exact"
    assert card["measures"][measures]["J"]["value"] == pytest.approx(document["J"], abs=1e-9)
    scripts = [
        audit_table(ScriptPolicy(f"script:{o}", o), game, adversaries=False) for o in ("tit_for_tat", "grim_trigger")
    ]
    assert all(s["measures"][measures]["J"]["value"] < document["J"] for s in scripts)


@pytest.mark.usefixtures("small")
def test_mirror_descent_by_beliefs_nears_the_ceiling() -> None:
    game = make("ipd", {"rounds": 7}, "paper")
    arena, paper = ground_of(game), game.measures("paper")
    assert isinstance(arena, Arena)
    assert arena.beliefs is not None

    def push(policy: np.ndarray, number: int) -> Push:
        play = Play(policy)
        gradient, mass = slope(terms(arena, paper, play), play, arena.space)
        return Push(policy * centred(arena.space, policy, gradient), np.maximum(mass, 1e-6))

    start = arena.space.uniform
    found = improve(arena.space, start, push, MirrorRules(eta=10.0, alpha=0.002, steps=400, decay=50.0))
    best = ceiling(arena, paper).j
    begun, reached = (objective(terms(arena, paper, p)) for p in (start, found))
    assert best - 0.06 < reached <= best + 1e-9
    assert begun < best - 2


@pytest.mark.usefixtures("small")
def test_a_model_is_trained_on_a_game_of_too_many_rounds(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    document = {
        "name": "long",
        "game": "ipd",
        "rules": {"rounds": 7},
        "measures": "paper",
        "seeds": [0],
        "episodes": 1,
        "model": {"policy": tiny_model(tmp_path / "tiny"), "adapter": "full"},
        "audit": {"episodes": 6, "budget": 20, "best": False, "adversaries": False},
        "sft": {"steps": 4, "examples": 100, "learning_rate": 0.01},
        "train": {
            "steps": 12,
            "learning_rate": 0.01,
            "exploiter": "pool",
            "episodes": 6,
            "states": 24,
            "mirror": {"values": "mean", "steps": 40, "projections": 4},
        },
        "arms": [{"name": "base", "stage": "base"}, {"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }
    recipe = parse_recipe(document, "long")
    assert drawn(recipe)
    assert not drawn(recipe.model_copy(update={"rules": {"rounds": 4}}))
    summary = run(recipe, tmp_path / "run", lambda e: None)
    assert summary["ceilings"].keys() == {"paper", "sepo"}
    unit = tmp_path / "run" / "arms" / "sepo" / "seed-0"
    lines = [line for line in read_metrics(unit / "metrics.jsonl") if line["stage"] == "train"]
    assert len(lines) == 13
    assert all(0 < line["asked"] < 200 for line in lines)  # of 5,461 histories
    assert lines[-1]["known"] > 0.8
    assert json.loads((unit / "scorecards" / "last.json").read_text())["games"]["ipd"]["rules"]["rounds"] == 7


def test_another_instance_is_no_belief_of_those_that_are_met() -> None:
    one, other = (make("items", {"rounds": 2, "instances": 1, "instance_seed": seed}) for seed in (3, 4))
    assert isinstance(one, RepeatedGame)
    arena, elsewhere = (Arena(game, ["fair"], forgets=True) for game in (one, other))
    first, foreign = (a.space.infosets[0].decision for a in (arena, elsewhere))
    assert arena.state_of(first) == 0
    assert arena.state_of(foreign) is None


@pytest.mark.usefixtures("small")
def test_what_histories_do_not_tell_is_still_refused() -> None:
    game = make("auction", {"rounds": 5})
    assert isinstance(game, RepeatedGame)
    arena = Arena(make("auction", {"rounds": 2}), ["truthful"], forgets=True)
    assert isinstance(arena.beliefs, Beliefs)
    assert not arena.beliefs.locates
    with pytest.raises(ContractError, match="game 'auction': what is dealt after a round is not told by a later view"):
        arena.state_of(met(arena, "truthful")[0].tree.infosets[0].decision)
    with pytest.raises(
        InputError, match=f"more than {MOST} nodes: too large to hold as a tree: no policy can be improved there"
    ):
        ground_of(game)
