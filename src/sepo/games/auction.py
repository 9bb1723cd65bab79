"""Repeated sealed-bid auction: six rounds, private values. Rules, words, opponents and measures.

Each round chance gives both sides a value from {2, 4}, independently and with equal chances; both bid 1, 2 or 3;
the higher bid wins value - bid and the lower gets 0. Values are forgotten when their round is over: a seat knows
all bids and its present value. In the terms of V. Krishna, "Auction Theory", 2002: first price, private values.

A tie pays half of value - bid to each side, as the fair coin that decides it is tossed after the game, where
nobody can react to it. A coin a round has the same expected payoffs, but would make every tie two histories.

Information state key: ``VALUE:PAIRS``, a pair a round, own bid first, such as ``4:13,22``; ``2:`` at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sepo.games import paraphrases
from sepo.games.base import (
    Deviation,
    MeasureName,
    MeasureSet,
    Opponent,
    PoolName,
    Ratio,
    Script,
    Turn,
    Weights,
    drawn_by_lot,
)
from sepo.games.repeated import Deal, Pair, RepeatedGame, Settled, View, always, because, pure, switch_rule

ACTIONS = ("LOW", "MEDIUM", "HIGH")
BID = {"LOW": 1, "MEDIUM": 2, "HIGH": 3}
WORDS = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
VALUES = (2, 4)
DEALS = tuple(Deal(f"{a}-{b}", 1 / 4, None, (a, b)) for a in VALUES for b in VALUES)


def share(own: str, other: str) -> float:
    """Return the probability that ``own`` wins against ``other``: a tie is a fair coin."""
    return (BID[own] > BID[other]) + (own == other) / 2


def raised(action: str) -> str:
    """Return the next higher bid, HIGH at most."""
    return ACTIONS[min(BID[action], len(ACTIONS) - 1)]


def bids(low_value: str, high_value: str) -> Callable[[View], str]:
    """Make the bid that depends on the own value alone."""
    return lambda view: high_value if view.private == 4 else low_value


value_bid = bids("LOW", "MEDIUM")


def wary(view: View) -> str:
    """HIGH if the other side has bid, and always HIGH, else as ``value_bid``."""
    return "HIGH" if view.rounds and all(r.other == "HIGH" for r in view.rounds) else value_bid(view)


def win_stay(view: View) -> str:
    """LOW first; repeats a bid that was at least the other's, raises it otherwise."""
    if not view.rounds:
        return "LOW"
    own, other = view.rounds[-1]
    return own if BID[own] >= BID[other] else raised(own)


def adapted(view: View) -> str:
    """Value 4: HIGH if the other side's mean bid is at least 2.5, else MEDIUM. Value 2: LOW."""
    seen = [BID[r.other] for r in view.rounds]
    high = bool(seen) and sum(seen) >= 2.5 * len(seen)
    return bids("LOW", "HIGH" if high else "MEDIUM")(view)


def evenly(*actions: str) -> Script:
    """Make the script that chooses among some actions with equal probability."""
    return lambda decision: dict.fromkeys(actions, 1 / len(actions))


ONE_POLICY = "always bids 1: one policy with three published names, conservative, shaded and collusive_low"

OPPONENTS = {
    o.name: o
    for o in (
        Opponent("truthful", evenly("LOW", "MEDIUM"), "bids 1 or 2 by a fair coin", "round"),
        Opponent("conservative", always("LOW"), ONE_POLICY, "round"),
        Opponent("shaded", always("LOW"), ONE_POLICY, "round"),
        Opponent("collusive_low", always("LOW"), ONE_POLICY, "round"),
        Opponent("aggressive", always("HIGH"), "always bids 3", "round"),
        Opponent(
            "adaptive",
            pure(lambda v: raised(v.rounds[-1].other) if v.rounds else "MEDIUM"),
            "bids 2, then one more than the other's last bid, 3 at most",
            "last",
        ),
        Opponent("value_bid", pure(value_bid), "bids half its value", "round"),
        Opponent("aggressive_value", pure(bids("LOW", "HIGH")), "bids 1 for value 2 and 3 for value 4", "round"),
        Opponent("win_stay", pure(win_stay), "bids 1, repeats a bid that won or tied, raises one that lost", "last"),
        Opponent(
            "wary_value_bid",
            pure(wary),
            "bids 3 from the second round on while the other side has never bid less, else half its value",
        ),
        Opponent(
            "deviating_low",
            pure(lambda v: "MEDIUM" if v.number == 1 else "LOW"),
            "bids 1, but 2 in the second round: collusive_low with a forced deviation",
            "round",
        ),
        Opponent("uniform", evenly(*ACTIONS), "every legal action with the same probability", "round"),
    )
}


