"""Reasons are true, and imply what was done: every claim is looked up in the prompt by rules written apart (claims)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from sepo.data.episodes import Demonstrations, demonstrate
from sepo.data.styles import row
from sepo.games.registry import GAMES, make
from sepo.policies.script import played
from tests.data.claims import FORMS, judge, read


def faults(shown: Demonstrations) -> Counter[tuple[str, str]]:
    """Count what is wrong, by fault and sentence."""
    out: Counter[tuple[str, str]] = Counter()
    for e in shown.examples:
        made = row(e, "reasoned")
        p = dict(zip(e.decision.legal, played(e.demonstrator, e.decision), strict=True))[e.action]
        if fault := judge(made, p):
            out[fault, made["completion"][0]["content"]] += 1
    return out


@pytest.mark.parametrize("name", GAMES)
def test_every_claim_is_true_in_its_prompt_and_implies_the_action(demonstrations: Mapping[str, Demonstrations], name):
    assert len(demonstrations[name].examples) >= 3_000
    assert faults(demonstrations[name]) == Counter()
    assert {e.demonstrator.name for e in demonstrations[name].examples} == {s for f in FORMS[name] for s in f.speakers}


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("ipd", {"rounds": 12}),
        ("auction", {"overbid_loss": False}),
        ("split", {"rounds": 8}),
        ("commons", {"stock": 0}),
        ("commons", {"stock": 40, "rounds": 12}),
    ],
)
def test_claims_are_true_under_other_rules_too(name, rules):
    assert faults(demonstrate(make(name, rules), 800, seed=1)) == Counter()


@pytest.mark.parametrize("name", GAMES)
def test_a_reply_is_one_sentence_and_one_line_with_the_word(demonstrations: Mapping[str, Demonstrations], name):
    for e in demonstrations[name].examples[:1_000]:
        sentence, last = row(e, "reasoned")["completion"][0]["content"].split("\n")
        assert sentence.endswith(".")
        assert ". " not in sentence
        assert last == f"ACTION: {e.decision.game.word(e.action)}"


LIES = [
    ("They defected last round, so I defect this time.", "They cooperated last round, so I defect this time."),
    ("They defected last round, so I defect this time.", "They defected last round, so I cooperate this time."),
    ("They defected last round, so I defect this time.", "I pick at random, and this time it is defect."),
]


@pytest.mark.parametrize(("said", "lie"), LIES)
def test_the_judge_sees_a_lie(demonstrations: Mapping[str, Demonstrations], said: str, lie: str):
    made = next(
        made
        for made in (row(e, "reasoned") for e in demonstrations["ipd"].examples)
        if made["completion"][0]["content"].startswith(said) and made["demonstrator"] == "tit_for_tat"
    )
    assert judge(made, 1.0) == ""
    made["completion"][0]["content"] = made["completion"][0]["content"].replace(said, lie)
    assert judge(made, 1.0)


@pytest.mark.parametrize("name", GAMES)
def test_both_styles_tell_the_same(demonstrations: Mapping[str, Demonstrations], name):
    for e in demonstrations[name].examples[:500]:
        assert read(name, row(e, "direct")["prompt"]) == read(name, row(e, "reasoned")["prompt"])


@pytest.mark.parametrize("name", GAMES)
def test_a_reason_moved_to_where_another_action_was_taken_is_found_out(
    demonstrations: Mapping[str, Demonstrations], name: str
):
    before: dict[str, tuple[str, str]] = {}
    moved = 0
    for e in demonstrations[name].examples:
        made = row(e, "reasoned")
        sentence, last = made["completion"][0]["content"].split("\n")
        other, done = before.get(e.demonstrator.name, (sentence, last))
        before[e.demonstrator.name] = sentence, last
        if done != last:
            made["completion"][0]["content"] = f"{other}\n{last}"
            p = dict(zip(e.decision.legal, played(e.demonstrator, e.decision), strict=True))[e.action]
            assert judge(made, p), made
            moved += 1
    assert moved > 100
