"""The policy that maximises J over all behavioural strategies: what no script and no trained model can exceed.

J is linear in the learner's realisation plan but for the clip of e, which makes it a minimum of linear functions, so
its maximum is a linear programme. In a small zero-sum game it is written out in sequence form (D. Koller, N. Megiddo
and B. von Stengel, "Efficient computation of equilibria for extensive two-person games", Games and Economic Behavior
14, 1996). In a larger one it has a variable for every information state and action, and is solved by columns
(G. B. Dantzig and P. Wolfe, "Decomposition principle for linear programs", Operations Research 8, 1960): a programme
over mixtures of the pure policies found so far prices the clips, and ``audit.linear`` finds the pure policy that is
best at those prices. Its value bounds J from above: the gap to the mixture is what may be left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_diag, coo_array, hstack

from sepo.audit.arena import Ground, layout, met, passable, passed, whole_of
from sepo.audit.linear import best_policy
from sepo.audit.measures import Term, objective, seat_value, terms
from sepo.errors import InputError
from sepo.games.base import MeasureSet, Weights
from sepo.policies.table import PolicyTable, row, tabulate
from sepo.solve.maximin import payoff_matrix, realised, sequence_constraints, unit
from sepo.solve.response import realisation
from sepo.solve.tree import Floats, Layout, Tree

GAP = 1e-9
LINEAR = 1e-9
MOST_COLUMNS = 400
EPSILON = 1e-12


class Ceiling(NamedTuple):
    """The best policy there is.

    Attributes
    ----------
    strategy : (entries,)
        Over the ground's layout.
    j
        Its J; where there is a margin, with that.
    bound
        No policy has a larger one than this.
    """

    strategy: Floats
    j: float
    bound: float


def ceiling(ground: Ground, measures: MeasureSet, weights: Weights | None = None, *, margin: float = 0.0) -> Ceiling:
    """Return the policy that maximises J.

    Parameters
    ----------
    margin
        Points per round by which an exploiter must be behind before it counts no more, as in ``measures.terms``: until
        then its lead costs what it does above 0. Where e is exploitability, which is never below 0, it is left out.

    Raises
    ------
    InputError
        If J is no minimum of linear functions here: a measure divides by what the policy itself decides.
    """
    if measures.e == "exploitability":
        return _in_sequence_form(_sequenced(ground, measures), measures, weights)
    return _by_columns(ground, measures, weights, margin)


def hold_to_ceiling(ground: Ground, measures: MeasureSet, weights: Weights | None = None) -> None:
    """Refuse measures that have no ceiling as ``ceiling`` does, by one policy of its programme.

    Raises
    ------
    InputError
        As ``ceiling`` does.
    """
    if measures.e == "exploitability":
        _sequenced(ground, measures)
        return
    space = layout(ground)
    found = terms(ground, measures, space.uniform, weights)
    pure = best_policy(priced(found, _prices(found)), space)
    hold_to_linear(ground, measures, found, terms(ground, measures, pure, weights))


def _sequenced(ground: Ground, measures: MeasureSet) -> Tree:
    """Return the tree on which a ceiling with exploitability is found."""
    if measures.c is not None or measures.x is not None:
        raise InputError(f"game '{ground.game.name}': a ceiling with exploitability takes no c and no x beside it")
    return whole_of(ground)


class _Column(NamedTuple):
    """A pure policy: what its terms without a clip add up to, and what each exploiter gains. (exploiters,)."""

    strategy: Floats
    linear: float
    gains: Floats


def _by_columns(ground: Ground, measures: MeasureSet, weights: Weights | None, margin: float) -> Ceiling:
    space = layout(ground)
    found = terms(ground, measures, space.uniform, weights)
    prices = _prices(found)
    columns: list[_Column] = []
    at, bound = prices, np.inf
    for _ in range(MOST_COLUMNS):
        pure = best_policy(priced(found, at), space)
        at_it = terms(ground, measures, pure, weights)
        hold_to_linear(ground, measures, found, at_it)
        linear = sum(t.coefficient * t.share * t.value for t in at_it if t.kind != "e")
        gains = _gains(at_it) + margin
        columns.append(_Column(pure, linear, gains))
        bound = min(bound, linear + float(at @ gains))
        mixture, value, at = _master(columns, prices)
        if bound - value < GAP:
            break
    strategy = _mixed(ground, found, space, columns, mixture)
    j = objective_within(terms(ground, measures, strategy, weights), margin)
    return Ceiling(strategy, j, max(bound, j))


def objective_within(found: Sequence[Term], margin: float) -> float:
    """Return J, its exploiters counting from a margin behind."""
    gains = _gains(found)
    return objective(found) + float(_prices(found) @ (np.maximum(gains + margin, 0.0) - np.maximum(gains, 0.0)))


def _gains(found: Sequence[Term]) -> Floats:
    """Return what each exploiter gains, below zero too. (exploiters,)."""
    return np.array([np.mean([t.unclipped for t in ts]) for ts in exploiters_of(found)])


def written(ground: Ground, strategy: Floats, name: str, **fields: Any) -> PolicyTable:
    """Write a policy over a ground out as a table, uniform elsewhere.

    Where information states are beliefs, the table has every history that the policy may come to against the ground's
    opponents; those that it leads to by no action of its own are left out.
    """
    game, space = ground.game, layout(ground)
    if isinstance(ground, Tree) or ground.beliefs is None:
        return tabulate(game, space, strategy, name, default="uniform", **fields)
    states = ground.beliefs.states
    rows: dict[str, dict[str, float]] = {}
    level = [(at, states[at].decision) for at in ground.beliefs.first.values()]
    while level:
        after = []
        for at, decision in level:
            place = ground.space.index[states[at].decision.key]
            p = strategy[ground.space.infosets[place].entries]
            rows[decision.key] = row(decision, p)
            taken = {action for action, q in zip(decision.legal, p.tolist(), strict=True) if q > 0}
            after += [
                (new, ground.beliefs.following(decision, action, seen))
                for (action, seen), new in states[at].after.items()
                if action in taken
            ]
        level = after
    return PolicyTable(name, game.name, game.rules, rows, "uniform", **fields)


def hold_to_linear(ground: Ground, measures: MeasureSet, found: Sequence[Term], other: Sequence[Term]) -> None:
    """Refuse measures that divide by something else at another policy."""
    for ratio, kind in ((measures.c, "c"), (measures.x, "x")):
        for a, b in zip(found, other, strict=True):
            if ratio is None or a.kind != kind:
                continue
            if abs(a.due.get(ratio.numerator, 0.0) - b.due.get(ratio.numerator, 0.0)) > LINEAR:
                raise InputError(
                    f"'{measures.name}' {kind} of game '{ground.game.name}' divides by what a policy itself decides, "
                    "so J is no linear programme and has no ceiling that can be proved"
                )


def exploiters_of(found: Sequence[Term]) -> list[list[Term]]:
    """Return the terms of e, those of one exploiter together."""
    out: dict[str, list[Term]] = {}
    for term in found:
        if term.kind == "e":
            out.setdefault(term.opponent, []).append(term)
    return list(out.values())


def _prices(found: Sequence[Term]) -> Floats:
    """Return what a point of each exploiter's gain costs where it counts. (exploiters,)."""
    return np.array([ts[0].coefficient * sum(t.share for t in ts) for ts in exploiters_of(found)])


