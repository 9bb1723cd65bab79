"""How exploitable a person was, as far as a game that was played tells.

The person is a policy that is known where it was seen, by its shares of actions there, and unknown elsewhere: the
audit's bounds for such policies hold whatever the person might do there. Where their tree is too large, what is certain
in a repeated game is told: how far ahead somebody could have been who led the person along the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sepo.audit.board import Subject
from sepo.audit.exact import Expectations, extremes
from sepo.audit.figures import ANYONE
from sepo.errors import InputError
from sepo.games.base import Game
from sepo.games.repeated import RepeatedGame, Stage
from sepo.play.session import Hand, Session
from sepo.policies.table import PolicyTable

EXPOSED = 140_000
"""Largest tree of a person against anyone that is held; the whole ipd fits."""
TOO_LARGE = "All that you might do elsewhere makes too large a tree to bound what anyone could gain."
TINY = 1e-9


class Bounds(NamedTuple):
    """Between what and what a figure lies."""

    low: float
    high: float


@dataclass(frozen=True)
class Exposure:
    """How exploitable the person was.

    Attributes
    ----------
    seen
        Information states at which the person was seen to act.
    figures
        ``worst``: how far the best of all opponents would be ahead per round, and in zero-sum games
        ``exploitability``; over all that the person might do where nothing was seen. Empty if that takes too much.
    ahead
        Where those are empty: by hand, how far somebody who made the policy's moves up to some round and then the best
        against the person's own would have been ahead by its end, and the number of that round, from 1. In repeated
        games, where the person would have seen the same until then.
    why
        Why there are no figures.
    """

    seen: int
    figures: Mapping[str, Bounds]
    ahead: tuple[tuple[float, int], ...]
    why: str


def exposure(session: Session) -> Exposure:
    """Return how exploitable the person was, as far as what was seen says."""
    game = session.game
    chosen: dict[str, Counter[str]] = {}
    made = [move for hand in session.hands for _, move in hand.moves if not move.learner]
    for move in made:
        chosen.setdefault(move.decision.key, Counter())[move.action] += 1
    least = min((len(move.decision.legal) for move in made), default=0)
    figures, why = _bounds(game, chosen, least) if chosen else ({}, "No move was made.")
    on_path = () if figures else tuple(_taken(game, hand) for hand in session.hands if isinstance(game, RepeatedGame))
    return Exposure(len(chosen), figures, tuple(x for x in on_path if x is not None), why)


def _bounds(game: Game, chosen: Mapping[str, Counter[str]], actions: int) -> tuple[dict[str, Bounds], str]:
    if game.sampled_chance:
        return {}, "There is a new instance each time, and you were seen in one."
    if isinstance(game, RepeatedGame) and actions ** (2 * game.rounds) > EXPOSED:  # said at once, not after a walk
        return {}, TOO_LARGE
    rows = {key: {a: n / seen.total() for a, n in seen.items()} for key, seen in chosen.items()}
    subject = Subject(game, PolicyTable("you", game.name, game.rules, rows), unknown=True)
    values = Expectations()
    values.add(ANYONE, "nothing", np.zeros(1))
    try:
        extremes(subject, values, max_nodes=EXPOSED)
    except InputError as error:
        return {}, str(error)
    found = {}
    for name in ("worst", "exploitability"):
        if (ANYONE, name) in values.fixed:
            known = values.fixed[ANYONE, name]
            least = 0.0 if name == "exploitability" else -np.inf  # nobody is exploited by less than nothing
            found[name] = Bounds(max(least, float(known.low[0])), float(known.high[0]))
        elif values.has(ANYONE, name):
            exact = float(values.values[values.columns[ANYONE, name]][0])
            found[name] = Bounds(exact, exact)
    return (
        found,
        "" if found else "All that you might do elsewhere makes too large a tree to bound what anyone could gain.",
    )


def _taken(game: RepeatedGame, hand: Hand) -> tuple[float, int] | None:
    """Return the most by which the policy's seat could have been ahead after some round, and that round from 1."""
    person, lead = 1 - hand.seat, 0.0
    best: tuple[float, int] | None = None
    begun: Stage | None = None
    for state in hand.states:
        assert isinstance(state, Stage)
        if begun is not None and state.number > begun.number:
            pair = state.rounds[-1] if person == 0 else state.mirrored[-1]
            options = []
            for other in game.actions(begun.public):
                first, second = (pair.own, other) if person == 0 else (other, pair.own)
                paid = game.settled(begun.public, begun.private, first, second).rewards
                options.append(lead + paid[hand.seat] - paid[person])
            if best is None or max(options) > best[0] + TINY:
                best = max(options), state.number
            lead += state.rewards()[hand.seat] - state.rewards()[person]
            begun = None
        if state.dealt and not state.pending:
            begun = state
    return best
