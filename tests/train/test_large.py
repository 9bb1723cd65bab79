"""Training in a game too large to score whole: samples that are right on average, kills, and what a run says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sepo.audit.arena import Arena, ground_of
from sepo.audit.ceiling import ceiling
from sepo.audit.compare import load_card
from sepo.audit.measures import objective, terms
from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.audit.sweep import by_meeting, mass_of, slope
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.policies.table import load_table
from sepo.solve.gradient import centred
from sepo.train.data import of_arena
from sepo.train.learner import Learner
from sepo.train.mirror import MirrorRules, Push, improve, softmax
from sepo.train.optimise import Optimiser
from sepo.train.recipe import merged, parse_recipe
from sepo.train.record import read_metrics
from sepo.train.run import run
from sepo.train.sample import counted, everything, most, walked
from tests.models import tiny_model
from tests.train.test_run import figures

GAME = make("ipd", {"rounds": 6})
PAPER = GAME.measures("paper")


@pytest.fixture(scope="module")
def arena() -> Arena:
    found = ground_of(GAME)
    assert isinstance(found, Arena)
    return found


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict:
    sampled = {"estimator": "sampled", "groups": 2, "group_size": 4}
    return {
        "name": "large",
        "game": "ipd",
        "rules": {"rounds": 6},
        "measures": "paper",
        "seeds": [3],
        "model": {"policy": tiny_model(tmp_path_factory.mktemp("tiny")), "rank": 8, "layers": 1},
        "checkpoint_every": 2,
        "episodes": 1,
        "audit": {"budget": 40},
        "sft": {"steps": 3, "learning_rate": 0.01, "examples": 200, "episodes": 4},
        "train": {
            "steps": 4,
            "learning_rate": 0.01,
            "exploiter": "pool",
            "episodes": 6,
            "states": 24,
            "mirror": {"projections": 3, "steps": 5, "values": "mean", "inertia": 0.5},
        },
        "arms": [
            {"name": "base", "stage": "base"},
            {"name": "sft", "stage": "sft"},
            {"name": "paper", "train": {"update": "clipped", "credit": "rollout", "kl": 0.1, **sampled}},
            {"name": "sepo"},
            {"name": "budget", "train": {"lambda": {"e": "auto", "budget": 0.3}}},
        ],
    }


@pytest.fixture(scope="module")
def finished(document: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run(parse_recipe(document, "large"), folder, lambda e: None)


@pytest.mark.parametrize("favoured", [False, True])
def test_an_episode_counts_each_decision_as_often_as_it_is_met(arena: Arena, favoured: bool) -> None:
    rng = np.random.default_rng(0)
    policies = [softmax(arena.space, rng.normal(size=len(arena.space.owner))) for _ in range(2)]
    found = terms(arena, PAPER, policies[0])
    expected = np.mean([mass_of(found, p, arena.space) for p in policies], axis=0) / sum(abs(t.weight) for t in found)
    assert expected.sum() == pytest.approx(GAME.rounds)
    odds = {m: float(rng.uniform(0.5, 5)) for m in by_meeting(found)} if favoured else None
    walk = walked(found, policies, arena.space, 20_000, ("walk",), odds)
    assert [d.key for d in walk.asked.decisions] == [arena.space.infosets[i].key for i in walk.asked.chosen]
    counts = np.bincount(walk.asked.chosen, walk.counts, len(expected))
    np.testing.assert_allclose(counts / 20_000, expected, atol=0.02)
    sample = counted(walk, 20_000, expected)
    assert sample.share.sum() == pytest.approx(1, abs=1e-3 if favoured else 1e-9)
    assert sample.factor @ (sample.share / sample.factor) == pytest.approx(sample.share.sum(), abs=1e-9)
    often = expected[sample.asked.chosen] > 0.05
    np.testing.assert_allclose(sample.factor[often], 1, atol=0.15)


@pytest.mark.parametrize("favoured", [False, True])
def test_sums_over_samples_are_unbiased(arena: Arena, favoured: bool) -> None:
    policy = arena.space.uniform
    found = terms(arena, PAPER, policy)
    expected = mass_of(found, policy, arena.space) / sum(abs(t.weight) for t in found)
    worth = np.random.default_rng(1).normal(size=len(arena.space.infosets)) * (expected > 0)
    odds = {m: 1.0 + place for place, m in enumerate(by_meeting(found))} if favoured else None
    guesses = []
    for number in range(400):
        sample = counted(walked(found, [policy], arena.space, 16, (number,), odds), 16, expected)
        guesses.append(float(sample.factor @ (expected * worth)[sample.asked.chosen]))
    error = np.std(guesses, ddof=1) / 20
    assert abs(np.mean(guesses) - expected @ worth) < 4 * error


def test_episodes_go_where_the_projection_has_something_to_learn(arena: Arena, document: dict) -> None:
    """Wrong where the opponent struck back alone: who does is met more often, and counts as less."""
    space, target = arena.space, ceiling(arena, PAPER).strategy
    gradient, mass = slope(terms(arena, PAPER, target), target, space)
    known, wrong = target.copy(), []
    for i, info in enumerate(space.infosets):
        values = gradient[info.entries]
        better = values.argmax() == target[info.entries].argmax()
        if info.key.startswith("DC,CD") and better and np.ptp(values) > 0.05 * mass[i]:
            known[info.entries] = np.arange(2) == values.argmin()
            wrong.append(i)
    found = []
    for meets in ("weights", "losses"):
        mirror = {"focus": 0.03, "meets": meets}
        recipe = parse_recipe(merged(document, {"train": {"episodes": 2, "mirror": mirror}}), "large")
        settings = recipe.settings(recipe.arms[1])
        lm = load_model(recipe.model.policy)
        make_trainable(lm, "lora", layers=1)
        learner = Learner(DirectPolicy(lm, "x"), arena, settings)
        stage = Optimiser(learner, PAPER, settings, ("draw",))
        learner.known, learner.seen[:] = known, True
        shares = []
        for number in range(1, 301):
            sample = stage.asking.draw(target, number)
            shares.append(sample.share[np.isin(sample.asked.chosen, wrong)].sum())
        found.append((np.mean(shares), np.std(shares) / np.sqrt(300), np.count_nonzero(shares)))
    (plain, error, few), (favoured, other_error, many) = found
    assert many > 1.2 * few
    assert abs(favoured - plain) < 4 * np.hypot(error, other_error)


def test_everything_has_the_factor_one_and_most_takes_the_largest() -> None:
    share = np.array([0.1, 0.4, 0.0, 0.3, 0.2])
    assert everything([], share).factor.tolist() == [1.0] * 5
    assert most(share, 2).tolist() == [1, 3]
    assert most(share, 9, 0.15).tolist() == [1, 3, 4]


def test_mirror_descent_over_an_arena_nears_the_ceiling(arena: Arena) -> None:
    def push(at: np.ndarray, step: int) -> Push:
        found, mass = slope(terms(arena, PAPER, at), at, arena.space)
        return Push(at * centred(arena.space, at, found), np.maximum(mass, 1e-12))

    start = arena.space.uniform
    target = improve(arena.space, start, push, MirrorRules(10, 0.002, 200, 5.0))
    best = ceiling(arena, PAPER).j
    reached = objective(terms(arena, PAPER, target))
    assert best - 0.02 < reached <= best + 1e-9
    assert objective(terms(arena, PAPER, start)) < best - 2


def test_demonstrations_of_an_arena_are_those_of_the_data(arena: Arena) -> None:
    shown = of_arena(arena, 400, 7)
    train, validation = (np.array([c.sum() for c in part]) for part in (shown.train, shown.validation))
    assert train.sum() == sum(map(len, shown.episodes))
    assert 400 <= train.sum() + validation.sum() < 400 + GAME.rounds
    met = np.bincount(np.concatenate(shown.episodes), minlength=len(train))
    np.testing.assert_array_equal(met, train)
    keys = [d.key for d in shown.asked.decisions]
    assert keys == [arena.space.infosets[i].key for i in shown.asked.chosen]
    start = keys.index("")
    assert met[start] == len(shown.episodes)
    assert 0 < shown.train[start][0] < len(shown.episodes)


def test_a_run_says_how_far_its_figures_may_be_off(finished: tuple[Path, dict]) -> None:
    folder, summary = finished
    for arm in summary["arms"]:
        place = folder / "arms" / arm["name"] / "seed-3"
        card = json.loads((place / "scorecards" / "last.json").read_text())["games"]["ipd"]
        assert card["method"] == "bounded"
        assert card["states"]["asked"] == 40
        found = card["measures"]["paper"]["J"]
        assert found["low"] < found["value"] < found["high"]
        figure = arm["last"]["paper.J"]
        assert figure["value"] == found["value"]
        assert (figure["low"], figure["high"]) == pytest.approx((found["low"], found["high"]), abs=1e-12)
        table = load_table(place / "policies" / "last.json")
        assert (len(table.table), table.default) == (40, "uniform")
        assert (place / "episodes.jsonl").read_text()
        if arm["stage"] == "train":
            known = [line["known"] for line in read_metrics(place / "metrics.jsonl")]
            assert 0.2 < known[0] <= max(known) < 1  # of what is met, since 24 states are asked about at first
            assert known[-1] > known[0]


def test_a_written_table_has_the_value_it_is_said_to_have(finished: tuple[Path, dict], arena: Arena) -> None:
    folder, summary = finished
    table = load_table(folder / "arms" / "sepo" / "seed-3" / "policies" / "last.json")
    learner = np.concatenate(table.probabilities(arena.space.questions))
    j = objective(terms(arena, PAPER, learner))
    assert summary["arms"][3]["last"]["paper.J"]["value"] == pytest.approx(j, abs=1e-9)


def test_a_written_table_can_be_audited_and_says_how_much_of_it_was_asked(finished: tuple[Path, dict]) -> None:
    home = finished[0] / "arms" / "sepo" / "seed-3"
    table = load_table(home / "policies" / "last.json")
    card = load_card(home / "scorecards" / "last.json")
    states = card["games"]["ipd"]["states"]
    assert len(table.table) == states["asked"] == 40
    assert {key: table.notes[key] for key in states} == states
    assert "asked" not in card["model"]
    found = scorecard(table, [GAME], Options(adversaries=False))["games"]["ipd"]["measures"]["paper"]["J"]
    assert found["low"] == found["high"] == pytest.approx(card["games"]["ipd"]["measures"]["paper"]["J"]["value"])


@pytest.mark.no_cover
def test_a_run_that_stops_at_any_step_ends_with_the_same_figures(
    finished: tuple[Path, dict], document: dict, tmp_path: Path
) -> None:
    class Killed(BaseException):
        """Ends a run where it stands."""

    for after in (2, 3, 4, 3, 5, 4, 100):
        left = [after]

        def tell(event: dict, left: list[int] = left) -> None:
            left[0] -= bool(event["line"])
            if left[0] == 0:
                raise Killed

        try:
            run(parse_recipe(document, "large"), tmp_path / "killed", tell, resume=True)
            break
        except Killed:
            continue
    assert after == 100
    assert figures(tmp_path / "killed") == figures(finished[0])


def test_a_step_scores_a_sample_and_the_last_line_asks_anew(finished: tuple[Path, dict]) -> None:
    lines = read_metrics(finished[0] / "arms" / "sepo" / "seed-3" / "metrics.jsonl")
    assert len(lines) == 5
    assert all(0 < line["asked"] < 6 * 6 + 1 for line in lines)
    assert all(len(line["ledger"]) == 4 for line in lines[:-1])


def test_a_weight_with_a_budget_moves_and_the_others_stay(finished: tuple[Path, dict]) -> None:
    lines = read_metrics(finished[0] / "arms" / "budget" / "seed-3" / "metrics.jsonl")
    found = [line["lambda"] for line in lines[:-1]]
    assert all((f["c"], f["x"]) == (PAPER.weights.c, PAPER.weights.x) for f in found)
    assert len({f["e"] for f in found}) > 1
    assert all(f["e"] >= 0 for f in found)
    assert "lambda" not in read_metrics(finished[0] / "arms" / "sepo" / "seed-3" / "metrics.jsonl")[0]
