"""Iterated Prisoner's Dilemma: eight rounds of cooperate or defect. Rules, words, opponents and measures.

Payoffs T/R/P/S = 5/3/1/0. R. Axelrod, "The Evolution of Cooperation", 1984; the strategies are those of his
tournaments and of M. Nowak and K. Sigmund (Nature 355, 1992; 364, 1993), with their usual names.

Information state key: comma-joined rounds, own letter first, such as ``CD,CC``; empty at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from sepo.errors import InputError
from sepo.games.base import (
    TERMINAL,
    Decision,
    Game,
    MeasureName,
    MeasureSet,
    Opponent,
    PoolName,
    Ratio,
    Script,
    Turn,
    Weights,
)

ACTIONS = ("COOPERATE", "DEFECT")
LETTER = {"COOPERATE": "C", "DEFECT": "D"}
WORDS = {"COOPERATE": "cooperate", "DEFECT": "defect"}
SPOKEN = {"C": "cooperated", "D": "defected"}
PAYOFF = {"CC": (3.0, 3.0), "CD": (0.0, 5.0), "DC": (5.0, 0.0), "DD": (1.0, 1.0)}
MUTUAL = 3.0
MAX_ROUNDS = 12


class View(NamedTuple):
    """What a seat has seen: the rounds played, own letter first."""

    rounds: tuple[str, ...]
    horizon: int


@dataclass(frozen=True, slots=True)
class Dilemma:
    """A node: the rounds played (letter of seat 0 first) and, within a round, the move that seat 0 has made."""

    horizon: int
    rounds: tuple[str, ...] = ()
    pending: str = ""

    @property
    def actor(self) -> int:
        """Seat 0 moves first in every round; seat 1 has not seen it."""
        if len(self.rounds) == self.horizon:
            return TERMINAL
        return 1 if self.pending else 0

    @property
    def round(self) -> int:
        """Index of the round that the move into this node belonged to."""
        return len(self.rounds) if self.pending else max(0, len(self.rounds) - 1)

    def chance(self) -> Sequence[tuple[str, float]]:
        """Chance never moves."""
        return ()

    def legal(self) -> tuple[str, ...]:
        """Both actions, always."""
        return ACTIONS

    def child(self, action: str) -> Dilemma:
        """Note the first seat's move, or complete the round."""
        letter = LETTER[action]
        if not self.pending:
            return Dilemma(self.horizon, self.rounds, letter)
        return Dilemma(self.horizon, (*self.rounds, self.pending + letter))

    def view(self, seat: int) -> View:
        """All complete rounds from the seat's side."""
        return View(self.rounds if seat == 0 else tuple(r[::-1] for r in self.rounds), self.horizon)

    def rewards(self) -> tuple[float, float]:
        """Payoffs of a round fall due when it is complete."""
        return PAYOFF[self.rounds[-1]] if self.rounds and not self.pending else (0.0, 0.0)

    def features(self, learner: int) -> tuple[float, ...]:
        """``defection``: own defections; ``cooperation``: own cooperations; ``loss``: share of mutual payoff lost."""
        if self.pending or not self.rounds:
            return 0.0, 0.0, 0.0
        own = self.rounds[-1][learner]
        lost = max(0.0, (MUTUAL - sum(PAYOFF[self.rounds[-1]]) / 2) / MUTUAL)
        return float(own == "D"), float(own == "C"), lost


def cooperates(chance: Callable[[tuple[str, ...]], float]) -> Script:
    """Make the strategy that cooperates with a probability that depends on the rounds, own letter first."""

    def script(decision: Decision) -> Mapping[str, float]:
        p = float(chance(decision.view.rounds))
        return {"COOPERATE": p, "DEFECT": 1 - p}

    return script


def generous(rounds: tuple[str, ...]) -> float:
    """Tit for tat that forgives a defection with probability 1/4."""
    return 0.25 if rounds and rounds[-1][1] == "D" else 1.0