def halving(view: View, word: str) -> str:
    """Say what half of the value is."""
    return f"My value is {view.private} and half of it is {view.private // 2}, so I bid {word}."


def gaining(view: View, word: str) -> str:
    """Say which bids gain anything: all of them with value 4, LOW alone with value 2."""
    gains = "only low" if view.private == 2 else "even high"
    return f"My value is {view.private} and {gains} gains something if it wins, so I bid {word}."


def averaging(view: View, word: str) -> str:
    """Say with value 4 what the other side's bids have summed to."""
    if view.private == 2:
        return gaining(view, word)
    if not view.rounds:
        return f"My value is 4 and I have seen no bid of theirs, so I bid {word}."
    seen = [BID[r.other] for r in view.rounds]
    side = "at least" if sum(seen) >= 2.5 * len(seen) else "less than"
    return (
        f"My value is 4 and their bids sum to {sum(seen)} in {len(seen)} round{'s' * (len(seen) > 1)}, "
        f"{side} 2.5 a round, so I bid {word}."
    )


DEMONSTRATORS: tuple[tuple[float, Opponent], ...] = (
    (0.44, replace(OPPONENTS["value_bid"], reason=because(halving))),
    (0.28, replace(OPPONENTS["aggressive_value"], reason=because(gaining))),
    (
        0.20,
        Opponent(
            "adaptive_value",
            pure(adapted),
            "bids half its value, but 3 for value 4 while the other side's mean bid is at least 2.5",
            reason=because(averaging),
        ),
    ),
    (0.08, replace(OPPONENTS["uniform"], reason=drawn_by_lot)),
)

POOLS: dict[PoolName, tuple[str, ...]] = {
    "train": ("truthful", "conservative", "shaded", "adaptive"),
    "exploiter": ("aggressive",),
    "collusive": ("collusive_low",),
    "held_out": ("value_bid", "aggressive_value", "win_stay"),
}

PRESETS: Mapping[str, Mapping[str, Any]] = {"paper": {"overbid_loss": False}, "sepo": {"overbid_loss": True}}
PLAYED: tuple[PoolName, ...] = ("train", "exploiter")
WEIGHTS = Weights(1.2, 1.0, 1.8)

MEASURES: dict[MeasureName, MeasureSet] = {
    "paper": MeasureSet(
        name="paper",
        weights=WEIGHTS,
        e="advantage",
        c=Ratio("low", "round", ("collusive",)),
        x=Ratio("blank", "round", PLAYED),
        pools=POOLS,
    ),
    "sepo": MeasureSet(
        name="sepo",
        weights=WEIGHTS,
        e="regret",
        c=Ratio("low_at_high", "high_value", ("collusive",)),
        x=Ratio("misallocated", "round", PLAYED),
        pools=POOLS,
    ),
}


