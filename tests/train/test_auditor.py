"""Sets of measures with presets of other rules: what is of the game that is trained on, and what of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sepo.audit.measures import values
from sepo.games.registry import make
from sepo.lm.load import load_model
from sepo.policies.base import strategy
from sepo.policies.direct import DirectPolicy
from sepo.policies.spec import load_policy
from sepo.policies.table import load_table
from sepo.report.curves import curves
from sepo.report.read import read_run
from sepo.serve.progress import Watched
from sepo.solve.expand import expand
from sepo.train.auditor import Noted
from sepo.train.part import Domain, Part
from sepo.train.recipe import parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from tests.models import tiny_model


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "name": "presets",
        "game": "auction",
        "rules": {"rounds": 2},
        "measures": "paper",
        "seeds": [0],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "full"},
        "episodes": 0,
        "audit": {"adversaries": False, "best": False, "budget": 30},
        "train": {"start": "base", "steps": 1, "update": "clipped", "learning_rate": 0.01},
        "arms": [
            {"name": "base", "stage": "base"},
            {"name": "own"},
            {"name": "other", "train": {"measures": "sepo", "exploiter": "pool"}},
        ],
    }


@pytest.fixture(scope="module")
def finished(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run(parse_recipe(document, "presets"), folder, lambda event: None)


def lines(folder: Path, arm: str) -> list[dict[str, Any]]:
    return read_metrics(folder / "arms" / arm / "seed-0" / "metrics.jsonl")


def card(folder: Path, arm: str) -> dict[str, Any]:
    part: dict[str, Any] = json.loads((folder / "arms" / arm / "seed-0" / "scorecards" / "last.json").read_text())
    return part["games"]["auction"]


def test_steps_have_the_measures_of_the_game_that_is_trained_on(finished: tuple[Path, dict[str, Any]]) -> None:
    """By preset the other set has other rules; an arm has what it is trained on."""
    folder, summary = finished
    assert {arm: [list(line["measures"]) for line in lines(folder, arm)] for arm in ("base", "own", "other")} == {
        "base": [["paper"]],
        "own": [["paper"]] * 2,
        "other": [["paper", "sepo"]] * 2,
    }
    assert [arm["criterion"] for arm in summary["arms"]] == [None, "paper.J", "sepo.J"]
    start, end = lines(folder, "base")[0], lines(folder, "own")[-1]
    assert lines(folder, "own")[0]["measures"]["paper"] == pytest.approx(start["measures"]["paper"], abs=1e-6)
    assert end["measures"]["paper"]["J"] == pytest.approx(card(folder, "own")["measures"]["paper"]["J"]["value"])
    shown = {p.arm: set(p.j) for p in Watched(folder).progress()}
    assert shown == {"base": {"paper"}, "own": {"paper"}, "other": {"paper", "sepo"}}
    [panel] = [panel for panel in curves(read_run(folder)) if panel.key == "objective"]
    drawn = {plot.title: [trace["name"] for trace in plot.data if "name" in trace] for plot in panel.plots}
    assert drawn == {"paper measures": ["base", "own", "other"], "sepo measures": ["other"]}


def test_a_rule_that_a_recipe_sets_is_of_every_set(document: dict[str, Any], tmp_path: Path) -> None:
    def sets(**changes: Any) -> tuple[str, ...]:
        recipe = parse_recipe(document | changes, "presets")
        return Part(Domain.of("x", recipe, tmp_path), recipe.arms[1], 0).sets

    assert sets() == ("paper",)
    assert sets(measures="sepo") == ("sepo",)
    assert sets(rules={"rounds": 2, "overbid_loss": True}) == ("paper", "sepo")
    assert sets(practice={"overbid_loss": True}) == ("paper", "sepo")
    assert sets(game="kuhn", rules={}) == ("paper", "sepo")


@pytest.mark.parametrize("rules", [{"rounds": 2}, {"rounds": 4}])
def test_the_untrained_model_has_no_figure_of_another_game_than_the_steps(
    document: dict[str, Any], tmp_path: Path, rules: dict[str, Any]
) -> None:
    """Practice by the other set's rules: that set's audit is of the game that is played, and not its own set's."""
    arms = [{"name": "base", "stage": "base"}]
    for practice, kept in (({}, {"paper"}), ({"overbid_loss": True}, {"sepo"}), ({"rounds": 3}, set())):
        changed = document | {"rules": rules, "practice": practice, "arms": arms}
        folder = tmp_path / str(practice)
        run(parse_recipe(changed, "presets"), folder, lambda event: None)
        [line] = lines(folder, "base")
        assert set(line["measures"]) == kept
        for of, row in line["measures"].items():
            want = {k: m["value"] for k, m in card(folder, "base")["measures"][of].items()}
            assert row == pytest.approx(want, abs=1e-12)


def test_a_small_game_is_audited_by_the_rules_of_each_set(finished: tuple[Path, dict[str, Any]]) -> None:
    """Each set's figures are those of the model asked in that set's game, and stand under that set's ceiling."""
    folder, summary = finished
    part, unit = card(folder, "own"), folder / "arms" / "own" / "seed-0"
    paper, ours = (make("auction", {"rounds": 2}, of) for of in ("paper", "sepo"))
    assert (part["rules"], part["rules_by_measures"], part["method"]) == (ours.rules, {"paper": paper.rules}, "exact")
    model = load_policy(f"hf:{unit / 'checkpoints' / 'last'}")
    for of, game in (("paper", paper), ("sepo", ours)):
        tree = expand(game)
        want = values(tree, game.measures(of), strategy(model, tree))
        found = {k: m["value"] for k, m in part["measures"][of].items()}
        assert found == pytest.approx(want, abs=1e-4)
        assert summary["rules_by_measures"].get(of, summary["rules"]) == game.rules
        assert found["J"] < summary["ceilings"][of]["J"]
    assert load_table(unit / "policies" / "last.json").rules == paper.rules  # the table is of the game trained on


def test_what_is_noted_of_a_game_is_not_what_the_other_sets_game_was_answered(document: dict[str, Any]) -> None:
    """By other rules the same state is put in other words, and its replies have another mass."""
    games = [make("auction", {"rounds": 2}, of) for of in ("paper", "sepo")]
    asked = [expand(game).questions[:3] for game in games]
    assert [d.key for d in asked[0]] == [d.key for d in asked[1]]
    masses = []
    for game, decisions in zip(games, asked, strict=True):
        alone = Noted(_direct(document))
        alone.probabilities(decisions)
        masses.append(alone.table("alone", game).mass)
    assert masses[0] != masses[1]
    both = Noted(_direct(document))
    for decisions in asked:
        both.probabilities(decisions)
    assert [both.table("both", game).mass for game in games] == masses


def _direct(document: dict[str, Any]) -> DirectPolicy:
    return DirectPolicy(load_model(document["model"]["policy"]), "tiny")


def test_a_model_card_has_the_rules_of_each_sets_figures(finished: tuple[Path, dict[str, Any]]) -> None:
    told = (finished[0] / "arms" / "own" / "seed-0" / "checkpoints" / "last" / "README.md").read_text()
    sepo, paper = ("rounds 2, overbid_loss " + loss for loss in ("True", "False"))
    assert f"Rules: {sepo}; for the paper measures {paper}. Audited" in told
