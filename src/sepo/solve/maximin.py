"""The maximin value of a seat and a strategy that attains it, by the sequence-form linear programme.

D. Koller, N. Megiddo and B. von Stengel, "Fast algorithms for finding randomized strategies in game
trees", STOC 1994. The programme maximises the value of the opponent's root information "state" subject
to the opponent's best-response inequalities, one per opponent entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, hstack

from sepo.errors import InputError
from sepo.solve.tree import Floats, Tree


class Maximin(NamedTuple):
    """The value in payoff per episode, and the maximin ``strategy`` (entries,), uniform where never reached."""

    value: float
    strategy: Floats


def sequence_constraints(tree: Tree, seat: int) -> coo_array:
    """Return the rows ``sum of an information state's entries - entry before it = 0``, first row: the root is 1.

    Columns: 0 is the empty sequence, e + 1 is entry e (columns of the other seat stay empty).
    """
    rows, columns, values = [0], [0], [1.0]
    row = 0
    for which, info in enumerate(tree.infosets):
        if info.seat != seat:
            continue
        row += 1
        for e in range(info.entries.start, info.entries.stop):
            rows.append(row)
            columns.append(e + 1)
            values.append(1.0)
        rows.append(row)
        columns.append(int(tree.previous[which]) + 1)
        values.append(-1.0)
    return coo_array((values, (rows, columns)), shape=(row + 1, len(tree.seat) + 1))


def payoff_matrix(tree: Tree, seat: int, due: Floats) -> coo_array:
    """Return the expected sum of ``due`` as a bilinear form: rows are ``seat``'s sequences, columns the other's."""
    chance = np.ones(tree.nodes)
    for level in tree.levels[1:]:
        chance[level] = chance[tree.parent[level]] * tree.chance[level]
    here = np.flatnonzero(due)
    size = len(tree.seat) + 1
    data = (chance[here] * due[here], (tree.last[seat, here] + 1, tree.last[1 - seat, here] + 1))
    return coo_array(data, shape=(size, size))


def unit(coefficients: Iterable[Floats]) -> float:
    """Return the largest power of two that none of the largest coefficients is below; 1 where all are 0.

    A solver takes what is small for nothing: it drops coefficients below 1e-9 and lets a row be off by 1e-7. In this
    unit the largest is between 1 and 2, however small or large the payoffs of a game are, and none loses a digit.
    """
    largest = max((float(np.abs(c).max(initial=0.0)) for c in coefficients), default=0.0)
    return math.ldexp(0.5, math.frexp(largest)[1]) if largest else 1.0


def realised(tree: Tree, seat: int, plan: Floats) -> Floats:
    """Turn realisation weights (entries + 1,) into action probabilities (entries,); uniform where unreached."""
    strategy = np.zeros(len(tree.seat))
    for info in tree.infosets:
        if info.seat == seat:
            weights = np.maximum(plan[1:][info.entries], 0.0)
            total = weights.sum()
            strategy[info.entries] = weights / total if total > 1e-12 else 1 / len(weights)
    return strategy


def maximin(tree: Tree, seat: int) -> Maximin:
    """Return the most that ``seat`` can secure in expectation, over all its strategies, and how.

    Raises
    ------
    InputError
        If the solver finds no optimum (it names its own reason).
    """
    own, other = sequence_constraints(tree, seat), sequence_constraints(tree, 1 - seat)
    payoff = payoff_matrix(tree, seat, tree.feature("own", seat))
    one = unit([payoff.data])
    size, duals = len(tree.seat) + 1, other.shape[0]
    # max v[0]  subject to  other^T v <= payoff^T x,  own x = (1, 0, ...),  x >= 0, payoffs and v in units
    cost = np.concatenate([np.zeros(size), [-1.0], np.zeros(duals - 1)])
    below = hstack([-payoff.T / one, other.T]).tocsr()
    equal = hstack([own, coo_array((own.shape[0], duals))]).tocsr()
    right = np.zeros(own.shape[0])
    right[0] = 1.0
    bounds = [(0, None)] * size + [(None, None)] * duals
    done = linprog(cost, A_ub=below, b_ub=np.zeros(size), A_eq=equal, b_eq=right, bounds=bounds, method="highs")
    if done.status != 0:
        raise InputError(f"game '{tree.game.name}': the maximin programme has no optimum: {done.message}")
    return Maximin(float(-done.fun) * one, realised(tree, seat, done.x[:size]))
