"""Wordings: the same facts, questions and actions in other words; no old word left, nothing told apart differently."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepo.errors import ContractError, InputError
from sepo.games import contract
from sepo.games.base import CHANCE, TERMINAL, Decision, Game, Turn
from sepo.games.ipd import Ipd
from sepo.games.registry import GAMES, make
from sepo.games.repeated import View
from sepo.games.wording import ORIGINAL, USUAL, Wording, chosen, lacking, remark, reword, wordings
from sepo.policies.reworded import RewordedPolicy
from sepo.policies.spec import load_policy
from tests.small_games import Stakes

RULES: dict[str, dict[str, Any]] = {
    "kuhn": {},
    "ipd": {"rounds": 7},
    "auction": {"rounds": 7},
    "split": {"rounds": 7},
    "items": {"rounds": 7, "instances": 5},
    "commons": {"rounds": 7, "stock": 17},
}
SWITCHES = {"auction": "overbid_loss", "items": "redraw_opponent_values"}
OLD = {
    "kuhn": r"\b(check|bet|call|fold)(s|ed|ing)?\b",
    "ipd": r"cooperat|defect",
    "auction": r"\b(low|medium|high)\b",
    "commons": r"\b(low|medium|high)\b",
}
FORM = re.compile(r"(one word|one digit|three numbers, books hats balls, such as 1 0 1)\.$")
EVERY = [(name, w.name) for name in GAMES for w in wordings(make(name))]


def played(game: Game, seed: int) -> Iterator[Decision]:
    """Yield the decisions of both seats along a random episode."""
    rng, state = random.Random(seed), game.root()
    while state.actor != TERMINAL:
        if state.actor == CHANCE:
            state = state.child(rng.choice(state.chance())[0])
        else:
            yield game.decision(state)
            state = state.child(rng.choice(state.legal()))


def text(decision: Decision) -> str:
    return "\n".join(turn.content for turn in decision.chat())


def rules_of(name: str, wording: str, **changed: Any) -> str:
    """Return the system turn of a game's first decision in a wording."""
    game = make(name, RULES[name] | changed)
    (found,) = chosen(game, [wording])
    turns = reword(next(played(game, 0)), found).chat()
    assert turns[0].role == "system"
    return turns[0].content


def test_every_built_in_game_has_the_usual_wordings_but_where_actions_are_numbers():
    assert [w.name for w in wordings(make("kuhn"))] == list(USUAL)
    without = {name: lacking(make(name)) for name in GAMES}
    assert without == dict.fromkeys(GAMES, ()) | {"split": ("renamed",), "items": ("renamed", "swapped")}
    assert remark(make("ipd")) is None
    assert remark(make("items")) == "game 'items' has no wording renamed or swapped: its actions are numbers"


@pytest.mark.parametrize(("name", "wording"), EVERY)
def test_the_rules_state_the_numbers_of_the_original_and_ask_for_the_same_form_at_about_its_length(name, wording):
    switch = SWITCHES.get(name)
    for changed in ({}, {"rounds": 3}, {switch: True}, {switch: False}):
        if None in changed or not changed.keys() <= make(name).rules.keys():
            continue
        original, told = rules_of(name, "original", **changed), rules_of(name, wording, **changed)
        assert set(re.findall(r"\d+", told)) == set(re.findall(r"\d+", original))
        assert FORM.search(told)[0] == FORM.search(original)[0]
        assert len(told) < 1.3 * len(original)
        assert "{" not in told
        assert str(make(name, RULES[name] | changed).rules.get("rounds", "")) in told


@pytest.mark.parametrize(("name", "wording"), EVERY)
def test_each_rule_that_changes_the_game_changes_what_is_told(name, wording):
    for changed in ({"rounds": 3}, {"stock": 9}, {"overbid_loss": False}, {"redraw_opponent_values": True}):
        if changed.keys() <= make(name).rules.keys():
            assert rules_of(name, wording, **changed) != rules_of(name, wording)


