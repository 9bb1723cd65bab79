"""Best replies without a tree against best responses on one, in all repeated games, and played out move by move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sepo.errors import ShortcutError
from sepo.games.auction import Auction
from sepo.games.base import CHANCE, TERMINAL, Decision, Memory
from sepo.games.commons import Commons
from sepo.games.ipd import Ipd
from sepo.games.items import Items
from sepo.games.repeated import KEPT, RepeatedGame, Stage, View
from sepo.games.split import Split
from sepo.policies.script import played
from sepo.solve.expand import plain_walk
from sepo.solve.response import best_response
from sepo.solve.rounds import Reply, best_reply
from sepo.solve.stages import Answer
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import node_values
from tests.small_repeated import Guess
from tests.solve.test_stages import remembering

SMALL_POOLS = Items(rounds=2, instances=3, instance_seed=358)  # at most 20 demands in each
REDRAWN = Items(rounds=2, instances=1, instance_seed=25, redraw_opponent_values=True)
GAMES: dict[str, RepeatedGame] = {
    "ipd": Ipd(5),
    "auction": Auction(3),
    "auction, clipped": Auction(2, overbid_loss=False),
    "split": Split(2),
    "commons": Commons(4, stock=6),
    "items": SMALL_POOLS,
    "items, redrawn": REDRAWN,
}
OBJECTIVES: Mapping[str, Mapping[str, float]] = {
    "payoff": {"own": 1.0},
    "difference": {"own": 1.0, "other": -1.0},
    "harm": {"other": -1.0},
}
SCRIPTS = [
    (name, o.name)
    for name, game in GAMES.items()
    for o in game.opponents.values()
    if o.memory != "all" and not (game.sampled_chance and o.name == "uniform")
]
RANDOM: list[tuple[str, Memory]] = [(name, memory) for name in GAMES for memory in ("round", "last")]


def on_a_tree(tree: Tree, seat: int, objective: Mapping[str, float]) -> Floats:
    """Return a best response's values on the tree of all histories: one, or one per instance."""
    due = tree.combine(seat, objective)
    strategy = best_response(tree, tree.fixed, seat, due).strategy
    profile = np.where(tree.seat == seat, strategy, tree.fixed)
    values = node_values(tree, profile, due)
    return values[tree.levels[1]] if tree.game.sampled_chance else values[:1]


def short(view: View, memory: Memory, game: RepeatedGame) -> View:
    """Return what is left of a view in a short memory."""
    kept = KEPT[memory]
    rounds = view.rounds[len(view.rounds) - min(kept, len(view.rounds)) :]
    private = view.private[-1:] if isinstance(game, Items) and game.redraw_opponent_values else view.private
    return view._replace(rounds=rounds, private=private)


def played_out(
    game: RepeatedGame, reply: Reply, answer: Answer, memory: Memory, seat: int, objective: Mapping[str, float]
) -> Floats:
    """Return what the reply's plays collect in the game in which nobody forgets, by recursion over its states."""
    weights = objective.get("own", 0.0), objective.get("other", 0.0)

    @cache
    def asked(view: View) -> Floats:
        return answer(Decision(game, 1 - seat, game.key(view), game.actions(view.public), view))

    @cache
    def after(state: Stage) -> float:
        if state.actor == TERMINAL:
            return 0.0
        view = None if state.actor == CHANCE else state.view(state.actor)
        if view is None:
            odds = list(state.chance())
        elif state.actor == seat:
            odds = [(reply.plays[short(view, memory, game)], 1.0)]
        else:
            odds = list(zip(state.legal(), asked(view).tolist(), strict=True))
        total = 0.0
        for action, p in odds:
            if p:
                child = state.child(action)
                paid = child.rewards()
                total += p * (weights[0] * paid[seat] + weights[1] * paid[1 - seat] + after(child))
        return total

    root = game.root()
    starts = [root.child(label) for label, _ in root.chance()] if game.sampled_chance else [root]
    return np.array([after(start) for start in starts])


def check(game: RepeatedGame, answer: Answer, memory: Memory) -> None:
    for seat in (0, 1):
        tree = plain_walk(game, {1 - seat: answer})
        for objective in OBJECTIVES.values():
            reply = best_reply(game, answer, memory, seat, objective)
            np.testing.assert_allclose(reply.values, on_a_tree(tree, seat, objective), atol=1e-12)
            got = played_out(game, reply, answer, memory, seat, objective)
            np.testing.assert_allclose(got, reply.values, atol=1e-12)


@pytest.mark.parametrize(("name", "script"), SCRIPTS)
def test_the_best_reply_to_a_script_is_worth_a_best_response_and_its_plays_earn_that(name: str, script: str):
    other = GAMES[name].opponents[script]
    check(GAMES[name], lambda d: played(other, d), other.memory)


def narrowed(game: RepeatedGame, memory: Memory) -> Callable[[Decision], Floats]:
    """Make a random policy of a short memory; in ``items`` it draws between two demands, where there are many."""
    policy = remembering(memory, seed=3)

    def answer(decision: Decision) -> Floats:
        p = policy(replace(decision, view=short(decision.view, memory, game)))
        if isinstance(game, Items):
            p[np.argsort(-p)[2:]] = 0.0
        return p / p.sum()

    return answer


@pytest.mark.parametrize(("name", "memory"), RANDOM)
def test_the_best_reply_to_a_random_policy_of_short_memory_is_worth_a_best_response(name: str, memory: Memory):
    check(GAMES[name], narrowed(GAMES[name], memory), memory)


def test_in_a_game_of_instances_each_has_its_own_value():
    other = SMALL_POOLS.opponents["fair"]
    payoff = best_reply(SMALL_POOLS, lambda d: played(other, d), "round", 0, {"own": 1.0})
    assert len(payoff.values) == SMALL_POOLS.instances
    # Against half rounded down, the most is what that leaves, every round.
    left = [
        sum((n - n // 2) * v for n, v in zip(deal.public, deal.private[0][0], strict=True))
        for deal in SMALL_POOLS.drawn
    ]
    assert payoff.values == pytest.approx([SMALL_POOLS.rounds * x for x in left], abs=1e-12)


def test_a_reply_to_somebody_whose_private_value_stays_takes_the_tree():
    game = Guess(3)
    left = game.opponents["left"]
    with pytest.raises(ShortcutError, match="'guess': what is private outlives its round"):
        best_reply(game, lambda d: played(left, d), "round", 0, {"own": 1.0})
    with pytest.raises(ShortcutError):
        plain_walk(game, {1: lambda d: played(left, d)}, "round")
    reply = best_reply(game, lambda d: played(left, d), "round", 1, {"other": -1.0})  # seat 0 has but one thing to know
    assert reply.values == (-1.5,)
    assert plain_walk(game, {0: lambda d: played(left, d)}, "round").merged


def test_textbook_replies():
    tit_for_tat = Ipd(8).opponents["tit_for_tat"]
    reply = best_reply(Ipd(8), lambda d: played(tit_for_tat, d), "last", 0, {"own": 1.0})
    assert reply.values == (26.0,)  # cooperate seven times, defect in the last round: 7 x 3 + 5
    gap = best_reply(Ipd(8), lambda d: played(tit_for_tat, d), "last", 0, {"own": 1.0, "other": -1.0})
    assert gap.values == (5.0,)  # one temptation is all the difference there can be
    harm = best_reply(Ipd(8), lambda d: played(tit_for_tat, d), "last", 1, {"other": -1.0})
    assert harm.values == (-7.0,)  # defected on from the first round: 0 + 7 x 1
