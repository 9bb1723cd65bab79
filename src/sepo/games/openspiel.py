"""Any two-player OpenSpiel game, played here.

The rules, the legal actions and the payoffs are OpenSpiel's; its information state string is what a seat is
told and what names an information state. Games in which both move at once are played one seat after the other
by OpenSpiel's own transform. All payoffs fall due at the end, so an episode is one round. The pools hold the
uniform policy; the exact best response is the audit's own.

M. Lanctot et al., "OpenSpiel: a framework for reinforcement learning in games", arXiv 1908.09453, 2019.

Information state key: ``P0:`` or ``P1:`` and OpenSpiel's string, its lines joined by ``/``.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

from sepo.errors import ContractError, InputError
from sepo.games.base import (
    CHANCE,
    TERMINAL,
    Decision,
    Game,
    MeasureName,
    MeasureSet,
    Opponent,
    PoolName,
    Turn,
    Weights,
)

PREFIX = "openspiel:"
TYPES = {bool: "True or False", int: "a whole number", float: "a number with a point", str: "text"}


class Asked(NamedTuple):
    """What a seat was told when it had to decide, and the actions it was offered."""

    told: str
    legal: tuple[str, ...]


class View(NamedTuple):
    """What a seat has seen: its earlier decisions, each with the action it took, and the one it faces."""

    seat: int
    past: tuple[tuple[Asked, str], ...]
    now: Asked


@dataclass(frozen=True, eq=False)
class Position:
    """A node: OpenSpiel's state, the decisions that each seat has behind it, and who made the move into it."""

    source: Any
    past: tuple[tuple[tuple[Asked, str], ...], tuple[tuple[Asked, str], ...]] = ((), ())
    mover: int = CHANCE

    def __repr__(self) -> str:
        return f"<after {self.source.history_str() or 'nothing'}>"

    @cached_property
    def actor(self) -> int:
        """As OpenSpiel says."""
        if self.source.is_terminal():
            return TERMINAL
        return CHANCE if self.source.is_chance_node() else int(self.source.current_player())

    @property
    def round(self) -> int:
        """An episode is one round."""
        return 0

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """OpenSpiel's number of each action that may be taken here, by its name."""
        source = self.source
        if self.actor == CHANCE:
            actions = [action for action, p in source.chance_outcomes() if p > 0]
        else:
            actions = source.legal_actions()
        player = source.current_player()
        names = [one_line(source.action_to_string(player, action)) for action in actions]
        count = Counter(names)
        told = [name if count[name] == 1 else f"{name} ({a})" for name, a in zip(names, actions, strict=True)]
        return dict(zip(told, actions, strict=True))

    def chance(self) -> Sequence[tuple[str, float]]:
        """Outcomes and their probabilities, as OpenSpiel says."""
        return list(zip(self.ids, (p for _, p in self.source.chance_outcomes() if p > 0), strict=True))

    def legal(self) -> tuple[str, ...]:
        """OpenSpiel's names of the legal actions."""
        return tuple(self.ids)

    def child(self, action: str) -> Position:
        """Let OpenSpiel apply the action."""
        past, actor = self.past, self.actor
        if actor != CHANCE:
            own = (*past[actor], (self.view(actor).now, action))
            past = (own, past[1]) if actor == 0 else (past[0], own)
        return Position(self.source.child(self.ids[action]), past, actor)

    def view(self, seat: int) -> View:
        """Return what OpenSpiel tells the seat, after what it told it before."""
        return View(seat, self.past[seat], Asked(self.source.information_state_string(seat), self.legal()))

    def rewards(self) -> tuple[float, float]:
        """Payoffs of the episode fall due at its end."""
        if self.actor != TERMINAL:
            return 0.0, 0.0
        first, second = self.source.returns()
        return float(first), float(second)

    def features(self, learner: int) -> tuple[float, ...]:
        """``decision``: own decisions."""
        return (float(self.mover == learner),)


def one_line(text: str) -> str:
    """Join the lines of a text by ``/``."""
    return " / ".join(line.strip() for line in text.strip().splitlines())


def uniform(decision: Decision) -> Mapping[str, float]:
    """Every legal action with the same probability."""
    return dict.fromkeys(decision.legal, 1 / len(decision.legal))


UNIFORM = Opponent("uniform", uniform, "every legal action with the same probability", "round")
POOLS: Mapping[PoolName, tuple[str, ...]] = {
    "train": ("uniform",),
    "exploiter": ("uniform",),
    "collusive": ("uniform",),
    "held_out": ("uniform",),
}


class OpenSpielGame(Game):
    """A game of OpenSpiel, payoffs in points per episode."""

    features: tuple[str, ...] = ("decision",)
    unit: str = "points per episode"
    seats: tuple[int, ...] = (0, 1)
    rounds = 1

    def __init__(self, source: Any, name: str, title: str, *, zero_sum: bool) -> None:
        self.name, self.title, self.zero_sum = name, title, zero_sum
        highest = float(source.max_utility())
        self.max_payoff = highest if highest > 0 else max(1.0, -float(source.min_utility()))
        self._source = source
        self._told: dict[str, str] = {}

    @property
    def rules(self) -> Mapping[str, Any]:
        """The game's parameters stand in its name."""
        return {}

    def root(self) -> Position:
        """Return OpenSpiel's initial state."""
        return Position(self._source.new_initial_state())

    def key(self, view: View) -> str:
        """Name an information state, such as ``P1: 0pb``.

        Raises
        ------
        ContractError
            If OpenSpiel tells two information states apart by white space alone.
        """
        key = f"P{view.seat}: {one_line(view.now.told)}"
        if self._told.setdefault(key, view.now.told) != view.now.told:
            raise ContractError(f"game '{self.name}': two information states would both be named '{key}'")
        return key

    def word(self, action: str) -> str:
        """Return OpenSpiel's name of an action."""
        return action

    def chat(self, view: View) -> tuple[Turn, ...]:
        """Return game and seat once, then what OpenSpiel tells the seat at each of its decisions, and its answer."""
        turns = [
            Turn(
                "system",
                f"{self.title}, a game for two players, 0 and 1. You are player {view.seat}. Each message says what "
                "you know, as OpenSpiel writes it, and your legal actions. Answer with one of them and nothing else.",
            )
        ]
        for asked, action in view.past:
            turns += [Turn("user", _question(asked)), Turn("assistant", action)]
        return (*turns, Turn("user", _question(view.now)))

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """The uniform policy."""
        return {"uniform": UNIFORM}

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        """The uniform policy: nothing better is known of every game."""
        return ((1.0, UNIFORM),)

    def measures(self, name: MeasureName) -> MeasureSet:
        """Return exploitability in a zero-sum game, regret in another; no paper measured these, so both sets agree."""
        e: Literal["exploitability", "regret"] = "exploitability" if self.zero_sum else "regret"
        return MeasureSet(name, Weights(1.0, 0.0, 0.0), e, None, None, POOLS)


