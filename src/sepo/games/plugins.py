"""Games of other packages, found through their entry points in the group ``sepo.games``.

Finding them reads package metadata and imports nothing; a plugin is imported when its game is asked for. Which
names are free is the registry's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from sepo.errors import ContractError, InputError
from sepo.games.base import Game
from sepo.games.held import hold_to_figures, hold_to_hashing

GROUP = "sepo.games"
STATED = ("title", "features", "max_payoff", "zero_sum", "rounds", "seats")


@dataclass(frozen=True)
class Plugin:
    """A name in the group, and the entry points that claim it: more than one if packages disagree."""

    name: str
    entries: tuple[EntryPoint, ...]

    @property
    def package(self) -> str:
        """The package that brings the game, as error messages name it."""
        names = dict.fromkeys(e.dist.name if e.dist is not None else e.value for e in self.entries)
        return " and ".join(f"'{name}'" for name in names)

    def load(self) -> type[Game]:
        """Import the game's class and make it once, with its rules as they stand by default.

        Raises
        ------
        InputError
            If that fails in any way; the message names the package.
        """
        where = f"game '{self.name}' of package {self.package}"
        if len(self.entries) > 1:
            raise InputError(f"{where}: the packages claim one name; uninstall all but one")
        value = self.entries[0].value
        try:
            found = self.entries[0].load()
        except (Exception, SystemExit) as error:  # a plugin's code may raise anything
            raise InputError(f"{where} cannot be loaded from '{value}': {described(error)}") from error
        if not (isinstance(found, type) and issubclass(found, Game)):
            raise InputError(f"{where}: '{value}' is no subclass of sepo.games.base.Game")
        try:
            game = found()
            broken = _broken(game)
        except (Exception, SystemExit) as error:
            raise InputError(f"{where} cannot be made: {described(error)}") from error
        if broken is not None:
            raise InputError(f"{where} is broken: {broken}")
        if lacking := [name for name in ("name", *STATED) if not hasattr(game, name)]:
            raise InputError(f"{where} lacks the attribute '{lacking[0]}'")
        if game.name != self.name:
            raise InputError(f"{where} calls itself '{game.name}': the entry point must have the same name")
        return found


def _broken(game: Game) -> str | None:
    """Return why no figures can be had of a game that is all there; what its own code raises is not caught."""
    if any(not hasattr(game, name) for name in ("name", *STATED)):
        return None  # said by name
    _ = game.opponents, game.demonstrators
    try:
        hold_to_hashing(game)
        hold_to_figures(game)
    except ContractError as error:
        return str(error)
    return None


@lru_cache(maxsize=1)
def plugins() -> Mapping[str, Plugin]:
    """Return what other packages offer, by name; the installed packages are looked through once per process."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return {name: Plugin(name, entries) for name, entries in found.items()}


def described(error: BaseException) -> str:
    """Return an error of someone else's code in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
