"""Policies against each other: everyone meets everyone, itself too, in both seats and on the same deals.

The payoff matrix says what the policy of a row earns against that of a column, the advantage matrix how far it is
ahead. The latter is antisymmetric, so it is a zero-sum game between those who choose whom to field. Of it
are made:

- the **rating** of a policy, its advantage averaged over all, itself included: the least-squares fit of one number to
  each in all advantages (X. Jiang et al., "Statistical ranking and combinatorial Hodge theory", Mathematical
  Programming 127, 2011);
- the **Nash average**, which weighs the others by the equilibrium of that game with the largest entropy: a copy of a
  policy changes nobody's figure, and a policy that only beats weak ones does not gain by them (D. Balduzzi et al.,
  "Re-evaluating evaluation", NeurIPS 2018).

Both are about getting ahead; what two policies make of a game that is not zero-sum is in the payoffs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.optimize import linprog, minimize

from sepo.audit.estimate import Statistic, clustered
from sepo.audit.found import exact, lone, number
from sepo.audit.sampled import by_instance, drawn_instances, hold_to_independent
from sepo.errors import InputError, TooLargeError
from sepo.games.base import Game
from sepo.games.held import recorded
from sepo.keys import generator
from sepo.play.meet import Payoffs, exactly, sampled
from sepo.policies.base import Estimated, Policy
from sepo.policies.human import HumanPolicy
from sepo.solve.tree import Floats

SCHEMA = "sepo.match/1"
DEALS = 1000
WRITTEN_DEALS = 100
"""Deals that are played where a model writes, unless told otherwise."""
SLACK = 1e-9
"""How far ahead somebody may be of an equilibrium, as a share of the largest advantage: rounding."""
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class MatchOptions:
    """How policies meet.

    Attributes
    ----------
    method
        ``auto``: exactly where it can be. ``exact``: refuse what cannot. ``sampled``: play episodes.
    deals
        Deals that every pair plays in both seats, where episodes are played; the usual number, or one per instance in a
        game that draws instances, unless given.
    seed
        Of everything drawn.
    budget
        Most decisions that a policy is asked in a meeting that is found exactly.
    """

    method: Literal["auto", "exact", "sampled"] = "auto"
    deals: int | None = None
    seed: int = 0
    budget: int | None = 3000


def tournament(policies: Sequence[Policy], game: Game, options: MatchOptions, tell: Tell) -> dict[str, Any]:
    """Let everyone meet everyone and return the document.

    Raises
    ------
    InputError
        For fewer than two policies, two of one name, or a person; or if figures must be exact and cannot.
    """
    names = [policy.name for policy in policies]
    if len(names) < 2:
        raise InputError("a match takes at least two policies")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"policy '{twice[0]}' stands twice: every policy meets itself anyway")
    if any(isinstance(policy, HumanPolicy) for policy in policies):
        raise InputError("a person plays one game at a time: a match is between scripts, tables and models")
    pairs = [(i, j) for i in range(len(names)) for j in range(i, len(names))]
    method, found = _meet(policies, game, pairs, options, lambda done: tell(f"playing {game.name}", done, len(pairs)))
    return _document(names, game, method, pairs, found, options)


def _meet(
    policies: Sequence[Policy],
    game: Game,
    pairs: Sequence[tuple[int, int]],
    options: MatchOptions,
    tell: Callable[[int], None],
) -> tuple[str, list[Payoffs]]:
    """Return how the payoffs were found, and each pair's: of its first and of its second, both seats averaged."""
    hold_to_independent(game)
    writes = any(isinstance(policy, Estimated) for policy in policies)
    if options.method == "exact" and writes:
        raise InputError("a model that writes is known from samples only: leave out --method exact")
    if options.method != "sampled" and not writes:
        try:
            found = []
            for i, j in pairs:
                one, two = policies[i], policies[j]
                found.append(
                    _both(
                        exactly(one, two, game, budget=options.budget), exactly(two, one, game, budget=options.budget)
                    )
                )
                tell(len(found))
            rows = len(found[0].first)
            return ("exact" if rows == 1 else f"exact in each of {rows} instances"), found
        except TooLargeError:
            if options.method == "exact":
                raise
    players = [policy.once() if isinstance(policy, Estimated) else policy for policy in policies]
    instances = drawn_instances(game)
    deals = range(options.deals or (WRITTEN_DEALS if writes else instances or DEALS))
    key = (options.seed, game.name, "match")
    found = []
    for i, j in pairs:
        here = sampled(players[i], players[j], game, deals, key)
        there = sampled(players[j], players[i], game, deals, key, swapped=True)
        both = _both(here, there)
        if instances:
            both = both._replace(first=by_instance(both.first, instances), second=by_instance(both.second, instances))
        if any(isinstance(policies[k], Estimated) for k in (i, j)):
            both = both._replace(certain=False)  # what it wrote this once is all that is known of it
        found.append(both)
        tell(len(found))
    return "sampled", found