@pytest.mark.parametrize(
    ("name", "switch", "where_true"),
    [("auction", "overbid_loss", "difference|a loss"), ("items", "redraw_opponent_values", r"\bnew\b|change")],
)
def test_a_switch_is_told_the_right_way_round(name, switch, where_true):
    for wording in wordings(make(name)):
        for value in (False, True):
            assert bool(re.search(where_true, rules_of(name, wording.name, **{switch: value}))) is value


@pytest.mark.parametrize("name", OLD)
def test_the_three_paraphrases_differ_and_use_the_games_own_action_words(name):
    told = [rules_of(name, f"paraphrase-{i}") for i in (1, 2, 3)]
    assert len({*told, rules_of(name, "original")}) == 4
    game = make(name, RULES[name])
    words = {word for seed in range(20) for d in played(game, seed) for word in d.words()}
    for i in (1, 2, 3):
        (wording,) = chosen(game, [f"paraphrase-{i}"])
        for d in played(game, i):
            assert reword(d, wording).words() == d.words()
            assert reword(d, wording).chat()[1:] == d.chat()[1:]
    for word in words - {"check"}:  # that a player may check, the question says
        assert all(re.search(rf"\b{word}", t) for t in told)


@given(name=st.sampled_from(sorted(OLD)), seed=st.integers(0, 10_000))
def test_renamed_actions_are_in_the_prompt_and_the_old_words_nowhere(name: str, seed: int):
    game = make(name, RULES[name])
    (renamed,) = chosen(game, ["renamed"])
    for d in played(game, seed):
        put = reword(d, renamed)
        assert not re.search(OLD[name], "\n".join([text(put), *put.words()]), re.IGNORECASE)
        assert all(re.search(rf"\b{word}\b", text(put), re.IGNORECASE) for word in put.words())
        assert len(set(put.words())) == len(put.words()) == len(d.legal)
        assert [t.role for t in put.chat()] == [t.role for t in d.chat()]


@given(case=st.sampled_from(EVERY), seed=st.integers(0, 10_000))
def test_a_reworded_decision_is_the_same_question_and_its_chat_only_grows(case: tuple[str, str], seed: int):
    name, which = case
    game = make(name, RULES[name])
    (wording,) = chosen(game, [which])
    before: dict[int, tuple[Turn, ...]] = {}
    for d in played(game, seed):
        put = reword(d, wording)
        assert (put.key, put.legal, put.view, put.seat, put.game) == (d.key, d.legal, d.view, d.seat, d.game)
        chat = put.chat()
        if name != "auction" and (past := before.get(d.seat)):  # whose chat is one turn of lines
            assert chat[: len(past)] == past
            assert chat[len(past)].role == "assistant"
        before[d.seat] = chat


def test_own_replies_in_the_past_are_the_strings_that_are_scored():
    game = make("ipd", RULES["ipd"])
    (renamed,) = chosen(game, ["renamed"])
    *_, last = (d for d in played(game, 3) if d.seat == 0)
    put = reword(last, renamed)
    said = [turn.content for turn in put.chat() if turn.role == "assistant"]
    assert said == [put.word(pair.own) for pair in last.view.rounds]
    assert set(said) <= set(put.words()) == {"blue", "green"}
    told = [turn.content for turn in put.chat() if turn.role == "user"]
    assert told[1:] == [
        f"They said {put.word(pair.other)}. Round {n}:" for n, pair in enumerate(last.view.rounds, start=2)
    ]


def test_swapped_names_the_actions_the_other_way_round_and_leaves_words_alone():
    for name, first, second in (("ipd", "defect", "cooperate"), ("kuhn", "fold", "call"), ("commons", "high", "low")):
        told = rules_of(name, "swapped")
        assert told.index(first) < told.index(second)
        own = rules_of(name, "original")
        assert own.index(first) > own.index(second)
    kuhn = make("kuhn")
    (swapped,) = chosen(kuhn, ["swapped"])
    first = next(played(kuhn, 0))
    assert reword(first, swapped).chat()[1].content.endswith("You start: bet or check?")
    assert reword(first, swapped).words() == first.words()
    auction = make("auction")
    asked = reword(next(played(auction, 0)), chosen(auction, ["swapped"])[0]).chat()[1].content
    assert asked.endswith("High, medium or low?")


