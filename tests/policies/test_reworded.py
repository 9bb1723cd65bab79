"""A policy asked in another wording: a model's answers change, and nothing but what depends on words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sepo.audit.methods import Options
from sepo.audit.scorecard import audit_table, scorecard
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.games.wording import USUAL, chosen, reword
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.remembered import RememberedPolicy
from sepo.policies.reworded import RewordedPolicy, worded
from sepo.policies.spec import load_policy
from sepo.policies.table import PolicyTable, elicit
from sepo.solve.expand import expand
from tests.hidden import Hidden
from tests.models import tiny_model
from tests.policies.test_remembered import Model, decisions, refuse
from tests.writers import TableWriter, random_table

SMALL = [("kuhn", {}), ("ipd", {"rounds": 2}), ("auction", {"rounds": 1}), ("commons", {"rounds": 1})]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEPO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize(("name", "rules"), SMALL)
def test_a_policy_that_does_not_read_has_the_same_scorecard_in_every_wording(name, rules):
    options = Options(adversaries=False)
    plain = scorecard(Hidden(3, mass=0.5), [make(name, rules)], options)["games"]
    for wording in USUAL:
        assert scorecard(RewordedPolicy(Hidden(3, mass=0.5), wording), [make(name, rules)], options)["games"] == plain


@pytest.mark.parametrize(("name", "rules"), SMALL)
def test_a_models_tables_have_the_same_states_and_actions_and_other_probabilities(tiny, name, rules):
    game = make(name, rules)
    model = DirectPolicy(load_model(tiny), tiny)
    tree = expand(game)
    found = {w: elicit(RewordedPolicy(model, w), game, tree) for w in USUAL}
    plain = elicit(model, game, tree)
    assert found["original"].table == plain.table
    for table in found.values():
        assert [(key, list(row)) for key, row in table.table.items()] == [(k, list(r)) for k, r in plain.table.items()]
        assert table.mass.keys() == table.table.keys()
        assert table.name == plain.name
    tables = [np.concatenate([list(row.values()) for row in t.table.values()]) for t in found.values()]
    assert all(not np.allclose(a, b, atol=1e-9) for i, a in enumerate(tables) for b in tables[:i])


def test_what_a_model_is_asked_in_tokens_is_the_wording(tiny):
    model = DirectPolicy(load_model(tiny), tiny)
    (renamed,) = chosen(make("kuhn"), ["renamed"])
    decode = model.language_model.tokenizer.decode
    for d in decisions():
        question = model.question(reword(d, renamed))
        prompt, replies = decode(question.prompt), [decode(r) for r in question.replies]
        assert "After green the other player may say black" in prompt
        assert not any(word in prompt.split() for word in ("check", "bet", "call", "fold"))
        assert replies == [f"{word}<|im_end|>" for word in reword(d, renamed).words()]
        assert set(reword(d, renamed).words()) in ({"blue", "green"}, {"black", "white"})


def kept(load: Callable[[], Model]) -> RememberedPolicy:
    return RememberedPolicy(load, "hf:model", "f" * 64)


class Reader(Model):
    """Answers by its words, with a mass that depends on them."""

    def answer(self, decision):
        p = np.array([1.0 + len(word) for word in decision.words()])
        return p / p.sum()

    def probabilities(self, decisions):
        self.masses = {d.key: 0.001 * len("".join(d.words())) for d in decisions}
        return super().probabilities(decisions)

    def legal_mass(self):
        return self.masses


def test_answers_in_two_wordings_are_kept_apart_on_disk_and_none_is_asked_twice():
    asked, model = decisions(), Reader(1)
    plain, renamed = (RewordedPolicy(kept(lambda: model), w) for w in ("original", "renamed"))
    answers = [policy.probabilities(asked) for policy in (plain, renamed)]
    assert len(model.asked) == 2 * len(asked)
    assert any((a != b).any() for a, b in zip(*answers, strict=True))
    assert plain.legal_mass() != renamed.legal_mass()
    again = kept(refuse)
    for policy, before, mass in zip(("original", "renamed"), answers, (plain, renamed), strict=True):
        later = RewordedPolicy(again, policy)
        assert all((a == b).all() for a, b in zip(later.probabilities(asked), before, strict=True))
        assert later.legal_mass() == mass.legal_mass()
    assert again.known(asked) == len(asked)


def test_wordings_mixed_in_one_batch_keep_their_own_answers_and_masses():
    (renamed,) = chosen(make("kuhn"), ["renamed"])
    asked = decisions()
    mixed = [q for d in asked for q in (d, reword(d, renamed))]
    answers = kept(lambda: Reader(1)).probabilities(mixed)
    for d, answer in zip(mixed, answers, strict=True):
        assert (answer == Reader(1).answer(d)).all()
    for wording in ("original", "renamed"):
        policy = RewordedPolicy(kept(refuse), wording)
        policy.probabilities(asked)
        put = chosen(make("kuhn"), [wording])[0]
        want = {d.key: 0.001 * len("".join(reword(d, put).words())) for d in asked}
        assert policy.legal_mass() == pytest.approx(want)


def test_a_game_without_the_wording_is_refused():
    with pytest.raises(InputError, match="game 'split' has no wording 'renamed'"):
        RewordedPolicy(Hidden(1), "renamed").probabilities(decisions("split", rounds=1))


def test_a_remembered_model_is_audited_in_wordings_without_loading_it_twice(tiny, monkeypatch):
    options = Options(sets="sepo", adversaries=False)
    cards = [scorecard(RewordedPolicy(load_policy(tiny), w), [make("kuhn")], options) for w in ("renamed", "swapped")]
    monkeypatch.setattr("sepo.lm.load.load_model", lambda *a, **k: refuse())
    assert scorecard(RewordedPolicy(load_policy(tiny), "renamed"), [make("kuhn")], options) == cards[0]
    assert cards[0]["games"]["kuhn"]["legal_mass"] != cards[1]["games"]["kuhn"]["legal_mass"]
    assert cards[0]["model"]["style"] == "direct"


@pytest.mark.parametrize("method", ["auto", "sampled"])
def test_a_model_that_writes_is_known_from_its_replies_in_any_wording(kuhn, method):
    table = random_table(kuhn, 1)
    writer = TableWriter(kuhn, table, fault=0.2, wording=chosen(kuhn, ["renamed"])[0])
    model = ReasonedPolicy(writer, "model", ReplyRules(samples=64, tokens=2, retries=3))
    options = Options(sets="sepo", method=method, episodes=40, adversaries=False)
    card = scorecard(worded(model, "renamed"), [kuhn], options)
    part = card["games"]["kuhn"]
    exact = audit_table(PolicyTable("known", "kuhn", kuhn.rules, table), kuhn, "sepo", adversaries=False)
    assert part["method"] == {"auto": "estimated", "sampled": "sampled"}[method]
    u, want = part["measures"]["sepo"]["u"], exact["measures"]["sepo"]["u"]["value"]
    assert u["low"] < u["value"] < u["high"]
    assert u["low"] - 0.02 <= want <= u["high"] + 0.02
    assert part["illegal_rate"]["low"] < 0.2 < part["illegal_rate"]["high"]
    told = part["replies"]
    assert told["replies"] == told["decisions"] + told["illegal"] - told["unanswered"]
    if method == "auto":
        assert told["decisions"] == 64 * part["states"]["asked"]
    assert card["model"]["style"] == "reasoned"
    assert "asking" in card["options"]


def test_a_model_that_writes_has_replies_of_its_own_in_each_wording(kuhn):
    words = ("original", "renamed")
    writers = [
        TableWriter(kuhn, random_table(kuhn, seed), wording=chosen(kuhn, [w])[0]) for seed, w in enumerate(words)
    ]
    writers[0].rows |= writers[1].rows
    model = ReasonedPolicy(writers[0], "model", ReplyRules(samples=16, tokens=2))
    found = [elicit(worded(model, w), kuhn, expand(kuhn)) for w in words]
    assert found[0].table != found[1].table
    for w, table in zip(words, found, strict=True):
        for d in expand(kuhn).questions:
            assert worded(model, w).tally(d).asked == 16
            assert worded(model, w).tally(d).policy.tolist() == list(table.table[d.key].values())
            assert table.intervals[d.key].keys() == table.table[d.key].keys()


def test_a_model_that_writes_says_as_a_player_what_it_wrote_in_a_wording(kuhn):
    writer = TableWriter(kuhn, random_table(kuhn, 1), wording=chosen(kuhn, ["renamed"])[0])
    player = worded(ReasonedPolicy(writer, "model", ReplyRules(tokens=2)), "renamed").once()
    for d, one in zip(decisions(), player.spoken(decisions()), strict=True):
        assert sorted(one.p) == [0, 1]
        assert one.written.text.split("ACTION: ")[1] in ("blue", "green", "black", "white")
        assert player.tally(d).asked == 1
