"""Episodes in lockstep: one batch a step, each question once, the same luck for all who share a cluster."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sepo.errors import ContractError
from sepo.games.base import CHANCE, Game, Opponent
from sepo.games.registry import make
from sepo.keys import generator
from sepo.play import lockstep
from sepo.play.lockstep import BLOCK, Episode, Lots, _move, play
from sepo.policies.script import ScriptPolicy, opponent
from tests.hidden import Hidden, pool_names
from tests.small_games import Drawn, Node, chooses, draws, leaf


def all_of(game: Game) -> list[Opponent]:
    return [opponent(game, o) for o in pool_names(game)]


def cards(e: Episode) -> tuple[Any, ...]:
    return tuple(e.state.deal)  # type: ignore[attr-defined]


def outcome(e: Episode) -> tuple[Any, ...]:
    return e.cluster, e.opponent.name, e.seat, repr(e.state), e.plain, e.expected


@pytest.mark.parametrize("name", ["kuhn", "ipd", "auction", "split", "commons", "items"])
def test_a_step_asks_once_and_no_question_twice_in_it(name: str):
    game, policy = make(name), Hidden(1)
    episodes = play(policy, game, all_of(game), range(12), ("batch",))
    assert len(episodes) == 12 * len(all_of(game)) * len(game.seats)
    assert all(len(set(call)) == len(call) for call in policy.calls)
    calls = [c for c in policy.calls if c]
    most = 2 if name == "kuhn" else game.rounds
    assert len(calls) <= most + 1
    if name != "kuhn":
        assert len(calls) == most
        first = {"auction": 2, "items": 12}.get(name, 1)  # two values; an instance each
        assert len(calls[0]) == first


def test_a_policy_that_is_not_asked_anything_plays_no_part():
    game = Drawn(draws(("a", 0.5, leaf(1)), ("b", 0.5, leaf(-1))))
    policy = Hidden(1)
    done = play(policy, game, [Opponent("nobody", lambda d: {}, "")], range(20), ("none",))
    assert policy.asked == []
    assert {e.plain["own"] for e in done} == {1.0, -1.0}


@dataclass(frozen=True)
class Loop(Node):
    """A state that leads to itself."""

    def legal(self) -> tuple[str, ...]:
        return ("again",)

    def chance(self) -> list[tuple[str, float]]:
        return [("again", 1.0)]

    def child(self, action: str) -> Node:
        return self


@pytest.mark.parametrize("actor", [CHANCE, 0, 1])
def test_an_endless_game_is_stopped_with_its_name_and_where_it_was(actor: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lockstep, "LONGEST", 300)
    game = Drawn(Loop(actor=actor, seen="round and round"))
    with pytest.raises(ContractError, match=r"game 'drawn': an episode has more than 300 moves, at .*round and round"):
        play(Hidden(1), game, [Opponent("looper", lambda d: {"again": 1.0}, "")], range(2), ("endless",))


def test_clusters_play_the_instances_in_their_order():
    game = make("items", {"instances": 5, "rounds": 1})
    done = play(Hidden(1), game, all_of(game)[:2], range(3, 15), ("instances",))
    for e in done:
        deal = game.drawn[e.cluster % 5]  # type: ignore[attr-defined]
        assert (e.state.public, e.state.private) == (deal.public, deal.private)  # type: ignore[attr-defined]


def test_deals_come_as_often_as_chance_gives_them():
    kuhn = make("kuhn")
    done = play(ScriptPolicy("s", "always_pass"), kuhn, [opponent(kuhn, "nash")], range(3000), ("deals",))
    count = Counter(cards(e) for e in done if e.seat == 0)
    assert len(count) == 6
    assert stats.chisquare(list(count.values())).pvalue > 1e-3
    uneven = Drawn(draws(("a", 0.1, leaf(1)), ("b", 0.2, leaf(2)), ("c", 0.7, leaf(3))))
    seen = Counter(e.plain["own"] for e in play(Hidden(1), uneven, all_of(kuhn)[:1], range(3000), ("x",)) if not e.seat)
    assert stats.chisquare([seen[1.0], seen[2.0], seen[3.0]], [300, 600, 2100]).pvalue > 1e-3


def test_actions_come_as_often_as_the_policy_and_the_script_play_them():
    game, policy = make("split", {"rounds": 1}), Hidden(2)
    done = play(policy, game, [opponent(game, "fair")], range(4000), ("actions",))
    p = policy.answer(game.decision(game.root()))
    names = [f"play 0 {game.bucket(a)}" for a in game.root().legal()]
    seen = np.array([sum(e.plain.get(n, 0.0) for e in done) for n in names])
    likely = p * 4000 > 5
    assert (
        stats.chisquare(
            [*seen[likely], seen[~likely].sum() + 1e-9], [*p[likely] * 4000, p[~likely].sum() * 4000 + 1e-9]
        ).pvalue
        > 1e-3
    )
    ipd = make("ipd")
    met = play(ScriptPolicy("s", "always_cooperate"), ipd, [opponent(ipd, "mixed")], range(1000), ("coins",))
    cooperated = sum(pair.other == "COOPERATE" for e in met for pair in e.state.rounds)  # type: ignore[attr-defined]
    assert abs(cooperated - 4000) < 4 * np.sqrt(2000)


@pytest.mark.parametrize("u", [0.0, 1e-300, 0.25, 0.5, np.nextafter(1.0, 0.0), 1.0])
@pytest.mark.parametrize("p", [[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.1, 0.2, 0.7], [0.0, 0.1 + 0.2, 0.7 - 1e-16]])
def test_what_has_no_probability_is_never_drawn_whatever_the_number(u: float, p: list[float]):
    root = chooses(0, "x", a=leaf(1), b=leaf(2), c=leaf(3))
    game = Drawn(root)
    e = Episode(0, all_of(make("kuhn"))[0], 0, root)
    _move(e, game, ("a", "b", "c"), np.array(p), lambda party, number: u, "learner")  # type: ignore[arg-type]
    drawn = int(e.plain["own"]) - 1
    assert p[drawn] > 0
    if 0 < u < 1 and u not in (0.5, 0.25):
        assert drawn == (np.flatnonzero(p)[0] if u < 0.1 else np.flatnonzero(p)[-1])


def test_an_outcome_of_chance_without_probability_never_happens():
    game = Drawn(draws(("a", 0.5, leaf(1)), ("never", 0.0, leaf(7)), ("b", 0.5, leaf(2))))
    done = play(Hidden(1), game, [all_of(make("kuhn"))[0]], range(200), ("zero",))
    assert {e.plain["own"] for e in done if e.seat == 0} == {1.0, 2.0}


@pytest.mark.parametrize("name", ["kuhn", "auction", "items"])
def test_the_key_decides_everything(name: str):
    game = make(name)
    one, again, other = (
        [outcome(e) for e in play(Hidden(3), game, all_of(game), range(6), (key,))] for key in ("a", "a", "b")
    )
    assert one == again
    assert one != other


@pytest.mark.parametrize("name", ["kuhn", "ipd", "auction", "items"])
def test_an_episode_does_not_depend_on_who_else_plays_or_in_what_order(name: str):
    game = make(name)
    every = {outcome(e)[:3]: outcome(e) for e in play(Hidden(3), game, all_of(game), range(6), ("alone",))}
    for o in all_of(game)[::-2]:
        for e in play(Hidden(3), game, [o], [4, 2], ("alone",)):
            assert outcome(e) == every[e.cluster, o.name, e.seat]


def test_a_cluster_deals_the_same_to_all_policies_seats_and_opponents():
    kuhn = make("kuhn")
    dealt: dict[int, set[Any]] = {}
    for policy in (Hidden(1), Hidden(2), ScriptPolicy("s", "always_pass")):
        for e in play(policy, kuhn, all_of(kuhn), range(30), ("crn",)):
            dealt.setdefault(e.cluster, set()).add(cards(e))
    assert all(len(found) == 1 for found in dealt.values())
    assert len(set().union(*dealt.values())) == 6


def test_a_clusters_coins_of_the_opponent_are_the_same_whatever_the_learner_does():
    ipd = make("ipd")
    coins: dict[int, set[str]] = {}
    for script in ("always_cooperate", "always_defect", "mixed"):
        for e in play(ScriptPolicy("s", script), ipd, [opponent(ipd, "mixed")], range(30), ("coins",)):
            coins.setdefault(e.cluster, set()).add("".join(p.other for p in e.state.rounds))  # type: ignore[attr-defined]
    assert all(len(found) == 1 for found in coins.values())
    assert len(set().union(*coins.values())) > 25


def test_numbers_of_a_long_episode_never_come_back():
    parties = ("chance", "opponent", "learner")
    lots, backwards = Lots(generator("long"), parties), Lots(generator("long"), parties)
    moves = range(3 * BLOCK)
    forth = {(party, n): lots(party, n) for n in moves for party in parties}
    back = {(party, n): backwards(party, n) for n in reversed(moves) for party in parties}
    assert forth == back
    assert len(set(forth.values())) == len(forth)


def test_expectations_of_a_round_need_what_was_known_when_it_began():
    """Against a script without coins and with a sure policy, expectations are what was played."""
    for name in ("ipd", "split", "commons"):
        game = make(name)
        sure = [o for o in all_of(game) if o.name not in ("mixed", "generous_tit_for_tat")]
        for e in play(Hidden(1, sharpness=0), game, sure, range(2), ("sure",)):
            for quantity in ("own", "other"):
                assert e.expected[quantity] == pytest.approx(e.plain[quantity])


def test_progress_is_told_of_episodes():
    told: list[tuple[int, int]] = []
    kuhn = make("kuhn")
    play(Hidden(1), kuhn, all_of(kuhn), range(4), ("tell",), lambda done, total: told.append((done, total)))
    assert told
    assert all(0 <= done <= total == 4 * 2 * len(all_of(kuhn)) for done, total in told)
    assert [d for d, _ in told] == sorted(d for d, _ in told)


def test_an_illegal_answer_names_the_state():
    class Short(Hidden):
        def answer(self, decision: Any) -> Any:
            return super().answer(decision)[:-1]

    kuhn = make("kuhn")
    with pytest.raises(ContractError, match="1 probabilities for 2 legal actions"):
        play(Short(1), kuhn, all_of(kuhn), range(2), ("short",))
    cheat = replace(opponent(kuhn, "nash"), name="cheat", script=lambda d: {"FOLD?": 1.0})
    with pytest.raises(ContractError, match="'cheat' plays the illegal action 'FOLD\\?'"):
        play(Hidden(1), kuhn, [cheat], range(2), ("cheat",))