def _question(asked: Asked) -> str:
    return f"{asked.told.strip()}\nLegal actions: {', '.join(asked.legal)}.".lstrip()


def load(name: str, rules: Mapping[str, Any] | None = None) -> Game:
    """Make a game from OpenSpiel's name for it; the same name and rules give the same object.

    Parameters
    ----------
    name
        As OpenSpiel writes it, such as ``leduc_poker`` or ``liars_dice(numdice=1,dice_sides=3)``, with or
        without ``openspiel:`` before it.
    rules
        Parameters of the game, over those in the name.

    Raises
    ------
    InputError
        If OpenSpiel is not installed or knows no such game or parameter, or if ``wrap`` refuses the game.
    """
    library = _library()
    name = name.strip().removeprefix(PREFIX)
    short = name.partition("(")[0]
    offered = _offered(library, short)
    if not re.fullmatch(r"\w+(\(.*\))?", name) or name.count("(") != name.count(")"):
        raise InputError(f"game '{PREFIX}{name}' must be written as OpenSpiel does: NAME(PARAMETER=VALUE,...)")
    chosen = {**library.game_parameters_from_string(name), **(rules or {})}
    chosen.pop("name", None)
    for parameter, value in chosen.items():
        _check(short, parameter, value, offered)
    try:
        source = library.load_game(short, chosen)
        source.new_initial_state()  # some parameters are only found wrong here
    except (library.SpielError, TypeError, ValueError, LookupError) as error:
        raise InputError(f"OpenSpiel cannot load '{PREFIX}{name}': {one_line(str(error))[:200]}") from None
    return _wrap(_Named(str(source), source))


def wrap(source: Any) -> Game:
    """Make a game from a ``pyspiel.Game``.

    Raises
    ------
    InputError
        If it is not a game of two players with information states and listed chance outcomes.
    """
    library = _library()
    kind, name = source.get_type(), f"{PREFIX}{_written(source)}"
    if source.num_players() != 2:
        raise InputError(f"game '{name}' has {source.num_players()} players: only games of two are played here")
    if kind.dynamics == library.GameType.Dynamics.MEAN_FIELD:
        raise InputError(f"game '{name}' is a mean-field game: only games of two players are played here")
    if kind.chance_mode == library.GameType.ChanceMode.SAMPLED_STOCHASTIC:
        raise InputError(f"game '{name}' samples its chance and does not list the outcomes: it has no tree")
    if not kind.provides_information_state_string:
        raise InputError(f"game '{name}' has no information state strings: what a player knows cannot be told")
    if kind.dynamics == library.GameType.Dynamics.SIMULTANEOUS:
        source = library.convert_to_turn_based(source)
    return OpenSpielGame(source, name, kind.long_name, zero_sum=kind.utility == library.GameType.Utility.ZERO_SUM)


class _Named(NamedTuple):
    """A game of OpenSpiel; equal where its name and parameters are."""

    written: str
    source: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and self.written == other.written

    def __hash__(self) -> int:
        return hash(self.written)


@lru_cache(maxsize=64)
def _wrap(named: _Named) -> Game:
    return wrap(named.source)


def _written(source: Any) -> str:
    """Return OpenSpiel's name of a game with its parameters, without empty brackets."""
    return str(source).removesuffix("()")


def _library() -> Any:
    try:
        return importlib.import_module("pyspiel")
    except ImportError:
        raise InputError("games of OpenSpiel need the library: pip install sepo[openspiel]") from None


def _offered(library: Any, short: str) -> Mapping[str, Any]:
    """Return the parameters of a game of OpenSpiel and their defaults."""
    if short.startswith("python_"):
        importlib.import_module("open_spiel.python.games")  # registers the games that are written in Python
    known = {kind.short_name: kind.parameter_specification for kind in library.registered_games()}
    if short not in known:
        near = difflib.get_close_matches(short, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "pyspiel.registered_names() lists the games"
        raise InputError(f"unknown game '{PREFIX}{short}': {hint}")
    return dict(known[short])


def _check(short: str, parameter: str, value: Any, offered: Mapping[str, Any]) -> None:
    """Refuse a parameter that a game does not have, or a value of another type than its default's."""
    if parameter not in offered:
        there = ", ".join(sorted(offered)) or "none"
        raise InputError(f"unknown rule '{parameter}' of game '{PREFIX}{short}': its rules are {there}")
    wanted = TYPES.get(type(offered[parameter]))
    if wanted and type(value) is not type(offered[parameter]):
        raise InputError(f"rule '{parameter}' of game '{PREFIX}{short}' must be {wanted}, not {value!r}")
