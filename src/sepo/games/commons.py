"""Resource extraction from a common stock: take 1, 2 or 3 units each round. Rules, words, opponents and measures.

The repeated common-pool resource game of E. Ostrom, R. Gardner and J. Walker, "Rules, Games, and Common-Pool
Resources", 1994, at its smallest. Readings where the published rules are silent: while any stock is left both are
paid their takes in full, even beyond it; then the takes leave the stock, which stops at 0, and only then does it
grow, also from 0 (a cap at the first stock would not matter: two takes are at least the growth). At stock 0 a take
pays max(0, take - 2), so only HIGH pays, and only 1.

Information state key: comma-joined rounds, own take first, such as ``12,33``; empty at the start. The stock follows
from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
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
from sepo.games.repeated import Pair, RepeatedGame, Settled, View, always, because, number_rule, pure

TAKE = {"LOW": 1, "MEDIUM": 2, "HIGH": 3}
ACTIONS = tuple(TAKE)
WORDS = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
MOST = 3
SUSTAINED = 3  # units that both together may take for the stock to grow by two
SCARCE = 6


def grown(stock: int, total: int) -> int:
    """Return the stock after a round in which both together took ``total``."""
    growth = 2 if total <= SUSTAINED else 1 if total == SUSTAINED + 1 else 0
    return max(0, stock - total) + growth


def pay(stock: int, take: int) -> int:
    """Return what a take pays while ``stock`` is there."""
    return take if stock > 0 else max(0, take - 2)


@cache
def secured(rounds: int, stock: int) -> int:
    """Return the most a side can secure over ``rounds`` rounds that start with ``stock``, by backward induction.

    The future depends on the stock alone, so each round is a matrix game. All those that the rules allow have a
    saddle point (the tests look at each), so the maximin over pure takes is the value and nobody needs to mix.
    """
    if rounds == 0:
        return 0
    takes = TAKE.values()
    return max(
        min(pay(stock, own) + secured(rounds - 1, grown(stock, own + other)) for other in takes) for own in takes
    )


def first_half(decision: Decision) -> Mapping[str, float]:
    """HIGH in the first half of the rounds (the middle one of an odd number included), then LOW."""
    return {"HIGH" if 2 * decision.view.number < decision.game.rounds else "LOW": 1.0}


def uniform(decision: Decision) -> Mapping[str, float]:
    """Every legal action with the same probability."""
    return dict.fromkeys(ACTIONS, 1 / len(ACTIONS))


def when(condition: Callable[[View], bool], then: str, otherwise: str) -> Script:
    """Make the script that plays one action where a condition holds, and another elsewhere."""
    return pure(lambda view: then if condition(view) else otherwise)


def reciprocate(view: View) -> str:
    """MEDIUM first, then HIGH if the other last took HIGH, else LOW."""
    if not view.rounds:
        return "MEDIUM"
    return "HIGH" if view.rounds[-1].other == "HIGH" else "LOW"


OPPONENTS = {
    o.name: o
    for o in (
        Opponent("low", always("LOW"), "takes 1", "round"),
        Opponent("medium", always("MEDIUM"), "takes 2", "round"),
        Opponent("high", always("HIGH"), "takes 3", "round"),
        Opponent(
            "scarcity_aware",
            when(lambda v: v.public <= SCARCE, "LOW", "MEDIUM"),
            "takes 1 if the stock is at most 6, else 2",
            "round",
        ),
        Opponent(
            "reciprocal",
            pure(reciprocate),
            "takes 2, then 3 if the other last took 3, else 1",
            "last",
        ),
        Opponent("high_then_low", first_half, "takes 3 in the first half of the rounds, then 1", "round"),
        Opponent(
            "grim",
            when(lambda v: any(pair.other == "HIGH" for pair in v.rounds), "HIGH", "LOW"),
            "takes 1 until the other first takes 3, then 3 for good",
        ),
        Opponent("uniform", uniform, "every legal action with the same probability", "round"),
    )
}


def returning(view: View, word: str) -> str:
    """Say what the other side took last."""
    if not view.rounds:
        return f"It is the first round, so I start with {word}."
    last = view.rounds[-1].other
    return f"They took {WORDS[last]} last round{', not high' * (last != 'HIGH')}, so I take {word}."


def holding_a_grudge(view: View, word: str) -> str:
    """Say when the other side first took HIGH, or that it never did."""
    if not view.rounds:
        return returning(view, word)
    first = next((number for number, pair in enumerate(view.rounds, start=1) if pair.other == "HIGH"), None)
    return (
        f"They have never taken high, so I take {word}."
        if first is None
        else (f"They took high in round {first}, so I take {word}.")
    )


def sparing(view: View, word: str) -> str:
    """Say how the stock compares with what is scarce."""
    side = "at most" if view.public <= SCARCE else "more than"
    return f"The stock is {view.public}, {side} {SCARCE}, so I take {word}."


REASONS: Mapping[str, Reason] = {
    "reciprocal": because(returning),
    "grim": because(holding_a_grudge),
    "scarcity_aware": because(sparing),
    "low": because(
        lambda v, word: (
            f"The stock grows most if both together take at most {SUSTAINED}, so I take {word} in every round."
        )
    ),
    "uniform": drawn_by_lot,
}

DEMONSTRATORS: tuple[tuple[float, Opponent], ...] = tuple(
    (share, replace(OPPONENTS[name], reason=REASONS[name]))
    for share, name in (
        (0.40, "reciprocal"),
        (0.22, "grim"),
        (0.18, "scarcity_aware"),
        (0.12, "low"),
        (0.08, "uniform"),
    )
)

PAPER_POOLS: dict[PoolName, tuple[str, ...]] = {
    "train": ("high", "medium", "scarcity_aware"),
    "exploiter": ("high",),
    "collusive": ("high",),
    "held_out": ("low", "high_then_low"),
}
POOLS: dict[PoolName, tuple[str, ...]] = {
    "train": ("medium", "scarcity_aware", "reciprocal"),
    "exploiter": ("high",),
    "collusive": ("reciprocal",),
    "held_out": ("low", "high_then_low"),
}


class Commons(RepeatedGame):
    """Resource extraction, payoffs in points per round. Public is the stock."""

    name = "commons"
    title = "Resource extraction"
    wordings = paraphrases.COMMONS
    features = ("both_high", "excess", "restraint")
    alike = True
    max_payoff = float(MOST)
    cooperation = "restraint"

    def __init__(self, rounds: int = 8, stock: int = 12) -> None:
        super().__init__(rounds)
        self.stock = number_rule(self.name, "stock", stock, 0, 100)
        security = secured(self.rounds, self.stock) / self.rounds
        self.maximin = security, security

    @property
    def rules(self) -> Mapping[str, Any]:
        """``rounds``: the number of rounds; ``stock``: the units there at first."""
        return {"rounds": self.rounds, "stock": self.stock}

    @property
    def start(self) -> int:
        """The stock at first."""
        return self.stock

    def actions(self, public: Any) -> tuple[str, ...]:
        """All three, always."""
        return ACTIONS

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        """Both are paid, then the stock falls and grows.

        ``both_high``: both took HIGH; ``excess``: max(0, total - 3) / 3; ``restraint``: own takes of LOW.
        """
        a, b = TAKE[first], TAKE[second]
        high, excess = float(a == b == MOST), max(0, a + b - SUSTAINED) / SUSTAINED
        features = tuple((high, excess, float(own == "LOW")) for own in (first, second))
        rewards = float(pay(public, a)), float(pay(public, b))
        return Settled(rewards, (features[0], features[1]), grown(public, a + b), private)

    def key(self, view: View) -> str:
        """Name an information state, such as ``12,33``."""
        return ",".join(f"{TAKE[pair.own]}{TAKE[pair.other]}" for pair in view.rounds)

    def word(self, action: str) -> str:
        """Return the lower-case word for an action."""
        return WORDS[action]

    def preamble(self, view: View) -> str:
        """Return the rules."""
        return (
            f"A common stock of {self.stock} units, {self.rounds} rounds. Each round both players take low (1), medium "
            "(2) or high (3) at the same time; a unit taken is a point. Then the stock falls by what was taken and "
            "grows: by 2 if both together took at most 3, by 1 if they took 4. When it is empty, high pays 1 point and "
            "the others 0. Answer with one word."
        )

    def told(self, number: int, before: Pair | None, view: View) -> str:
        """Return what the other side took, the stock after it, and the number of the round that follows."""
        if before is None:
            return f"Stock {self.stock}. Round 1:"
        stock = self.stock
        for pair in view.rounds[:number]:
            stock = grown(stock, TAKE[pair.own] + TAKE[pair.other])
        return f"They took {WORDS[before.other]}. Stock {stock}. Round {number + 1}:"

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """The scripted policies."""
        return OPPONENTS

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        """The published mixture; ``grim`` is spelt out by no source, so here."""
        return DEMONSTRATORS

    def measures(self, name: MeasureName) -> MeasureSet:
        """Return the ``paper`` or the ``sepo`` measures: theirs have one opponent for two purposes, ours do not."""
        return MeasureSet(
            name=name,
            weights=Weights(2.4, 2.4, 2.4),
            e="advantage" if name == "paper" else "regret",
            c=Ratio("both_high", "round", ("collusive",)),
            x=Ratio("excess", "round", ("train", "exploiter")),
            pools=PAPER_POOLS if name == "paper" else POOLS,
        )
