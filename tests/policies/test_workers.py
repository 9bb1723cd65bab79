"""Units of work: their answers are what one process finds, whoever runs them, and none is run twice."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.audit.tournament import MatchOptions, tournament
from sepo.games import registry
from sepo.games.base import TERMINAL
from sepo.games.plugins import GROUP, Plugin
from sepo.games.registry import make
from sepo.policies.reasoned import ReplyRules
from sepo.policies.reworded import worded
from sepo.policies.spec import Asking, load_policy
from sepo.policies.workers import Answer, Here, finished
from sepo.solve.expand import expand
from tests.models import ASKED, tiny_model
from tests.plugin.sepo_plugin_game.plugin_game import Coins, Pennies


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Elsewhere:
    """Runs units last to first, on copies of their arguments, as another process would; and stops where it is told."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.ran, self.most = 0, most

    def run(self, what: Callable[..., Answer], units: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Answer]]:
        import cloudpickle

        for number in reversed(range(len(units))):
            if self.ran == self.most:
                raise KeyboardInterrupt
            self.ran += 1
            function, arguments = pickle.loads(cloudpickle.dumps((what, units[number])))
            yield number, json.loads(json.dumps(function(*arguments)))


def square(x: int) -> Answer:
    return {"square": x * x}


def test_answers_come_in_order_and_are_kept():
    workers, units = Elsewhere(), [(x,) for x in range(5)]
    for _ in range(2):
        assert [a["square"] for a in finished(workers, square, units, [f"key {x}" for x in range(5)])] == [
            0,
            1,
            4,
            9,
            16,
        ]
    assert workers.ran == 5
    finished(workers, square, units, [None] * 5)
    assert workers.ran == 10


def test_what_was_finished_before_a_stop_is_not_run_again(cache: Path):
    units, keys = [(x,) for x in range(5)], list(range(5))
    with pytest.raises(KeyboardInterrupt):
        finished(Elsewhere(3), square, units, keys)
    assert len(list((cache / "units").glob("*.json"))) == 3
    damaged = next((cache / "units").glob("*.json"))
    damaged.write_text("{", encoding="utf-8")
    workers = Elsewhere()
    assert [a["square"] for a in finished(workers, square, units, keys)] == [0, 1, 4, 9, 16]
    assert workers.ran == 3  # the two that were left, and the one that was damaged


def card(
    text: str, game: str, workers: Any, rules: ReplyRules | None = None, wording: str | None = None, **options: Any
) -> dict[str, Any]:
    asking = Asking(rules or ReplyRules(style="direct"), seed=3, workers=workers)
    policy = worded(load_policy(text, asking=asking), wording)
    return scorecard(policy, [make(game, {}, "sepo")], Options(seed=3, asking=asking, adversaries=False, **options))


@pytest.mark.parametrize(("game", "episodes"), [("ipd", 150), ("items", 40)])
def test_a_sampled_audit_is_the_same_to_the_last_digit(game: str, episodes: int):
    here = card("script:tit_for_tat", game, None, method="sampled", episodes=episodes)
    workers = Elsewhere()
    assert card("script:tit_for_tat", game, workers, method="sampled", episodes=episodes) == here
    assert workers.ran > 3
    again = Elsewhere()
    assert card("script:tit_for_tat", game, again, method="sampled", episodes=episodes) == here
    assert again.ran == 0


@pytest.mark.parametrize("method", ["auto", "sampled"])
def test_an_audit_of_a_model_that_writes_is_the_same_to_the_last_digit(tmp_path: Path, method: str):
    text = tiny_model(tmp_path / "tiny")
    rules = ReplyRules(samples=4, tokens=5, illegal="random", retries=1)
    here = card(text, "kuhn", None, rules, method=method, episodes=6)
    workers = Elsewhere()
    assert card(text, "kuhn", workers, rules, method=method, episodes=6) == here
    assert workers.ran > 0
    assert here["games"]["kuhn"]["illegal_rate"]["value"] > 0


@pytest.mark.parametrize("style", ["direct", "reasoned"])
def test_an_audit_in_a_wording_asks_in_it_whoever_plays(tmp_path: Path, style: str):
    text, wordings = tiny_model(tmp_path / "tiny"), (None, "renamed")
    rules = ReplyRules(style, samples=1, tokens=5, illegal="random", retries=0)

    def played(workers: Any) -> list[dict[str, Any]]:
        return [card(text, "kuhn", workers, rules, w, method="sampled", episodes=2)["games"]["kuhn"] for w in wordings]

    here, workers, again = played(None), Elsewhere(), Elsewhere()
    assert played(workers) == here
    assert played(again) == here
    assert workers.ran > again.ran == 0
    assert here[0] != here[1]


def test_a_sampled_audit_by_workers_in_a_wording_says_how_a_model_was_asked(tmp_path: Path):
    found = card(tiny_model(tmp_path / "tiny"), "kuhn", Here(), None, "renamed", method="sampled", episodes=4)
    assert "asking" in found["options"]


