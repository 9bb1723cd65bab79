"""A person at the terminal reads what a model reads, and answers with a word or with probabilities."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from sepo.errors import InputError
from sepo.games.base import Decision, Turn
from sepo.games.kuhn import RULES, Kuhn
from sepo.games.registry import make
from sepo.policies.human import HumanPolicy
from sepo.solve.tree import Tree


def asked(tree: Tree, typed: str, *keys: str) -> tuple[list[list[float]], str]:
    """Return the answers at some information states to what was typed, and what was told."""
    by_key = {i.key: i.decision for i in tree.infosets}
    decisions: list[Decision] = [by_key[key] for key in keys]
    told = StringIO()
    answers = HumanPolicy(ask=StringIO(typed), tell=told).probabilities(decisions)
    return [answer.tolist() for answer in answers], told.getvalue()


@pytest.mark.parametrize(
    ("typed", "p"),
    [
        ("bet\n", [0.0, 1.0]),
        ("  CHECK \n", [1.0, 0.0]),
        ("0.25 0.75\n", [0.25, 0.75]),
        ("1 0\n", [1.0, 0.0]),
        ("bet", [0.0, 1.0]),  # the last line may lack its end
    ],
)
def test_a_word_or_one_probability_per_action_is_an_answer(tree: Tree, typed: str, p: list[float]):
    assert asked(tree, typed, "Q:")[0] == [p]


@pytest.mark.parametrize(
    "nonsense", ["", "fold", "0.5", "0.5 0.6", "-1 2", "nan nan", "inf 0", "bet bet", "0.2 0.3 0.5"]
)
def test_anything_else_is_said_to_be_wrong_and_asked_again(tree: Tree, nonsense: str):
    answers, told = asked(tree, f"{nonsense}\ncheck\n", "Q:")
    assert answers == [[1.0, 0.0]]
    assert f"'{nonsense}' is neither a legal word nor 2 probabilities" in told
    assert told.count("[check | bet]") == 2


def test_the_rules_are_told_once_and_every_question_with_its_words(tree: Tree):
    answers, told = asked(tree, "call\nbet\n", "K:b", "J:")
    assert answers == [[0.0, 1.0], [0.0, 1.0]]
    assert told.count(RULES) == 1
    assert told.index("king. They bet") < told.index("[fold | call]") < told.index("jack. You start")


def test_own_earlier_moves_are_told_as_such(tree: Tree):
    assert "you: check\nThey bet" in asked(tree, "call\n", "Q:pb")[1]


def test_input_that_ends_is_an_error_that_names_the_unanswered_state(tree: Tree):
    with pytest.raises(InputError, match=r"input ended before information state 'K:b'"):
        asked(tree, "bet\n", "J:", "K:b")


def test_no_question_needs_no_answer(tree: Tree):
    assert asked(tree, "")[0] == []


class Worded(Kuhn):
    """Kuhn in other words, and without rules unless they are given."""

    def __init__(self, words: dict[str, str], rules: str = "") -> None:
        self.said, self.told = words, rules

    def word(self, action: str) -> str:
        return self.said.get(action, super().word(action))

    def chat(self, view: Any) -> tuple[Turn, ...]:
        rules = (Turn("system", self.told),) if self.told else ()
        return (*rules, *super().chat(view)[1:])


def answered(tree: Tree, typed: str, key: str, *games: Kuhn) -> tuple[list[list[float]], str]:
    """Return the answers to one information state as each game asks it, and what was told."""
    at = next(i.decision for i in tree.infosets if i.key == key)
    told = StringIO()
    found = HumanPolicy(ask=StringIO(typed), tell=told).probabilities([replace(at, game=game) for game in games])
    return [p.tolist() for p in found], told.getvalue()


def test_words_of_several_parts_are_words():
    game = make("items", {"instances": 1, "rounds": 1})
    root = game.root()
    decision = game.decision(root.child(root.chance()[0][0]))
    told = StringIO()
    (p,) = HumanPolicy(ask=StringIO(" 1  1 1\n"), tell=told).probabilities([decision])
    assert dict(zip(decision.words(), p.tolist(), strict=True)) == {w: float(w == "1 1 1") for w in decision.words()}


@pytest.mark.parametrize(
    ("words", "typed", "p"),
    [
        ({"PASS": "go on", "BET": "go"}, "Go  On\n", [1.0, 0.0]),
        ({"PASS": "go on", "BET": "go"}, "go\n", [0.0, 1.0]),
        ({"PASS": "0 1", "BET": "1 0"}, "0 1\n", [1.0, 0.0]),  # the word, not the probabilities of the other one
        ({"PASS": "0 1", "BET": "1 0"}, "0.5 0.5\n", [0.5, 0.5]),
        ({"PASS": "go", "BET": "Go"}, "Go\n", [0.0, 1.0]),
    ],
)
def test_what_is_shown_as_a_word_is_read_as_that_word(tree: Tree, words: dict[str, str], typed: str, p: list[float]):
    assert answered(tree, typed, "Q:", Worded(words))[0] == [p]


def test_a_chat_without_rules_is_shown_whole(tree: Tree):
    told = answered(tree, "check\ncheck\n", "Q:", Worded({}), Worded({}))[1]
    assert told.count("queen. You start") == 2


def test_rules_are_told_again_where_they_are_others(tree: Tree):
    one, two = Worded({}, "One way."), Worded({}, "Another way.")
    told = answered(tree, "check\n" * 5, "Q:", one, one, two, two, one)[1]
    assert [line for line in told.splitlines() if line.endswith(" way.")] == ["One way.", "Another way.", "One way."]
