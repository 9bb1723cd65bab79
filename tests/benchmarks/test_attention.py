"""The benchmark of attention on a tiny model: both ways do the same work; timings are not judged."""

from importlib import import_module
from pathlib import Path

import pytest

from sepo.cli import bench
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


@pytest.mark.no_cover
def test_both_ways_score_the_same_decisions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    attention, timing = (import_module(f"{package.__name__}.{name}") for name in ("attention", "timing"))
    monkeypatch.setattr(attention, "BUNDLED", tiny_model(tmp_path))
    monkeypatch.setattr(attention, "LAYERS", 1)
    monkeypatch.setattr(attention, "BUDGET", 700)

    part = timing.measure("attention", attention.prepare(lambda _: None), 1, lambda _: None)

    whole, by_block = (row["work"] for row in part["rows"][:2])
    assert whole["decisions"] == by_block["decisions"] > attention.EPISODES
    assert whole["tokens"] == by_block["tokens"]
    assert by_block["pairs of tokens"] < 0.5 * whole["pairs of tokens"]
    assert by_block["largest difference"] < 0.5  # in log-probability: bfloat16 rounds
    step = {row["way"]: row["seconds"] for row in part["rows"]}
    assert part["ratios"]["step by block vs whole mask"] == step["step, whole mask"] / step["step, by block"]
