"""The benchmark of LoRA layers on a tiny model: both ways find the same gradient; timings are not judged."""

from importlib import import_module
from pathlib import Path

import pytest

from sepo.cli import bench
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


@pytest.mark.no_cover
def test_both_ways_find_the_same_gradient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    attention, lora, timing = (import_module(f"{package.__name__}.{name}") for name in ("attention", "lora", "timing"))
    monkeypatch.setattr(attention, "BUNDLED", tiny_model(tmp_path))
    monkeypatch.setattr(attention, "LAYERS", 1)

    part = timing.measure("lora", lora.prepare(lambda _: None), 1, lambda _: None)

    peft, ours = part["rows"]
    assert peft["work"]["tokens"] == ours["work"]["tokens"]
    assert 0 < ours["work"]["gradient's relative difference"] < 0.05  # 0 would be the same layers twice
    assert part["ratios"]["step in few passes vs peft"] == peft["seconds"] / ours["seconds"]