@pytest.fixture
def pennies(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Audit in the plugin's game, as it is at the time."""
    entry = EntryPoint("plugin_game", f"{Pennies.__module__}:Pennies", GROUP)
    monkeypatch.setattr(registry, "plugins", lambda: {"plugin_game": Plugin("plugin_game", (entry,))})

    def audited(*arguments: Any, **options: Any) -> dict[str, Any]:
        monkeypatch.setattr(registry, "_made", {})
        return card(arguments[0], "plugin_game", *arguments[1:], **options)

    return audited


def test_episodes_of_a_plugins_game_are_played_anew_since_its_code_may_have_changed(
    pennies: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    options = {"method": "sampled", "episodes": 20}
    monkeypatch.setattr(Pennies, "zero_sum", False)
    before = pennies("script:mostly_heads", Here(), **options)
    monkeypatch.setattr(Coins, "rewards", lambda coins: (float(coins.actor == TERMINAL),) * 2)
    after = pennies("script:mostly_heads", Here(), **options)
    assert after == pennies("script:mostly_heads", None, **options)
    u = [found["games"]["plugin_game"]["measures"]["sepo"]["u"]["value"] for found in (before, after)]
    assert u == [0, 1]


def test_replies_kept_of_a_plugins_game_count_by_its_forfeit_of_today(
    tmp_path: Path, pennies: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    text, rules = tiny_model(tmp_path / "tiny"), ReplyRules(samples=2, tokens=2, retries=0)
    shares = []
    for side in ("heads", "tails"):
        monkeypatch.setattr(Pennies, "forfeit", lambda game, decision, side=side: side)
        part = pennies(text, Here(), rules)["games"]["plugin_game"]
        assert part["replies"]["unanswered"] == part["replies"]["decisions"]
        shares.append(part["frequencies"]["seat 0"]["heads"]["value"])
    assert shares == [1, 0]


def test_an_audit_of_a_model_that_is_scored_is_the_same_but_for_rounding(tmp_path: Path):
    text = tiny_model(tmp_path / "tiny")
    here = card(text, "ipd", Here(), budget=300)
    (tmp_path / "cache").rename(tmp_path / "first")  # what was answered is kept
    there = card(text, "ipd", None, budget=300)
    for name, value in numbers(there):
        assert dict(numbers(here))[name] == pytest.approx(value, abs=1e-5), name
    assert there["model"] == here["model"]


def test_a_worker_loads_a_model_anew_when_its_files_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    decisions = expand(make("kuhn")).questions

    def asked(workers: Any) -> np.ndarray:
        return np.concatenate(load_policy(text, asking=Asking(workers=workers)).probabilities(decisions))

    text = tiny_model(tmp_path / "tiny")
    before = asked(Here())
    tiny_model(tmp_path / "tiny", seed=5)
    after = asked(Here())
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "another"))
    np.testing.assert_allclose(after, asked(None), atol=1e-6)
    assert np.abs(after - before).max() > 1e-3


def test_a_worker_keeps_no_answers_where_none_are_to_be_kept(tmp_path: Path, cache: Path):
    text, decisions = tiny_model(tmp_path / "tiny"), expand(make("kuhn")).questions
    load_policy(text, asking=Asking(workers=Here(), kept=False)).probabilities(decisions)
    assert not list(cache.rglob("*.json"))
    load_policy(text, asking=Asking(workers=Here())).probabilities(decisions)
    assert list(cache.rglob("*.json"))


def test_a_model_is_scored_with_the_templates_arguments_here_and_by_workers(tmp_path: Path, cache: Path):
    text, decisions = tiny_model(tmp_path / "tiny", template=ASKED), expand(make("kuhn")).questions

    def asked(workers: Any, manner: str) -> np.ndarray:
        policy = load_policy(text, asking=Asking(workers=workers, template={"manner": manner}))
        return np.concatenate(policy.probabilities(decisions))

    aloud, low = (asked(Here(), manner) for manner in ("aloud", "in a low voice"))
    assert np.abs(aloud - low).max() > 1e-4
    np.testing.assert_array_equal(asked(Here(), "aloud"), aloud)  # kept apart
    cache.rename(tmp_path / "first")
    np.testing.assert_allclose(asked(None, "aloud"), aloud, atol=1e-6)


@pytest.mark.parametrize("workers", [None, Here()])
def test_a_model_writes_with_the_templates_arguments_here_and_by_workers(tmp_path: Path, workers: Any):
    text, decisions = tiny_model(tmp_path / "tiny", template=ASKED), expand(make("kuhn")).questions
    rules = ReplyRules(samples=2, tokens=3, illegal="random", retries=0)
    for manner in ("aloud", "in a low voice"):
        policy = load_policy(text, asking=Asking(rules, workers=workers, template={"manner": manner}))
        policy.probabilities(decisions[:2])
        assert policy.about()["template"] == json.dumps({"manner": manner})


def test_a_match_of_a_model_that_writes_is_the_same_to_the_last_digit(tmp_path: Path):
    text, game = tiny_model(tmp_path / "tiny"), make("kuhn")
    asking = Asking(ReplyRules(samples=4, tokens=5, illegal="random", retries=1), seed=3)

    def met(workers: Any) -> dict[str, Any]:
        players = [load_policy(name, game, asking=replace(asking, workers=workers)) for name in (text, "uniform")]
        return tournament(players, game, MatchOptions(deals=4, seed=3), lambda *told: None)

    here, workers, again = met(None), Elsewhere(), Elsewhere()
    assert met(workers) == here
    assert workers.ran > 0
    assert met(again) == here
    assert again.ran == 0


def numbers(document: Any, at: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield from numbers(value, f"{at}.{key}")
    elif isinstance(document, int | float) and np.isfinite(document):
        yield at, float(document)
