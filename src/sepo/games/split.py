"""Split bargaining: four rounds in which both demand a share of ten. Rules, words, opponents and measures.

Both are paid their demand if the demands sum to at most 10, and nothing otherwise. J. Nash, "Two-person cooperative
games", Econometrica 21, 1953, calls one such round the demand game.

Information state key: comma-joined rounds, own demand first, such as ``5-6,7-3``; empty at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sepo.games import paraphrases
from sepo.games.base import MeasureName, MeasureSet, Opponent, PoolName, Ratio, Script, Weights
from sepo.games.repeated import Pair, RepeatedGame, Settled, View, always, because, pure

PIE = 10
ACTIONS = tuple(str(demand) for demand in range(1, PIE))
GREEDY = 7


def broke(pair: Pair) -> bool:
    """Whether a round was a breakdown: more was demanded than there is."""
    return int(pair.own) + int(pair.other) > PIE


def reacts(first: int, then: Callable[[Pair], int]) -> Script:
    """Make the script that demands ``first``, then what it makes of the last round."""
    return pure(lambda view: str(then(view.rounds[-1]) if view.rounds else first))


def evenly(*actions: str) -> Script:
    """Make the script that chooses among some actions with equal probability."""
    return lambda decision: dict.fromkeys(actions, 1 / len(actions))


def rest(pair: Pair) -> int:
    """Return what the other side's last demand leaves."""
    return PIE - int(pair.other)


OPPONENTS = {
    o.name: o
    for o in (
        Opponent("fair", always("5"), "always demands 5", "round"),
        Opponent("balanced", always("6"), "always demands 6", "round"),
        Opponent("selfish", always("7"), "always demands 7", "round"),
        Opponent("hardball", always("8"), "always demands 8", "round"),
        Opponent(
            "concede", reacts(6, lambda last: 5 if broke(last) else 6), "demands 6, but 5 after a breakdown", "last"
        ),
        Opponent("tit_for_tat_split", reacts(5, rest), "demands 5, then what the other's last demand left", "last"),
        Opponent(
            "patient",
            pure(lambda v: "8" if v.number < 2 else "5"),
            "demands 8 in the first two rounds and 5 after, whatever happens",
            "round",
        ),
        Opponent(
            "accommodating",
            reacts(5, lambda last: rest(last) if rest(last) >= 4 else 5),
            "demands 5, then what the other's last demand left if that is at least 4, else 5",
            "last",
        ),
        Opponent("uniform", evenly(*ACTIONS), "every legal action with the same probability", "round"),
    )
}


def opening(word: str) -> str:
    """Say that nothing has been seen."""
    return f"It is the first round, so I start with {word}."


def yielding(view: View, word: str) -> str:
    """Say how much the other side demanded last."""
    if not view.rounds:
        return opening(word)
    asked = int(view.rounds[-1].other)
    side = f"at least {GREEDY}" if asked >= GREEDY else f"less than {GREEDY}"
    return f"They demanded {asked} last round, which is {side}, so I demand {word}."


def stepping_down(view: View, word: str) -> str:
    """Say what the last demands came to, and after a breakdown what there is to go down from."""
    if not view.rounds:
        return opening(word)
    last = view.rounds[-1]
    sums = f"Our demands of {last.own} and {last.other} last round sum to {int(last.own) + int(last.other)}"
    if not broke(last):
        return f"{sums}, at most {PIE}, so I demand {word}."
    down = "one less than mine" if int(last.own) > 3 else "3, the least I go down to"
    return f"{sums}, more than {PIE}, so I demand {down}: {word}."


def returning(view: View, word: str) -> str:
    """Say what the other side's last demand leaves."""
    if not view.rounds:
        return opening(word)
    last = view.rounds[-1]
    return f"They demanded {last.other} last round, which leaves {rest(last)} of {PIE}, so I demand {word}."


DEMONSTRATORS: tuple[tuple[float, Opponent], ...] = (
    (
        0.32,
        replace(OPPONENTS["fair"], reason=because(lambda v, word: f"Half of {PIE} is {PIE // 2}, so I demand {word}.")),
    ),
    (
        0.27,
        Opponent(
            "yielding_balanced",
            reacts(6, lambda last: 3 if int(last.other) >= GREEDY else 6),
            "demands 6, but 3 right after a demand of 7 or more",
            "last",
            because(yielding),
        ),
    ),
    (
        0.18,
        Opponent(
            "stepwise_concede",
            reacts(6, lambda last: max(3, int(last.own) - 1) if broke(last) else 6),
            "demands 6, after a breakdown one less than before, 3 at least",
            "last",
            because(stepping_down),
        ),
    ),
    (0.15, replace(OPPONENTS["tit_for_tat_split"], reason=because(returning))),
    (
        0.08,
        Opponent(
            "middling",
            evenly("3", "4", "5", "6", "7"),
            "demands 3 to 7 with equal probability",
            "round",
            because(lambda v, word: f"I pick from 3 to 7 at random, and this time it is {word}."),
        ),
    ),
)

POOLS: dict[PoolName, tuple[str, ...]] = {
    "train": ("fair", "balanced", "concede", "hardball"),
    "exploiter": ("selfish", "hardball"),
    "collusive": ("fair",),
    "held_out": ("tit_for_tat_split", "patient"),
}


class Split(RepeatedGame):
    """Split bargaining, payoffs in points per round.

    The maximin value is 1: whoever faces a demand of 9 gets 1 at best, and a demand of 1 is always paid.
    """

    name = "split"
    title = "Split bargaining"
    wordings = paraphrases.SPLIT
    features = ("breakdown", "greedy", "demand")
    alike = True
    max_payoff = 5.0
    maximin = (1.0, 1.0)

    def __init__(self, rounds: int = 4) -> None:
        super().__init__(rounds)

    @property
    def rules(self) -> Mapping[str, Any]:
        """``rounds``: the number of rounds."""
        return {"rounds": self.rounds}

    def actions(self, public: Any) -> tuple[str, ...]:
        """Every whole demand from 1 to 9, always."""
        return ACTIONS

    def settle(self, public: Any, private: tuple[Any, Any], first: str, second: str) -> Settled:
        """``breakdown``: no deal; ``greedy``: own demand is at least 7; ``demand``: own demand."""
        broken = broke(Pair(first, second))
        rewards = (0.0, 0.0) if broken else (float(first), float(second))

        def seen(own: str) -> tuple[float, ...]:
            return float(broken), float(int(own) >= GREEDY), float(own)

        return Settled(rewards, (seen(first), seen(second)), public, private)

    def key(self, view: View) -> str:
        """Name an information state, such as ``5-6,7-3``."""
        return ",".join(f"{r.own}-{r.other}" for r in view.rounds)

    def word(self, action: str) -> str:
        """Return the digit of a demand."""
        return action

    def preamble(self, view: View) -> str:
        """Return the rules."""
        return (
            f"Bargaining over {PIE} points, {self.rounds} rounds. Each round both players demand 1 to {PIE - 1} points "
            f"at the same time. If the demands sum to at most {PIE}, both score their own demand; otherwise both score "
            "0. Answer with one digit."
        )

    def told(self, number: int, before: Pair | None, view: View) -> str:
        """Return what the other side demanded, what came of it, and the number of the round that follows."""
        said = f"They demanded {before.other}: {'no deal' if broke(before) else 'deal'}. " if before else ""
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
            weights=Weights(3.0, 2.0, 1.8),
            e="advantage" if name == "paper" else "regret",
            c=Ratio("greedy", "round", ("collusive",)),
            x=Ratio("breakdown", "round", ("train", "exploiter")),
            pools=POOLS,
        )
