"""The benchmark of what is kept by prefix on a tiny model: both ways find the same; timings are not judged."""

from importlib import import_module
from pathlib import Path

import pytest

from sepo.cli import bench
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


@pytest.mark.no_cover
def test_both_ways_score_the_same_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    trunk, timing = (import_module(f"{package.__name__}.{name}") for name in ("trunk", "timing"))
    tiny = {"BUNDLED": tiny_model(tmp_path), "LAYERS": 1, "STEPS": 3, "EPISODES": 4}
    for name, value in tiny.items():
        monkeypatch.setattr(trunk, name, value)

    part = timing.measure("trunk", trunk.prepare(lambda _: None), 1, lambda _: None)

    work = {row["way"]: row["work"] for row in part["rows"]}
    assert list(work) == [f"{a}, {b}" for a in ("trained", "uniform") for b in ("whole passes", "kept by prefix")]
    for name in ("trained", "uniform"):
        assert work[f"{name}, whole passes"] == work[f"{name}, kept by prefix"]
        assert 0 < work[f"{name}, whole passes"]["distinct tokens"] < work[f"{name}, whole passes"]["tokens"]
        assert work[f"{name}, whole passes"]["largest difference"] < 1e-4
    seconds = {row["way"]: row["seconds"] for row in part["rows"]}
    ratio = part["ratios"]["trained: kept by prefix vs whole passes"]
    assert ratio == seconds["trained, whole passes"] / seconds["trained, kept by prefix"]
