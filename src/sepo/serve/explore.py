"""A policy's table as it can be looked through: its situations, most reached first, with the probabilities there.

A table file is shown as it stands. Any other policy is followed against an opponent that tries everything alike, a move
at a time, along the most reached lines; where lines are left out, what is shown is reached *at least* that often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sepo.games.base import CHANCE, TERMINAL, Decision, Game, State
from sepo.policies.base import Policy, checked
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.table import PolicyTable
from sepo.solve.tree import Floats

LINES, STATES, ASKED = 7_000, 5_000, 64
"""Most lines of play followed at once; most situations shown; most that a model is asked about."""
PAGE = 50
"""Situations on a page."""


class Row(NamedTuple):
    """A situation: how often it is reached (None if not known) and the probability of each action."""

    key: str
    reach: float | None
    probabilities: Mapping[str, float]


class Explored(NamedTuple):
    """The situations, and whether they are all there are."""

    rows: Sequence[Row]
    whole: bool


def explored(policy: Policy, game: Game) -> Explored:
    """Return a policy's situations, most reached first.

    Scripts are asked as often as need be. Whatever else there is may be a model, here or behind a server that is paid,
    and is asked about few situations.

    Raises
    ------
    InputError
        If the policy has no answer somewhere.
    """
    if isinstance(policy, PolicyTable):
        return Explored([Row(key, None, row) for key, row in policy.table.items()], True)
    most = STATES if isinstance(policy, ScriptPolicy | UniformPolicy) else ASKED
    reached: dict[str, float] = {}
    rows: dict[str, tuple[Decision, Floats]] = {}
    whole = True
    for seat in game.seats:
        lines = [(game.root(), 1.0 / len(game.seats))]
        while lines := [(state, reach) for state, reach in lines if state.actor != TERMINAL]:
            if len(lines) > LINES:
                whole = False
                lines = sorted(lines, key=lambda line: -line[1])[:LINES]
            lines, left = _followed(policy, game, seat, lines, reached, rows, most)
            whole = whole and not left
    found = [Row(key, reached[key], _by_action(*rows[key])) for key in rows]
    return Explored(sorted(found, key=lambda row: (-(row.reach or 0.0), row.key)), whole)


def _followed(
    policy: Policy,
    game: Game,
    seat: int,
    lines: Sequence[tuple[State, float]],
    reached: dict[str, float],
    rows: dict[str, tuple[Decision, Floats]],
    most: int,
) -> tuple[list[tuple[State, float]], bool]:
    """Follow lines by one move; those at a situation beyond the most are left, and whether some are is returned."""
    asked = {i: game.decision(state) for i, (state, _) in enumerate(lines) if state.actor == seat}
    weight: dict[str, float] = {}
    new: dict[str, Decision] = {}
    for i, decision in asked.items():
        weight[decision.key] = weight.get(decision.key, 0.0) + lines[i][1]
        if decision.key not in rows:
            new[decision.key] = decision
    chosen = sorted(new, key=lambda key: -weight[key])[: max(0, most - len(rows))]
    if chosen:
        for key, p in zip(chosen, checked(policy, [new[key] for key in chosen]), strict=True):
            rows[key] = new[key], p / p.sum()
    for key, more in weight.items():
        if key in rows:
            reached[key] = reached.get(key, 0.0) + more
    out, left = [], False
    for i, (state, reach) in enumerate(lines):
        if i in asked:
            if asked[i].key not in rows:
                left = True
                continue
            decision, answer = rows[asked[i].key]
            moves = list(zip(decision.legal, answer.tolist(), strict=True))
        elif state.actor == CHANCE:
            moves = list(state.chance())
        else:
            legal = state.legal()
            moves = list(zip(legal, np.full(len(legal), 1 / len(legal)).tolist(), strict=True))
        out += [(state.child(label), reach * p) for label, p in moves if p > 0]
    return out, left


def _by_action(decision: Decision, p: Floats) -> dict[str, float]:
    return dict(zip(decision.legal, p.tolist(), strict=True))


def searched(rows: Sequence[Row], text: str) -> list[Row]:
    """Return the situations whose name contains a text, whatever its case."""
    return [row for row in rows if text.lower() in row.key.lower()]
