"""The arm that is taught the best policy there is: it nears the ceiling, and bad settings are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sepo.errors import InputError
from sepo.train.recipe import parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from tests.models import tiny_model


def document(model: str, train: dict) -> dict:
    return {
        "name": "distil",
        "game": "kuhn",
        "model": {"policy": model, "adapter": "full"},
        "train": {"start": "base", "learning_rate": 0.01, "legal_mass": 0.0, "exploiter": "pool", **train},
        "arms": [{"name": "distil"}],
    }


@pytest.mark.no_cover
def test_a_model_that_is_taught_the_ceiling_nears_an_equilibrium(tmp_path: Path) -> None:
    recipe = parse_recipe(document(tiny_model(tmp_path / "tiny"), {"steps": 200, "target": "ceiling"}), "distil")
    run(recipe, tmp_path / "run", lambda e: None)
    lines = read_metrics(tmp_path / "run" / "arms" / "distil" / "seed-0" / "metrics.jsonl")
    first, last = lines[0], lines[-1]
    assert last["exploitability"] < 0.1 * first["exploitability"]
    assert last["measures"]["sepo"]["J"] > 0.9 * (1 / 18)
    assert lines[-2]["loss"] < lines[0]["loss"]


def test_a_ceiling_is_no_target_of_a_clipped_update_nor_of_a_budget(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny")
    with pytest.raises(InputError, match="target 'ceiling' needs update 'mmd'"):
        parse_recipe(document(model, {"target": "ceiling", "update": "clipped"}), "distil")
    budget = {"target": "ceiling", "steps": 1, "lambda": {"e": "auto", "budget": 0.1}}
    with pytest.raises(InputError, match="best policy at fixed weights"):
        run(parse_recipe(document(model, budget), "distil"), tmp_path / "run", lambda e: None)
