"""The one table of built-in games, and how a name with rules becomes a game."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sepo.errors import InputError
from sepo.games.base import Game
from sepo.games.ipd import Ipd
from sepo.games.kuhn import Kuhn

GAMES: Mapping[str, type[Game]] = {"ipd": Ipd, "kuhn": Kuhn}


def make(name: str, rules: Mapping[str, Any] | None = None) -> Game:
    """Make a game by name; the same name and rules give the same object, so its tree is walked once.

    Parameters
    ----------
    name
        A key of ``GAMES``.
    rules
        Options of the game; the rest keep their defaults.

    Raises
    ------
    InputError
        If there is no such game or no such rule.
    """
    if name not in GAMES:
        raise InputError(f"unknown game '{name}': the games are {', '.join(sorted(GAMES))}")
    known = GAMES[name]().rules
    for rule in rules or {}:
        if rule not in known:
            offer = ", ".join(known) if known else "none"
            raise InputError(f"unknown rule '{rule}' of game '{name}': its rules are {offer}")
    checked = GAMES[name](**dict(rules or {}))
    return _make(name, tuple(sorted(checked.rules.items())))


@lru_cache(maxsize=64)
def _make(name: str, rules: tuple[tuple[str, Any], ...]) -> Game:
    return GAMES[name](**dict(rules))
