"""Scripted policies: looked up by name, ordered by legal action, never illegal."""

from __future__ import annotations

import pytest

from sepo.errors import ContractError, InputError
from sepo.games.base import Game, Opponent
from sepo.policies.script import ScriptPolicy, opponent, played
from sepo.solve.tree import Tree


def test_a_script_is_read_in_the_order_of_the_legal_actions_and_actions_left_out_have_none(stakes_tree: Tree):
    three = stakes_tree.infosets[stakes_tree.index[1, "1:"]].decision
    assert three.legal == ("L", "R", "OUT")
    assert played(Opponent("s", lambda d: {"OUT": 0.75, "L": 0.25}, ""), three).tolist() == [0.25, 0.0, 0.75]


def test_a_script_that_plays_an_illegal_action_is_refused_naming_script_action_state_and_game(tree: Tree):
    caller = Opponent("caller", lambda d: {"CALL": 1.0}, "")
    with pytest.raises(ContractError, match=r"'caller'.*'CALL'.*'J:'.*'kuhn'"):
        played(caller, tree.infosets[tree.index[0, "J:"]].decision)


def test_an_illegal_action_of_probability_zero_is_no_fault(tree: Tree):
    careful = Opponent("careful", lambda d: {"PASS": 1.0, "CALL": 0.0}, "")
    assert played(careful, tree.infosets[tree.index[0, "J:"]].decision).tolist() == [1.0, 0.0]


def test_an_unknown_script_is_refused_with_the_scripts_there_are(kuhn: Game):
    with pytest.raises(InputError, match=r"unknown script 'gto' in game 'kuhn'.*nash.*max_exploiter"):
        opponent(kuhn, "gto")


def test_the_decision_says_which_game_is_played(stakes_tree: Tree):
    policy = ScriptPolicy("script:nash", "nash")
    with pytest.raises(InputError, match="unknown script 'nash' in game 'stakes'"):
        policy.probabilities([stakes_tree.infosets[0].decision])


@pytest.mark.parametrize(
    ("name", "bets", "calls"),
    [
        ("always_pass", "", ""),
        ("always_bet", "JQK", "JQK"),
        ("tight_passive", "K", "K"),
        ("loose_aggressive", "QK", "QK"),
        ("max_exploiter", "QK", "K"),
    ],
)
def test_pure_scripts_bet_and_call_with_the_cards_their_description_names(
    kuhn: Game, tree: Tree, name: str, bets: str, calls: str
):
    for infoset in tree.infosets:
        facing = infoset.decision.legal == ("FOLD", "CALL")
        p = played(kuhn.opponents[name], infoset.decision)
        assert p[1] == float(infoset.key[0] in (calls if facing else bets))
