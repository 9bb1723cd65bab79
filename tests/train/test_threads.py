"""The same seed gives the same figures: to the last bit on as many threads, and to rounding on more or fewer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sepo.train.recipe import parse_recipe
from sepo.train.run import run
from tests.models import tiny_model
from tests.train.test_run import figures

TOLERANCE = 1e-4
"""Of any figure of a run: sums over other threads are rounded in another order, and steps build on steps."""


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def numbers(of: Any, where: str = "") -> Iterator[tuple[str, float]]:
    """Return every number of a document, with its path."""
    if isinstance(of, dict):
        for key, value in of.items():
            yield from numbers(value, f"{where}.{key}")
    elif isinstance(of, list):
        for number, value in enumerate(of):
            yield from numbers(value, f"{where}.{number}")
    elif isinstance(of, float):
        yield where, of


@pytest.mark.usefixtures("threads")
def test_two_runs_agree_to_the_last_bit_and_to_rounding_on_other_threads(tmp_path: Path) -> None:
    document = {
        "name": "threads",
        "game": "kuhn",
        "model": {"policy": tiny_model(tmp_path / "tiny"), "adapter": "lora"},
        "sft": {"steps": 4, "learning_rate": 0.003, "examples": 400},
        "train": {"steps": 8, "learning_rate": 0.003, "mirror": {"steps": 50}},
        "arms": [
            {"name": "sft", "stage": "sft"},
            {"name": "sepo"},
            {"name": "paper", "train": {"update": "clipped", "credit": "rollout", "estimator": "sampled"}},
        ],
    }
    recipe = parse_recipe(document, "threads")
    found = {}
    for name, count in (("one", 1), ("again", 1), ("two", 2)):
        torch.set_num_threads(count)
        run(recipe, tmp_path / name, lambda e: None)
        found[name] = figures(tmp_path / name)
    assert found["one"] == found["again"]
    one, two = (dict(numbers(json.loads(json.dumps(found[name]["summary"])))) for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert len(one) > 50
    for where, value in one.items():
        assert math.isclose(value, two[where], abs_tol=TOLERANCE), where
