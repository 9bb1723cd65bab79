"""Answers of a model kept on disk: the same figures without the model, and never somebody else's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sepo.audit.methods import Options
from sepo.audit.scorecard import scorecard
from sepo.errors import InputError
from sepo.games.base import Decision, Game, Turn
from sepo.games.registry import make
from sepo.games.split import Split
from sepo.policies import remembered
from sepo.policies.remembered import RememberedPolicy
from sepo.policies.spec import load_policy
from sepo.solve.expand import expand
from sepo.solve.tree import Floats
from tests.hidden import Hidden
from tests.models import tiny_model

PRINT = "f" * 64


class Model(Hidden):
    """Stands for a loaded model."""

    def legal_mass(self) -> Mapping[str, float]:
        return {key: 0.1 + 0.001 * len(key) for key in self.asked}

    def about(self) -> Mapping[str, Any]:
        return {"style": "direct", "dtype": "float32", "packing": "trie"}


def refuse() -> Any:
    raise AssertionError("the model was loaded")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "answers"


def kept(load: Callable[[], Any], fingerprint: str | None = PRINT) -> RememberedPolicy:
    return RememberedPolicy(load, "hf:model", fingerprint)


def decisions(name: str = "kuhn", **rules: Any) -> list[Decision]:
    return list(expand(make(name, rules)).questions)


def same(a: Sequence[Floats], b: Sequence[Floats]) -> bool:
    return all((x == y).all() for x, y in zip(a, b, strict=True))


def test_another_policy_of_the_same_model_answers_without_loading_it():
    asked, model = decisions(), Model(1)
    first = kept(lambda: model)
    answers = first.probabilities(asked)
    again = kept(refuse)
    assert again.keeps
    assert again.known(asked) == len(asked)
    assert same(again.probabilities(asked), answers)
    assert same(answers, Model(1).probabilities(asked))
    assert again.legal_mass() == first.legal_mass()
    assert again.about() == first.about() == model.about()


def test_only_what_is_not_known_is_asked_and_once():
    asked, model = decisions(), Model(1)
    policy = kept(lambda: model)
    policy.probabilities(asked[:5])
    policy.probabilities(asked[3:])
    policy.probabilities(asked)
    assert model.calls == [[d.key for d in asked[:5]], [d.key for d in asked[5:]]]
    more = Model(1)
    kept(lambda: more).probabilities([*asked, *decisions("ipd", rounds=2)])
    assert more.calls == [[d.key for d in decisions("ipd", rounds=2)]]


def test_the_model_is_loaded_once_and_not_before_it_is_asked():
    loads = []

    def load() -> Any:
        loads.append(1)
        return Model(1)

    policy = kept(load)
    assert not policy.keeps
    assert loads == []
    policy.probabilities(decisions()[:2])
    policy.probabilities(decisions())
    assert policy.load() is policy.load()
    assert loads == [1]


class Reworded(Split):
    """The same game in other words."""

    def told(self, number: int, before: Any, view: Any) -> str:
        return "Now then: " + super().told(number, before, view)


def test_a_changed_wording_is_asked_anew(monkeypatch: pytest.MonkeyPatch):
    game = make("split", {"rounds": 2})
    first = game.decision(game.root())
    kept(lambda: Model(1)).probabilities([first])
    assert kept(refuse).known([first]) == 1
    reworded = Reworded(rounds=2)
    other = reworded.decision(reworded.root())
    assert kept(refuse).known([other]) == 0
    changed = Model(2)
    answers = kept(lambda: changed).probabilities([other])
    assert changed.asked == [other.key]
    assert same(kept(refuse).probabilities([other]), answers)

    def chat(self: Game, view: Any) -> tuple[Turn, ...]:
        return (Turn("user", "Bet?"),)

    asked = decisions()
    kept(lambda: Model(1)).probabilities(asked)
    monkeypatch.setattr(type(make("kuhn")), "chat", chat)
    assert kept(refuse).known(asked) == 0


def test_changed_words_for_the_actions_are_asked_anew(monkeypatch: pytest.MonkeyPatch):
    asked = decisions()
    kept(lambda: Model(1)).probabilities(asked)
    monkeypatch.setattr(type(make("kuhn")), "word", lambda self, action: action.upper() + "!")
    assert kept(refuse).known(asked) == 0


def file_of(cache: Path) -> Path:
    (path,) = cache.glob("*.json")
    return path


def spoil(document: dict[str, Any], what: str) -> Any:
    rows = document["answers"]
    key = next(iter(rows))
    asked, mass, p = rows[key]
    match what:
        case "schema":
            return document | {"schema": "sepo.answers/0"}
        case "no schema":
            return {k: v for k, v in document.items() if k != "schema"}
        case "no answers":
            return {k: v for k, v in document.items() if k != "answers"}
        case "no about":
            return {k: v for k, v in document.items() if k != "about"}
        case "list":
            return document | {"answers": [rows]}
        case "array":
            return [document]
        case "about":
            return document | {"about": 3}
        case "short row":
            bad: Any = [asked, mass]
        case "words":
            bad = [asked, mass, ["half", "half"]]
        case "nan":
            bad = [asked, mass, [float("nan"), 1.0]]
        case "mass":
            bad = [asked, float("nan"), p]
        case "negative":
            bad = [asked, mass, [-0.5, 1.5]]
        case "sum":
            bad = [asked, mass, [0.5, 0.6]]
        case "actions":
            bad = [asked, mass, [0.5, 0.25, 0.25]]
        case _:
            bad = None
    return document | {"answers": rows | {key: bad}}


DAMAGE = ["schema", "no schema", "no answers", "no about", "list", "array", "about", "short row", "words", "nan"]
DAMAGE += ["mass", "negative", "sum", "actions", "null"]


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_or_foreign_file_is_asked_anew_and_replaced(cache: Path, what: str):
    asked = decisions()
    answers = kept(lambda: Model(1)).probabilities(asked)
    path = file_of(cache)
    path.write_text(json.dumps(spoil(json.loads(path.read_text()), what)))
    model = Model(1)
    policy = kept(lambda: model)
    assert same(policy.probabilities(asked), answers)
    assert model.asked
    assert same(kept(refuse).probabilities(asked), answers)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "nonsense \ufffd", '{"schema": "sepo.answers/1"}'])
def test_a_file_that_is_no_json_of_ours_is_no_error(cache: Path, text: str):
    asked = decisions()
    kept(lambda: Model(1)).probabilities(asked)
    file_of(cache).write_text(text)
    model = Model(1)
    kept(lambda: model).probabilities(asked)
    assert len(model.asked) == len(asked)


def test_neither_models_nor_rules_nor_games_share_answers():
    asked = decisions("ipd", rounds=2)
    kept(lambda: Model(1)).probabilities(asked)
    assert kept(refuse, "e" * 64).known(asked) == 0
    assert not kept(refuse, "e" * 64).keeps
    longer = decisions("ipd", rounds=3)
    assert {d.key for d in asked} < {d.key for d in longer}
    assert kept(refuse).known(longer) == 0
    other = Model(2)
    kept(lambda: other).probabilities(longer)
    assert len(other.asked) == len(longer)
    assert same(kept(refuse).probabilities(asked), Model(1).probabilities(asked))
    assert kept(refuse).known(decisions("auction", rounds=1, overbid_loss=False)) == 0


def test_two_games_with_the_same_keys_in_one_batch_keep_to_themselves():
    short, long = decisions("ipd", rounds=1), decisions("ipd", rounds=2)

    class ByRules(Model):
        def answer(self, decision: Decision) -> Floats:
            return np.eye(2)[decision.game.rounds - 1]

    kept(lambda: ByRules(1)).probabilities([*short, *long])
    again = kept(refuse).probabilities([*short, *long])
    assert [p.tolist() for p in again] == [[1.0, 0.0]] + [[0.0, 1.0]] * len(long)


def test_an_interrupted_run_keeps_the_batches_it_finished(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remembered, "BATCH", 4)
    asked = decisions()

    class Tired(Model):
        def probabilities(self, batch: Sequence[Decision]) -> list[Floats]:
            if len(self.asked) >= 8:
                raise KeyboardInterrupt
            return super().probabilities(batch)

    told: list[tuple[int, int]] = []
    policy = RememberedPolicy(lambda: Tired(1), "hf:model", PRINT, lambda *a: told.append(a))
    with pytest.raises(KeyboardInterrupt):
        policy.probabilities(asked)
    assert told == [(4, 12), (8, 12)]
    model = Model(1)
    assert same(kept(lambda: model).probabilities(asked), Model(1).probabilities(asked))
    assert model.asked == [d.key for d in asked[8:]]


def test_a_place_where_nothing_can_be_kept_is_said_before_the_model_is_loaded(cache: Path):
    cache.parent.write_text("a file where the folder would be")
    with pytest.raises(InputError, match=r"cannot write .*answers"):
        kept(refuse).probabilities(decisions())


def test_without_a_fingerprint_nothing_is_written(cache: Path):
    policy = kept(lambda: Model(1), None)
    policy.probabilities(decisions())
    assert not policy.keeps
    assert not cache.exists()
    model = Model(1)
    kept(lambda: model, None).probabilities(decisions())
    assert model.asked


@pytest.mark.parametrize("method", ["auto", "sampled"])
def test_figures_of_remembered_answers_are_the_models_own_to_the_last_digit(method: Any):
    games = [make("kuhn"), make("ipd", {"rounds": 2})]
    options = Options(sets="paper", method=method, episodes=40)
    cards = [
        scorecard(policy, [game], options)["games"]
        for policy in (Model(1), kept(lambda: Model(1)), kept(refuse))
        for game in games
    ]
    assert cards[:2] == cards[2:4] == cards[4:]


def test_a_real_model_is_asked_once_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    reference = tiny_model(tmp_path / "tiny")
    kuhn = make("kuhn")
    first = scorecard(load_policy(reference), [kuhn], Options(sets="paper"))
    monkeypatch.setattr("sepo.lm.load.load_model", lambda *a, **k: refuse())
    again = scorecard(load_policy(reference), [kuhn], Options(sets="paper"))
    assert again == first
    assert first["games"]["kuhn"]["states"] == {"asked": 12, "reachable": 12}
    assert first["model"]["style"] == "direct"
    with pytest.raises(AssertionError, match="the model was loaded"):
        scorecard(load_policy(reference), [make("ipd", {"rounds": 1})], Options())
    other = tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(AssertionError, match="the model was loaded"):
        load_policy(other)
