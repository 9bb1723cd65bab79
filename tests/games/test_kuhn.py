"""Kuhn poker against OpenSpiel's, its words, and its pools."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyspiel
import pytest

from sepo.errors import InputError
from sepo.games.base import CHANCE, TERMINAL, Game
from sepo.games.kuhn import CARDS, RULES, Hand
from sepo.games.registry import make
from sepo.policies.script import played
from sepo.solve.expand import expand
from sepo.solve.response import exploitability
from sepo.solve.tree import Tree
from sepo.solve.value import expected
from tests.brute import random_strategy
from tests.small_games import BackwardsKuhn


def side_by_side() -> list[tuple[Hand, pyspiel.State]]:
    """Walk our tree and OpenSpiel's together, move by move, and return every pair of nodes."""
    pairs = []

    def walk(ours: Hand, theirs: pyspiel.State) -> None:
        pairs.append((ours, theirs))
        if ours.actor != TERMINAL:
            for index, action in enumerate(ours.legal()):  # PASS or FOLD is 0 in OpenSpiel, BET or CALL is 1
                walk(ours.child(action), theirs.child(index))

    for deal, _ in Hand().chance():
        start = pyspiel.load_game("kuhn_poker").new_initial_state()
        for card in deal:
            start.apply_action(CARDS.index(card))
        walk(Hand().child(deal), start)
    return pairs


def test_the_tree_has_55_nodes_and_12_information_states(tree: Tree):
    assert tree.nodes == 55
    assert sorted(i.key for i in tree.infosets) == sorted(
        f"{card}:{betting}" for card in "JQK" for betting in ("", "p", "b", "pb")
    )


def test_payoffs_are_openspiels_for_every_deal_and_betting_line():
    ends = [(ours, theirs) for ours, theirs in side_by_side() if theirs.is_terminal()]
    assert len(ends) == 6 * 5
    for ours, theirs in ends:
        assert ours.actor == TERMINAL
        assert list(ours.rewards()) == theirs.returns()


def test_the_same_seat_moves_with_as_many_actions_as_in_openspiel():
    inner = [(ours, theirs) for ours, theirs in side_by_side() if not theirs.is_terminal()]
    assert len(inner) == 6 * 4
    for ours, theirs in inner:
        assert ours.actor == theirs.current_player()
        assert len(ours.legal()) == len(theirs.legal_actions())
        assert ours.rewards() == (0.0, 0.0)


def test_information_states_hide_exactly_what_openspiels_hide(kuhn: Game):
    ours_by_theirs = defaultdict(set)
    theirs_by_ours = defaultdict(set)
    for ours, theirs in side_by_side():
        if not theirs.is_terminal():
            key = kuhn.decision(ours).key
            ours_by_theirs[theirs.information_state_string()].add(key)
            theirs_by_ours[key].add(theirs.information_state_string())
    assert len(ours_by_theirs) == len(theirs_by_ours) == 12
    assert all(len(found) == 1 for found in (*ours_by_theirs.values(), *theirs_by_ours.values()))


def test_every_hand_is_zero_sum_and_the_deals_are_equally_likely():
    assert all(sum(ours.rewards()) == 0 for ours, _ in side_by_side())
    deals = Hand().chance()
    assert Hand().actor == CHANCE
    assert {p for _, p in deals} == {1 / 6}
    assert {deal for deal, _ in deals} == {"JQ", "JK", "QJ", "QK", "KJ", "KQ"}


def test_features_count_decisions_folds_and_decisions_of_hands_that_cost_two_chips():
    # The queen bets after a check, the king calls: seat 0 decided twice and won 2, seat 1 once and lost 2.
    showdown = Hand("KQ", "pbb")
    assert showdown.features(0) == (2.0, 0.0, 0.0)
    assert showdown.features(1) == (1.0, 0.0, 1.0)
    folded = Hand("QK", "pbp")
    assert folded.features(0) == (2.0, 1.0, 0.0)
    assert folded.features(1) == (1.0, 0.0, 0.0)
    assert Hand("JK", "bp").features(1) == (1.0, 1.0, 0.0)
    assert Hand("JK", "pb").features(0) == (0.0, 0.0, 0.0)


def test_the_chat_of_an_earlier_decision_is_a_prefix_of_the_later_ones(kuhn: Game):
    def walk(state: Hand, before: dict[int, list[tuple]]) -> int:
        if state.actor == TERMINAL:
            return 0
        if state.actor == CHANCE:
            return sum(walk(state.child(deal), {0: [], 1: []}) for deal, _ in state.chance())
        chat = kuhn.decision(state).chat()
        for earlier in before[state.actor]:
            assert chat[: len(earlier)] == earlier
            assert len(chat) > len(earlier)
        later = before | {state.actor: [*before[state.actor], chat]}
        return len(before[state.actor]) + sum(walk(state.child(a), later) for a in state.legal())

    assert walk(kuhn.root(), {}) == 6  # six deals, one line each in which a seat decides twice


