"""J as a sum of terms, and the measures read off them.

``J = s*u - le*s*e - lc*c - lx*x``. Each of u, e, c and x is a mean over opponents and seats of an expected
value of the learner's own actions *in the episodes against that opponent*. A ``Term`` is one summand: who
is met, in which seat, what is collected there, and with which coefficient it enters J. The audit sums the
terms' values; training follows their gradients. Both use this file, so they cannot disagree.

Shapes: strategies are (entries,) over a tree, see ``solve.tree``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np

from sepo.audit.arena import Adversary, Ground, Meeting, best_value, met, pool, respond, scripted
from sepo.errors import InputError
from sepo.games.base import MeasureSet, Ratio, Weights
from sepo.solve.gradient import passage_gradient
from sepo.solve.response import best_response
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import Passage

__all__ = ["Adversary", "Term", "pool", "respond", "scripted"]
Kind = Literal["u", "e", "c", "x"]
KINDS: tuple[Kind, ...] = ("u", "e", "c", "x")
BEHIND = {"own": -1.0, "other": 1.0}
"""Weights of the learner's own payoff and the opponent's: what it is behind by."""


@dataclass(frozen=True, eq=False)
class Term:
    """One summand of J.

    Attributes
    ----------
    kind
        Which measure.
    meeting
        Against whom, in which seat, on which tree.
    coefficient
        The factor of the measure in J: ``s``, ``-le*s``, ``-lc`` or ``-lx``.
    share
        The weight of this opponent and seat within the measure.
    value
        The summand of the measure, before ``share``; 0 where a clip is at work.
    due
        What an episode collects, by feature; its expectation's gradient is that of ``value``.
    active
        False where the clip of an expected advantage is at work, further below zero than a margin: no gradient.
    unclipped
        Of e, what ``value`` would be without the clip.
    """

    kind: Kind
    meeting: Meeting
    coefficient: float
    share: float
    value: float
    due: Mapping[str, float]
    active: bool = True
    unclipped: float = 0.0

    @property
    def opponent(self) -> str:
        """The opponent's name."""
        return self.meeting.opponent

    @property
    def seat(self) -> int:
        """The learner's seat."""
        return self.meeting.seat

    @property
    def weight(self) -> float:
        """The factor of the episode's collected sum in J."""
        return self.coefficient * self.share if self.active else 0.0


class Collects(Protocol):
    """What is known of a learner: what it is expected to collect in its meetings."""

    def collects(self, meeting: Meeting, due: Mapping[str, float]) -> float:
        """Return the expected sum of ``due`` per round in a meeting."""


@lru_cache(maxsize=32)
def seat_value(tree: Tree, seat: int) -> float:
    """Return the game's maximin value for a seat, per round: in closed form where known, else by linear programme."""
    if tree.game.maximin is not None:
        return tree.game.maximin[seat]
    from sepo.solve.maximin import maximin  # scipy takes half a second to import

    return maximin(tree, seat).value / tree.game.rounds


def terms(
    ground: Ground,
    measures: MeasureSet,
    learner: Floats | Collects,
    weights: Weights | None = None,
    exploiters: Sequence[Adversary | str] | None = None,
    margin: float = 0.0,
) -> list[Term]:
    """Write J out as its terms at the policy ``learner``.

    Parameters
    ----------
    ground
        The whole game's tree, or an arena with a tree per opponent; see ``audit.arena``.
    learner : (entries,)
        Its strategy; or what it is seen to collect, in episodes say, whose expectations are then estimates.
    weights
        The lambdas; those of ``measures`` unless given.
    exploiters
        The adversaries of e; unless given, those the measure set defines: the best response for
        ``exploitability``, the exploiter pool otherwise. Scripts have the weight 1 among them.
    margin
        Points per round that an exploiter may be behind and still be felt: the term has its gradient there. What it is
        worth is e all the same, without a margin.
    """
    lambdas = weights or measures.weights
    s = ground.game.scale
    out: list[Term] = []
    play = Play(learner) if isinstance(learner, np.ndarray) else learner
    train = measures.pools["train"]
    for opponent in train:
        out += _linear(met(ground, opponent), play, "u", s, 1 / len(train), {"own": 1.0})
    out += _exploitation(ground, measures, play, -lambdas.e * s, exploiters, margin)
    if measures.c is not None:
        out += _ratio(ground, measures, play, "c", -lambdas.c, measures.c)
    if measures.x is not None:
        out += _ratio(ground, measures, play, "x", -lambdas.x, measures.x)
    return out


