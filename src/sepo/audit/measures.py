"""J as a sum of terms, and the measures read off them.

``J = s*u - le*s*e - lc*c - lx*x``. Each of u, e, c and x is a mean over opponents and seats of an expected
value of the learner's own actions *in the episodes against that opponent*. A ``Term`` is one summand: who
is met, in which seat, what is collected there, and with which coefficient it enters J. The audit sums the
terms' values; training follows their gradients. Both use this file, so they cannot disagree.

Shapes: strategies are (entries,) over a tree, see ``solve.tree``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from sepo.errors import InputError
from sepo.games.base import MeasureSet, PoolName, Ratio, Weights
from sepo.policies.base import strategy
from sepo.policies.script import ScriptPolicy
from sepo.solve.gradient import action_gradient
from sepo.solve.response import best_response
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected

Kind = Literal["u", "e", "c", "x"]
KINDS: tuple[Kind, ...] = ("u", "e", "c", "x")
BEST_RESPONSE = "best_response"


class Adversary(NamedTuple):
    """An opponent as a vector over the tree's entries, both seats."""

    name: str
    strategy: Floats


@dataclass(frozen=True, eq=False)
class Term:
    """One summand of J.

    Attributes
    ----------
    kind, opponent, seat
        Which measure, against whom, and the learner's seat.
    other : (entries,)
        The opponent's strategy.
    coefficient
        The factor of the measure in J: ``s``, ``-le*s``, ``-lc`` or ``-lx``.
    share
        The weight of this opponent and seat within the measure.
    value
        The summand of the measure, before ``share``; 0 where a clip is at work.
    due
        What an episode collects, by feature; its expectation's gradient is that of ``value``.
    active
        False where the clip of an expected advantage is at work: no gradient.
    """

    kind: Kind
    opponent: str
    seat: int
    other: Floats
    coefficient: float
    share: float
    value: float
    due: Mapping[str, float]
    active: bool = True

    @property
    def weight(self) -> float:
        """The factor of the episode's collected sum in J."""
        return self.coefficient * self.share if self.active else 0.0


@lru_cache(maxsize=16)
def scripted(tree: Tree) -> Mapping[str, Floats]:
    """Return every scripted opponent of the tree's game as a vector over its entries."""
    return {name: strategy(ScriptPolicy(f"script:{name}", name), tree) for name in tree.game.opponents}


def pool(tree: Tree, measures: MeasureSet, name: PoolName) -> list[Adversary]:
    """Return the opponents of a pool."""
    return [Adversary(o, scripted(tree)[o]) for o in measures.pools[name]]


def respond(tree: Tree, learner: Floats, objective: Mapping[str, float]) -> Adversary:
    """Return the opponent that best responds to ``learner`` in both seats.

    ``objective`` is what the responder collects, by feature, from its own seat: ``{"own": 1}`` its payoff,
    ``{"own": 1, "other": -1}`` the payoff difference, ``{"other": -1}`` the harm done.
    """
    answers = [best_response(tree, learner, s, tree.combine(s, dict(objective))).strategy for s in (0, 1)]
    return Adversary(BEST_RESPONSE, np.where(tree.seat == 0, answers[0], answers[1]))


def seat_value(tree: Tree, seat: int) -> float:
    """Return the game's maximin value for a seat, per round: in closed form where known, else by linear programme."""
    if tree.game.maximin is not None:
        return tree.game.maximin[seat]
    from sepo.solve.maximin import maximin  # scipy takes half a second to import

    return maximin(tree, seat).value / tree.game.rounds


def terms(
    tree: Tree,
    measures: MeasureSet,
    learner: Floats,
    weights: Weights | None = None,
    exploiters: Sequence[Adversary] | None = None,
) -> list[Term]:
    """Write J out as its terms at the policy ``learner``.

    Parameters
    ----------
    weights
        The lambdas; those of ``measures`` unless given.
    exploiters
        The adversaries of e; unless given, those the measure set defines: the best response for
        ``exploitability``, the exploiter pool otherwise.
    """
    lambdas = weights or measures.weights
    s = tree.game.scale
    out: list[Term] = []
    train = pool(tree, measures, "train")
    for adversary in train:
        out += _linear(tree, learner, adversary, "u", s, 1 / len(train), {"own": 1.0})
    out += _exploitation(tree, measures, learner, -lambdas.e * s, exploiters)
    if measures.c is not None:
        out += _ratio(tree, measures, learner, "c", -lambdas.c, measures.c)
    if measures.x is not None:
        out += _ratio(tree, measures, learner, "x", -lambdas.x, measures.x)
    return out


def per_round(tree: Tree, learner: Floats, adversary: Adversary, seat: int, due: Mapping[str, float]) -> float:
    """Return the expected sum of ``due`` per round, the learner in ``seat``."""
    profile = tree.join(seat, learner, adversary.strategy)
    return expected(tree, profile, tree.combine(seat, dict(due))) / tree.game.rounds


def _linear(
    tree: Tree,
    learner: Floats,
    adversary: Adversary,
    kind: Kind,
    coefficient: float,
    share: float,
    due: Mapping[str, float],
) -> list[Term]:
    """One term a seat: the expected sum of ``due`` per round."""
    seats = tree.game.seats
    rounds = tree.game.rounds
    scaled = {name: w / rounds for name, w in due.items()}
    return [
        Term(
            kind,
            adversary.name,
            seat,
            adversary.strategy,
            coefficient,
            share / len(seats),
            per_round(tree, learner, adversary, seat, due),
            scaled,
        )
        for seat in seats
    ]


