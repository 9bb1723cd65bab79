"""Repeated games with simultaneous moves: the part that ipd, auction, split, items and commons share.

Each round chance may deal private information, then both seats act without seeing the other's action, then
the round is settled: payoffs and features fall due, what both chose becomes known, and what is public changes.
A game of this kind says what is dealt, what is legal and how a round is settled; the nodes are here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, ClassVar, NamedTuple

from sepo.errors import InputError
from sepo.games.base import CHANCE, TERMINAL, Game, Memory, Reason, Script, Turn

KEPT: Mapping[Memory, int | None] = {"round": 0, "last": 1, "all": None}


class Pair(NamedTuple):
    """What both chose in a round, own action first."""

    own: str
    other: str


class View(NamedTuple):
    """What a seat has seen.

    Attributes
    ----------
    number
        Index of the round that is played now, from 0.
    rounds
        The rounds before it, own action first; only the last ones where an opponent's memory is short.
    public
        What both know of the present: a stock, a pool of items; None if nothing.
    private
        What only this seat knows: its value; None if nothing.
    """

    number: int
    rounds: tuple[Pair, ...]
    public: Any
    private: Any


class Deal(NamedTuple):
    """A chance outcome at the start of a round: its label and probability, and what is public and private then."""

    label: str
    probability: float
    public: Any
    private: tuple[Any, Any]


class Settled(NamedTuple):
    """A round's end: payoffs and features of both seats, and what is public and private afterwards."""

    rewards: tuple[float, float]
    features: tuple[tuple[float, ...], tuple[float, ...]]
    public: Any
    private: tuple[Any, Any]


class Stage:
    """A node: before the deal, before the first seat's move, or before the second's. Equal where the future is."""

    __slots__ = (
        "_hash",
        "dealt",
        "game",
        "kept",
        "mirrored",
        "number",
        "pending",
        "private",
        "public",
        "rounds",
        "settled",
    )

    def __init__(
        self,
        game: RepeatedGame,
        number: int,
        rounds: tuple[Pair, ...],
        public: Any,
        private: tuple[Any, Any],
        *,
        kept: int | None,
        dealt: bool = False,
        pending: str = "",
        settled: Settled | None = None,
        mirrored: tuple[Pair, ...] = (),
    ) -> None:
        self.game, self.number, self.rounds, self.public, self.private = game, number, rounds, public, private
        self.kept, self.dealt, self.pending, self.settled = kept, dealt, pending, settled
        self.mirrored = mirrored  # the same rounds from seat 1's side
        self._hash = hash((number, rounds, public, private, dealt, pending))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and (
            self.number == other.number
            and self.pending == other.pending
            and self.dealt == other.dealt
            and self.private == other.private
            and self.public == other.public
            and self.rounds == other.rounds
        )

    def __repr__(self) -> str:
        said = f"round {self.number + 1}, played {[tuple(r) for r in self.rounds]}"
        return f"<{said}, public {self.public!r}, private {self.private!r}, pending {self.pending!r}>"

    @property
    def actor(self) -> int:
        """Chance while something is to be dealt, then seat 0, then seat 1, which has not seen it."""
        if self.number == self.game.rounds:
            return TERMINAL
        if not self.dealt:
            return CHANCE
        return 1 if self.pending else 0

    @property
    def round(self) -> int:
        """Index of the round that the move into this node belonged to."""
        return self.number if self.pending or (self.dealt and not self.settled) else max(0, self.number - 1)

    def chance(self) -> Sequence[tuple[str, float]]:
        """Outcomes of the deal."""
        return [(d.label, d.probability) for d in self.game.deals(self.number, self.public, self.private)]

    def legal(self) -> tuple[str, ...]:
        """Actions open to the seat that moves."""
        return self.game.actions(self.public)

    def child(self, action: str) -> Stage:
        """Deal, note the first seat's move, or settle the round."""
        game = self.game
        if not self.dealt:
            deal = next(d for d in game.deals(self.number, self.public, self.private) if d.label == action)
            return Stage(
                game,
                self.number,
                self.rounds,
                deal.public,
                deal.private,
                kept=self.kept,
                dealt=True,
                mirrored=self.mirrored,
            )
        if not self.pending:
            return Stage(
                game,
                self.number,
                self.rounds,
                self.public,
                self.private,
                kept=self.kept,
                dealt=True,
                pending=action,
                mirrored=self.mirrored,
            )
        end = game.settled(self.public, self.private, self.pending, action)
        rounds = (*self.rounds, Pair(self.pending, action))
        mirrored = (*self.mirrored, Pair(action, self.pending))
        if self.kept is not None:
            forgotten = max(0, len(rounds) - self.kept)
            rounds, mirrored = rounds[forgotten:], mirrored[forgotten:]
        after = self.number + 1
        dealt = after == game.rounds or not game.deals(after, end.public, end.private)
        return Stage(
            game, after, rounds, end.public, end.private, kept=self.kept, dealt=dealt, settled=end, mirrored=mirrored
        )

    def view(self, seat: int) -> View:
        """Return all complete rounds from the seat's side, and what it knows of this one."""
        return View(self.number, self.mirrored if seat else self.rounds, self.public, self.private[seat])

    def rewards(self) -> tuple[float, float]:
        """Payoffs of a round fall due when it is settled."""
        return self.settled.rewards if self.settled else (0.0, 0.0)

    def features(self, learner: int) -> tuple[float, ...]:
        """Features of a round fall due when it is settled."""
        return self.settled.features[learner] if self.settled else self.game.nothing