class Play:
    """A learner's meetings, each swept once however much is asked of it.

    Parameters
    ----------
    learner : (entries,)
        Its strategy.
    """

    def __init__(self, learner: Floats) -> None:
        self.learner = learner
        self._passages: dict[Meeting, Passage] = {}
        self._sums: dict[tuple[Meeting, str], float] = {}

    def passage(self, meeting: Meeting) -> Passage:
        """Return the way of both through the meeting's tree."""
        if meeting not in self._passages:
            self._passages[meeting] = Passage(meeting.tree, meeting.profile(self.learner))
        return self._passages[meeting]

    def collects(self, meeting: Meeting, due: Mapping[str, float]) -> float:
        """Return the expected sum of ``due`` per round in a meeting."""
        whole = sum(weight * self._sum(meeting, name) for name, weight in due.items())
        return whole / meeting.tree.game.rounds

    def _sum(self, meeting: Meeting, name: str) -> float:
        """Return the expected sum of a feature over an episode."""
        found = self._sums.get((meeting, name))
        if found is None:
            found = float(self.passage(meeting).moves @ meeting.tree.feature(name, meeting.seat))
            self._sums[meeting, name] = found
        return found


def playing(learner: Floats | Play) -> Play:
    """Return a learner's meetings: those given, or those of a strategy, (entries,), of which nothing is known yet."""
    return learner if isinstance(learner, Play) else Play(learner)


def per_round(ground: Ground, learner: Floats, by: str | Adversary, seat: int, due: Mapping[str, float]) -> float:
    """Return the expected sum of ``due`` per round, the learner in ``seat``."""
    return Play(learner).collects(next(m for m in met(ground, by) if m.seat == seat), due)


def charged(ground: Ground, learner: Floats, adversary: Adversary, price: float) -> list[Term]:
    """Return what an adversary is ahead by, points per round, at a price: terms to stand beside those of J, unclipped.

    One a seat; ``learner`` is (entries,).
    """
    return _linear(met(ground, adversary), Play(learner), "e", -price, 1.0, BEHIND)


def _linear(
    meetings: Sequence[Meeting],
    play: Collects,
    kind: Kind,
    coefficient: float,
    share: float,
    due: Mapping[str, float],
) -> list[Term]:
    """One term a seat: the expected sum of ``due`` per round."""
    rounds = meetings[0].tree.game.rounds
    scaled = {name: w / rounds for name, w in due.items()}
    return [Term(kind, m, coefficient, share / len(meetings), play.collects(m, due), scaled) for m in meetings]


def _exploitation(
    ground: Ground,
    measures: MeasureSet,
    play: Collects,
    coefficient: float,
    exploiters: Sequence[Adversary | str] | None,
    margin: float,
) -> list[Term]:
    adversaries: Sequence[Adversary | str]
    if measures.e == "exploitability":
        if not ground.game.zero_sum:
            raise InputError(f"exploitability is defined for zero-sum games, and '{ground.game.name}' is none")
        if exploiters is None:
            if not isinstance(play, Play):
                raise InputError("the best response to a policy known from episodes is not known: name its exploiters")
            exploiters = [respond(ground, play.learner, {"own": 1.0})]
        adversaries = exploiters
        due = {"other": 1.0}
    else:
        adversaries = measures.pools["exploiter"] if exploiters is None else exploiters
        due = {"own": -1.0} if measures.e == "regret" else BEHIND
    out: list[Term] = []
    total = sum(_weight(a) for a in adversaries)
    for adversary in adversaries:
        found = _linear(met(ground, adversary), play, "e", coefficient, _weight(adversary) / total, due)
        values = [t.value + _offset(measures, t.meeting) for t in found]
        mean = float(np.mean(values))  # the clip is on the expectation over both seats, never per episode
        out += [
            replace(t, value=v if mean > 0 else 0.0, active=mean + margin > 0, unclipped=v)
            for t, v in zip(found, values, strict=True)
        ]
    return out


