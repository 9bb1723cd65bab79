"""The policy that maximises J among those whose worst-case advantage is capped.

The worst-case advantage is the most that any opponent can be ahead, in expectation and per round. Against a
realisation plan it is the value of the opponent's own linear programme, whose dual says "no opponent is ahead by more
than the cap" in linear inequalities, so the best policy under a cap is one linear programme in sequence form, as in
D. Koller, N. Megiddo and B. von Stengel, "Efficient computation of equilibria for extensive two-person games" (Games
and Economic Behavior 14, 1996). Policies that give up at most so much of what can be secured are called safe in
S. Ganzfried and T. Sandholm, "Safe opponent exploitation" (ACM Transactions on Economics and Computation 3(2), 2015).

A plan says nothing where it never comes itself. There the policy goes on with what is best against those who make the
optimum what it is: the opponents of J at the prices of their clips, and at the price of the cap the opponent that the
cap binds against, whose plan is the dual's, each of its decisions a little uniform.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, linprog
from scipy.sparse import block_diag, coo_array, csr_array, hstack, vstack

from sepo.audit.arena import Adversary, Arena, Ground, layout, whole_of
from sepo.audit.ceiling import exploiters_of, hold_to_ceiling, hold_to_linear, objective_within, priced
from sepo.audit.linear import best_policy
from sepo.audit.measures import BEHIND, Term, charged, terms
from sepo.audit.sweep import mass_of
from sepo.errors import InputError
from sepo.games.base import MeasureSet, Weights
from sepo.policies.table import row
from sepo.solve.maximin import payoff_matrix, realised, sequence_constraints, unit
from sepo.solve.response import realisation
from sepo.solve.tree import Floats, Ints, Tree

TREMBLE = 1e-6
"""Share of uniform play in what the cap's opponent does, so that it comes everywhere."""
UNREACHED = 1e-9
"""Weight of a plan that is none: what the programme's solver may be off by."""
NEARLY = 1e-6
"""By how much a cap is below the least before it is refused without the programme, in units of the largest payoff."""


class Capped(NamedTuple):
    """The best policy under a cap.

    Attributes
    ----------
    strategy : (entries,)
        Over the ground's layout.
    table
        Its answer at every information state that the learner's seats may come to, against anyone.
    j
        Its J; where there is a margin, with that.
    bound
        No policy under the cap has a larger one than this.
    price
        What J falls by for each point per round that the cap is tightened by; 0 where it does not bind.
    """

    strategy: Floats
    table: Mapping[str, Mapping[str, float]]
    j: float
    bound: float
    price: float


class _Optimum(NamedTuple):
    """A programme's solution.

    Attributes
    ----------
    plans, opponents
        The learner's plan of each of its seats, and that of the opponent there, of any size. (entries + 1,) each.
    clips : (exploiters,)
        What a point of each exploiter's gain costs in J.
    value, price
        J, and what a point of the cap is worth.
    """

    plans: list[Floats]
    opponents: list[Floats]
    clips: Floats
    value: float
    price: float


def capped(
    ground: Ground, measures: MeasureSet, cap: float, weights: Weights | None = None, *, margin: float = 0.0
) -> Capped:
    """Return the policy that maximises J among those whose worst-case advantage is at most ``cap``, points per round.

    With x_s the learner's plan in seat s and v_s what its opponent there is ahead by in the rest of the game:
    max sum_s a_s x_s + sum_i p_i t_i  subject to  t_i >= g_i x, t >= 0, E_s x_s = (1, 0, ...), F_s^T v_s >= B_s^T x_s,
    mean_s v_s[0] <= cap * rounds, x >= 0. A margin is as in ``ceiling``.

    Raises
    ------
    InputError
        If the whole game is too large for a tree or its histories merge there, e is itself the worst case, J is no
        minimum of linear functions here, or no policy keeps to the cap.

    Examples
    --------
    An opponent that defects while the learner cooperates is ahead by 5, so over five rounds a learner that nobody is to
    be ahead of by more than half a point per round opens with cooperation half of the time.

    >>> from sepo.audit.arena import ground_of
    >>> from sepo.games.registry import make
    >>> game = make("ipd", {"rounds": 5})
    >>> found = capped(ground_of(game), game.measures("sepo"), 0.5)
    >>> {a: round(p, 6) for a, p in found.table[""].items()}
    {'COOPERATE': 0.5, 'DEFECT': 0.5}
    """
    programme = _programme(ground, measures, cap, weights, margin)
    optimum = programme.solve(cap)
    strategy = _continued(programme.tree, measures, weights, optimum)
    at_ground = programme.on_ground(strategy)
    found = terms(ground, measures, at_ground, weights)
    hold_to_linear(ground, measures, programme.found, found)
    own = [info for info in programme.tree.infosets if info.seat in ground.game.seats]
    table = {i.key: row(i.decision, strategy[i.entries]) for i in own}
    j = objective_within(found, margin)
    return Capped(at_ground, table, j, max(j, optimum.value), optimum.price)


