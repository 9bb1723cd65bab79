"""The reasoned style: shares of what a writer answers, faults counted and never folded into actions unsaid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from sepo.errors import InputError
from sepo.games.base import Decision, Game
from sepo.games.registry import make
from sepo.lm.reasoned import Reply, asked, reply
from sepo.policies.base import checked
from sepo.policies.reasoned import LAST_RETRY, ReasonedPolicy, ReplyRules
from sepo.policies.script import UniformPolicy
from sepo.policies.table import elicit, intervals, load_table
from sepo.solve.tree import Tree
from tests.writers import TableWriter, random_table

Say = Callable[[Decision, int], Reply]


class Saying:
    """Says what a function of the decision, and of how often it was asked before, says."""

    def __init__(self, decisions: Sequence[Decision], say: Say) -> None:
        self.decisions = {tuple(asked(d.chat())): d for d in decisions}
        self.say, self.times = say, dict.fromkeys(self.decisions, 0)
        self.calls: list[int] = []

    def write(self, chats: Sequence[Sequence[tuple[str, str]]], lots: np.ndarray) -> list[Reply]:
        assert len(chats) == len(lots)
        self.calls.append(len(chats))
        out = []
        for chat in map(tuple, chats):
            out.append(self.say(self.decisions[chat], self.times[chat]))
            self.times[chat] += 1
        return out

    def about(self) -> dict[str, str]:
        return {"device": "none"}


def legal(d: Decision, which: int = 0) -> Reply:
    return Reply(reply("So it is.", d.words()[which]), finished=True)


def policy(tree: Tree, say: Say, **rules: object) -> tuple[ReasonedPolicy, Saying]:
    writer = Saying(tree.questions, say)
    return ReasonedPolicy(writer, "x", ReplyRules(**rules)), writer  # type: ignore[arg-type]


def test_probabilities_are_the_shares_of_answers(tree: Tree):
    model, writer = policy(tree, lambda d, n: legal(d, n % 4 == 0), samples=8, retries=0)
    for p in checked(model, tree.questions):
        assert p.tolist() == [0.75, 0.25]
    assert writer.calls == [8 * len(tree.questions)]  # all at once


def test_a_faulty_reply_is_asked_for_again_and_counted(tree: Tree):
    model, writer = policy(tree, lambda d, n: legal(d) if n >= 4 else Reply("hm", n % 2 == 0), samples=4, retries=2)
    d = tree.questions[0]
    assert checked(model, [d])[0].tolist() == [1.0, 0.0]
    tally = model.tally(d)
    assert (tally.asked, tally.replies, tally.illegal, tally.truncated, tally.none.sum()) == (4, 8, 2, 2, 0)
    assert writer.calls == [4, 4]


@pytest.mark.parametrize(("rule", "row"), [("forfeit", [1.0, 0.0]), ("random", [0.5, 0.5])])
def test_where_no_reply_is_legal_the_rule_counts(tree: Tree, rule: str, row: list[float]):
    model, writer = policy(tree, lambda d, n: Reply("ACTION: raise", True), samples=6, retries=1, illegal=rule)
    d = tree.questions[0]
    assert checked(model, [d])[0].tolist() == row
    tally = model.tally(d)
    assert (tally.none.sum(), tally.chosen.sum(), tally.replies, tally.illegal) == (6, 0, 12, 12)
    assert writer.calls == [6, 6]


def test_folding_is_what_is_forfeited_facing_a_bet(tree: Tree, kuhn: Game):
    model, _ = policy(tree, lambda d, n: Reply("", True), samples=1, retries=0)
    facing = next(d for d in tree.questions if d.legal == ("FOLD", "CALL"))
    assert checked(model, [facing])[0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", ["ipd", "auction", "split", "items", "commons"])
def test_what_is_forfeited_leaves_the_other_side_most(name: str):
    game = make(name, {"instances": 3} if name == "items" else {})
    state = game.root()
    while state.actor < 0:
        state = state.child(state.chance()[0][0])
    decision = game.decision(state)
    worst = game.forfeit(decision)

    def other(action: str) -> float:
        """Return what an undemanding seat 1 is paid in the first round."""
        after = state.child(action)
        mild = game.forfeit(game.decision(after))
        end = after.child(mild)
        return end.rewards()[1]

    assert worst in decision.legal
    assert all(other(worst) >= other(action) for action in decision.legal)


def test_the_rule_retry_asks_until_a_reply_is_legal(tree: Tree):
    model, _ = policy(
        tree, lambda d, n: legal(d, 1) if n == LAST_RETRY else Reply("", True), samples=1, illegal="retry"
    )
    d = tree.questions[0]
    assert checked(model, [d])[0].tolist() == [0.0, 1.0]
    assert model.tally(d).replies == LAST_RETRY + 1


def test_the_rule_retry_names_the_state_that_gets_no_answer(tree: Tree):
    model, _ = policy(tree, lambda d, n: Reply("", True) if d.key == "K:b" else legal(d), samples=2, illegal="retry")
    with pytest.raises(InputError, match=r"no legal answer at information state 'K:b' in 21 replies"):
        model.probabilities(tree.questions)


def test_answers_depend_on_neither_order_nor_company(tree: Tree, kuhn: Game):
    table = random_table(kuhn, 1)
    one, two, three = (ReasonedPolicy(TableWriter(kuhn, table), "x", ReplyRules(samples=16)) for _ in range(3))
    together = one.probabilities(tree.questions)
    turned = two.probabilities(tree.questions[::-1])[::-1]
    apart = [three.probabilities([d])[0] for d in tree.questions]
    for a, b, c in zip(together, turned, apart, strict=True):
        assert a.tolist() == b.tolist() == c.tolist()
    other = ReasonedPolicy(TableWriter(kuhn, table), "x", ReplyRules(samples=16), seed=1)
    assert any(a.tolist() != b.tolist() for a, b in zip(together, other.probabilities(tree.questions), strict=True))


def test_asked_again_it_is_sampled_anew_and_all_is_kept(tree: Tree, kuhn: Game):
    table = random_table(kuhn, 2)
    twice = ReasonedPolicy(TableWriter(kuhn, table), "x", ReplyRules(samples=8))
    once = ReasonedPolicy(TableWriter(kuhn, table), "x", ReplyRules(samples=16))
    d = tree.questions[3]
    parts = [twice.probabilities([d, d])]
    assert np.mean(parts[0], axis=0).tolist() == once.probabilities([d])[0].tolist()
    assert twice.tally(d).asked == 16
    assert twice.tally(d).policy.tolist() == once.tally(d).policy.tolist()
    play = once.once()
    play.probabilities([d] * 5)
    assert once.tally(d).asked == 16  # what is played is not what the table was drawn from


@pytest.mark.no_cover
def test_shares_are_unbiased_whatever_is_asked_again(kuhn: Game, tree: Tree):
    table = random_table(kuhn, 3)
    model = ReasonedPolicy(
        TableWriter(kuhn, table, fault=0.3), "x", ReplyRules(samples=4000, retries=1, illegal="random")
    )
    for d, p in zip(tree.questions, model.probabilities(tree.questions), strict=True):
        want = np.array([table[d.key][a] for a in d.legal]) * (1 - 0.09) + 0.09 / 2
        assert p == pytest.approx(want, abs=4 * 0.5 / 4000**0.5)


@pytest.mark.parametrize(("name", "value"), [("samples", 0), ("tokens", 0), ("retries", -1)])
def test_numbers_that_make_no_sense_are_refused(name: str, value: int):
    with pytest.raises(InputError, match=f"'{name}' must be at least"):
        ReplyRules(**{name: value})


def test_what_is_known_of_it_says_the_style_and_the_rules(tree: Tree):
    model, _ = policy(tree, lambda d, n: legal(d), samples=3, illegal="random", retries=5, tokens=40)
    assert model.about() == {
        "style": "reasoned", "samples": 3, "tokens": 40, "illegal": "random", "retries": 5, "device": "none",
    }  # fmt: skip
    assert model.legal_mass() is None


def test_a_table_of_samples_has_its_intervals(tree: Tree, kuhn: Game, tmp_path: Path):
    table = random_table(kuhn, 6)
    inside = []
    for seed in range(12):
        model = ReasonedPolicy(TableWriter(kuhn, table), "x", ReplyRules(samples=32, tokens=2), seed)
        found = elicit(model, kuhn, tree)
        for key, row in (found.intervals or {}).items():
            for action, (low, high) in row.items():
                assert low <= found.table[key][action] <= high
                inside.append(low <= table[key][action] <= high)
    assert len(inside) == 12 * 24
    assert np.mean(inside) > 0.91
    found.save(tmp_path / "t.json")
    again = load_table(tmp_path / "t.json")
    assert again.intervals == found.intervals
    assert elicit(UniformPolicy(), kuhn, tree).intervals is None


@pytest.mark.parametrize("first", ["said", "forfeited"])
def test_an_interval_covers_a_probability_whatever_it_is_and_however_many_actions_there_are(first: str):
    game, n = make("split"), 32
    d = game.decision(game.root())
    ends = []
    for count in range(n + 1):

        def say(d: Decision, asked: int, count: int = count) -> Reply:
            return legal(d, -1) if asked >= count else legal(d) if first == "said" else Reply("No.", finished=True)

        model = ReasonedPolicy(Saying([d], say), "x", ReplyRules(samples=n, tokens=2, retries=0))
        ((p, *_),) = model.probabilities([d])
        assert p == count / n
        ends.append((intervals(model, [d]) or {})[d.key][d.legal[0]])
    low, high = np.array(ends).T
    for p in [0.0, 1.0, *np.linspace(0.001, 0.999, 500)]:
        assert binom.pmf(range(n + 1), n, p)[(low <= p) & (p <= high)].sum() > 0.87, p  # 0.95 on average