def priced(found: Sequence[Term], prices: Floats) -> list[Term]:
    """Return the terms of J without clips, those of each exploiter at its price."""
    kept = [t for t in found if t.kind != "e"]
    for price, own in zip(prices.tolist(), exploiters_of(found), strict=True):
        kept += [replace(t, coefficient=price, share=1 / len(own), active=True) for t in own]
    return kept


def _master(columns: Sequence[_Column], prices: Floats) -> tuple[Floats, float, Floats]:
    """Return the best mixture of some pure policies, its J, and what each exploiter's gain costs at the margin.

    max sum_k l_k linear_k + sum_i price_i t_i  subject to  t_i >= sum_k l_k gain_ki, t >= 0, sum_k l_k = 1, l >= 0.
    Gains and t are in units of the largest gain.
    """
    count, clips = len(columns), len(prices)
    gains = np.array([c.gains for c in columns]).reshape(count, clips)
    one = unit([gains])
    done = linprog(
        -np.concatenate([[c.linear for c in columns], prices * one]),
        A_ub=np.hstack([gains.T / one, -np.eye(clips)]),
        b_ub=np.zeros(clips),
        A_eq=np.concatenate([np.ones(count), np.zeros(clips)])[None],
        b_eq=np.ones(1),
        method="highs",
    )
    if done.status != 0:
        raise InputError(f"the programme of the ceiling has no optimum: {done.message}")
    return done.x[:count], -float(done.fun), np.clip(done.ineqlin.marginals / one, prices, 0.0)


