"""Who demonstrates, whom it meets, what it may do, and how episodes are split."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

import pytest

from sepo.data.episodes import EXAMPLES, FEWER, Demonstrations, demonstrate, met, shown
from sepo.data.styles import row
from sepo.errors import ContractError
from sepo.games.base import Game, Opponent
from sepo.games.registry import GAMES, make
from sepo.policies.script import played

Made = Mapping[str, Demonstrations]


@pytest.mark.parametrize("name", GAMES)
def test_demonstrators_appear_by_their_shares(demonstrations: Made, name: str):
    made = demonstrations[name]
    who = {e.episode: e.demonstrator.name for e in made.examples}
    counted, n = Counter(who.values()), len(who)
    for share, policy in made.game.demonstrators:
        assert abs(counted[policy.name] - n * share) < 3.5 * math.sqrt(n * share * (1 - share)), policy.name


@pytest.mark.parametrize("name", GAMES)
def test_every_opponent_of_the_pools_is_met_and_none_that_is_held_out(demonstrations: Made, name: str):
    made = demonstrations[name]
    pools = made.game.measures("sepo").pools
    found = {e.opponent for e in made.examples}
    assert found == {*pools["train"], *pools["exploiter"], *pools["collusive"]}
    for measures in ("paper", "sepo"):
        assert not found & set(made.game.measures(measures).pools["held_out"])


@pytest.mark.parametrize("name", GAMES)
def test_one_demonstrator_and_one_opponent_an_episode_and_all_its_decisions(demonstrations: Made, name: str):
    made = demonstrations[name]
    whole: dict[int, list] = {}
    for e in made.examples:
        whole.setdefault(e.episode, []).append(e)
    assert list(whole) == list(range(len(whole)))
    for episode in whole.values():
        assert len({(e.demonstrator.name, e.opponent) for e in episode}) == 1
        assert {e.round for e in episode} == set(range(1, made.game.rounds * made.game.hands + 1))
        rounds = [e.round for e in episode]
        assert rounds == sorted(rounds)


@pytest.mark.parametrize("name", [name for name in GAMES if name != "kuhn"])
def test_rounds_are_those_that_the_prompt_names(demonstrations: Made, name: str):
    for e in demonstrations[name].examples[:500]:
        assert re.findall(r"Round (\d+):", e.decision.chat()[-1].content)[-1] == str(e.round)


def test_kuhn_seats_alternate_by_hand_and_the_demonstrator_moves_first_in_the_first(demonstrations: Made):
    for e in demonstrations["kuhn"].examples:
        assert e.decision.seat == (e.round - 1) % 2


@pytest.mark.parametrize("name", GAMES)
def test_what_was_done_is_legal_and_what_the_demonstrator_may_do(demonstrations: Made, name: str):
    for e in demonstrations[name].examples:
        made = row(e, "direct")
        words = dict(zip(e.decision.words(), played(e.demonstrator, e.decision), strict=True))
        assert words[made["completion"][0]["content"]] > 0
        assert made["action"] in e.decision.legal


@pytest.mark.parametrize("name", GAMES)
def test_direct_prompts_are_the_questions_that_a_policy_is_asked(demonstrations: Made, name: str):
    for e in demonstrations[name].examples[:1_000]:
        assert [(t["role"], t["content"]) for t in row(e, "direct")["prompt"]] == list(e.decision.chat())


@pytest.mark.parametrize("name", GAMES)
def test_a_reasoned_prompt_adds_a_request_and_marks_own_replies(demonstrations: Made, name: str):
    for e in demonstrations[name].examples[:1_000]:
        direct, reasoned = row(e, "direct")["prompt"], row(e, "reasoned")["prompt"]
        assert reasoned[0]["role"] == "system"
        assert reasoned[0]["content"].startswith(direct[0]["content"] + " ")
        assert reasoned[0]["content"].count("ACTION:") == 1
        for plain, marked in zip(direct[1:], reasoned[1:], strict=True):
            mark = "ACTION: " if plain["role"] == "assistant" else ""
            assert marked == {"role": plain["role"], "content": mark + plain["content"]}


@pytest.mark.parametrize("name", GAMES)
def test_a_fifth_of_the_episodes_is_for_testing_whole(demonstrations: Made, name: str):
    made = demonstrations[name]
    train, test = ({e.episode for e in made.split(part)} for part in ("train", "test"))
    assert not train & test
    assert len(test) == round((len(train) + len(test)) / 5)
    assert len(made.split("train")) + len(made.split("test")) == len(made.examples)


def same(first: Demonstrations, second: Demonstrations) -> bool:
    return [row(e, "direct") for e in first.examples] == [row(e, "direct") for e in second.examples]


def test_a_seed_gives_the_same_and_another_seed_does_not(kuhn: Game):
    assert same(demonstrate(kuhn, 200, 3), demonstrate(kuhn, 200, 3))
    assert demonstrate(kuhn, 200, 3).tested == demonstrate(kuhn, 200, 3).tested
    assert not same(demonstrate(kuhn, 200, 3), demonstrate(kuhn, 200, 4))


def test_a_larger_set_begins_with_a_smaller_one(kuhn: Game):
    small, large = demonstrate(kuhn, 100), demonstrate(kuhn, 300)
    assert [row(e, "direct") for e in large.examples[: len(small.examples)]] == [
        row(e, "direct") for e in small.examples
    ]


def test_sizes_are_those_published_unless_others_are_asked_for():
    assert [FEWER.get(name, EXAMPLES) for name in GAMES] == [8_000, 8_000, 8_000, 4_000, 7_000, 8_000]
    assert len(demonstrate(make("ipd"), 1).examples) == 16  # two episodes, so that there is one to test on
    assert len(demonstrate(shown("items", {})).examples) == 4_000


def test_bargaining_is_not_shown_on_the_instances_of_the_audit():
    assert shown("items", {}).rules["instance_seed"] != make("items").rules["instance_seed"]
    assert shown("items", {"instance_seed": 5}).rules["instance_seed"] == 5
    assert shown("ipd", {}) is make("ipd")


def test_a_game_without_pools_of_its_own_is_shown_too():
    game = make("openspiel:kuhn_poker")
    made = demonstrate(game, 50)
    assert met(game) == ("uniform",)
    assert {e.decision.seat for e in made.examples} == set(game.seats)  # one hand an episode: they take turns


def test_a_script_whose_probabilities_do_not_sum_to_one_is_named(kuhn: Game, monkeypatch: pytest.MonkeyPatch):
    half = Opponent("half", lambda decision: {decision.legal[0]: 0.5}, "is no strategy")
    monkeypatch.setattr(type(kuhn), "demonstrators", ((1.0, half),))
    with pytest.raises(ContractError, match=r"script 'half' at .* of game 'kuhn': .* sum to 1"):
        demonstrate(kuhn, 10)
