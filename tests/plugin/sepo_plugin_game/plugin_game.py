"""Matching pennies as a third-party game: both show a side of a coin; seat 0 wins a chip if they match, else seat 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sepo.games.base import TERMINAL, Game, MeasureName, MeasureSet, Opponent, Ratio, Turn, Weights

SIDES = ("heads", "tails")


@dataclass(frozen=True)
class Coins:
    """A node: the coins shown so far."""

    shown: tuple[str, ...] = ()
    round: int = 0

    @property
    def actor(self) -> int:
        return (0, 1, TERMINAL)[len(self.shown)]

    def chance(self) -> Sequence[tuple[str, float]]:
        return ()

    def legal(self) -> tuple[str, ...]:
        return SIDES

    def child(self, action: str) -> Coins:
        return Coins((*self.shown, action))

    def view(self, seat: int) -> str:
        return ("match", "differ")[seat]

    def rewards(self) -> tuple[float, float]:
        if len(self.shown) < 2:
            return 0.0, 0.0
        return (1.0, -1.0) if self.shown[0] == self.shown[1] else (-1.0, 1.0)

    def features(self, learner: int) -> tuple[float, ...]:
        return (float(len(self.shown) == 2 and self.shown[learner] == "heads"),)


OPPONENTS = {
    "heads": Opponent("heads", lambda d: {"heads": 1.0}, "shows heads"),
    "mostly_heads": Opponent("mostly_heads", lambda d: {"heads": 0.75, "tails": 0.25}, "shows heads with 3/4"),
    "fair": Opponent("fair", lambda d: {"heads": 0.5, "tails": 0.5}, "the equilibrium"),
}


class Pennies(Game):
    """Matching pennies, one round."""

    name = "plugin_game"
    title = "Matching pennies"
    features = ("heads",)
    max_payoff = 1.0
    zero_sum = True
    rounds = 1
    seats = (0, 1)

    @property
    def rules(self) -> Mapping[str, Any]:
        return {}

    def root(self) -> Coins:
        return Coins()

    def key(self, view: str) -> str:
        return view

    def chat(self, view: str) -> tuple[Turn, ...]:
        return Turn("system", f"Two coins. You win if they {view}."), Turn("user", "Heads or tails?")

    def word(self, action: str) -> str:
        return action

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        return OPPONENTS

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        return [(1.0, OPPONENTS["fair"])]

    def measures(self, name: MeasureName) -> MeasureSet:
        return MeasureSet(
            name,
            Weights(1.0, 1.0, 0.0),
            "advantage" if name == "paper" else "exploitability",
            Ratio("heads", "round", ("collusive",)),
            None,
            {"train": ("fair",), "exploiter": ("mostly_heads",), "collusive": ("fair",), "held_out": ("heads",)},
        )