def _weight(adversary: Adversary | str) -> float:
    return 1.0 if isinstance(adversary, str) else adversary.weight


def _offset(measures: MeasureSet, meeting: Meeting) -> float:
    """Return what e adds, per round, to the expected sum of ``due``: it does not depend on the learner."""
    if measures.e == "exploitability":
        return -seat_value(meeting.tree, 1 - meeting.seat)
    if measures.e == "regret":
        return best_value(meeting) / meeting.tree.game.rounds
    return 0.0


def _ratio(
    ground: Ground, measures: MeasureSet, play: Collects, kind: Kind, coefficient: float, ratio: Ratio
) -> list[Term]:
    """Quotients of expectations, seats pooled: d(N/D) = (dN - (N/D) dD) / D."""
    opponents = [o for name in ratio.pools for o in measures.pools[name]]
    seats, rounds = ground.game.seats, ground.game.rounds
    out: list[Term] = []
    for opponent in opponents:
        meetings = met(ground, opponent)
        n = sum(play.collects(m, {ratio.numerator: 1.0}) for m in meetings)
        d = sum(play.collects(m, {ratio.denominator: 1.0}) for m in meetings)
        value = n / d if d > 0 else 0.0
        due = {ratio.numerator: 1 / d, ratio.denominator: -value / d} if d > 0 else {}
        scaled = {name: w * len(seats) / rounds for name, w in due.items()}
        share = 1 / (len(opponents) * len(seats))
        out += [Term(kind, m, coefficient, share, value, scaled) for m in meetings]
    return out


def measure(found: Sequence[Term], kind: Kind) -> float:
    """Return u, e, c or x from the terms of J."""
    return float(sum(t.share * t.value for t in found if t.kind == kind))


def parts(found: Sequence[Term], measures: MeasureSet) -> dict[str, float | None]:
    """Return u, e, c and x from the terms of J; c and x are None where they do not apply."""
    applies = {"u": True, "e": True, "c": measures.c is not None, "x": measures.x is not None}
    return {k: measure(found, k) if applies[k] else None for k in KINDS}


def objective(found: Sequence[Term]) -> float:
    """Return J."""
    return float(sum(t.coefficient * t.share * t.value for t in found))


def values(ground: Ground, measures: MeasureSet, learner: Floats) -> dict[str, float | None]:
    """Return u, e, c, x and J of a policy under a measure set; c and x are None where they do not apply."""
    found = terms(ground, measures, learner)
    return {**parts(found, measures), "J": objective(found)}


def gradient(learner: Floats | Play, found: Sequence[Term], *, immediate: bool = False) -> Floats:
    """Return the exact derivative of J with respect to each of the learner's action probabilities. (entries,).

    By the envelope theorem the best-responding exploiter may be held fixed. With ``immediate``, credit
    stops at the end of a decision's round, and the result is not the gradient of J.
    """
    play = playing(learner)
    out = np.zeros(len(play.learner))
    for term in found:
        if term.weight:
            meeting = term.meeting
            due = meeting.tree.combine(term.seat, term.due)
            part = passage_gradient(play.passage(meeting), due, immediate=immediate)
            out += term.weight * meeting.gathered(part, len(out))
    return out


def worst_case(tree: Tree, learner: Floats, objective_of_adversary: Mapping[str, float]) -> float:
    """Return the most an opponent can collect per round, over all opponent policies, averaged over the seats."""
    found = [
        best_response(tree, learner, 1 - s, tree.combine(1 - s, objective_of_adversary)).value for s in tree.game.seats
    ]
    return float(np.mean(found)) / tree.game.rounds


def root_values(ground: Ground, learner: Floats, by: str | Adversary, name: str) -> float:
    """Return a payoff (``own`` or ``other``) per round against an adversary, averaged over the learner's seats."""
    return float(np.mean([Play(learner).collects(m, {name: 1.0}) for m in met(ground, by)]))
