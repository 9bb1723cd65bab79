"""The one table of built-in games, and how a name with rules becomes a game.

Other packages add games through the entry-point group ``sepo.games``; they cannot replace a built-in one. Any
two-player game of OpenSpiel is called ``openspiel:NAME``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from sepo.errors import InputError
from sepo.games.auction import Auction
from sepo.games.base import Game
from sepo.games.commons import Commons
from sepo.games.held import recorded
from sepo.games.ipd import Ipd
from sepo.games.items import Items
from sepo.games.kuhn import Kuhn
from sepo.games.plugins import Plugin, described, plugins
from sepo.games.split import Split

GAMES: Mapping[str, type[Game]] = {
    "ipd": Ipd,
    "auction": Auction,
    "split": Split,
    "items": Items,
    "kuhn": Kuhn,
    "commons": Commons,
}
OPENSPIEL = "openspiel:"
RESERVED = ("all", "new")  # `sepo audit --game all`, `sepo games new`
SETS = ("paper", "sepo")

_made: dict[tuple[str, str], Game] = {}


def games() -> Mapping[str, type[Game]]:
    """Return the built-in games and those plugins that can be loaded, by name; see ``faults`` for the others."""
    found = dict(GAMES)
    for name, plugin in _accepted().items():
        try:
            found[name] = plugin.load()
        except InputError:
            continue
    return found


def faults() -> tuple[str, ...]:
    """Return one line for each plugin that cannot be used: which package, and why."""
    out = []
    for name, plugin in plugins().items():
        try:
            _claim(name, plugin)
            plugin.load()
        except InputError as error:
            out.append(str(error))
    return tuple(out)


def names() -> tuple[str, ...]:
    """Return the names of the built-in games and of the plugins, without loading one."""
    return tuple(sorted((*GAMES, *_accepted())))


def plugged(name: str) -> bool:
    """Whether a game of that name is a plugin's: no version that is known here tells of its code."""
    return name not in GAMES and not name.startswith(OPENSPIEL)


def make(name: str, rules: Mapping[str, Any] | None = None, preset: str | None = None) -> Game:
    """Make a game by name; the same name and rules give the same object, so its tree is walked once.

    Parameters
    ----------
    name
        A key of ``games()``, or ``openspiel:NAME``.
    rules
        Options of the game; the rest are those of the preset.
    preset
        A key of the game's ``presets``. A game without presets has one set of rules, which is both ``paper``
        and ``sepo``. Unless given, the rest of the rules keep their defaults.

    Raises
    ------
    InputError
        If there is no such game, rule or preset, if files cannot hold the rules, or if the game is a plugin's and
        broken.
    """
    if name.startswith(OPENSPIEL):
        return _fixed(_openspiel(name.removeprefix(OPENSPIEL)), rules or {}, preset)
    maker = _class(name)
    known = maker().rules
    for rule in rules or {}:
        _check_rule(name, rule, known)
    wanted = {**_preset(name, maker, preset), **(rules or {})}
    try:
        game = maker(**wanted)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        shown = ", ".join(f"{k}={v!r}" for k, v in wanted.items())
        raise InputError(f"game '{name}' cannot be made with {shown or 'no rules'}: {described(error)}") from error
    return _made.setdefault((name, json.dumps(recorded(game), sort_keys=True)), game)


def _class(name: str) -> type[Game]:
    """Return the class of a built-in game or of a plugin, and of no other plugin."""
    if name in GAMES:
        return GAMES[name]
    if (plugin := plugins().get(name)) is not None:
        _claim(name, plugin)
        return plugin.load()
    near = get_close_matches(name.lower(), names(), n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    raise InputError(f"unknown game '{name}'{hint}: the games are {', '.join(names())} and {OPENSPIEL}NAME")


def _claim(name: str, plugin: Plugin) -> None:
    """Refuse a plugin's name that is taken or cannot stand on a command line."""
    if name in GAMES:
        raise InputError(f"game '{name}' of package {plugin.package} is ignored: a built-in game has that name")
    if name in RESERVED or not name.isidentifier():
        raise InputError(f"game '{name}' of package {plugin.package} is ignored: '{name}' cannot be a game's name")


def _accepted() -> dict[str, Plugin]:
    return {n: p for n, p in plugins().items() if n not in GAMES and n not in RESERVED and n.isidentifier()}


def _check_rule(name: str, rule: str, known: Mapping[str, Any]) -> None:
    if rule not in known:
        offer = ", ".join(known) if known else "none"
        raise InputError(f"unknown rule '{rule}' of game '{name}': its rules are {offer}")


def _preset(name: str, maker: type[Game], preset: str | None) -> Mapping[str, Any]:
    """Return the rules of a preset; those of no preset, and of a game that has none, are the defaults."""
    presets: Mapping[str, Mapping[str, Any]] = getattr(maker, "presets", {})
    if preset is None or (not presets and preset in SETS):
        return {}
    if preset not in presets:
        offer = f"it has {', '.join(presets)}" if presets else f"its one set of rules is {' and '.join(SETS)}"
        raise InputError(f"unknown preset '{preset}' of game '{name}': {offer}")
    return presets[preset]


@lru_cache(maxsize=64)
def _openspiel(name: str) -> Game:
    from sepo.games.openspiel import load  # an optional dependency: only when asked for

    return load(name)


def _fixed(game: Game, rules: Mapping[str, Any], preset: str | None) -> Game:
    """Return a game whose name says all its rules, if they are those asked for."""
    _preset(game.name, type(game), preset)
    for rule, value in rules.items():
        _check_rule(game.name, rule, game.rules)
        if value != game.rules[rule]:
            raise InputError(f"rule '{rule}' of game '{game.name}' is {game.rules[rule]!r}, not {value!r}")
    return game