def _both(here: Payoffs, there: Payoffs) -> Payoffs:
    """Average a pair's payoffs over its two ways to sit."""
    return Payoffs((here.first + there.second) / 2, (here.second + there.first) / 2, here.certain and there.certain)


def _document(
    names: Sequence[str],
    game: Game,
    method: str,
    pairs: Sequence[tuple[int, int]],
    found: Sequence[Payoffs],
    options: MatchOptions,
) -> dict[str, Any]:
    count = len(names)
    rows = np.column_stack([part for of in found for part in (of.first, of.second)])
    place = {pair: 2 * k for k, pair in enumerate(pairs)}
    settled = np.repeat(  # what one wins of itself it loses
        [of.certain or (game.zero_sum and i == j) for (i, j), of in zip(pairs, found, strict=True)], 2
    )

    def earns(means: Floats, i: int, j: int) -> Floats:
        out: Floats = means[:, place[i, j]] if i <= j else means[:, place[j, i] + 1]
        return out

    def ahead(means: Floats, i: int, j: int) -> Floats:
        return earns(means, i, j) - earns(means, j, i)

    def rating(means: Floats, i: int) -> Floats:
        out: Floats = np.mean([ahead(means, i, j) for j in range(count)], axis=0)
        return out

    def figure(statistic: Statistic, *key: object) -> dict[str, float | int | None]:
        if len(rows) == 1:
            value = float(statistic(rows)[0])
            return lone(value) if method == "sampled" else exact(value)
        interval = clustered(
            rows, statistic, generator(options.seed, "match interval", game.name, *key), settled=settled
        )
        return {
            "value": interval.value,
            "low": number(interval.low),
            "high": number(interval.high),
            "n": len(rows),
        }

    def matrix(of: Callable[[Floats, int, int], Floats], what: str) -> list[list[dict[str, float | int | None]]]:
        return [
            [figure(lambda m, i=i, j=j: of(m, i, j), what, names[i], names[j]) for j in range(count)]  # type: ignore[misc]
            for i in range(count)
        ]

    means = rows.mean(axis=0, keepdims=True)
    advantage = np.array([[ahead(means, i, j)[0] for j in range(count)] for i in range(count)])
    weights = nash_average(advantage)
    return {
        "schema": SCHEMA,
        "game": game.name,
        "rules": dict(recorded(game)),
        "unit": game.unit,
        "method": method,
        "seed": options.seed,
        "policies": list(names),
        "payoffs": matrix(earns, "payoffs"),
        "advantages": matrix(ahead, "advantages"),
        "ratings": [figure(lambda m, i=i: rating(m, i), "rating", names[i]) for i in range(count)],  # type: ignore[misc]
        "nash_average": {
            "weights": weights.tolist(),
            "skills": (advantage @ weights).tolist(),
        },
    }


def nash_average(advantage: Floats) -> Floats:
    """Return the equilibrium of largest entropy of an antisymmetric zero-sum game. (policies,), sums to 1.

    Its value is 0, so equilibria are the distributions against which nobody is ahead. Which weights can be positive at
    all, linear programmes tell; the entropy is maximised from their mean.

    Parameters
    ----------
    advantage : (policies, policies)
        How far the policy of a row is ahead of that of a column.
    """
    size = len(advantage)
    scale = np.abs(advantage).max()
    if scale == 0:
        return np.full(size, 1 / size)
    game = advantage / scale
    support = np.zeros(size, dtype=bool)
    start = np.zeros(size)
    for i in range(size):
        objective = np.zeros(size)
        objective[i] = -1.0
        found = linprog(
            objective, A_ub=game, b_ub=np.full(size, SLACK), A_eq=np.ones((1, size)), b_eq=[1.0], method="highs"
        )
        support[i] = found.x[i] > 10 * SLACK
        start += found.x / size
    free = np.flatnonzero(support)
    if len(free) == 1:
        return support.astype(float)

    def negentropy(p: Floats) -> float:
        return float((p * np.log(np.maximum(p, 1e-300))).sum())

    limits = [
        {"type": "eq", "fun": lambda p: p.sum() - 1.0, "jac": lambda p: np.ones_like(p)},
        {"type": "ineq", "fun": lambda p: SLACK - game[:, free] @ p, "jac": lambda p: -game[:, free]},
    ]
    done = minimize(
        negentropy,
        start[free] / start[free].sum(),
        jac=lambda p: np.log(np.maximum(p, 1e-300)) + 1.0,
        bounds=[(0.0, 1.0)] * len(free),
        constraints=limits,
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    out = np.zeros(size)
    out[free] = np.maximum(done.x, 0.0)
    total: Floats = out / out.sum()
    return total
