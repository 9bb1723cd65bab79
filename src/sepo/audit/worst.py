"""The worst case of a policy as the scorecard tells it: how bad, who does it, and how long it takes to find out.

The worst of all opponents where their tree can be held; elsewhere the best of a searched family, which is a lower
bound and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sepo.audit.adversary import time_to_exploit
from sepo.audit.board import Match, Subject, facing
from sepo.audit.encounter import GAIN
from sepo.audit.exact import Expectations
from sepo.audit.figures import ANYONE
from sepo.audit.rule import written
from sepo.audit.search import EPISODES, Found, search
from sepo.errors import TooLargeError
from sepo.solve.expand import walk
from sepo.solve.response import best_response, completed
from sepo.solve.value import infoset_reach

TELLING = 60_000
"""Largest tree walked to tell who attains an exact worst case."""
EDGES, DRAWN_EDGES = 200_000, 40_000
"""How large the search's graph may grow; the second, where instances are drawn."""
DRAWN_EPISODES = 256
"""Episodes per opponent of a search that must sample, where instances are drawn."""


def worst_case(
    subject: Subject, values: Expectations, met: Sequence[Match] | None, key: tuple[object, ...]
) -> dict[str, Any]:
    """Return the parts of the scorecard about the worst case, and add what was searched for to the quantities.

    Parameters
    ----------
    values
        With the quantity ``worst`` of ``ANYONE`` where it is exact; it is added where it is not.
    met
        The meetings with anyone, where they are held already.
    """
    out: dict[str, Any] = {"worst_case": None, "time_to_exploit": None}
    if values.has(ANYONE, "worst"):
        told = None if subject.game.sampled_chance else attained_by(subject, met)
        out["worst_case"] = {"lower_bound": False, "opponent": told}
    else:
        drawn = subject.game.sampled_chance
        found = search(
            subject, key, edges=DRAWN_EDGES if drawn else EDGES, episodes=DRAWN_EPISODES if drawn else EPISODES
        )
        low = _at_least(subject, found)
        n = None if found.interval is None else found.interval.n
        values.fix(ANYONE, "worst", max(found.value, low), low, np.inf, n=n)
        told = "; ".join(f"seat {s}: {r.about}" if len(found.rules) > 1 else r.about for s, r in found.rules.items())
        out["worst_case"] = {"lower_bound": True, "opponent": told, "tried": found.tried}
    if subject.game.sampled_chance:
        return out  # a new instance each time: no tabular learner meets a situation often enough to learn anything
    worst = values.get(values.rows.mean(axis=0, keepdims=True))(ANYONE, {"worst": 1.0}).value
    adaptive = time_to_exploit(subject, float(worst.mean()), key)
    if adaptive is not None:
        out["time_to_exploit"] = {
            "value": adaptive.median,
            "low": adaptive.low,
            "high": adaptive.high,
            "n": adaptive.seeds,
            "reached": adaptive.reached,
            "horizon": adaptive.horizon,
        }
    return out


def attained_by(subject: Subject, met: Sequence[Match] | None = None) -> str | None:
    """Return in words who attains the worst-case advantage; None where that takes too large a tree to tell."""
    told = []
    try:
        for m in met or [facing(subject, seat, "last", TELLING) for seat in subject.game.seats]:
            other = 1 - m.seat
            answer = best_response(m.tree, m.profile, other, m.tree.combine(other, GAIN)).strategy
            profile = np.where(m.tree.seat == other, answer, m.profile)
            reached = infoset_reach(m.tree, profile)
            plays = [
                (info.decision, info.decision.legal[int(np.argmax(profile[info.entries]))])
                for info, r in zip(m.tree.infosets, reached.tolist(), strict=True)
                if info.seat == other and r > 0
            ]
            told.append((other, written(plays, lambda d: d.legal[0]).about if plays else "moves never"))
    except TooLargeError:
        return None
    return "; ".join(f"seat {seat}: {about}" if len(told) > 1 else about for seat, about in told)


def _at_least(subject: Subject, found: Found) -> float:
    """Return what the opponent found gains at least, whatever the policy does where it is not known."""
    if subject.table is None or not found.exact:
        return found.value if found.interval is None else found.interval.low
    gains = []
    for other, rule in found.rules.items():
        seat = 1 - other
        tree = walk(subject.game, {seat: subject, other: rule.answer})
        due = tree.combine(other, GAIN)
        unknown = np.array([i.seat == seat and not subject.knows(i.decision) for i in tree.infosets], dtype=bool)
        gains.append(-completed(tree, tree.fixed, seat, -due, unknown).value)
    return float(np.mean(gains)) / subject.game.rounds
