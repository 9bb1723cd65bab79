"""The benchmark of a step of ipd on a tiny model: what is counted, what TRL is paid; timings are not judged."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sepo.audit.arena import ground_of
from sepo.audit.measures import terms
from sepo.audit.sweep import mass_of, weight
from sepo.cli import bench
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable, trainable
from sepo.lm.load import LanguageModel, load_model
from sepo.solve.value import expected
from sepo.train.recipe import Recipe, parse_recipe
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]
ROUNDS, EPISODES = 6, 5
GAME = make("ipd", {"rounds": ROUNDS})
ARENA = ground_of(GAME)
PAPER = GAME.measures("paper")


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    package = bench.load_benchmarks(ROOT / "benchmarks")
    return import_module(f"{package.__name__}.ipd_step")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    document = {
        "name": "ipd",
        "game": "ipd",
        "rules": {"rounds": ROUNDS},
        "measures": "paper",
        "model": {
            "policy": tiny_model(tmp_path_factory.mktemp("tiny")),
            "rank": 4,
            "layers": 1,
            "targets": "attention",
        },
        "sft": {"steps": 2, "examples": 100, "episodes": 4},
        "train": {
            "steps": 18,
            "exploiter": "pool",
            "episodes": EPISODES,
            "states": 20,
            "mirror": {"projections": 4, "steps": 5, "values": "mean", "focus": 0.03},
        },
        "arms": [{"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }
    return parse_recipe(document, "tiny")


@pytest.mark.no_cover
def test_a_step_is_timed_beside_trl_and_profiled(
    benchmark: ModuleType, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl")
    given: list[LanguageModel] = []
    original = benchmark.grpo_step

    def watched(lm: LanguageModel, *rest: Any) -> Any:
        given.append(lm)
        return original(lm, *rest)

    monkeypatch.setattr(benchmark, "grpo_step", watched)
    said: list[str] = []
    comparison = benchmark.prepare(said.append, recipe)
    timing = import_module(f"{benchmark.__package__}.timing")
    part = timing.measure("ipd_step", comparison, 2, said.append)

    ours, single, pair, group = part["rows"]
    assert ours["work"] == {"episodes": EPISODES, "own decisions": EPISODES * ROUNDS, "steps timed": 8}
    assert single["work"]["own decisions"] == EPISODES * ROUNDS
    assert single["work"]["replies measured"] == benchmark.GROUP * ROUNDS
    assert single["note"].endswith("scaled linearly to 30")
    assert group["note"].endswith("scaled linearly to 120")
    assert pair["seconds"] == pytest.approx(2 * single["seconds"])
    assert group["seconds"] == pytest.approx(benchmark.GROUP * single["seconds"])
    assert list(part["ratios"].values()) == [row["seconds"] / ours["seconds"] for row in (single, pair, group)]
    profile = part["profile"]
    assert "mean over 16 consecutive steps" in profile["about"]  # a target is set every fourth
    assert set(profile["groups"]["model"]) == {"forward", "forward without gradient", "backward", "optimiser"}
    assert {"mirror descent", "episodes", "tokens and plans", "record", "checkpoints", "rest"} <= set(
        profile["groups"]["other"]
    )
    assert all(seconds > 0 for group in profile["groups"].values() for seconds in group.values())
    assert sum(profile["shares"].values()) == pytest.approx(1)
    assert profile["seconds"] == pytest.approx((ours["min"] + ours["max"]) / 2, rel=0.01)  # the parts are the whole

    section = recipe.model
    same = load_model(section.policy)
    make_trainable(same, "lora", section.rank, section.alpha, section.targets, layers=section.layers)
    trained = {name.removeprefix("base_model.model."): p.shape for name, p in trainable(same).items()}
    assert {name: p.shape for name, p in trainable(given[0]).items()} == trained  # TRL's is what the recipe trains
    assert len(trained) == 2 * 4  # of one block's attention, not of both blocks


def test_trl_takes_no_fewer_replies_than_the_fewest(benchmark: ModuleType, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    settings = {"output_dir": str(tmp_path), "per_device_train_batch_size": 8, "use_cpu": True, "bf16": False}
    trl.GRPOConfig(**settings, num_generations=benchmark.FEWEST)
    with pytest.raises(ValueError, match="at least 2"):
        trl.GRPOConfig(**settings, num_generations=benchmark.FEWEST - 1)


def test_trl_is_paid_the_returns_of_j(benchmark: ModuleType) -> None:
    opener = [np.array([0.0, 1.0]) if d.key == "" else np.array([0.7, 0.3]) for d in ARENA.space.questions]
    learner = np.concatenate(opener)  # defects first
    found = terms(ARENA, PAPER, learner)
    episodes = benchmark.Episodes(found, learner)
    first = {decisions[0].meeting: decisions[0] for decisions in episodes.play(200)}
    assert len(first) == len(episodes.meetings)
    for number, meeting in enumerate(episodes.meetings):
        paid = episodes(
            [[{"content": " defect"}]] * 400, [first[number].node] * 400, [number] * 400, prompts=["not looked at"]
        )
        error = np.std(paid, ddof=1) / 20
        worth = expected(meeting.tree, meeting.profile(learner), episodes.due[number])
        assert abs(np.mean(paid) - worth) <= 4 * error + 1e-9
        assert episodes.collected("hello", first[number]) <= min(paid)
    whole = sum(
        expected(m.tree, p, d) for m, p, d in zip(episodes.meetings, episodes.profiles, episodes.due, strict=True)
    )
    linear = sum(t.weight * t.value for t in found if t.kind in ("u", "e"))
    assert whole == pytest.approx(linear)  # of a quotient, an episode collects the deviation from its value


def test_episodes_are_met_as_a_step_meets_them(benchmark: ModuleType) -> None:
    learner = ARENA.space.uniform
    found = terms(ARENA, PAPER, learner)
    episodes = benchmark.Episodes(found, learner)
    played = episodes.play(4000)
    assert all(len(decisions) == ROUNDS for decisions in played)
    counts = np.zeros(len(ARENA.space.infosets))
    for met in (m for decisions in played for m in decisions):
        tree = episodes.meetings[met.meeting].tree
        counts[ARENA.space.index[tree.infosets[tree.infoset[met.node]].key]] += 1
    each = mass_of(found, learner, ARENA.space) / weight(found)
    np.testing.assert_allclose(counts / 4000, each, atol=0.04)
    prompt = episodes.prompt(played[0][1])
    assert prompt[-1]["role"] == "user"
    assert "Round 2" in prompt[-1]["content"]


def test_a_game_that_is_held_whole_is_refused(benchmark: ModuleType, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="held whole"):
        benchmark.Training(recipe.model_copy(update={"rules": {"rounds": 3}}), tmp_path, print)
