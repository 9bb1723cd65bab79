"""Training in mixed wordings: a step asks in one of them, a resumed run in the same, and wording matters less after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sepo.errors import InputError
from sepo.games.base import Decision
from sepo.games.registry import make
from sepo.games.wording import reword, wordings
from sepo.policies.direct import DirectPolicy
from sepo.policies.spec import load_policy
from sepo.solve.expand import expand
from sepo.solve.response import exploitability
from sepo.train.recipe import parse_recipe
from sepo.train.run import run
from tests.models import tiny_model
from tests.train.test_run import figures

GAME = make("kuhn")


def document(model: str, mixed: str | list[str], steps: int = 60, **train: Any) -> dict[str, Any]:
    return {
        "name": "words",
        "game": "kuhn",
        "model": {"policy": model, "adapter": "full"},
        "wordings": mixed,
        "checkpoint_every": 2,
        "audit": {"adversaries": False},
        "sft": {"steps": 3, "learning_rate": 0.01, "examples": 200},
        "train": {"steps": steps, "learning_rate": 0.01, "mirror": {"steps": 50}, **train},
        "arms": [{"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    }


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the name of the wording of every question that is put to the model."""
    names: list[str] = []
    usual = DirectPolicy.question

    def question(self: DirectPolicy, decision: Decision) -> Any:
        names.append(decision.wording.name if decision.wording else "original")
        return usual(self, decision)

    monkeypatch.setattr(DirectPolicy, "question", question)
    return names


@pytest.mark.no_cover
def test_steps_ask_in_all_wordings_and_audits_in_the_games_own(tmp_path: Path, asked: list[str]) -> None:
    recipe = parse_recipe(document(tiny_model(tmp_path / "tiny"), "mixed", 30), "words")
    run(recipe, tmp_path / "run", lambda e: None)
    assert set(asked) == {w.name for w in wordings(GAME)}
    assert asked[-12:] == ["original"] * 12
    asked.clear()
    run(parse_recipe(document(tiny_model(tmp_path / "tiny"), "original", 3), "words"), tmp_path / "own", lambda e: None)
    assert set(asked) == {"original"}


@pytest.mark.parametrize("kl", [0.1, 0.0])
def test_a_resumed_run_asks_in_the_same_words(tmp_path: Path, kl: float) -> None:
    class Killed(BaseException):
        """Ends a run where it stands."""

    def kill(event: dict[str, Any]) -> None:
        if event["arm"] == "sepo" and event["line"].get("step") == 3:
            raise Killed

    recipe = parse_recipe(document(tiny_model(tmp_path / "tiny"), "mixed", 6, kl=kl), "words")
    run(recipe, tmp_path / "whole", lambda e: None)
    with pytest.raises(Killed):
        run(recipe, tmp_path / "again", kill)
    run(recipe, tmp_path / "again", lambda e: None, resume=True)
    assert figures(tmp_path / "again") == figures(tmp_path / "whole")


@pytest.mark.no_cover
def test_some_wordings_may_be_left_for_an_audit(tmp_path: Path, asked: list[str]) -> None:
    some = ["renamed", "paraphrase-2", "renamed"]
    recipe = parse_recipe(document(tiny_model(tmp_path / "tiny"), some, 8), "words")
    run(recipe, tmp_path / "run", lambda e: None)
    assert set(asked) == {"renamed", "paraphrase-2", "original"}
    assert asked.count("original") <= 4 * 12  # in the audits of both arms
    assert asked.count("renamed") == 2 * 12  # once in each arm


def test_a_step_that_asks_in_other_words_is_never_the_best_one(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    still = {"start": "base", "learning_rate": 1e-12}  # the same policy throughout, which is worth more in some words
    recipe = parse_recipe(document(tiny_model(tmp_path / "tiny"), "mixed", 16, **still), "words")
    run(recipe, tmp_path / "run", lambda event: told.append(event))
    lines = [e["line"] for e in told if e["arm"] == "sepo" and e["line"]]
    worth = [line["measures"]["sepo"]["J"] for line in lines]
    own = worth[-1]  # the last look is in the game's own words
    assert max(worth) > own + 1e-4
    done = json.loads((tmp_path / "run" / "arms" / "sepo" / "seed-0" / "done.json").read_text())
    assert worth[done["best_step"]] == pytest.approx(own, abs=1e-7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["original", "sung"], "game 'kuhn' has no wording 'sung': it has original, paraphrase-1"),
        ([], "wordings"),
        ("sung", "wordings"),
    ],
)
def test_wordings_that_are_not_there_are_named(tmp_path: Path, words: str | list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(parse_recipe(document("hf:nowhere", words), "words"), tmp_path / "run", lambda e: None)


@pytest.mark.no_cover
def test_wording_matters_less_to_a_model_that_was_trained_in_all_of_them(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny")
    tree = expand(GAME)
    worst = {}
    for mixed in ("original", "mixed"):
        run(parse_recipe(document(model, mixed, 120), "words"), tmp_path / mixed, lambda e: None)
        policy = load_policy(f"hf:{tmp_path / mixed / 'arms' / 'sepo' / 'seed-0' / 'checkpoints' / 'last'}")
        found = []
        for wording in wordings(GAME):
            rows = policy.probabilities([reword(info.decision, wording) for info in tree.infosets])
            found.append(exploitability(tree, np.concatenate(rows)))
        worst[mixed] = max(found)
    assert worst["mixed"] < 0.6 * worst["original"]
