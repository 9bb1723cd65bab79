"""Iterated Prisoner's Dilemma: eight rounds of cooperate or defect. Rules, words, opponents and measures.

Payoffs T/R/P/S = 5/3/1/0. R. Axelrod, "The Evolution of Cooperation", 1984; the strategies are those of his
tournaments and of M. Nowak and K. Sigmund (Nature 355, 1992; 364, 1993), with their usual names.

Information state key: comma-joined rounds, own letter first, such as ``CD,CC``; empty at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sepo.games import paraphrases
from sepo.games.base import (
    Decision,
    MeasureName,
    MeasureSet,
    Opponent,
    PoolName,
    Ratio,
    Reason,
    Script,
    Weights,
    drawn_by_lot,
)
from sepo.games.repeated import Pair, RepeatedGame, Settled, View, because

ACTIONS = ("COOPERATE", "DEFECT")
WORDS = {"COOPERATE": "cooperate", "DEFECT": "defect"}
PAYOFF = {
    ("COOPERATE", "COOPERATE"): (3.0, 3.0),
    ("COOPERATE", "DEFECT"): (0.0, 5.0),
    ("DEFECT", "COOPERATE"): (5.0, 0.0),
    ("DEFECT", "DEFECT"): (1.0, 1.0),
}
MUTUAL = 3.0


def cooperates(chance: Callable[[View], float]) -> Script:
    """Make the strategy that cooperates with a probability that depends on what it has seen."""

    def script(decision: Decision) -> Mapping[str, float]:
        p = float(chance(decision.view))
        return {"COOPERATE": p, "DEFECT": 1 - p}

    return script


def defected(pair: Pair) -> bool:
    """Whether the other side defected in a round."""
    return pair.other == "DEFECT"


OPPONENTS = {
    o.name: o
    for o in (
        Opponent("always_cooperate", cooperates(lambda v: True), "cooperates", "round"),
        Opponent("always_defect", cooperates(lambda v: False), "defects", "round"),
        Opponent(
            "tit_for_tat",
            cooperates(lambda v: not v.rounds or not defected(v.rounds[-1])),
            "cooperates, then copies",
            "last",
        ),
        Opponent(
            "generous_tit_for_tat",
            cooperates(lambda v: 0.25 if v.rounds and defected(v.rounds[-1]) else 1.0),
            "copies, but forgives a defection with 1/4",
            "last",
        ),
        Opponent(
            "grim_trigger",
            cooperates(lambda v: not any(map(defected, v.rounds))),
            "cooperates until the first defection, then defects for good",
        ),
        Opponent("mixed", cooperates(lambda v: 0.5), "cooperates with 1/2", "round"),
        Opponent(
            "alternating_defect",
            cooperates(lambda v: v.number % 2),
            "defects in odd rounds, whatever happens",
            "round",
        ),
        Opponent(
            "suspicious_tit_for_tat",
            cooperates(lambda v: bool(v.rounds) and not defected(v.rounds[-1])),
            "defects first, then copies",
            "last",
        ),
        Opponent(
            "tit_for_two_tats",
            cooperates(lambda v: not (len(v.rounds) > 1 and defected(v.rounds[-1]) and defected(v.rounds[-2]))),
            "defects only after two defections in a row",
        ),
        Opponent(
            "pavlov",
            cooperates(lambda v: not v.rounds or v.rounds[-1].own == v.rounds[-1].other),
            "repeats what paid well, changes otherwise",
            "last",
        ),
        Opponent("uniform", cooperates(lambda v: 0.5), "every legal action with the same probability", "round"),
    )
}


def did(action: str) -> str:
    """Return the past tense of an action's word."""
    return WORDS[action].removesuffix("e") + "ed"


def copying(view: View, word: str) -> str:
    """Say what the other side did last."""
    if not view.rounds:
        return f"It is the first round, so I {word}."
    return f"They {did(view.rounds[-1].other)} last round, so I {word} this time."


