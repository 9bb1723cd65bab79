"""Best responses and exploitability, in sequence form.

With perfect recall a node's payoff, weighted by the reach of chance and the opponent, belongs to the
responder's last own entry. Working back through the responder's decisions, latest first, the best
action at an information state maximises what its entry collects plus the values of the information
states that follow it. B. von Stengel, "Efficient computation of behavior strategies", Games and
Economic Behavior 14, 1996; M. Johanson et al., "Accelerating best response calculation in large
extensive games", IJCAI 2011.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sepo.solve.tree import Floats, Tree
from sepo.solve.value import counterfactual_reach


class Response(NamedTuple):
    """A best response: ``strategy`` (entries,) is pure at the responder's entries, as given elsewhere."""

    value: float
    strategy: Floats


def best_response(tree: Tree, profile: Floats, seat: int, due: Floats) -> Response:
    """Maximise the expected sum of ``due`` over all strategies of ``seat`` against the other seat of ``profile``.

    Parameters
    ----------
    profile : (entries,)
        Action probabilities; those of ``seat`` are ignored.
    due : (nodes,)
        What the responder collects at each node, for instance
        ``tree.combine(seat, {"own": 1, "other": -1})`` for the payoff difference.

    Returns
    -------
    Response
        Ties go to the first action.
    """
    weighted = counterfactual_reach(tree, profile, seat) * due
    last = tree.last[seat]
    collected = np.bincount(last + 1, weighted, len(tree.seat) + 1)  # slot 0: before any own move
    strategy = np.where(tree.seat == seat, 0.0, profile)
    seats = np.array([i.seat for i in tree.infosets])
    for level in reversed(tree.recall_levels):
        for which in level[seats[level] == seat]:
            entries = tree.infosets[which].entries
            options = collected[1:][entries]
            best = int(np.argmax(options))
            strategy[entries.start + best] = 1.0
            collected[tree.previous[which] + 1] += options[best]
    return Response(float(collected[0]), strategy)


def exploitability(tree: Tree, strategy: Floats) -> float:
    """Return how much a best-responding opponent wins, averaged over the seats: NashConv / 2. Zero-sum games.

    ``strategy`` (entries,) plays both seats. The unit is the game's payoff per episode of the tree. The
    game's values for the two seats cancel in the mean, so none is needed.
    """
    gains = [best_response(tree, strategy, s, tree.feature("own", s)).value for s in (0, 1)]
    return float(np.mean(gains))
