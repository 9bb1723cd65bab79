"""Policies as tables: a policy's own behaviour, its best response, and the best policy there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from sepo.api.given import (
    GameLike,
    PolicyLike,
    Tell,
    as_game,
    as_policy,
    count,
    one_of,
    seed_of,
)
from sepo.audit.behaviour import behaviour
from sepo.audit.exploiter import OBJECTIVES, exploiter
from sepo.audit.measures import KINDS
from sepo.audit.methods import quiet
from sepo.audit.solved import solved
from sepo.display import number, table
from sepo.errors import InputError
from sepo.files import PathLike, path_of, write_json
from sepo.frames import Kind, frame
from sepo.games.base import MeasureName, Weights
from sepo.policies.table import PolicyTable


@dataclass(frozen=True)
class Ceiling:
    """The best policy there is for J.

    Attributes
    ----------
    document
        As ``sepo solve --json`` prints it.
    table
        The policy, uniform where no opponent of the pools leads.
    """

    document: Mapping[str, Any]
    table: PolicyTable

    @property
    def J(self) -> float:  # noqa: N802 - the measure's name
        """The policy's J."""
        return float(self.document["J"])

    @property
    def bound(self) -> float:
        """No policy has a larger J than this."""
        return float(self.document["bound"])

    def frame(self, kind: Kind = "pandas") -> Any:
        """Return a data frame: one row for J and each part of it that applies.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        of = self.document["measures"]
        rows = [(self.document["game"], of, key, value) for key, value in self._parts()]
        return frame(rows, {"game": str, "measures": str, "figure": str, "value": float}, kind)

    def save(self, path: PathLike) -> None:
        """Write the document to a file, whole or not at all; ``table.save`` writes the policy."""
        write_json(path_of(path), dict(self.document))

    def _parts(self) -> Iterator[tuple[str, float]]:
        return ((key, self.document[key]) for key in (*KINDS, "J") if self.document[key] is not None)

    def __repr__(self) -> str:
        return f"Ceiling({self.document['game']!r}, {self.document['measures']!r}, J {number(self.J)})"

    def _repr_html_(self) -> str:
        caption = f"ceiling of {self.document['game']}, {self.document['measures']} measures"
        return table(caption, ["figure", "value"], [[key, value] for key, value in self._parts()])


def elicit(
    policy: PolicyLike,
    game: GameLike,
    *,
    rules: Mapping[str, Any] | None = None,
    budget: int | None = None,
    seed: int = 0,
    tell: Tell | None = None,
) -> PolicyTable:
    """Write a policy's behaviour in a game out as a table.

    Parameters
    ----------
    policy, game
        As ``audit`` takes them.
    rules
        Of a game given by name.
    budget
        Information states to ask about, most reached ones first; None for all. With a budget, or in a game too large
        to walk whole, the table is the behaviour against the game's own opponents, uniform elsewhere; its ``notes`` say
        in how many states it was ``asked``, of how many ``reachable`` ones, unless that is all that can be met.
    seed
        Of what a model writes.
    tell
        Hears of progress.

    Returns
    -------
    PolicyTable
        Information state -> action -> probability; it can be audited, played and saved.

    Raises
    ------
    InputError
        If there is no such policy or game.

    Examples
    --------
    >>> import sepo
    >>> sepo.elicit("script:nash", "kuhn").table["J:p"]
    {'PASS': 0.6666666666666667, 'BET': 0.3333333333333333}
    """
    played = as_game(game, rules)
    asked = None if budget is None else count(budget, "budget")
    return behaviour(as_policy(policy, played, seed_of(seed)), played, asked, tell or quiet)


def exploit(
    policy: PolicyLike,
    game: GameLike,
    *,
    objective: Literal["payoff", "difference", "harm"] = "payoff",
    rules: Mapping[str, Any] | None = None,
    budget: int | None = 3000,
    seed: int = 0,
    tell: Tell | None = None,
) -> PolicyTable:
    """Find the best response to a policy: the opponent that exploits it.

    Parameters
    ----------
    policy, game, rules, seed, tell
        As ``elicit`` takes them.
    objective
        What the opponent maximises: its ``payoff``, the ``difference`` of both payoffs, or the ``harm`` it does.
    budget
        Information states that a language model is asked about; None for all.

    Returns
    -------
    PolicyTable
        The opponent. Its ``notes`` say what it ``earns`` and ``leaves`` the policy per round.

    Raises
    ------
    InputError
        If there is no such policy, game or objective, or all that may happen is too much to hold.

    Examples
    --------
    >>> import sepo
    >>> thief = sepo.exploit("uniform", "kuhn")
    >>> round(thief.notes["earns"], 4)
    0.4583
    """
    one_of(objective, tuple(OBJECTIVES), "objective")
    played = as_game(game, rules)
    asked = None if budget is None else count(budget, "budget")
    return exploiter(as_policy(policy, played, seed_of(seed)), played, objective, asked, tell or quiet).table


def solve(
    game: GameLike,
    measures: MeasureName = "sepo",
    *,
    weights: Mapping[str, float] | Sequence[float] | None = None,
    worst_case: float | None = None,
    rules: Mapping[str, Any] | None = None,
) -> Ceiling:
    """Find the best policy there is for J, which no training can exceed.

    Parameters
    ----------
    game
        A name, taken by the rules of the preset of the measures; or a game.
    measures
        ``paper`` or ``sepo``: whose J is maximised.
    weights
        Of e, c and x, unless those of the set: three numbers, or some of them by name.
    worst_case
        Over those policies alone that no opponent is ahead of by more, in points per round.
    rules
        Of a game given by name, before the preset.

    Returns
    -------
    Ceiling
        Its ``J`` and the policy, ``table``.

    Raises
    ------
    InputError
        If there is no such game or set, no ceiling can be proved, or no policy keeps to that worst case.

    Examples
    --------
    >>> import sepo
    >>> sepo.solve("kuhn")
    Ceiling('kuhn', 'sepo', J 0.0556)
    """
    name = one_of(measures, ("paper", "sepo"), "measures")
    played = as_game(game, rules, name)
    found = solved(played, name, _weights(weights, played.measures(name).weights), _cap(worst_case))
    return Ceiling(found.document, found.table)


def _cap(given: float | None) -> float | None:
    """Return a cap on the worst case that is a number, or none."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, Real):
        raise InputError(f"worst_case must be a number of points per round, not {given!r}")
    return float(given)


def _weights(given: Mapping[str, float] | Sequence[float] | None, usual: Weights) -> Weights:
    """Return the weights given, over the usual ones."""
    if given is None:
        return usual
    try:
        chosen = usual._replace(**given) if isinstance(given, Mapping) else Weights(*given)
        if all(0 <= float(w) < float("inf") for w in chosen):
            return Weights(*map(float, chosen))
    except (TypeError, ValueError):
        pass
    raise InputError(f"weights are three numbers, such as (2.4, 1, 1.8), or some by name: {{'e': 2.4}}, not {given!r}")