def forgiving(view: View, word: str) -> str:
    """Say what the other side did last, and that a defection is answered by lot."""
    if view.rounds and defected(view.rounds[-1]):
        return f"They defected last round, which I forgive 1 time in 4 at random, and this time I {word}."
    return copying(view, word)


def holding_a_grudge(view: View, word: str) -> str:
    """Say when the other side first defected, or that it never did."""
    if not view.rounds:
        return copying(view, word)
    first = next((number for number, pair in enumerate(view.rounds, start=1) if defected(pair)), None)
    return (
        f"They have never defected, so I {word}." if first is None else f"They defected in round {first}, so I {word}."
    )


def dominant(view: View, word: str) -> str:
    """Say what defecting pays, which depends on nothing that was seen."""
    (tempted, _), (kept, _) = PAYOFF["DEFECT", "COOPERATE"], PAYOFF["COOPERATE", "COOPERATE"]
    (safe, _), (fooled, _) = PAYOFF["DEFECT", "DEFECT"], PAYOFF["COOPERATE", "DEFECT"]
    return (
        f"If they cooperate defecting pays {tempted:g} instead of {kept:g}, and if they defect {safe:g} instead of "
        f"{fooled:g}, so I {word} in every round."
    )


REASONS: Mapping[str, Reason] = {
    "tit_for_tat": because(copying),
    "always_defect": because(dominant),
    "grim_trigger": because(holding_a_grudge),
    "uniform": drawn_by_lot,
    "generous_tit_for_tat": because(forgiving),
    "always_cooperate": because(
        lambda v, word: f"No outcome pays both together more than {MUTUAL:g} points each, so I {word} in every round."
    ),
}

DEMONSTRATORS: tuple[tuple[float, Opponent], ...] = tuple(
    (share, replace(OPPONENTS[name], reason=REASONS[name]))
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


class Ipd(RepeatedGame):
    """The Iterated Prisoner's Dilemma, payoffs in points per round."""

    name = "ipd"
    title = "Iterated Prisoner's Dilemma"
    wordings = paraphrases.IPD
    features = ("defection", "cooperation", "loss")
    alike = True
    max_payoff = MUTUAL
    maximin = (1.0, 1.0)
    cooperation = "cooperation"

    def __init__(self, rounds: int = 8) -> None:
        super().__init__(rounds)

    @property
    def rules(self) -> Mapping[str, Any]:
        """``rounds``: the number of rounds."""
        return {"rounds": self.rounds}

    def actions(self, public: Any) -> tuple[str, ...]:
        """Both actions, always."""
        return ACTIONS

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        """``defection``: own defections; ``cooperation``: own cooperations; ``loss``: share of mutual payoff lost."""
        rewards = PAYOFF[first, second]
        lost = max(0.0, (MUTUAL - sum(rewards) / 2) / MUTUAL)
        features = tuple((float(own == "DEFECT"), float(own == "COOPERATE"), lost) for own in (first, second))
        return Settled(rewards, (features[0], features[1]), public, private)

    def key(self, view: View) -> str:
        """Name an information state, such as ``CD,CC``."""
        return ",".join(pair.own[0] + pair.other[0] for pair in view.rounds)

    def word(self, action: str) -> str:
        """Return the lower-case word for an action."""
        return WORDS[action]

    def preamble(self, view: View) -> str:
        """Return the rules."""
        return (
            f"Prisoner's dilemma, {self.rounds} rounds. Each round both players say cooperate or defect at the same "
            "time. Both cooperate: 3 points each. Both defect: 1 each. One defects alone: 5 for the defector, 0 for "
            "the other. Answer with one word."
        )

    def told(self, number: int, before: Pair | None, view: View) -> str:
        """Return what the other side did, and the number of the round that follows."""
        said = f"They {did(before.other)}. " if before else ""
        return f"{said}Round {number + 1}:"

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
