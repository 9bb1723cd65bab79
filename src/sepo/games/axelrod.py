"""Any strategy of the Axelrod library, by name, as a behavioural strategy of ``ipd``.

A strategy there is a player with a memory and a random generator of its own; here it is a function from the
rounds played to the exact probability of cooperation. A player is reset and led through the history, its own
moves forced to those of the history by the library's own ``update_history``, and asked for its next move. Where
it draws random numbers, every way the draws can fall is tried: each way that makes the moves the history shows
counts with its probability (Bayes' rule), and the others are dropped. A move that no way makes, off the
strategy's path, tells nothing and drops none. Ways that leave the player with the same memory are one.

V. Knight et al., "An open framework for the reproducible study of the iterated prisoner's dilemma", Journal of
Open Research Software 4, 2016. The library takes seconds to import: only when a strategy is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import pickle
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from unittest.mock import patch

from sepo.errors import InputError
from sepo.games.base import Decision, Opponent

PREFIX = "axelrod:"
MAX_WAYS = 512
"""More ways than this for the draws to fall within one history are too many to try."""

MAX_TEAM = 12
"""A strategy that asks a team of more strategies than this takes too long, whatever the library says."""

PROBES = tuple(tuple((moves * 8)[i : i + 2] for i in range(0, 16, 2)) for moves in ("CC", "CD", "DC", "DD", "CCDD"))
"""Histories on which a strategy is tried before it is accepted."""


def strategy(name: str) -> Opponent:
    """Make an opponent of ``ipd`` from the class name of an Axelrod strategy, such as ``TitFor2Tats``.

    Parameters
    ----------
    name
        With or without ``axelrod:`` before it.

    Raises
    ------
    InputError
        If Axelrod is not installed, has no such strategy, or has one that cannot be asked for exact
        probabilities.
    """
    return _strategy(library(), name.removeprefix(PREFIX))


def library() -> Any:
    """Import Axelrod in half the time it takes by itself.

    On import it makes its players by the thousand and reads for each the source of the same few methods: here each
    is read once.

    Raises
    ------
    InputError
        If it is not installed.
    """
    known = lru_cache(maxsize=None)(inspect.getsource)
    try:
        with patch.object(inspect, "getsource", lambda thing: known(getattr(thing, "__func__", thing))):
            return importlib.import_module("axelrod")
    except ImportError:
        raise InputError("strategies of Axelrod need the library: pip install sepo[axelrod]") from None


@lru_cache(maxsize=256)
def _strategy(library: Any, name: str) -> Opponent:
    refused = f"strategy '{PREFIX}{name}' cannot be played here:"
    known = {found.__name__: found for found in library.all_strategies}
    if name not in known:
        lower = {k.lower(): k for k in known}
        near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
        hint = f": did you mean {' or '.join(lower[n] for n in near)}?" if near else ""
        raise InputError(f"unknown strategy '{PREFIX}{name}'{hint or ': name a class of axelrod.all_strategies'}")
    made = known[name]
    if made in library.cheating_strategies:
        raise InputError(f"{refused} it inspects or manipulates other players")
    if made in library.long_run_time_strategies or len(getattr(made(), "team", ())) > MAX_TEAM:
        raise InputError(f"{refused} it takes too long to ask at every history")
    script = Replay(library, made)
    for probe in PROBES:
        script.cooperation(probe, 2 * len(probe))
    return Opponent(f"{PREFIX}{name}", script, _about(made))


def _about(made: Any) -> str:
    """Return the first sentence of a strategy's description, or its display name."""
    text = " ".join((inspect.getdoc(made) or "").split("Names")[0].split())
    found = re.match(r"(.+?[^.])(?:\.(?:\s|$)|$)", text)
    return found[1] if found else str(made.name)


class Answer(NamedTuple):
    """What a player does next: one way for its draws to fall so far, how likely it is, and whether it cooperates.

    ``way`` stands for every way that leaves the player with the same memory, and has their probability.
    """

    way: tuple[int, ...]
    probability: float
    cooperates: bool


