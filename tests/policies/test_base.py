"""Every policy is held to its contract: a distribution over the legal actions, else an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from sepo.errors import ContractError
from sepo.games.base import Decision, Game
from sepo.policies.base import checked, strategy
from sepo.policies.script import ScriptPolicy, UniformPolicy, played
from sepo.solve.tree import Floats, Tree


@dataclass
class Answering:
    """A policy that gives the same answer everywhere but at the king's first move, and counts its calls."""

    answer: list[float]
    name: str = "answering"
    calls: int = 0

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        self.calls += 1
        return [np.array(self.answer if d.key == "K:" else [0.5, 0.5]) for d in decisions]

    def legal_mass(self) -> None:
        return None

    def about(self) -> dict:
        return {}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([1.5, -0.5], "not negative"),
        ([float("nan"), 1.0], "finite"),
        ([float("inf"), 0.0], "finite"),
        ([0.5, 0.4], "sum to 0.9, not 1"),
        ([0.5, 0.25, 0.25], "3 probabilities for 2 legal actions"),
    ],
)
def test_an_answer_that_is_no_distribution_is_refused_naming_policy_state_and_game(
    tree: Tree, answer: list[float], said: str
):
    with pytest.raises(ContractError, match=rf"'answering'.*'K:'.*'kuhn'.*{said}"):
        strategy(Answering(answer), tree)


def test_a_policy_that_does_not_answer_every_decision_is_refused_by_name(tree: Tree):
    class Lazy(Answering):
        def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
            return super().probabilities(decisions)[1:]

    with pytest.raises(ContractError, match=r"'answering'.*11.*12"):
        checked(Lazy([0.5, 0.5]), [i.decision for i in tree.infosets])


def test_rounding_within_a_millionth_is_accepted_and_normalised_away(tree: Tree):
    vector = strategy(Answering([0.5, 0.5 + 5e-7]), tree)
    king = vector[tree.infosets[tree.index[0, "K:"]].entries]
    assert king.sum() == pytest.approx(1, abs=1e-15)
    assert king[1] > king[0]


def test_a_policy_is_asked_once_for_all_distinct_questions(tree: Tree):
    policy = Answering([0.5, 0.5])
    strategy(policy, tree)
    assert policy.calls == 1


def test_a_strategy_vector_holds_each_answer_at_its_information_states_entries(kuhn: Game, tree: Tree):
    vector = strategy(ScriptPolicy("script:nash", "nash"), tree)
    for infoset in tree.infosets:
        np.testing.assert_array_equal(vector[infoset.entries], played(kuhn.opponents["nash"], infoset.decision))


def test_uniform_is_one_over_the_number_of_legal_actions(stakes_tree: Tree):
    vector = strategy(UniformPolicy(), stakes_tree)
    assert {len(i.decision.legal) for i in stakes_tree.infosets} == {1, 2, 3}
    for infoset in stakes_tree.infosets:
        assert vector[infoset.entries].tolist() == [1 / len(infoset.decision.legal)] * len(infoset.decision.legal)
