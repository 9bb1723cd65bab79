"""The benchmark of a step of Kuhn on a tiny model: both sides take their steps; timings are not judged."""

from importlib import import_module
from pathlib import Path

import pytest

from sepo.cli import bench
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


def test_both_trainers_take_steps_on_the_same_decisions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    package = bench.load_benchmarks(ROOT / "benchmarks")
    steps, timing = (import_module(f"{package.__name__}.{name}") for name in ("training_step", "timing"))
    monkeypatch.setattr(steps, "BUNDLED", tiny_model(tmp_path))

    part = timing.measure("training_step", steps.prepare(lambda _: None), 1, lambda _: None)

    sampled, exact, trl = part["rows"]
    assert sampled["work"]["hands"] >= steps.HANDS
    assert sampled["work"]["own decisions"] == exact["work"]["own decisions"] == trl["work"]["own decisions"]
    assert sampled["work"]["own decisions"] >= sampled["work"]["hands"]  # at least one a hand
    assert trl["work"]["measured"] == steps.COMPLETIONS
    assert "scaled linearly" in trl["note"]
    assert part["ratios"]["exact vs TRL"] == trl["seconds"] / exact["seconds"]
    assert "profile" not in part