class Replay:
    """The script of an Axelrod strategy; what it found out about a history is kept."""

    def __init__(self, library: Any, made: Any) -> None:
        self.library, self.name = library, f"{PREFIX}{made.__name__}"
        self.payoffs = library.Game()  # T/R/P/S = 5/3/1/0
        self.player = made()
        self.random = bool(library.Classifiers["stochastic"](self.player))
        self._answers: dict[tuple[int, tuple[str, ...]], tuple[Answer, ...]] = {}

    def __call__(self, decision: Decision) -> Mapping[str, float]:
        """Return the probabilities of both actions at an information state of ``ipd``."""
        if decision.game.name != "ipd":
            raise InputError(f"strategy '{self.name}' plays game 'ipd', not '{decision.game.name}'")
        p = self.cooperation(tuple(decision.key.split(",")) if decision.key else (), decision.game.rounds)
        return {"COOPERATE": p, "DEFECT": 1 - p}

    def cooperation(self, rounds: tuple[str, ...], length: int) -> float:
        """Return the probability of cooperation after ``rounds`` such as ``CD``, own letter first, of ``length``."""
        answers = self.answers(rounds, length)
        given = math.fsum(a.probability for a in answers)
        return math.fsum(a.probability for a in answers if a.cooperates) / given

    def answers(self, rounds: tuple[str, ...], length: int) -> tuple[Answer, ...]:
        """Return what the player may do after ``rounds``, in every way that its own moves in them do not rule out."""
        if (length, rounds) not in self._answers:
            before: Sequence[Answer] = (Answer((), 1.0, True),)
            if rounds:
                told = self.answers(rounds[:-1], length)
                before = [a for a in told if a.cooperates == (rounds[-1][0] == "C")] or told
            merged: dict[tuple[bool, Hashable], Answer] = {}
            for answer, memory in (new for old in before for new in self._continue(old, rounds, length)):
                same = merged.get((answer.cooperates, memory), answer._replace(probability=0.0))
                together = same.probability + answer.probability
                merged[answer.cooperates, memory] = same._replace(probability=together)
            if len(merged) > MAX_WAYS:
                raise InputError(f"strategy '{self.name}' cannot be played here: it draws too many random numbers")
            self._answers[length, rounds] = tuple(merged.values())
        return self._answers[length, rounds]

    def _continue(self, before: Answer, rounds: tuple[str, ...], length: int) -> Iterator[tuple[Answer, Hashable]]:
        """Yield every way for the draws to go on from an earlier answer to the next move, and the player's memory."""
        pending = [before.way]
        while pending:
            draws = Draws(self.name, self.library.Action, pending.pop(), len(before.way))
            cooperates = self._ask(draws, rounds, length)
            pending += draws.others
            way = tuple(draws.way)
            yield Answer(way, before.probability * draws.probability, cooperates), self._memory(way)

    def _ask(self, draws: Draws, rounds: tuple[str, ...], length: int) -> bool:
        """Lead the player through the rounds, from the start, and return whether it cooperates next."""
        library, player = self.library, self.player
        opponent = library.Player()
        player.reset()
        player.set_match_attributes(length=length, game=self.payoffs, noise=0)
        if self.random:
            player.set_seed(0)
            plant(player, draws)
        for pair in rounds:
            player.strategy(opponent)
            own, other = map(library.Action.from_char, pair)
            player.update_history(own, other)
            opponent.update_history(other, own)
        return bool(player.strategy(opponent) == library.Action.C)

    def _memory(self, way: tuple[int, ...]) -> Hashable:
        """Return all that the player remembers as bytes; the way itself where that cannot be written down."""
        if not self.random:
            return None
        try:
            return pickle.dumps(vars(self.player))
        except (TypeError, AttributeError, pickle.PicklingError):
            return way


def plant(thing: Any, draws: Draws) -> None:
    """Give ``draws`` to a player and to everything of the library inside it that has a random generator."""
    if hasattr(thing, "_random"):
        thing._random = draws
    for part in vars(thing).values():
        for inner in part if isinstance(part, list | tuple) else (part,):
            if type(inner).__module__.startswith("axelrod.") and hasattr(inner, "__dict__"):
                plant(inner, draws)


