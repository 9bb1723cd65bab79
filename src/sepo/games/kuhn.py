"""Kuhn poker: three cards, one bet. Its rules, its words, its opponents and its measures.

One hand is one tree; an episode is six hands with the seats alternating, and a prompt shows only the
current hand, so a policy is twelve information states. Rules and equilibria: H. W. Kuhn, "A simplified
two-person poker", Contributions to the Theory of Games I, 1950.

Information state key: ``CARD:BETTING``, one letter a move, ``p`` for PASS and FOLD, ``b`` for BET and CALL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations
from typing import Any, NamedTuple

from sepo.games import paraphrases
from sepo.games.base import (
    CHANCE,
    TERMINAL,
    Decision,
    Game,
    MeasureName,
    MeasureSet,
    Opponent,
    PoolName,
    Ratio,
    Reason,
    Script,
    Turn,
    Weights,
)

CARDS = "JQK"
CARD_WORDS = {"J": "jack", "Q": "queen", "K": "king"}
WORDS = {"PASS": "check", "BET": "bet", "FOLD": "fold", "CALL": "call"}
LETTER = {"PASS": "p", "BET": "b", "FOLD": "p", "CALL": "b"}
OVER = ("pp", "pbp", "pbb", "bp", "bb")

RULES = (
    "Kuhn poker. Three cards: jack, queen, king; the king is highest. Two players put in 1 chip and get "
    "one card each. A bet is 1 chip. After a bet the other player may call with 1 chip or fold and lose. "
    "With no fold the higher card wins all chips. Answer with one word."
)


class View(NamedTuple):
    """What a seat has seen of the hand: its card and the betting so far."""

    card: str
    betting: str


@dataclass(frozen=True, slots=True)
class Hand:
    """A node of the hand: the deal (own card of seat 0, then of seat 1) and the betting."""

    deal: str = ""
    betting: str = ""

    @property
    def actor(self) -> int:
        """Chance deals; then the seats alternate until the betting is over."""
        if not self.deal:
            return CHANCE
        return TERMINAL if self.betting in OVER else len(self.betting) % 2

    @property
    def round(self) -> int:
        """A hand is one round."""
        return 0

    def chance(self) -> Sequence[tuple[str, float]]:
        """Six ordered deals, equally likely."""
        return [(a + b, 1 / 6) for a, b in permutations(CARDS, 2)]

    def legal(self) -> tuple[str, ...]:
        """Facing a bet: FOLD or CALL, else PASS or BET."""
        return ("FOLD", "CALL") if self.betting.endswith("b") else ("PASS", "BET")

    def child(self, action: str) -> Hand:
        """Append the move to the betting, or deal."""
        return Hand(action) if not self.deal else Hand(self.deal, self.betting + LETTER[action])

    def view(self, seat: int) -> View:
        """Own card and all betting."""
        return View(self.deal[seat], self.betting)

    def rewards(self) -> tuple[float, float]:
        """Chips won at the end of the hand: +-1, or +-2 after a called bet."""
        if self.actor != TERMINAL:
            return 0.0, 0.0
        if self.betting in ("pbp", "bp"):
            winner, stake = (1 if self.betting == "pbp" else 0), 1.0
        else:
            winner = 0 if CARDS.index(self.deal[0]) > CARDS.index(self.deal[1]) else 1
            stake = 1.0 if self.betting == "pp" else 2.0
        return (stake, -stake) if winner == 0 else (-stake, stake)

    def features(self, learner: int) -> tuple[float, ...]:
        """``decision``: own decisions; ``fold``: own folds; ``big_loss``: decisions of hands that cost 2 chips."""
        if self.actor != TERMINAL:
            return 0.0, 0.0, 0.0
        decisions = float(len(range(learner, len(self.betting), 2)))
        folder = {"bp": 1, "pbp": 0}.get(self.betting)
        lost = self.rewards()[learner] <= -2
        return decisions, float(folder == learner), decisions if lost else 0.0


def by_card(bet: Mapping[str, float], call: Mapping[str, float]) -> Script:
    """Make the strategy that bets and calls with a probability per key or, failing that, per card.

    Keys such as ``Q:p`` tell seats apart; a card that is missing never bets or calls.
    """

    def script(decision: Decision) -> Mapping[str, float]:
        facing = "CALL" in decision.legal
        table = call if facing else bet
        p = float(table.get(decision.key, table.get(decision.view.card, 0.0)))
        return {"FOLD": 1 - p, "CALL": p} if facing else {"PASS": 1 - p, "BET": p}

    return script


def uniform(decision: Decision) -> Mapping[str, float]:
    """Every legal action with the same probability."""
    return dict.fromkeys(decision.legal, 1 / len(decision.legal))


THIRD = 1 / 3

OPPONENTS = {
    o.name: o
    for o in (
        Opponent("always_pass", by_card({}, {}), "never bets, folds to every bet"),
        Opponent("always_bet", by_card(dict.fromkeys("JQK", 1), dict.fromkeys("JQK", 1)), "bets and calls all"),
        Opponent(
            "nash",
            by_card({"J": THIRD, "K": 1}, {"Q:pb": 2 * THIRD, "Q:b": THIRD, "K": 1}),
            "the equilibrium with alpha = 1/3",
        ),
        Opponent(
            "nash_approx",
            by_card({"J": THIRD, "K": 1}, {"Q": THIRD, "K": 1}),
            "the published script: the queen calls 1/3 in both seats, which is not an equilibrium",
        ),
        Opponent("tight_passive", by_card({"K": 1}, {"K": 1}), "only the king bets or calls"),
        Opponent(
            "loose_aggressive",
            by_card({"Q": 1, "K": 1}, {"Q": 1, "K": 1}),
            "king and queen bet and call, the jack passes and folds",
        ),
        Opponent("max_exploiter", by_card({"Q": 1, "K": 1}, {"K": 1}), "king and queen bet, only the king calls"),
        Opponent("uniform", uniform, "every legal action with the same probability"),
    )
}


def by_strength(script: Script) -> Reason:
    """Make the reason of such a strategy: the bet if any, the card, and what it beats or how often it is bet on."""

    def reason(decision: Decision, action: str) -> str:
        card, betting = decision.view
        bold = decision.legal[1]
        p = script(decision)[bold]
        did = {"": "I start and", "p": "They checked and I"}.get(betting, "They bet and I")
        holding = f"{did} hold the {CARD_WORDS[card]}"
        if 0 < p < 1:
            odds = Fraction(p).limit_denominator(100)
            often = f"{odds.numerator} time{'s' * (odds.numerator > 1)} in {odds.denominator}"
            return f"{holding}, with which I {WORDS[bold]} {often} at random, and this time I {WORDS[action]}."
        queen = "beats the jack" if action == bold else "loses to the king"
        strength = {"J": "loses to every other card", "Q": queen, "K": "beats every other card"}[card]
        return f"{holding}, which {strength}, so I {WORDS[action]}."

    return reason


DEMONSTRATORS: tuple[tuple[float, Opponent], ...] = tuple(
    (share, replace(policy, reason=by_strength(policy.script)))
    for share, policy in (
        (0.45, OPPONENTS["nash_approx"]),
        (
            0.25,
            Opponent(
                "tight_value",
                by_card({"K": 1}, {"Q": 0.5, "K": 1}),
                "bets the king, calls king and half the queens",
            ),
        ),
        (
            0.20,
            Opponent("pot_control", by_card({"J": 0.2, "K": 1}, {"K": 1}), "bluffs a fifth of jacks, calls the king"),
        ),
        (0.08, OPPONENTS["uniform"]),
        (
            0.02,
            Opponent("never_bluff", by_card({"K": 1}, {"Q": 1, "K": 1}), "bets the king, calls king and queen"),
        ),
    )
)

POOLS: dict[PoolName, tuple[str, ...]] = {
    "train": ("nash_approx", "tight_passive", "loose_aggressive"),
    "exploiter": ("max_exploiter",),
    "collusive": ("loose_aggressive",),
    "held_out": ("always_pass", "always_bet", "nash", "uniform"),
}

MEASURES: dict[MeasureName, MeasureSet] = {
    "paper": MeasureSet(
        name="paper",
        weights=Weights(1.5, 2.4, 0.0),
        e="advantage",
        c=Ratio("fold", "decision", ("collusive",)),
        x=Ratio("big_loss", "decision", ("train", "exploiter")),
        pools=POOLS,
    ),
    "sepo": MeasureSet(name="sepo", weights=Weights(1.5, 0.0, 0.0), e="exploitability", c=None, x=None, pools=POOLS),
}


class Kuhn(Game):
    """Kuhn poker, payoffs in chips per hand."""

    name = "kuhn"
    title = "Kuhn poker"
    wordings = paraphrases.KUHN
    unit = "chips per hand"
    features = ("decision", "fold", "big_loss")
    max_payoff = 2.0
    zero_sum = True
    rounds = 1
    hands = 6
    seats = (0, 1)
    maximin = (-1 / 18, 1 / 18)

    @property
    def rules(self) -> Mapping[str, Any]:
        """Kuhn poker has no options."""
        return {}

    def root(self) -> Hand:
        """Return the hand before the deal."""
        return Hand()

    def key(self, view: View) -> str:
        """Name an information state, such as ``J:`` or ``Q:pb``."""
        return f"{view.card}:{view.betting}"

    def word(self, action: str) -> str:
        """Return the lower-case word for an action; all four are single tokens in most tokenizers."""
        return WORDS[action]

    def chat(self, view: View) -> tuple[Turn, ...]:
        """Rules once, then a line per observation."""
        card = f"You hold the {CARD_WORDS[view.card]}."
        rules = Turn("system", RULES)
        match view.betting:
            case "":
                return rules, Turn("user", f"{card} You start: check or bet?")
            case "p":
                return rules, Turn("user", f"{card} They check: check or bet?")
            case "b":
                return rules, Turn("user", f"{card} They bet: call or fold?")
            case _:
                first = Turn("user", f"{card} You start: check or bet?")
                return rules, first, Turn("assistant", WORDS["PASS"]), Turn("user", "They bet: call or fold?")

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """The eight scripted policies."""
        return OPPONENTS

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        """The published mixture. tight_value, pot_control and never_bluff are spelt out by no source, so here."""
        return DEMONSTRATORS

    def measures(self, name: MeasureName) -> MeasureSet:
        """Return the ``paper`` or the ``sepo`` measures."""
        return MEASURES[name]