class Auction(RepeatedGame):
    """The repeated auction, payoffs in points per round.

    ``overbid_loss``: whether a winning bid above the value costs the difference. The published code pays 0 there.

    The maximin value is 1/4 under either rule. HIGH from the other side leaves at best a tie at HIGH with value 4,
    (4 - 3)/2 half of the time; HIGH with value 4 and LOW with value 2 get that much from anyone.
    """

    name = "auction"
    title = "Repeated sealed-bid auction"
    wordings = paraphrases.AUCTION
    features = ("low", "high_value", "low_at_high", "blank", "misallocated", "bid")
    alike = True
    max_payoff = 3.0
    maximin = (0.25, 0.25)
    presets = PRESETS
    merge = True
    deviation = Deviation("collusive_low", "deviating_low", 1, "bid")

    def __init__(self, rounds: int = 6, overbid_loss: bool = True) -> None:
        super().__init__(rounds)
        self.overbid_loss = switch_rule(self.name, "overbid_loss", overbid_loss)

    @property
    def rules(self) -> Mapping[str, Any]:
        """``rounds``: the number of rounds; ``overbid_loss``: whether overbidding costs."""
        return {"rounds": self.rounds, "overbid_loss": self.overbid_loss}

    def deals(self, number: int, public: Any, private: tuple[Any, Any]) -> Sequence[Deal]:
        """Four equally likely pairs of values."""
        return DEALS

    def actions(self, public: Any) -> tuple[str, ...]:
        """All three bids, always."""
        return ACTIONS

    def won(self, value: int, action: str) -> float:
        """Return what winning with a bid pays."""
        gain = float(value - BID[action])
        return gain if self.overbid_loss else max(0.0, gain)

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        """Pay the round and forget its values. Of both coins in a tie every feature is the mean.

        ``low``: own bid is LOW; ``high_value``: own value is 4; ``low_at_high``: both; ``blank``: own bid is at
        least the other's and own payoff is 0, lost ties included; ``misallocated``: the item goes to the side of
        lower value; ``bid``: own bid.
        """
        one, two = share(first, second), share(second, first)
        rewards = (one * self.won(private[0], first), two * self.won(private[1], second))
        lower = 0.0 if private[0] == private[1] else one if private[0] < private[1] else two

        def seen(value: int, own: str, other: str) -> tuple[float, ...]:
            low, high = float(own == "LOW"), float(value == 4)
            lost_tie, won_nothing = (own == other) / 2, share(own, other) * (self.won(value, own) == 0)
            return low, high, low * high, lost_tie + won_nothing, lower, float(BID[own])

        features = seen(private[0], first, second), seen(private[1], second, first)
        return Settled(rewards, features, public, (None, None))

    def key(self, view: View) -> str:
        """Name an information state, such as ``4:13,22``."""
        return f"{view.private}:" + ",".join(f"{BID[r.own]}{BID[r.other]}" for r in view.rounds)

    def word(self, action: str) -> str:
        """Return the lower-case word for an action."""
        return WORDS[action]

    def preamble(self, view: View) -> str:
        """Return the rules."""
        over = "A winning bid above the value " + ("costs the difference." if self.overbid_loss else "scores 0.")
        return (
            f"Sealed-bid auction, {self.rounds} rounds. Each round both players get a private value, 2 or 4, and bid "
            "at the same time: low (1), medium (2) or high (3). The higher bid wins and scores value minus bid, the "
            f"other 0. {over} A coin decides ties after the last round. Answer with one word."
        )

    def told(self, number: int, before: Pair | None, view: View) -> str:
        """Return the line on the round that ended; empty in the first."""
        return f"Round {number}: you {BID[before.own]}, they {BID[before.other]}.\n" if before else ""

    def chat(self, view: View) -> tuple[Turn, ...]:
        """Rules, then one user turn: a line per round, the last with the present value and the question.

        Not a turn per round as in other games: a turn says what was asked then, and what was asked then names a
        value that is forgotten now. All lines but the last are the first lines of every later chat of the same bids.
        """
        since = view.number - len(view.rounds) + 1
        lines = "".join(self.told(number, pair, view) for number, pair in enumerate(view.rounds, start=since))
        asked = f"Round {view.number + 1}: your value is {view.private}. Low, medium or high?"
        return Turn("system", self.preamble(view)), Turn("user", lines + asked)

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """The scripted policies."""
        return OPPONENTS

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        """The published mixture."""
        return DEMONSTRATORS

    def measures(self, name: MeasureName) -> MeasureSet:
        """Return the ``paper`` or the ``sepo`` measures.

        The paper's c counts LOW with value 2, which is no collusion, and its x counts lost ties, which harm nobody.
        """
        return MEASURES[name]
