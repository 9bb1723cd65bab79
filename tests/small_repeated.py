"""Repeated games made for the tests: rules that the built-in games do not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from sepo.games.base import Decision, MeasureName, MeasureSet, Opponent, Weights
from sepo.games.repeated import Deal, Pair, RepeatedGame, Settled, View, always, pure


def _uniform(decision: Decision) -> Mapping[str, float]:
    return dict.fromkeys(decision.legal, 1 / len(decision.legal))


class Small(RepeatedGame):
    """What they have in common: words, keys, and a uniform opponent; the pools hold one opponent, ``usual``."""

    title: ClassVar[str] = "A small repeated game"
    features: ClassVar[tuple[str, ...]] = ()
    max_payoff: ClassVar[float] = 1.0
    e: ClassVar[Literal["advantage", "exploitability", "regret"]] = "advantage"
    usual: ClassVar[str]

    def __init__(self, rounds: int = 3, seats: tuple[int, ...] = (0,)) -> None:
        self.seats = seats
        super().__init__(rounds)

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"rounds": self.rounds, "seats": self.seats}

    def key(self, view: View) -> str:
        return f"{view.private}:{view.public}:" + ",".join(f"{p.own}{p.other}" for p in view.rounds)

    def word(self, action: str) -> str:
        return action

    def preamble(self, view: View) -> str:
        return f"{self.rounds} rounds."

    def told(self, number: int, before: Pair | None, view: View) -> str:
        return f"{'' if before is None else before.other} Round {number + 1}, {view.private}:"

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        return {"uniform": Opponent("uniform", _uniform, "uniform", "round")}

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        return [(1.0, self.opponents["uniform"])]

    def measures(self, name: MeasureName) -> MeasureSet:
        pool = (self.usual,)
        pools = {"train": pool, "exploiter": pool, "collusive": pool, "held_out": ("uniform",)}
        return MeasureSet(name, Weights(1, 0, 0), self.e, None, None, pools)


class Guess(Small):
    """Seat 1 is dealt a side, once and for all; seat 0 is paid for each round in which it picks that side."""

    name: ClassVar[str] = "guess"
    maximin = (0.5, 0.0)
    e = "regret"
    usual = "left"

    def deals(self, number: int, public: Any, private: tuple[Any, Any]) -> Sequence[Deal]:
        return [Deal(side, 0.5, None, ("-", side)) for side in ("L", "R")] if number == 0 else ()

    def actions(self, public: Any) -> tuple[str, ...]:
        return "L", "R"

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        return Settled((float(first == private[1]), 0.0), ((), ()), public, private)

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """Uniform; one that says nothing of its side; and one that picks it."""
        left = Opponent("left", always("L"), "left", "round")
        honest = Opponent("honest", pure(lambda view: "R" if view.private == "R" else "L"), "its side", "round")
        return {**super().opponents, "left": left, "honest": honest}


class Pennies(Small):
    """Matching pennies for a stake of 1 or 2 that both see; what was dealt no longer matters, so states merge."""

    name: ClassVar[str] = "pennies"
    max_payoff: ClassVar[float] = 2.0
    zero_sum = True
    alike = True
    merge = True
    maximin: tuple[float, float] | None = (0.0, 0.0)
    usual = "heads"

    def deals(self, number: int, public: Any, private: tuple[Any, Any]) -> Sequence[Deal]:
        return [Deal(str(stake), 0.5, None, (stake, stake)) for stake in (1, 2)]

    def actions(self, public: Any) -> tuple[str, ...]:
        return "H", "T"

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        won = float(private[0] if first == second else -private[0])
        return Settled((won, -won), ((), ()), public, (None, None))

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """Uniform and heads."""
        return {**super().opponents, "heads": Opponent("heads", always("H"), "heads", "round")}


class UnknownPennies(Pennies):
    """The same by somebody who does not know its value."""

    maximin = None


class Pond(Small):
    """Both take fish from a pond, at most what is in it and at most 3; one fish comes back a round."""

    name: ClassVar[str] = "pond"
    max_payoff: ClassVar[float] = 3.0
    maximin = (1.0, 1.0)
    usual = "most"
    fish: ClassVar[int] = 5

    @property
    def start(self) -> int:
        return self.fish

    def actions(self, public: Any) -> tuple[str, ...]:
        return ("1", "2", "3")[: max(1, public)]

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        left = max(0, public - int(first) - int(second))
        return Settled((float(first), float(second)), ((), ()), left + 1, private)

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """Uniform; one that takes the most; and one that does so once somebody else took 3, else mostly 1."""

        def wary(decision: Decision) -> Mapping[str, float]:
            if any(pair.other == "3" for pair in decision.view.rounds) or len(decision.legal) == 1:
                return {decision.legal[-1]: 1.0}
            return {"1": 0.9, "2": 0.1}

        most = Opponent("most", lambda d: {d.legal[-1]: 1.0}, "the most", "round")
        return {**super().opponents, "most": most, "wary": Opponent("wary", wary, "wary")}