class Draws:
    """Stands in for ``axelrod.random_.RandomGenerator``: draws fall as ``way`` says, and new ones as they first can.

    Attributes
    ----------
    way
        How each draw fell, in the order in which they were made.
    probability
        How likely the draws after the first ``given`` are to fall so.
    others
        The other ways in which the new draws could have fallen, each up to the draw where it differs.
    """

    def __init__(self, player: str, action: Any, way: Sequence[int], given: int) -> None:
        self.player, self.action, self.way, self.given = player, action, list(way), given
        self.probability = 1.0
        self.others: list[tuple[int, ...]] = []
        self._made = 0

    def fall(self, probabilities: Sequence[float]) -> int:
        """Let one draw fall and return which outcome it is; a sure outcome is no draw."""
        possible = [i for i, p in enumerate(probabilities) if p > 0]
        if len(possible) == 1:
            return possible[0]
        if self._made == len(self.way):
            self.others += [(*self.way, i) for i in possible[1:]]
            self.way.append(possible[0])
        which = self.way[self._made]
        if self._made >= self.given:
            self.probability *= probabilities[which]
        self._made += 1
        return which

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the draws out of what a player remembers."""
        return str, ()

    def random_choice(self, p: Any = 0.5) -> Any:
        """Return cooperation with probability ``p``; a ``p`` that was itself drawn counts with its mean."""
        mean = p.spend() if isinstance(p, Uniform) else min(1.0, max(0.0, float(p)))
        return self.action.C if self.fall((mean, 1 - mean)) == 0 else self.action.D

    def random_flip(self, action: Any, threshold: float) -> Any:
        """Return the other action with probability ``threshold``."""
        return action.flip() if self.random_choice(threshold) == self.action.C else action

    def random(self) -> Uniform:
        """Return a number between 0 and 1."""
        return Uniform(self, 0.0, 1.0)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Uniform:
        """Return a number between ``low`` and ``high``."""
        return Uniform(self, low, high)

    def randint(self, low: int, high: int | None = None) -> int:
        """Return a whole number from ``low`` to below ``high``, or below ``low`` where that is all there is."""
        start, stop = (0, low) if high is None else (low, high)
        return start + self.fall([1 / (stop - start)] * (stop - start))

    randrange = randint

    def choice(self, a: Any, size: int | None = None, replace: bool = True, p: Any = None) -> Any:
        """Return one of the options ``a``, or of the numbers below ``a``, as numpy would."""
        offered = range(a) if isinstance(a, int) else a
        chances = [1 / len(offered)] * len(offered) if p is None else list(map(float, p))
        if size is None:
            return offered[self.fall(chances)]
        return [offered[self.fall(chances)] for _ in range(size)] if replace else self.refuse()

    def __getattr__(self, name: str) -> Any:
        """Refuse any other kind of draw."""
        if name.startswith("__"):
            raise AttributeError(name)
        self.refuse()

    def refuse(self, *_: Any) -> Any:
        """Give up on a player whose draws have too many outcomes to try."""
        raise InputError(f"strategy '{self.player}' cannot be played here: its random numbers cannot be enumerated")


class Uniform:
    """A uniform random number of which nothing is known but how it compares with numbers; each answer narrows it."""

    __array_ufunc__ = None  # numpy's numbers leave comparisons to this class
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, draws: Draws, low: float, high: float) -> None:
        self.draws, self.low, self.high = draws, low, high
        self.spent = False

    def __lt__(self, bound: Any) -> bool:
        if self.spent or isinstance(bound, Uniform):
            self.draws.refuse()
        share = min(1.0, max(0.0, (float(bound) - self.low) / (self.high - self.low)))
        below = self.draws.fall((share, 1 - share)) == 0
        if 0 < share < 1:
            self.low, self.high = (self.low, float(bound)) if below else (float(bound), self.high)
        return below

    def __ge__(self, bound: Any) -> bool:
        return not self < bound

    __le__, __gt__ = __lt__, __ge__  # a single number has no probability

    def __eq__(self, other: object) -> bool:
        return False

    def __truediv__(self, divisor: float) -> Uniform:
        if self.spent or divisor <= 0:
            self.draws.refuse()
        return Uniform(self.draws, self.low / divisor, self.high / divisor)

    def spend(self) -> float:
        """Return the mean, for a use as a probability: after that the number is no longer uniform."""
        if self.spent or not 0 <= self.low <= self.high <= 1:
            self.draws.refuse()
        self.spent = True
        return (self.low + self.high) / 2

    def __add__(self, other: Any) -> Any:
        return self.draws.refuse()

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __rtruediv__ = __pow__ = __rpow__ = __add__

    def __neg__(self) -> Any:
        return self.draws.refuse()

    __float__ = __int__ = __round__ = __abs__ = __bool__ = __neg__