def test_the_original_is_the_games_own_words():
    for name in GAMES:
        d = next(played(make(name), 1))
        assert reword(d, ORIGINAL) == d
        assert reword(reword(d, wordings(make(name))[-1]), ORIGINAL).chat() == d.chat()


def test_what_is_put_in_is_not_replaced_again_and_only_whole_words_are():
    exchange = Wording("exchange", said={"low": "high", "high": "low", "They check": "They say low", "check": "wait"})
    assert exchange.say("low, high, lower, They check: check.") == "high, low, lower, They say low: wait."
    assert Wording("plain").say("low") == "low"


def test_a_game_without_wordings_has_the_original_and_says_so():
    game = Stakes()
    assert wordings(game) == (ORIGINAL,)
    assert remark(game) == f"game '{game.name}' has no wording but the original"
    with pytest.raises(InputError, match=f"game '{game.name}' has no wording 'renamed': it has original"):
        chosen(game, ["renamed"])


def test_an_unknown_wording_is_refused_with_those_there_are():
    with pytest.raises(
        InputError, match=r"'split' has no wording 'renamed' \(its actions are numbers\): it has original"
    ):
        chosen(make("split"), ["original", "renamed"])
    with pytest.raises(InputError, match="'split' has no wording 'rhymed': it has original, paraphrase-1"):
        chosen(make("split"), ["rhymed"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Wording("original", said={"defect": "green"}), "called 'original'"),
        (Wording("same", said={"defect": "cooperate"}), "words must differ"),
        (Wording("blind", said={"cooperated": "acted", "defected": "acted"}), "the chat does not tell"),
        (Wording("broken", rules="Play {turns} rounds."), "cannot be written out: KeyError"),
        (Wording("capitals", said={"Cooperate": "blue"}), "wording 'capitals' changes no chat and no reply"),
    ],
)
def test_a_games_wordings_are_held_to_its_contract(wrong: Wording, said: str):
    class Wrong(Ipd):
        wordings = (wrong,)

    with pytest.raises(ContractError, match=said):
        contract.check(Wrong(rounds=2))


class Userly(Ipd):
    """Its chat begins with the user's turn, which tells the rules."""

    wordings = (Wording("told", rules="Play {rounds} rounds."), Wording("renamed", said={"defect": "green"}))

    def chat(self, view: View) -> tuple[Turn, ...]:
        rules, first, *rest = super().chat(view)
        return Turn("user", f"{rules.content} {first.content}"), *rest


def test_rules_of_a_wording_that_no_turn_would_tell_are_refused_wherever_it_is_chosen():
    game, said = Userly(rounds=2), "game 'ipd': wording 'told' has rules for a system turn, and its chat has none"
    decision = game.decision(game.root())
    for take in (
        lambda: contract.check(game),
        lambda: chosen(game, ["told"]),
        lambda: reword(decision, game.wordings[0]).chat(),
        lambda: RewordedPolicy(load_policy("uniform"), "told").probabilities([decision]),
    ):
        with pytest.raises(ContractError, match=said):
            take()
    (renamed,) = chosen(game, ["renamed"])
    assert "green" in reword(decision, renamed).chat()[0].content


def test_a_wording_that_says_it_changes_nothing_is_refused_where_it_is_chosen():
    class Same(Ipd):
        wordings = (Wording("same", said={"defect": "defect"}),)

    with pytest.raises(ContractError, match="game 'ipd': wording 'same' changes nothing"):
        chosen(Same(rounds=2), ["same"])


def test_words_that_are_signs_are_replaced_too():
    wording = Wording("named", said={"+": "up", "-": "down", "C++": "see"})
    assert wording.say("Say + or -, not C++, a+ or x-y.") == "Say up or down, not see, a+ or x-y."