def _exploitation(
    tree: Tree,
    measures: MeasureSet,
    learner: Floats,
    coefficient: float,
    exploiters: Sequence[Adversary] | None,
) -> list[Term]:
    if measures.e == "exploitability":
        if not tree.game.zero_sum:
            raise InputError(f"exploitability is defined for zero-sum games, and '{tree.game.name}' is none")
        adversaries = [respond(tree, learner, {"own": 1.0})] if exploiters is None else list(exploiters)
        due = {"other": 1.0}
    else:
        adversaries = pool(tree, measures, "exploiter") if exploiters is None else list(exploiters)
        due = {"own": -1.0} if measures.e == "regret" else {"other": 1.0, "own": -1.0}
    out: list[Term] = []
    for adversary in adversaries:
        found = _linear(tree, learner, adversary, "e", coefficient, 1 / len(adversaries), due)
        values = [t.value + _offset(tree, measures, adversary, t.seat) for t in found]
        active = float(np.mean(values)) > 0  # the clip is on the expectation over both seats, never per episode
        out += [
            Term(
                t.kind,
                t.opponent,
                t.seat,
                t.other,
                t.coefficient,
                t.share,
                v if active else 0.0,
                t.due,
                active,
            )
            for t, v in zip(found, values, strict=True)
        ]
    return out


def _offset(tree: Tree, measures: MeasureSet, adversary: Adversary, seat: int) -> float:
    """Return what e adds, per round, to the expected sum of ``due``: it does not depend on the learner."""
    if measures.e == "exploitability":
        return -seat_value(tree, 1 - seat)
    if measures.e == "regret":
        return best_response(tree, adversary.strategy, seat, tree.feature("own", seat)).value / tree.game.rounds
    return 0.0


def _ratio(
    tree: Tree, measures: MeasureSet, learner: Floats, kind: Kind, coefficient: float, ratio: Ratio
) -> list[Term]:
    """Quotients of expectations, seats pooled: d(N/D) = (dN - (N/D) dD) / D."""
    adversaries = [a for name in ratio.pools for a in pool(tree, measures, name)]
    seats = tree.game.seats
    out: list[Term] = []
    for adversary in adversaries:
        above = [per_round(tree, learner, adversary, s, {ratio.numerator: 1.0}) for s in seats]
        below = [per_round(tree, learner, adversary, s, {ratio.denominator: 1.0}) for s in seats]
        n, d = sum(above), sum(below)
        value = n / d if d > 0 else 0.0
        due = {ratio.numerator: 1 / d, ratio.denominator: -value / d} if d > 0 else {}
        scaled = {name: w * len(seats) / tree.game.rounds for name, w in due.items()}
        share = 1 / (len(adversaries) * len(seats))
        out += [Term(kind, adversary.name, s, adversary.strategy, coefficient, share, value, scaled) for s in seats]
    return out


def measure(found: Sequence[Term], kind: Kind) -> float:
    """Return u, e, c or x from the terms of J."""
    return float(sum(t.share * t.value for t in found if t.kind == kind))


def objective(found: Sequence[Term]) -> float:
    """Return J."""
    return float(sum(t.coefficient * t.share * t.value for t in found))


def values(tree: Tree, measures: MeasureSet, learner: Floats) -> dict[str, float | None]:
    """Return u, e, c, x and J of a policy under a measure set; c and x are None where they do not apply."""
    found = terms(tree, measures, learner)
    applies = {"u": True, "e": True, "c": measures.c is not None, "x": measures.x is not None}
    return {**{k: measure(found, k) if applies[k] else None for k in KINDS}, "J": objective(found)}


def gradient(tree: Tree, learner: Floats, found: Sequence[Term], *, immediate: bool = False) -> Floats:
    """Return the exact derivative of J with respect to each of the learner's action probabilities. (entries,).

    By the envelope theorem the best-responding exploiter may be held fixed. With ``immediate``, credit
    stops at the end of a decision's round, and the result is not the gradient of J.
    """
    out = np.zeros(len(tree.seat))
    for term in found:
        if term.weight:
            profile = tree.join(term.seat, learner, term.other)
            due = tree.combine(term.seat, dict(term.due))
            part = action_gradient(tree, profile, due, immediate=immediate)
            out += term.weight * np.where(tree.seat == term.seat, part, 0.0)
    return out


def worst_case(tree: Tree, learner: Floats, objective_of_adversary: Mapping[str, float]) -> float:
    """Return the most an opponent can collect per round, over all opponent policies, averaged over the seats."""
    found = [
        best_response(tree, learner, 1 - s, tree.combine(1 - s, dict(objective_of_adversary))).value
        for s in tree.game.seats
    ]
    return float(np.mean(found)) / tree.game.rounds


def root_values(tree: Tree, learner: Floats, adversary: Adversary, name: str) -> float:
    """Return a payoff (``own`` or ``other``) per round against an adversary, averaged over the learner's seats."""
    return float(np.mean([per_round(tree, learner, adversary, s, {name: 1.0}) for s in tree.game.seats]))
