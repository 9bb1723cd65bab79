"""A game solved: the best policy there is for J, as a table, and the document that says what it comes to."""

from __future__ import annotations

from typing import Any, NamedTuple

from sepo.audit.arena import ground_of
from sepo.audit.ceiling import ceiling, written
from sepo.audit.measures import parts, terms
from sepo.games.base import Game, MeasureName, Weights
from sepo.policies.table import PolicyTable


class Solved(NamedTuple):
    """The document, ``sepo.ceiling/1``, and the policy, uniform where no opponent of the pools leads."""

    document: dict[str, Any]
    table: PolicyTable


def solved(game: Game, measures: MeasureName, weights: Weights | None = None) -> Solved:
    """Find the policy that maximises J over all behavioural strategies.

    Parameters
    ----------
    weights
        Of e, c and x, unless those of the set of measures.

    Raises
    ------
    InputError
        If no ceiling can be proved for these measures in this game.
    """
    chosen = game.measures(measures)
    lambdas = weights or chosen.weights
    ground = ground_of(game)
    found = ceiling(ground, chosen, lambdas)
    document: dict[str, Any] = {
        "schema": "sepo.ceiling/1",
        "game": game.name,
        "rules": dict(game.rules),
        "measures": measures,
        "weights": lambdas._asdict(),
        "J": found.j,
        "bound": found.bound,
    }
    document |= parts(terms(ground, chosen, found.strategy, lambdas), chosen)
    return Solved(document, written(ground, found.strategy, f"ceiling:{game.name}:{measures}", notes={"J": found.j}))
