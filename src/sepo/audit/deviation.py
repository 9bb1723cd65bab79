"""How a policy answers one forced deviation of its partner: the change in what it does afterwards.

Two meetings differ in one round of the partner's alone. What the learner does in the rounds after it, under the one
and under the other, shows whether it punishes, follows or does not care.
"""

from __future__ import annotations

import numpy as np

from sepo.audit.board import Match, Subject, match
from sepo.games.base import Deviation
from sepo.solve.response import completed
from sepo.solve.value import expected


def deviation_response(subject: Subject, asked: Deviation, max_nodes: int) -> tuple[float, float, float]:
    """Return the mean change of a feature per later round, averaged over the learner's seats, with its bounds.

    0 in a game so short that no round comes after the deviation.

    Raises
    ------
    TooLargeError
        If a meeting has more than ``max_nodes`` nodes.
    """
    rounds = max(1, subject.game.rounds - asked.round - 1)
    found = []
    for seat in subject.game.seats:
        calm, disturbed = (_after(match(subject, o, seat, max_nodes), asked) for o in (asked.partner, asked.deviating))
        value, low, high = disturbed[0] - calm[0], disturbed[1] - calm[2], disturbed[2] - calm[1]
        found.append((value / rounds, low / rounds, high / rounds))
    value, low, high = np.mean(found, axis=0).tolist()
    return value, low, high


def _after(m: Match, asked: Deviation) -> tuple[float, float, float]:
    """Return the feature's expected sum over the later rounds, with its bounds."""
    due = np.where(m.tree.round > asked.round, m.tree.feature(asked.feature, m.seat), 0.0)
    value = expected(m.tree, m.profile, due)
    if not m.open.any():
        return value, value, value
    low = -completed(m.tree, m.profile, m.seat, -due, m.open).value
    return value, low, completed(m.tree, m.profile, m.seat, due, m.open).value