def hold_to_capped(ground: Ground, measures: MeasureSet, cap: float, weights: Weights | None = None) -> None:
    """Refuse a cap as ``capped`` does, without looking for the best policy under it.

    Raises
    ------
    InputError
        As ``capped`` does.
    """
    _programme(ground, measures, cap, weights, 0.0).hold_to(cap)
    hold_to_ceiling(ground, measures, weights)


def _programme(ground: Ground, measures: MeasureSet, cap: float, weights: Weights | None, margin: float) -> _Programme:
    """Return the programme of the best policy under a cap, or refuse what has none."""
    if not math.isfinite(cap):
        raise InputError(f"the worst case is capped at a number of points per round, not at {cap:g}")
    if measures.e == "exploitability":
        raise InputError(
            f"in game '{ground.game.name}' e of the '{measures.name}' measures is the worst case itself: "
            "no cap beside it; give e another weight"
        )
    try:
        tree = whole_of(ground)
    except InputError:
        raise InputError(
            f"game '{ground.game.name}' is too large for an exact worst case: solve it without a cap"
        ) from None
    if tree.merged:
        raise InputError(
            f"game '{ground.game.name}': histories merge in its tree, and a cap on the worst case needs them apart"
        )
    return _Programme(ground, tree, measures, weights, margin)


def _continued(tree: Tree, measures: MeasureSet, weights: Weights | None, optimum: _Optimum) -> Floats:
    """Return the policy that realises the plans, continued where they never come; uniform where nobody does.

    (entries,) over the whole tree.
    """
    strategy, other, unplanned = tree.uniform, tree.uniform, np.zeros(len(tree.infosets), dtype=bool)
    for seat, plan, theirs in zip(tree.game.seats, optimum.plans, optimum.opponents, strict=True):
        strategy = np.where(tree.seat == seat, realised(tree, seat, plan), strategy)
        other = np.where(tree.seat == 1 - seat, realised(tree, 1 - seat, theirs), other)
        own = np.array([info.seat == seat for info in tree.infosets])
        unplanned |= own & (plan[tree.previous + 1] <= UNREACHED)
    trembling = Adversary("cap", (1 - TREMBLE) * other + TREMBLE * tree.uniform)
    found = priced(terms(tree, measures, tree.uniform, weights), optimum.clips)
    found += charged(tree, tree.uniform, trembling, optimum.price)
    best = best_policy(found, tree)
    here = unplanned & (mass_of(found, tree.uniform, tree) > 0)
    return np.where(here[tree.owner], best, strategy)


