"""A person at the terminal reads what a model reads, and answers with a word or with probabilities."""

from __future__ import annotations

from io import StringIO

import pytest

from sepo.errors import InputError
from sepo.games.base import Decision
from sepo.games.kuhn import RULES
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
