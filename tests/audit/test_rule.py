"""A rule says what an opponent does: the same at every decision it was written from, by as few fields as can be."""

from __future__ import annotations

import numpy as np
import pytest

from sepo.audit.rule import Rule, Seen, described, written
from sepo.games.base import Decision
from sepo.games.ipd import ACTIONS
from sepo.games.registry import make
from sepo.games.repeated import Pair
from sepo.keys import generator
from sepo.policies.script import opponent
from sepo.solve.expand import expand

SHORT_IPD = make("ipd", {"rounds": 3})
DECISIONS = [info.decision for info in expand(SHORT_IPD).infosets if info.seat == 1]


def likeliest(name: str, decision: Decision) -> str:
    answer = opponent(decision.game, name).script(decision)
    return max(answer, key=answer.__getitem__)


def first(decision: Decision) -> str:
    return decision.legal[0]


@pytest.mark.parametrize(
    ("name", "fields", "about"),
    [
        ("always_defect", (), "always DEFECT"),
        ("tit_for_tat", ("last",), "COOPERATE; then copies"),
    ],
)
def test_scripts_are_written_by_what_they_look_at(name: str, fields: tuple[str, ...], about: str) -> None:
    rule = written([(d, likeliest(name, d)) for d in DECISIONS], first)
    assert (rule.fields, rule.about, rule.memory) == (fields, about, "last")


@pytest.mark.parametrize("seed", range(8))
def test_a_rule_does_what_it_was_written_from(seed: int) -> None:
    rng = generator("rule", seed)
    played = [(d, ACTIONS[int(rng.integers(2))]) for d in DECISIONS]
    rule = written(played, first)
    assert [rule(d) for d, _ in played] == [a for _, a in played]
    assert rule.memory == "all"  # no two fields tell twenty-one random answers apart
    for d, a in played:
        assert np.array_equal(rule.answer(d), [float(action == a) for action in d.legal])


def test_what_did_not_come_up_is_answered_otherwise() -> None:
    began, later = DECISIONS[0], DECISIONS[-1]
    assert Rule({Seen(0, None, None, None): "DEFECT"}, ("number",), first, "")(later) == later.legal[0]
    assert began.view.number == 0
    assert Rule({Seen(0, None, None, None): "DEFECT"}, ("number",), first, "")(began) == "DEFECT"


def test_without_rounds_a_rule_is_by_information_state() -> None:
    kuhn = [i.decision for i in expand(make("kuhn")).infosets if i.seat == 1]
    rule = written([(d, d.legal[-1]) for d in kuhn], first)
    assert (rule.memory, rule.about) == ("all", f"{len(kuhn)} answers by information state")
    assert [rule(d) for d in kuhn] == [d.legal[-1] for d in kuhn]


def test_rules_are_told_in_words() -> None:
    pairs = [Pair(a, b) for a in ACTIONS for b in ACTIONS]
    copies = {Seen(None, None, None, None): "COOPERATE"} | {Seen(None, p, None, None): p.other for p in pairs}
    assert described(copies, ("last",)) == "COOPERATE; then copies"
    rounds = {Seen(n, None, None, None): a for n, a in enumerate(("DEFECT", "COOPERATE", "DEFECT"))}
    assert described(rounds, ("number",)) == "round by round DEFECT, COOPERATE, DEFECT"
