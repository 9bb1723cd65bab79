"""The benchmark of the head on a tiny model: both ways give the same figures; timings are not judged."""

from importlib import import_module
from pathlib import Path

import pytest

from sepo.cli import bench
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


@pytest.mark.no_cover
def test_both_ways_score_the_same_decisions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    attention, head, timing = (import_module(f"{package.__name__}.{name}") for name in ("attention", "head", "timing"))
    monkeypatch.setattr(attention, "BUNDLED", tiny_model(tmp_path))
    monkeypatch.setattr(attention, "LAYERS", 1)
    monkeypatch.setattr(attention, "BUDGET", 700)

    part = timing.measure("head", head.prepare(lambda _: None), 1, lambda _: None)

    whole, read = (row["work"] for row in part["rows"][:2])
    assert whole["decisions"] == read["decisions"] > attention.EPISODES
    assert 0 < whole["positions read"] == read["positions read"] < whole["tokens"] == read["tokens"]
    assert 0 < read["bytes kept a token"] < whole["bytes kept a token"]
    assert whole["largest difference"] == 0.0
    assert read["largest difference"] < 0.1  # in log-probability: logits are those of bfloat16 in both
    step = {row["way"]: row["seconds"] for row in part["rows"]}
    assert part["ratios"]["step at the head vs all logits"] == step["step, all logits"] / step["step, at the head"]
