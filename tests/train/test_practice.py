"""Training by other rules than the audit's: what is audited and shown is the game of the audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sepo.audit.arena import ground_of
from sepo.games.registry import make
from sepo.solve.tree import Tree
from sepo.train.recipe import parse_recipe
from sepo.train.run import run
from tests.models import tiny_model


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return {
        "name": "practised",
        "measures": "paper",
        "seeds": [0],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "full"},
        "episodes": 2,
        "audit": {"adversaries": False, "best": False},
        "arms": [{"name": "base", "stage": "base"}],
    }


def left_by(document: dict, folder: Path, arm: str = "base") -> tuple[dict, dict, list[dict]]:
    """Run a recipe and return an arm's part of the scorecard, its table and the episodes to be read."""
    recipe = parse_recipe(document, "practised.yaml")
    run(recipe, folder, lambda event: None)
    unit = folder / "arms" / arm / "seed-0"
    card = json.loads((unit / "scorecards" / "last.json").read_text())["games"][recipe.game]
    table = json.loads((unit / "policies" / "last.json").read_text())
    return card, table, [json.loads(line) for line in (unit / "episodes.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("game", "rules", "practice"),
    [
        ("auction", {"rounds": 2, "overbid_loss": True}, {"overbid_loss": False}),
        ("commons", {"rounds": 2, "stock": 12}, {"stock": 20}),
        ("ipd", {"rounds": 3}, {"rounds": 2}),
        ("ipd", {"rounds": 2}, {"rounds": 6}),
    ],
)
def test_a_model_that_never_trained_is_audited_the_same_whatever_is_practised(
    document, tmp_path, game, rules, practice
):
    plain = document | {"game": game, "rules": rules}
    assert left_by(plain | {"practice": practice}, tmp_path / "practice") == left_by(plain, tmp_path / "plain")


def test_a_large_game_is_audited_by_its_own_rules_after_practice_by_others(document, tmp_path):
    rules, practice = {"rounds": 5, "stock": 12}, {"rounds": 2, "stock": 20}
    assert not isinstance(ground_of(make("commons", rules, "paper")), Tree)
    arm = {"name": "sepo", "train": {"start": "base", "steps": 1, "mirror": {"steps": 5, "projections": 2}}}
    whole = document | {"game": "commons", "rules": rules, "practice": practice, "arms": [arm]}
    card, table, episodes = left_by(whole, tmp_path / "run", "sepo")
    game = make("commons", rules, "paper")
    assert card["rules"] == table["rules"] == game.rules
    assert {line["opponent"] for line in episodes} >= set(game.measures("paper").pools["train"])
    told = (tmp_path / "run" / "arms" / "sepo" / "seed-0" / "checkpoints" / "last" / "README.md").read_text()
    assert "Rules: rounds 5, stock 12; in training rounds 2, stock 20. Audited" in told
    assert max(move["round"] for e in episodes for hand in e["hands"] for move in hand["moves"]) > practice["rounds"]
