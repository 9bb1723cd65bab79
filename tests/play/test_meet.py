"""Two policies meet: exactly as on the tree, and in episodes that average to that."""

from __future__ import annotations

import numpy as np
import pytest

from sepo.audit.scorecard import audit_table
from sepo.errors import TooLargeError
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.play import meet
from sepo.play.meet import exactly, sampled
from sepo.policies.base import Policy, strategy
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.table import PolicyTable
from sepo.solve.expand import expand
from sepo.solve.tree import Tree
from sepo.solve.value import expected
from tests.writers import TableWriter, random_table


def script(name: str) -> ScriptPolicy:
    return ScriptPolicy(f"script:{name}", name)


def on_tree(tree: Tree, first: Policy, second: Policy) -> tuple[float, float]:
    profile = tree.join(0, strategy(first, tree), strategy(second, tree))
    rounds = tree.game.rounds
    return tuple(expected(tree, profile, tree.feature("own", seat)) / rounds for seat in (0, 1))  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["kuhn", "ipd", "commons", "split"])
def test_an_exact_meeting_is_that_of_the_tree(name: str):
    game = make(name, {} if name == "kuhn" else {"rounds": 2})
    tree = expand(game)
    players: list[Policy] = [UniformPolicy(), *map(script, list(game.opponents)[:2])]
    if name == "kuhn":
        players.append(PolicyTable("x", name, game.rules, random_table(game, 1)))
    for first in players:
        for second in players:
            found = exactly(first, second, game)
            assert (float(found.first[0]), float(found.second[0])) == pytest.approx(on_tree(tree, first, second))


def test_instances_are_rows_of_their_own():
    game = make("items", {"instances": 6})
    found = exactly(script("half_up"), script("hardball"), game)
    assert found.first.shape == found.second.shape == (6,)
    one = make("items", {"instances": 1})
    assert exactly(script("half_up"), script("hardball"), one).first.tolist() == found.first[:1].tolist()


@pytest.mark.parametrize("name", ["kuhn", "auction", "items"])
def test_episodes_average_to_the_exact_payoffs(name: str):
    rules = {"kuhn": {}, "auction": {"rounds": 2}, "items": {"instances": 5, "rounds": 1}}[name]
    game = make(name, rules)
    pair = (UniformPolicy(), script(next(iter(game.opponents))))
    want = exactly(*pair, game)
    found = sampled(*pair, game, range(2000), (1, "test"))
    for here, there in zip(found[:2], want[:2], strict=True):
        assert abs(here.mean() - there.mean()) < 4 * here.std() / 2000**0.5 + 1e-12


def test_pairs_share_the_deals_and_a_partys_own_draws_in_either_seat(kuhn: Game):
    pure, mixed = script("always_bet"), UniformPolicy()
    first = sampled(pure, script("always_pass"), kuhn, range(50), (0,))
    assert first.first.tolist() == sampled(pure, script("always_pass"), kuhn, range(50), (0,)).first.tolist()
    longer = sampled(pure, script("always_pass"), kuhn, range(80), (0,))
    assert longer.first[:50].tolist() == first.first.tolist()
    here = sampled(mixed, mixed, kuhn, range(400), (0,))
    there = sampled(mixed, mixed, kuhn, range(400), (0,), swapped=True)
    assert here.first.tolist() != there.first.tolist()


def test_what_is_too_large_is_said(kuhn: Game, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TooLargeError, match="more than 3 decisions"):
        exactly(UniformPolicy(), UniformPolicy(), kuhn, budget=3)
    monkeypatch.setattr(meet, "LINES", 10)
    with pytest.raises(TooLargeError, match="more than 10 lines of play"):
        exactly(UniformPolicy(), UniformPolicy(), kuhn)


def test_a_model_that_writes_answers_each_episode_anew(kuhn: Game):
    table = random_table(kuhn, 2)
    model = ReasonedPolicy(TableWriter(kuhn, table), "m", ReplyRules(samples=1, tokens=2))
    want = exactly(PolicyTable("t", "kuhn", kuhn.rules, table), script("nash"), kuhn)
    found = sampled(model, script("nash"), kuhn, range(1500), (2,))
    assert abs(found.first.mean() - want.first[0]) < 4 * found.first.std() / 1500**0.5
    assert sum(t.asked for t in model.tallies) >= 1500


def test_a_policy_audited_and_met_earns_the_same(kuhn: Game):
    table = PolicyTable("x", "kuhn", kuhn.rules, random_table(kuhn, 7))
    audited = {o["name"]: o["own"]["value"] for o in audit_table(table, kuhn)["opponents"]}
    for name, own in audited.items():
        here, there = exactly(table, script(name), kuhn), exactly(script(name), table, kuhn)
        assert np.mean([here.first[0], there.second[0]]) == pytest.approx(own)
