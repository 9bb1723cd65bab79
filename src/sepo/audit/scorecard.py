"""The scorecard: every measure of one policy in its games, as one JSON document.

A figure is ``{"value", "low", "high", "n"}``; ``low = high = value`` and ``n`` is null where it is exact. A
measure that does not apply is null, never 0.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np

from sepo.audit.compare import CARD_SCHEMA
from sepo.audit.measures import Adversary, pool, root_values, seat_value, values, worst_case
from sepo.games.base import Game, MeasureName, PoolName
from sepo.policies.base import Policy, lay_out
from sepo.policies.table import PolicyTable, elicit
from sepo.solve.expand import expand
from sepo.solve.response import best_response, exploitability
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import infoset_reach

POOLS: tuple[PoolName, ...] = ("train", "exploiter", "collusive", "held_out")
Figure = dict[str, float | int | None]
Sets = Literal["paper", "sepo", "both"]


def exact(value: float) -> Figure:
    """Return an exact figure."""
    return {"value": value, "low": value, "high": value, "n": None}


def versions(model: bool) -> dict[str, str]:
    """Return the versions that a figure depends on; ``model`` adds those of the language-model stack."""
    names = ["sepo", "numpy", *(["torch", "transformers", "peft"] if model else [])]
    out = {"python": platform.python_version()}
    for name in names:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out


def scorecard(
    policy: Policy, games: Sequence[Game], sets: Sets = "both", seed: int = 0
) -> tuple[dict[str, Any], dict[str, PolicyTable]]:
    """Audit a policy exactly in each game.

    Returns
    -------
    tuple
        The scorecard document, and the policy's table in each game by the game's name.
    """
    audited: dict[str, Any] = {}
    tables: dict[str, PolicyTable] = {}
    about: Mapping[str, Any] = {}
    model = False
    for game in games:
        tree = expand(game)
        table = elicit(policy, game, tree)
        about = table.about() or about
        model = model or table.legal_mass() is not None
        tables[game.name] = table
        audited[game.name] = audit_table(table, game, tree, sets)
    document = {"schema": CARD_SCHEMA, "policy": policy.name, "seed": seed, "versions": versions(model)}
    if about:
        document["model" if model else "about"] = dict(about)
    return document | {"games": audited}, tables


def audit_table(table: PolicyTable, game: Game, tree: Tree, sets: Sets = "both") -> dict[str, Any]:
    """Return one game's part of the scorecard, exactly, from a policy table."""
    learner = vector(table, tree)
    names: tuple[MeasureName, ...] = ("paper", "sepo") if sets == "both" else (sets,)
    chosen = {name: game.measures(name) for name in names}
    measures = {
        name: {k: None if v is None else exact(v) for k, v in values(tree, chosen[name], learner).items()}
        for name in names
    }
    first = chosen[names[0]]
    pools = {name: pool(tree, first, name) for name in POOLS}
    own = {name: [root_values(tree, learner, a, "own") for a in pools[name]] for name in POOLS}
    worst = worst_case(tree, learner, {"own": 1.0, "other": -1.0})
    pooled = _pool_advantage(tree, learner, pools["exploiter"])
    worst_own = -worst_case(tree, learner, {"other": -1.0})
    maximin = float(np.mean([seat_value(tree, s) for s in game.seats]))
    return {
        "rules": dict(game.rules),
        "unit": game.unit,
        "method": "exact",
        "measures": measures,
        "weights": {name: chosen[name].weights._asdict() for name in names},
        "exploitability": exact(exploitability(tree, learner) / game.rounds) if game.zero_sum else None,
        "worst_case_advantage": exact(worst),
        "security_gap": exact(maximin - worst_own),
        "pool_coverage": exact(pooled / worst) if worst > 1e-12 else None,
        "robustness": exact(float(np.mean(own["exploiter"]))),
        "held_out": exact(float(np.mean(own["held_out"]))),
        "nra": None if game.zero_sum else _nra(tree, learner, pools["train"]),
        "welfare": None if game.zero_sum else exact(_welfare(tree, learner, pools["train"])),
        "illegal_rate": None,
        "legal_mass": _legal_mass(table, tree, learner, pools["train"]),
        "frequencies": _frequencies(tree, learner, pools["train"]),
        "opponents": [_row(tree, learner, a, name) for name in POOLS for a in pools[name]],
    }


def vector(table: PolicyTable, tree: Tree) -> Floats:
    """Return a table as a strategy over a tree's entries."""
    return lay_out(tree, table.probabilities(tree.questions))


def _pool_advantage(tree: Tree, learner: Floats, exploiters: Sequence[Adversary]) -> float:
    gains = [root_values(tree, learner, a, "other") - root_values(tree, learner, a, "own") for a in exploiters]
    return float(np.mean([max(0.0, g) for g in gains]))


def _nra(tree: Tree, learner: Floats, opponents: Sequence[Adversary]) -> Figure | None:
    pairs = [(root_values(tree, learner, a, "own"), root_values(tree, learner, a, "other")) for a in opponents]
    shares = [(own - other) / (own + other) for own, other in pairs if own + other > 0]
    return exact(float(np.mean(shares))) if shares else None


def _welfare(tree: Tree, learner: Floats, opponents: Sequence[Adversary]) -> float:
    return float(
        np.mean([root_values(tree, learner, a, "own") + root_values(tree, learner, a, "other") for a in opponents])
    )


def _played(tree: Tree, learner: Floats, opponents: Sequence[Adversary], seat: int) -> Floats:
    """Return how often each of the seat's entries is played in an episode, averaged over opponents. (entries,)."""
    reached = np.mean([infoset_reach(tree, tree.join(seat, learner, a.strategy)) for a in opponents], axis=0)
    out: Floats = np.where(tree.seat == seat, reached[tree.owner] * learner, 0.0)
    return out


def _frequencies(tree: Tree, learner: Floats, opponents: Sequence[Adversary]) -> dict[str, dict[str, Figure]]:
    """Return the share of own decisions, by seat, at which each action is played against the train pool."""
    out: dict[str, dict[str, Figure]] = {}
    for seat in tree.game.seats:
        played = _played(tree, learner, opponents, seat)
        sums: dict[str, float] = {}
        for info in tree.infosets:
            if info.seat == seat:
                for action, p in zip(info.decision.legal, played[info.entries], strict=True):
                    sums[action] = sums.get(action, 0.0) + float(p)
        total = sum(sums.values())
        out[f"seat {seat}"] = {action: exact(p / total) for action, p in sums.items()}
    return out


def _legal_mass(table: PolicyTable, tree: Tree, learner: Floats, opponents: Sequence[Adversary]) -> Figure | None:
    """Return the mean legal mass over the decisions met against the train pool."""
    mass = table.legal_mass()
    if mass is None:
        return None
    weights = np.zeros(len(tree.infosets))
    for seat in tree.game.seats:
        np.add.at(weights, tree.owner, _played(tree, learner, opponents, seat))
    values = np.array([mass[i.key] for i in tree.infosets])
    return exact(float(values @ weights / weights.sum()))


def _row(tree: Tree, learner: Floats, adversary: Adversary, name: PoolName) -> dict[str, Any]:
    seats, rounds = tree.game.seats, tree.game.rounds
    own, other = root_values(tree, learner, adversary, "own"), root_values(tree, learner, adversary, "other")
    best = float(np.mean([best_response(tree, adversary.strategy, s, tree.feature("own", s)).value for s in seats]))
    return {
        "name": adversary.name,
        "pool": name,
        "own": exact(own),
        "other": exact(other),
        "advantage": exact(other - own),
        "regret": exact(max(0.0, best / rounds - own)),
    }