def _mixed(ground: Ground, found: Sequence[Term], space: Layout, columns: Sequence[_Column], mixture: Floats) -> Floats:
    """Return the behavioural strategy that realises a mixture of pure policies.

    Each answers by its weight times how likely it plays towards the state; where none does, the likeliest one answers.
    """
    meetings = list({t.meeting: None for t in found})
    possible = np.sum([passable(m, space.uniform, space) for m in meetings], axis=0)
    out = np.zeros(len(space.owner))
    for weight, column in zip(mixture.tolist(), columns, strict=True):
        if weight > EPSILON:
            own = np.sum([passed(m, column.strategy, space) for m in meetings], axis=0)
            out += weight * (own / np.maximum(possible, EPSILON))[space.owner] * column.strategy
    total = np.bincount(space.owner, out, len(space.infosets))[space.owner]
    likeliest = columns[int(np.argmax(mixture))].strategy
    return np.where(total > EPSILON, out / np.maximum(total, EPSILON), likeliest)


def _in_sequence_form(tree: Tree, measures: MeasureSet, weights: Weights | None) -> Ceiling:
    """Maximise J with exact exploitability: the learner's plans in both seats, and its opponents' values.

    With x_s the learner's plan in seat s and v_s the opponent's values against it:
    max sum_s a_s x_s - p v_s[0]  subject to  E_s x_s = (1, 0, ...),  F_s^T v_s >= B_s^T x_s,  x >= 0.
    B and v are in units of the largest payoff.
    """
    lambdas = weights or measures.weights
    game, size = tree.game, len(tree.seat) + 1
    price = lambdas.e * game.scale / (len(game.seats) * game.rounds)
    harms = {s: payoff_matrix(tree, s, tree.feature("other", s)) for s in game.seats}
    one = unit(harm.data for harm in harms.values())
    cost, equal, below, first = [], [], [], []
    for seat in game.seats:
        payoff = payoff_matrix(tree, seat, tree.feature("own", seat)).tocsr()
        gain = np.zeros(size)
        for opponent in measures.pools["train"]:
            meeting = next(m for m in met(tree, opponent) if m.seat == seat)
            plan = realisation(tree, meeting.other, 1 - seat)
            gain += payoff @ plan * game.scale / (len(measures.pools["train"]) * len(game.seats) * game.rounds)
        other = sequence_constraints(tree, 1 - seat)
        cost += [-gain, np.concatenate([[price * one], np.zeros(other.shape[0] - 1)])]
        own = sequence_constraints(tree, seat)
        equal.append(hstack([own, coo_array((own.shape[0], other.shape[0]))]))
        below.append(hstack([harms[seat].T / one, -other.T]))
        first.append(other.shape[0])
    right = np.concatenate([np.eye(1, e.shape[0])[0] for e in equal])
    bounds = [b for n in first for b in [(0, None)] * size + [(None, None)] * n]
    done = linprog(
        np.concatenate(cost),
        A_ub=block_diag(below, format="csr"),
        b_ub=np.zeros(size * len(game.seats)),
        A_eq=block_diag(equal, format="csr"),
        b_eq=right,
        bounds=bounds,
        method="highs",
    )
    if done.status != 0:
        raise InputError(f"game '{game.name}': the programme of the ceiling has no optimum: {done.message}")
    strategy = tree.uniform
    at = 0
    for seat, n in zip(game.seats, first, strict=True):
        found = realised(tree, seat, done.x[at : at + size])
        strategy = np.where(tree.seat == seat, found, strategy)
        at += size + n
    j = objective(terms(tree, measures, strategy, weights))
    values = sum(seat_value(tree, 1 - s) * game.rounds for s in game.seats)
    return Ceiling(strategy, j, max(j, -float(done.fun) + price * values))
