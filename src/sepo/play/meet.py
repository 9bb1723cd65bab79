"""Two policies meet, whatever they are: exactly where what may happen is little enough, else in sampled episodes.

All lines of play, or all running episodes, are taken a move at a time and ask together, so a model answers in batches.
In a game that draws an instance at first each instance is a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sepo.errors import ContractError, TooLargeError
from sepo.games.base import CHANCE, TERMINAL, Decision, Game, State
from sepo.keys import generator
from sepo.play.lockstep import LONGEST, Lots, drawn
from sepo.policies.base import Policy, answered, checked
from sepo.solve.tree import Floats

LINES = 100_000
"""Lines of play that are followed at once."""


class Payoffs(NamedTuple):
    """What two policies earn per round in the seats they were given.

    Attributes
    ----------
    first, second : (rows,)
        One figure, or one per instance or deal.
    certain
        Whether it is known that no other play is possible: each move that was made had probability 1.
    """

    first: Floats
    second: Floats
    certain: bool = False


class Line(NamedTuple):
    """A line of play so far: its probability, within its instance, and the instance's number."""

    state: State
    reach: float
    row: int


def exactly(first: Policy, second: Policy, game: Game, *, budget: int | None = None) -> Payoffs:
    """Return what the policy in seat 0 and the one in seat 1 earn, in expectation.

    Parameters
    ----------
    budget
        Most decisions that each is asked.

    Raises
    ------
    TooLargeError
        If that takes more lines of play than are followed, or more decisions than the budget.
    """
    players = (first, second)
    root = game.root()
    rows = len(root.chance()) if game.sampled_chance and root.actor == CHANCE else 1
    paid = np.zeros((2, rows))
    known: tuple[dict[str, Floats], dict[str, Floats]] = ({}, {})
    lines = [Line(root, 1.0, 0)]
    if rows > 1:
        lines = [Line(root.child(label), 1.0, row) for row, (label, _) in enumerate(root.chance())]
    while lines := [line for line in lines if line.state.actor != TERMINAL]:
        decisions = {i: game.decision(line.state) for i, line in enumerate(lines) if line.state.actor != CHANCE}
        for seat in (0, 1):
            _learn(players[seat], [d for d in decisions.values() if d.seat == seat], known[seat], budget)
        after: list[Line] = []
        for i, line in enumerate(lines):
            if i in decisions:
                p = known[decisions[i].seat][decisions[i].key]
                moves = list(zip(decisions[i].legal, (p / p.sum()).tolist(), strict=True))
            else:
                moves = list(line.state.chance())
            for action, chance in moves:
                if chance > 0:
                    state, reach = line.state.child(action), line.reach * chance
                    paid[:, line.row] += reach * np.array(state.rewards())
                    after.append(Line(state, reach, line.row))
            if len(after) > LINES:
                raise TooLargeError(f"a meeting in game '{game.name}' has more than {LINES} lines of play")
        lines = after
    return Payoffs(*(paid / game.rounds))


def _learn(policy: Policy, decisions: Sequence[Decision], known: dict[str, Floats], budget: int | None) -> None:
    """Ask a policy about the decisions that it was not asked about before."""
    new = {d.key: d for d in decisions if d.key not in known}
    if budget is not None and len(known) + len(new) > budget:
        raise TooLargeError(f"policy '{policy.name}' has more than {budget} decisions in a meeting")
    if new:
        known.update(zip(new, checked(policy, list(new.values())), strict=True))


def sampled(
    first: Policy, second: Policy, game: Game, clusters: Sequence[int], key: tuple[object, ...], swapped: bool = False
) -> Payoffs:
    """Play one episode per cluster and return what the policy in seat 0 and the one in seat 1 earn.

    Parameters
    ----------
    clusters
        Numbers of the deals. In a game that draws an instance at first, cluster k plays instance k.
    key
        Of the randomness, without the policies: pairs that are compared share it.
    swapped
        Whether ``second`` is whom the pair is named after: each party's own draws are then the same in either seat.
    """
    players = (first, second)
    names = ("other", "one") if swapped else ("one", "other")
    lots = [Lots(generator(*key, k), ("chance", "one", "other")) for k in clusters]
    states: list[State] = [game.root() for _ in clusters]
    paid, moves = np.zeros((2, len(states))), np.zeros(len(states), dtype=int)
    certain = True
    while running := [i for i, state in enumerate(states) if state.actor != TERMINAL]:
        asked = {i: game.decision(states[i]) for i in running if states[i].actor != CHANCE}
        answers: dict[int, Floats] = {}
        for seat in (0, 1):
            here = [i for i, d in asked.items() if d.seat == seat]
            if here:
                answers |= dict(zip(here, answered(players[seat], [asked[i] for i in here]), strict=True))
        for i in running:
            if moves[i] >= LONGEST:
                raise ContractError(f"game '{game.name}': an episode has more than {LONGEST} moves, at {states[i]!r}")
            if i in answers:
                odds = answers[i]
                which = drawn(odds, lots[i](names[asked[i].seat], int(moves[i])))
                states[i] = states[i].child(asked[i].legal[which])
            else:
                outcomes = states[i].chance()
                odds = np.array([p for _, p in outcomes])
                if game.sampled_chance and moves[i] == 0:
                    which = clusters[i] % len(outcomes)
                else:
                    which = drawn(odds, lots[i]("chance", int(moves[i])))
                states[i] = states[i].child(outcomes[which][0])
            certain &= bool(odds[which] == odds.sum())
            paid[:, i] += states[i].rewards()
            moves[i] += 1
    first_earned, second_earned = paid / game.rounds
    return Payoffs(first_earned, second_earned, certain)