class RepeatedGame(Game):
    """A game of ``rounds`` rounds in which both seats act at once.

    A subclass gives ``actions`` and ``settle``, ``start`` where something is public from the first, and
    ``deals`` where chance deals. A private value that ``settle`` returns as None is forgotten.

    Class attributes
    ----------------
    longest
        The most rounds there may be.
    alike
        Whether every round is dealt alike, with the same legal actions, and what was dealt is forgotten once the round
        is settled; such a game's tree grows a round at a time (``solve.stages``).
    """

    longest: ClassVar[int] = 12
    alike: ClassVar[bool] = False
    seats: tuple[int, ...] = (0,)
    zero_sum: bool = False

    def __init__(self, rounds: int) -> None:
        self.rounds = number_rule(self.name, "rounds", rounds, 1, self.longest)

    @property
    def start(self) -> Any:
        """What is public at first."""
        return None

    def deals(self, number: int, public: Any, private: tuple[Any, Any]) -> Sequence[Deal]:
        """Return what chance may deal at the start of round ``number``; empty where it deals nothing."""
        return ()

    @abstractmethod
    def actions(self, public: Any) -> tuple[str, ...]:
        """Return the actions open to both seats."""

    @abstractmethod
    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        """Settle a round in which seat 0 chose ``first`` and seat 1 ``second``."""

    @cached_property
    def settled(self) -> Callable[[Any, tuple[Any, Any], str, str], Settled]:
        """As ``settle``; equal rounds are settled once."""
        return lru_cache(maxsize=200_000)(self.settle)

    @cached_property
    def nothing(self) -> tuple[float, ...]:
        """Return the features of a move that settles no round."""
        return (0.0,) * len(self.features)

    @abstractmethod
    def preamble(self, view: View) -> str:
        """Return the rules, as they stand once at the head of a chat."""

    @abstractmethod
    def told(self, number: int, before: Pair | None, view: View) -> str:
        """Return the short line that opens round ``number``, after the round ``before`` (None in the first)."""

    def chat(self, view: View) -> tuple[Turn, ...]:
        """Rules once, then a line per round and the own reply to it."""
        turns = [Turn("system", self.preamble(view)), Turn("user", self.told(0, None, view))]
        for number, pair in enumerate(view.rounds, start=1):
            turns += [Turn("assistant", self.word(pair.own)), Turn("user", self.told(number, pair, view))]
        return tuple(turns)

    def root(self) -> Stage:
        """Return the first node."""
        return self.forgetful("all")

    def forgetful(self, memory: Memory) -> Stage:
        """Return the first node of the game in which all but the last rounds are forgotten."""
        dealt = not self.deals(0, self.start, (None, None))
        return Stage(self, 0, (), self.start, (None, None), kept=KEPT[memory], dealt=dealt)


def number_rule(game: str, rule: str, value: object, low: int, high: int) -> int:
    """Return a rule's value if it is a whole number within its bounds.

    Raises
    ------
    InputError
        Otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"rule '{rule}' of game '{game}' must be a number from {low} to {high}, not {value!r}")
    return value


def switch_rule(game: str, rule: str, value: object) -> bool:
    """Return a rule's value if it is true or false.

    Raises
    ------
    InputError
        Otherwise.
    """
    if not isinstance(value, bool):
        raise InputError(f"rule '{rule}' of game '{game}' must be true or false, not {value!r}")
    return value


def always(action: str) -> Script:
    """Make the script that plays one action whatever happens."""
    return lambda decision: {action: 1.0}


def pure(choose: Callable[[View], str]) -> Script:
    """Make a deterministic script from a function of what a seat has seen."""
    return lambda decision: {choose(decision.view): 1.0}


def because(tell: Callable[[View, str], str]) -> Reason:
    """Make a reason from a function of what a seat has seen and of the word for its action."""
    return lambda decision, action: tell(decision.view, decision.game.word(action))