def test_the_rules_stand_once_at_the_head_and_turns_alternate(tree: Tree):
    for infoset in tree.infosets:
        roles = [turn.role for turn in infoset.decision.chat()]
        texts = [turn.content for turn in infoset.decision.chat()]
        assert roles[:2] == ["system", "user"]
        assert roles[-1] == "user"
        assert all(a != b for a, b in pairwise(roles))
        assert [RULES in text for text in texts] == [True] + [False] * (len(texts) - 1)


def test_an_own_earlier_move_stands_in_the_chat_as_the_word_that_was_said(tree: Tree):
    for infoset in tree.infosets:
        said = [turn.content for turn in infoset.decision.chat() if turn.role == "assistant"]
        assert said == (["check"] if infoset.key.endswith("pb") else [])


def test_every_information_state_has_its_own_chat_which_offers_its_words(tree: Tree):
    assert len({i.decision.chat() for i in tree.infosets}) == len(tree.infosets)
    for infoset in tree.infosets:
        question = infoset.decision.chat()[-1].content.rsplit(". ", 1)[-1]
        assert all(word in question for word in infoset.decision.words())


def test_words_are_distinct_single_lower_case_words(kuhn: Game):
    words = [kuhn.word(a) for a in ("PASS", "BET", "FOLD", "CALL")]
    assert len(set(words)) == 4
    assert all(word.isalpha() and word.islower() for word in words)


def test_scripts_and_demonstrators_answer_every_state_with_a_distribution(kuhn: Game, tree: Tree):
    for policy in (*kuhn.opponents.values(), *(o for _, o in kuhn.demonstrators)):
        for infoset in tree.infosets:
            p = played(policy, infoset.decision)
            assert p.sum() == pytest.approx(1, abs=1e-12)
            assert (p >= 0).all()


def test_demonstrator_shares_sum_to_one(kuhn: Game):
    assert sum(share for share, _ in kuhn.demonstrators) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["paper", "sepo"])
def test_pools_name_opponents_of_the_game_and_held_out_ones_are_in_no_other_pool(kuhn: Game, name: str):
    pools = kuhn.measures(name).pools
    assert set(pools) == {"train", "exploiter", "collusive", "held_out"}
    assert all(opponent in kuhn.opponents for names in pools.values() for opponent in names)
    used = {*pools["train"], *pools["exploiter"], *pools["collusive"]}
    assert not used & set(pools["held_out"])


def test_the_two_nashes_differ_only_in_the_queens_call_after_a_check(kuhn: Game, tree: Tree):
    differing = [
        i.key
        for i in tree.infosets
        if not np.allclose(
            played(kuhn.opponents["nash"], i.decision), played(kuhn.opponents["nash_approx"], i.decision)
        )
    ]
    assert differing == ["Q:pb"]


class Relabelled(type(make("kuhn"))):
    """Kuhn poker with other names for its information states and other words."""

    def key(self, view):
        return f"<{view.betting}|{CARDS.index(view.card)}>"

    def word(self, action):
        return action[::-1]


@pytest.mark.parametrize("seed", range(5))
def test_renaming_states_and_words_changes_no_value(tree: Tree, seed: int):
    other = expand(Relabelled())
    vector = random_strategy(tree, seed)  # nodes are numbered alike, so the vector means the same strategy
    assert {i.key for i in other.infosets}.isdisjoint(i.key for i in tree.infosets)
    assert exploitability(other, vector) == exploitability(tree, vector)


@pytest.mark.parametrize("seed", range(5))
def test_listing_cards_and_actions_in_another_order_changes_no_value(tree: Tree, seed: int):
    other = expand(BackwardsKuhn())
    vector = random_strategy(tree, seed)
    by_state = {(i.seat, i.key): vector[i.entries][::-1] for i in tree.infosets}
    turned = np.concatenate([by_state[i.seat, i.key] for i in other.infosets])
    assert [i.key for i in other.infosets] != [i.key for i in tree.infosets]
    assert exploitability(other, turned) == pytest.approx(exploitability(tree, vector), abs=1e-12)
    for name in tree.names:
        for seat in (0, 1):
            assert expected(other, turned, other.feature(name, seat)) == pytest.approx(
                expected(tree, vector, tree.feature(name, seat)), abs=1e-12
            )


def test_an_unknown_game_is_refused_by_name_with_the_games_there_are():
    with pytest.raises(InputError, match=r"unknown game 'chess'.*kuhn"):
        make("chess")


@pytest.mark.parametrize("value", [4, [1, 2], {"a": 1}])
def test_an_unknown_rule_is_refused_by_name_whatever_its_value(value: object):
    with pytest.raises(InputError, match="unknown rule 'ante' of game 'kuhn'"):
        make("kuhn", {"ante": value})


def test_a_game_is_made_once_so_that_its_tree_is_expanded_once():
    assert make("kuhn") is make("kuhn", {})
    assert expand(make("kuhn")) is expand(make("kuhn"))
