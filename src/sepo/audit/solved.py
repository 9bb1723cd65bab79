"""A game solved: the best policy there is for J, as a table, and the document that says what it comes to."""

from __future__ import annotations

from typing import Any, NamedTuple

from sepo.audit.arena import ground_of
from sepo.audit.capped import capped
from sepo.audit.ceiling import ceiling, written
from sepo.audit.measures import parts, terms
from sepo.games.base import Game, MeasureName, Weights
from sepo.games.held import recorded
from sepo.policies.table import PolicyTable


class Solved(NamedTuple):
    """The document, ``sepo.ceiling/1``, and the policy, uniform where no opponent of the pools leads."""

    document: dict[str, Any]
    table: PolicyTable


def solved(
    game: Game, measures: MeasureName, weights: Weights | None = None, worst_case: float | None = None
) -> Solved:
    """Find the policy that maximises J over all behavioural strategies.

    Parameters
    ----------
    weights
        Of e, c and x, unless those of the set of measures.
    worst_case
        Over those alone that no opponent is ahead of by more, in points per round.

    Raises
    ------
    InputError
        If no ceiling can be proved for these measures in this game, or no policy keeps to such a worst case.
    """
    chosen = game.measures(measures)
    lambdas = weights or chosen.weights
    ground = ground_of(game)
    name = f"ceiling:{game.name}:{measures}"
    if worst_case is None:
        at, j, bound = ceiling(ground, chosen, lambdas)
        table = written(ground, at, name, notes={"J": j})
    else:
        at, rows, j, bound, price = capped(ground, chosen, worst_case, lambdas)
        notes = {"J": j, "worst_case": worst_case}
        table = PolicyTable(f"{name}:{worst_case:g}", game.name, game.rules, rows, "uniform", notes=notes)
    document: dict[str, Any] = {
        "schema": "sepo.ceiling/1",
        "game": game.name,
        "rules": dict(recorded(game)),
        "measures": measures,
        "weights": lambdas._asdict(),
        "J": j,
        "bound": bound,
    }
    if worst_case is not None:
        document |= {"worst_case": worst_case, "price": price}
    document |= parts(terms(ground, chosen, at, lambdas), chosen)
    return Solved(document, table)
