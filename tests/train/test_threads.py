"""The same seed gives the same figures: to the last bit on as many threads, and to rounding on more or fewer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sepo.train.recipe import parse_recipe
from sepo.train.run import run
from tests.models import tiny_model
from tests.train.test_run import figures

TOLERANCE = 1e-4
"""Of any figure of a summary, on one thread beside two.

A sum that threads share adds up in another order, and float32 rounds it to within 6e-8 of itself; the steps then build
on one another. What that may come to was seen by trial: all weights of this run's model times 1 + 1e-7 * normal noise
at the start of each arm moved no figure by more than 3e-6, in three trials.
"""
ELSEWHERE = """
import sys
from pathlib import Path
import torch
from sepo.train.recipe import load_recipe
from sepo.train.run import run
for threads in (1, 2):
    torch.set_num_threads(threads)
    run(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]) / f"elsewhere-{threads}", lambda event: None)
"""


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def numbers(of: Any, where: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of a document, with its path."""
    if isinstance(of, dict):
        for key, value in of.items():
            yield from numbers(value, f"{where}.{key}")
    elif isinstance(of, list):
        for number, value in enumerate(of):
            yield from numbers(value, f"{where}.{number}")
    elif isinstance(of, int | float):
        yield where, of


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest difference between two summaries' figures."""
    a, b = dict(numbers(one["arms"])), dict(numbers(other["arms"]))
    assert a.keys() == b.keys()
    return max(abs(value - b[where]) for where, value in a.items())


@pytest.mark.usefixtures("threads")
@pytest.mark.no_cover
def test_two_runs_agree_to_the_last_bit_and_to_rounding_on_other_threads(tmp_path: Path) -> None:
    document = {
        "name": "threads",
        "game": "kuhn",
        "seeds": [3],
        "model": {"policy": tiny_model(tmp_path / "tiny"), "adapter": "lora"},
        "audit": {"adversaries": False},
        "sft": {"steps": 4, "learning_rate": 0.003, "examples": 400},
        "train": {"steps": 5, "learning_rate": 0.003, "mirror": {"steps": 50}},
        "arms": [
            {"name": "sft", "stage": "sft"},
            {"name": "sepo"},
            {"name": "paper", "train": {"update": "clipped", "credit": "rollout", "estimator": "sampled", "groups": 8}},
        ],
    }
    found = {}
    for name, count, seed in (("here-1", 1, 3), ("here-2", 2, 3), ("other", 1, 4)):
        torch.set_num_threads(count)
        run(parse_recipe(document | {"seeds": [seed]}, name), tmp_path / name, lambda e: None)
        found[name] = figures(tmp_path / name)
    file = tmp_path / "threads.yaml"
    file.write_text(yaml.safe_dump(document))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(file), str(tmp_path)], env=environment, check=True)
    for count in (1, 2):
        assert figures(tmp_path / f"elsewhere-{count}") == found[f"here-{count}"]
        assert json.loads((tmp_path / f"elsewhere-{count}" / "environment.json").read_text())["threads"] == count
    assert apart(found["here-1"]["summary"], found["here-2"]["summary"]) <= TOLERANCE
    here, other = (next(a for a in found[n]["summary"]["arms"] if a["name"] == "sepo") for n in ("here-1", "other"))
    assert abs(here["last"]["sepo.J"]["value"] - other["last"]["sepo.J"]["value"]) > 100 * TOLERANCE  # seeds do matter