class _Programme:
    """The linear programme of a ground: plans in every seat, what opponents are ahead by, and the clips of e."""

    def __init__(
        self, ground: Ground, tree: Tree, measures: MeasureSet, weights: Weights | None, margin: float
    ) -> None:
        self.ground, self.tree = ground, tree
        seats, size = ground.game.seats, len(self.tree.seat) + 1
        uniform = layout(ground).uniform
        self.found = terms(ground, measures, uniform, weights)
        self._even = {s: realisation(self.tree, self.tree.uniform, s) for s in seats}
        self._places = {s: _places(ground, self.tree, s, len(uniform)) for s in seats}
        if np.any(sum((p >= 0).astype(int) for p in self._places.values()) > 1):
            raise InputError(
                f"game '{ground.game.name}': seats share information states, so neither has a plan of its own"
            )
        self.constant, linear = 0.0, {s: np.zeros(size) for s in seats}
        for term in self.found:
            if term.kind != "e":
                along, offset = self._along(term, term.value)
                linear[term.seat] += term.coefficient * term.share * along
                self.constant += term.coefficient * term.share * offset
        self.prices, gains, self._offsets = [], [], []
        for of_one in exploiters_of(self.found):
            rows = {s: np.zeros(size) for s in seats}
            offsets = 0.0
            for term in of_one:
                along, offset = self._along(term, term.unclipped)
                rows[term.seat] += along / len(of_one)
                offsets += offset / len(of_one)
            self.prices.append(of_one[0].coefficient * sum(t.share for t in of_one))
            gains.append(np.concatenate([rows[s] for s in seats]))
            self._offsets.append(offsets + margin)
        self._linear = np.concatenate([linear[s] for s in seats])
        self._gains = np.array(gains).reshape(len(gains), len(self._linear))
        self._build()

    def _along(self, term: Term, value: float) -> tuple[Floats, float]:
        """Return a term as a row over a plan of its seat, and what is to be added to it."""
        meeting, whole = term.meeting, self.tree
        there = payoff_matrix(meeting.tree, term.seat, meeting.tree.combine(term.seat, term.due)).tocsr()
        at_entries = there @ realisation(meeting.tree, meeting.other, 1 - term.seat)
        along = np.zeros(len(whole.seat) + 1)
        along[0] = at_entries[0]
        own = np.flatnonzero(meeting.at >= 0)
        np.add.at(along, self._places[term.seat][meeting.at[own]] + 1, at_entries[own + 1])
        return along, value - float(along @ self._even[term.seat])

    def _build(self) -> None:
        """Lay the programme out: plans seat by seat, then opponents' values seat by seat, then the clips.

        What the last two are of is in units of the largest of it, and so are the cap and the clips' offsets.
        """
        game, size = self.ground.game, len(self.tree.seat) + 1
        own = [sequence_constraints(self.tree, s) for s in game.seats]
        other = [sequence_constraints(self.tree, 1 - s) for s in game.seats]
        ahead = [payoff_matrix(self.tree, s, self.tree.combine(s, BEHIND)).T for s in game.seats]
        self.unit = unit([self._gains, *(a.data for a in ahead)])
        plans, duals, clips = size * len(game.seats), sum(o.shape[0] for o in other), len(self.prices)
        most = np.zeros((1, plans + duals + clips))
        roots = plans + np.cumsum([0, *(o.shape[0] for o in other[:-1])])
        most[0, roots] = 1 / (len(game.seats) * game.rounds)
        self.below = vstack(
            [
                hstack([block_diag(ahead) / self.unit, -block_diag([o.T for o in other]), coo_array((plans, clips))]),
                hstack([csr_array(self._gains / self.unit), coo_array((clips, duals)), -coo_array(np.eye(clips))]),
                csr_array(most),
            ]
        ).tocsr()
        equal = block_diag(own)
        self.equal = hstack([equal, coo_array((equal.shape[0], duals + clips))]).tocsr()
        self.right = np.concatenate([np.eye(1, o.shape[0])[0] for o in own])
        self.bounds = [(0, None)] * plans + [(None, None)] * duals + [(0, None)] * clips
        self.plans, self.duals, self.most = plans, duals, most[0]

    def solve(self, cap: float) -> _Optimum:
        """Return the best plans under a cap."""
        cost = -np.concatenate([self._linear, np.zeros(self.duals), np.array(self.prices) * self.unit])
        done = self._solved(cost, cap)
        if done.status == 2:
            raise self._too_low(cap, self._least())
        if done.status != 0:
            raise InputError(
                f"game '{self.ground.game.name}': the programme of the ceiling has no optimum: {done.message}"
            )
        seats = len(self.ground.game.seats)
        theirs, clips, price = np.split(done.ineqlin.marginals, [self.plans, self.plans + len(self.prices)])
        return _Optimum(
            plans=np.split(done.x[: self.plans], seats),
            opponents=np.split(-theirs, seats),
            clips=np.clip(clips / self.unit, self.prices, 0.0),
            value=self.constant - float(done.fun),
            price=max(0.0, -float(price[0]) / self.unit),
        )

    def hold_to(self, cap: float) -> None:
        """Refuse a cap that no policy keeps to; one that is nearly the least is left to ``solve``."""
        if (least := self._least()) > cap + NEARLY * self.unit:
            raise self._too_low(cap, least)

    def _least(self) -> float:
        """Return the least worst-case advantage that a policy can have, points per round."""
        return float(self._solved(self.most, None).fun) * self.unit

    def _too_low(self, cap: float, least: float) -> InputError:
        return InputError(
            f"game '{self.ground.game.name}': no policy keeps its worst-case advantage within {cap:g}; "
            f"{least:.6g} is the least"
        )

    def _solved(self, cost: Floats, cap: float | None) -> OptimizeResult:
        """Solve the programme for a cost, without a cap where there is none."""
        most = [] if cap is None else [cap / self.unit]
        return linprog(
            cost,
            A_ub=self.below[: self.below.shape[0] - 1 + len(most)],
            b_ub=np.concatenate([np.zeros(self.plans), -np.array(self._offsets) / self.unit, most]),
            A_eq=self.equal,
            b_eq=self.right,
            bounds=self.bounds,
            method="highs-ipm",
        )

    def on_ground(self, strategy: Floats) -> Floats:
        """Return a strategy over the whole tree over the ground's layout."""
        out = layout(self.ground).uniform
        for seat in self.ground.game.seats:
            places = self._places[seat]
            out[places >= 0] = strategy[places[places >= 0]]
        return out


def _places(ground: Ground, tree: Tree, seat: int, size: int) -> Ints:
    """Return where the entries of the ground's layout stand among those of a seat on the whole tree; -1 elsewhere."""
    at = ground.whole_at[seat] if isinstance(ground, Arena) else np.where(tree.seat == seat, np.arange(size), -1)
    out = np.full(size, -1)
    own = np.flatnonzero(at >= 0)
    out[at[own]] = own
    return out
