"""What figures need of a game: rules that files hold, features of one meaning, and instances that count alike.

Audits, matches, play and trees ask for it here; all else that a game promises is for ``games.contract`` to hold.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, get_args

from sepo.errors import ContractError
from sepo.games.base import CHANCE, Game, MeasureName, MeasureSet
from sepo.games.repeated import RepeatedGame, Stage

COUNTED = ("own", "other", "round")
"""Features that every game has."""
TAKEN = (*COUNTED, "best", "legal mass", "decisions asked", "replies read", "faulty replies")
"""Names of quantities that an audit adds to a game's features; so are all that begin with ``PLAY``."""
PLAY = "play "
TOLERANCE = 1e-9


def read_back(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return rules as a file gives them back: what is a tuple is a list there.

    Raises
    ------
    TypeError, ValueError
        If JSON has no such thing.
    """
    found: dict[str, Any] = json.loads(json.dumps(dict(rules), allow_nan=False))
    return found


@lru_cache(maxsize=256)
def recorded(game: Game) -> Mapping[str, Any]:
    """Return a game's rules as files record them, in which alone rules are compared with those of a file.

    Raises
    ------
    ContractError
        If a file cannot hold them.
    """
    try:
        return read_back(game.rules)
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"game '{game.name}': rules must be numbers, text, true, false, or lists of these, to stand in files, "
            f"unlike {dict(game.rules)!r}: {error}"
        ) from None


def hold_to_hashing(game: Game) -> None:
    """Refuse a game that cannot be a key, as what is found of games is kept by game.

    Raises
    ------
    ContractError
        If so.
    """
    if not isinstance(game, Hashable):
        raise ContractError(
            f"game '{game.name}' cannot be hashed: a dataclass must be frozen, or made with eq=False, to be a game"
        )


@lru_cache(maxsize=256)
def hold_to_figures(game: Game) -> None:
    """Refuse a game whose figures would be of something else than they say; a game is looked at once.

    Raises
    ------
    ContractError
        If files cannot hold its rules, a feature has the name of another quantity, a measure names what is not there,
        of instances one is likelier than another, or a repeated game has nodes of its own.
    """
    recorded(game)
    if wrong := [name for name in game.features if name in TAKEN or name.startswith(PLAY)]:
        taken = f"{', '.join(TAKEN)} and what begins with '{PLAY}' are names of other quantities"
        raise ContractError(f"game '{game.name}': a feature cannot be called '{wrong[0]}': {taken}")
    if twice := [name for name in game.features if game.features.count(name) > 1]:
        raise ContractError(f"game '{game.name}': two features are called '{twice[0]}'")
    for measures in _measures(game):
        _hold_to_names(game, measures, f"game '{game.name}': measures '{measures.name}'")
    if game.sampled_chance and (root := game.root()).actor == CHANCE:
        chances = [p for _, p in root.chance()]
        if chances and max(chances) - min(chances) > TOLERANCE:
            raise ContractError(
                f"game '{game.name}': the instances of sampled_chance must be equally likely, since each counts alike "
                f"in every figure; their probabilities are from {min(chances):g} to {max(chances):g}"
            )
    if isinstance(game, RepeatedGame):
        _hold_to_stages(game)


def _measures(game: Game) -> list[MeasureSet]:
    """Return a game's measures; one that has none, as it is only to be walked, raises NotImplementedError."""
    names: tuple[MeasureName, ...] = get_args(MeasureName)
    try:
        return [game.measures(name) for name in names]
    except NotImplementedError:
        return []


def _hold_to_names(game: Game, measures: MeasureSet, where: str) -> None:
    """Refuse measures that name opponents or features that are not there."""
    for pool, members in measures.pools.items():
        if unknown := [name for name in members if name not in game.opponents]:
            raise ContractError(f"{where}: pool '{pool}' names '{unknown[0]}', which is no opponent")
    known = (*COUNTED, *game.features)
    for ratio in (measures.c, measures.x):
        for feature in () if ratio is None else (ratio.numerator, ratio.denominator):
            if feature not in known:
                raise ContractError(f"{where}: '{feature}' is no feature: they are {', '.join(known)}")


@lru_cache(maxsize=256)
def divisors(game: Game) -> frozenset[str]:
    """Return what a game's measures divide by."""
    ratios = [ratio for measures in _measures(game) for ratio in (measures.c, measures.x)]
    return frozenset(ratio.denominator for ratio in ratios if ratio is not None)


def hold_to_divisors(game: Game, due: Mapping[str, float], where: str) -> None:
    """Refuse what falls due on a move if a measure divides by it and it is negative; ``where`` ends the message.

    Raises
    ------
    ContractError
        If so.
    """
    for name in divisors(game):
        if due.get(name, 0.0) < 0:
            raise ContractError(
                f"game '{game.name}': a measure divides by '{name}', which must not be negative, but is {due[name]:g} "
                f"{where}"
            )


def _hold_to_stages(game: RepeatedGame) -> None:
    """Refuse nodes of a repeated game's own: its figures are found from what it settles, by ways that ask no node."""
    root: object = game.root()
    if type(root) is not Stage or root != RepeatedGame.forgetful(game, "all"):
        raise ContractError(
            f"game '{game.name}': figures of a repeated game ask none of its nodes, so root() must stay as it is, not "
            f"return {root!r} of type {type(root).__name__}: say what a round pays and counts in settle, and keep what "
            "that needs of earlier rounds in what is public"
        )
