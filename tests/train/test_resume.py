"""A folder takes more seeds and arms later: as if they had been there from the first; and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sepo.errors import InputError
from sepo.train.recipe import parse_recipe
from sepo.train.run import run
from tests.models import tiny_model
from tests.train.test_run import figures


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "name": "wide",
        "game": "kuhn",
        "seeds": [1, 2],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "adapter": "full"},
        "sft": {"steps": 2, "learning_rate": 0.01, "examples": 200},
        "train": {"steps": 3, "learning_rate": 0.01, "mirror": {"steps": 5, "projections": 2}},
        "arms": [
            {"name": "base", "stage": "base"},
            {"name": "sft", "stage": "sft", "about": "shown"},
            {"name": "sepo"},
            {"name": "reward_only", "train": {"lambda": {"e": 0}}},
        ],
    }


def narrow(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "seeds": [2], "arms": [{**document["arms"][1], "about": ""}, document["arms"][2]]}


def test_added_seeds_and_arms_end_where_a_run_with_all_of_them_does(document: dict[str, Any], tmp_path: Path) -> None:
    done: list[tuple[str, int]] = []

    def tell(event: Any) -> None:
        if event["line"]:
            done.append((event["arm"], event["seed"]))

    run(parse_recipe(narrow(document), "narrow"), tmp_path / "run", lambda e: None)
    wide = parse_recipe(document, "wide")
    run(wide, tmp_path / "run", tell, resume=True)
    assert ("sepo", 2) not in done
    assert {("sepo", 1), ("reward_only", 1), ("reward_only", 2)} <= set(done)
    assert parse_recipe(yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text()), "there") == wide
    run(wide, tmp_path / "whole", lambda e: None)
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train": {"steps": 4, "learning_rate": 0.01}}, r"train\.steps is 3 there and 4 here"),
        ({"seeds": [1, 3]}, "holds seed 2, which the recipe lacks"),
        ({"arms": [{"name": "sft", "stage": "sft"}]}, "holds arm 'sepo', which the recipe lacks"),
        (
            {"arms": [{"name": "sft", "stage": "sft"}, {"name": "sepo", "train": {"kl": 0.5}}]},
            r"arms\.sepo\.train\.kl is None there and 0\.5 here",
        ),
        ({"measures": "paper"}, "measures is 'sepo' there and 'paper' here"),
    ],
)
def test_anything_else_is_refused_with_what_differs_first(
    document: dict[str, Any], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    recipe = parse_recipe(narrow(document), "narrow")
    run(recipe, tmp_path / "run", lambda e: None)
    before = figures(tmp_path / "run")
    other = narrow(document) | change
    if "train" in change:
        other["train"] = document["train"] | change["train"]
    with pytest.raises(InputError, match=said):
        run(parse_recipe(other, "other"), tmp_path / "run", lambda e: None, resume=True)
    assert figures(tmp_path / "run") == before