OPPONENTS = {
    o.name: o
    for o in (
        Opponent("always_cooperate", cooperates(lambda r: True), "cooperates"),
        Opponent("always_defect", cooperates(lambda r: False), "defects"),
        Opponent("tit_for_tat", cooperates(lambda r: not r or r[-1][1] == "C"), "cooperates, then copies"),
        Opponent("generous_tit_for_tat", cooperates(generous), "copies, but forgives a defection with 1/4"),
        Opponent(
            "grim_trigger",
            cooperates(lambda r: all(x[1] == "C" for x in r)),
            "cooperates until the first defection, then defects for good",
        ),
        Opponent("mixed", cooperates(lambda r: 0.5), "cooperates with 1/2"),
        Opponent("alternating_defect", cooperates(lambda r: len(r) % 2), "defects in odd rounds, whatever happens"),
        Opponent(
            "suspicious_tit_for_tat", cooperates(lambda r: bool(r) and r[-1][1] == "C"), "defects first, then copies"
        ),
        Opponent(
            "tit_for_two_tats",
            cooperates(lambda r: not (len(r) > 1 and r[-1][1] == r[-2][1] == "D")),
            "defects only after two defections in a row",
        ),
        Opponent(
            "pavlov", cooperates(lambda r: not r or r[-1] in ("CC", "DD")), "repeats what paid well, changes otherwise"
        ),
        Opponent("uniform", cooperates(lambda r: 0.5), "every legal action with the same probability"),
    )
}

DEMONSTRATORS: tuple[tuple[float, Opponent], ...] = tuple(
    (share, OPPONENTS[name])
    for share, name in (
        (0.33, "tit_for_tat"),
        (0.27, "always_defect"),
        (0.22, "grim_trigger"),
        (0.08, "uniform"),
        (0.05, "generous_tit_for_tat"),
        (0.05, "always_cooperate"),
    )
)

POOLS: dict[PoolName, tuple[str, ...]] = {
    "train": ("tit_for_tat", "generous_tit_for_tat", "mixed", "grim_trigger"),
    "exploiter": ("always_defect", "alternating_defect"),
    "collusive": ("always_cooperate",),
    "held_out": ("suspicious_tit_for_tat", "tit_for_two_tats", "pavlov"),
}


class Ipd(Game):
    """The Iterated Prisoner's Dilemma, payoffs in points per round."""

    name: ClassVar[str] = "ipd"
    title: ClassVar[str] = "Iterated Prisoner's Dilemma"
    features: ClassVar[tuple[str, ...]] = ("defection", "cooperation", "loss")
    max_payoff: ClassVar[float] = MUTUAL
    zero_sum: ClassVar[bool] = False
    seats: ClassVar[tuple[int, ...]] = (0,)
    maximin: ClassVar[tuple[float, float] | None] = (1.0, 1.0)

    def __init__(self, rounds: int = 8) -> None:
        if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds <= MAX_ROUNDS:
            raise InputError(f"rule 'rounds' of game 'ipd' must be a number from 1 to {MAX_ROUNDS}, not {rounds!r}")
        self.rounds = rounds

    @property
    def rules(self) -> Mapping[str, Any]:
        """``rounds``: the number of rounds."""
        return {"rounds": self.rounds}

    def root(self) -> Dilemma:
        """Return the first round's first move."""
        return Dilemma(self.rounds)

    def key(self, view: View) -> str:
        """Name an information state, such as ``CD,CC``."""
        return ",".join(view.rounds)

    def word(self, action: str) -> str:
        """Return the lower-case word for an action."""
        return WORDS[action]

    def chat(self, view: View) -> tuple[Turn, ...]:
        """Rules once, then a line per round."""
        rules = (
            f"Prisoner's dilemma, {view.horizon} rounds. Each round both players say cooperate or defect at the same "
            "time. Both cooperate: 3 points each. Both defect: 1 each. One defects alone: 5 for the defector, 0 for "
            "the other. Answer with one word."
        )
        turns = [Turn("system", rules), Turn("user", "Round 1:")]
        for number, played in enumerate(view.rounds, start=2):
            turns += [
                Turn("assistant", WORDS["COOPERATE" if played[0] == "C" else "DEFECT"]),
                Turn("user", f"They {SPOKEN[played[1]]}. Round {number}:"),
            ]
        return tuple(turns)

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """The scripted policies."""
        return OPPONENTS

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        """The published mixture."""
        return DEMONSTRATORS

    def measures(self, name: MeasureName) -> MeasureSet:
        """Return the ``paper`` or the ``sepo`` measures; they differ in e alone."""
        return MeasureSet(
            name=name,
            weights=Weights(2.4, 1.0, 1.8),
            e="advantage" if name == "paper" else "regret",
            c=Ratio("defection", "round", ("collusive",)),
            x=Ratio("loss", "round", ("train", "exploiter")),
            pools=POOLS,
        )
