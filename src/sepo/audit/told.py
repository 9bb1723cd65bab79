"""A debrief in sentences, the same in the terminal and in the browser. Knows figures and words, not how they look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sepo.audit.debrief import TINY, Debrief, Judged
from sepo.audit.exposure import Bounds
from sepo.games.base import Game
from sepo.play.session import Round

FEW, LONG = 12, 200
"""Actions that are listed one by one; letters of a best response that is told in words."""


class Line(NamedTuple):
    """A decision as a row of a table: all of it text.

    ``costly`` is whether the move gave anything away; ``worth`` lists what the actions were worth, best first.
    """

    hand: str
    state: str
    did: str
    best: str
    cost: str
    worth: str
    costly: bool


def points(value: float) -> str:
    """Return a number of points: no negative zero, no needless decimals."""
    return f"{round(value, 3) + 0.0:g}"


def summary(game: Game, found: Debrief) -> list[str]:
    """Say what was got, what could have been got, and what made the difference."""
    paid, other = (sum(part) for part in zip(*((h.paid, h.other) for h in found.hands), strict=True))
    out = [f"You got {points(paid)}, the policy {points(other)}."]
    if found.unknown:
        return [*out, found.unknown]
    if found.best is not None:
        knowing = ", knowing the instance," if game.sampled_chance else ""
        out.append(f"The best response to this policy{knowing} gets {points(found.best)} in expectation.")
    elif why := next((h.why for h in found.hands if h.why), ""):
        out.append(f"What the best response to this policy gets in all cannot be computed: {why}.")
    judged = [j for h in found.hands for j in h.judged]
    known = [j for j in judged if j.worth is not None]
    if found.cost is not None and known:
        which = "Your moves" if len(known) == len(judged) else f"The {len(known)} of your moves that can be judged"
        gave = f"{which} gave away {points(found.cost)}" if found.cost > TINY else f"{which} gave nothing away"
        out.append(f"{gave}, against what the best response would have gone on to get.")
    if found.luck is not None:
        how = "for" if found.luck > 0 else "against"
        luck = f"{points(abs(found.luck))} {how} you" if abs(found.luck) > TINY else "nothing either way"
        out.append(f"Luck made {luck}: cards, coins and the policy's own draws.")
    told = [r for r in dict.fromkeys(h.response for h in found.hands) if 0 < len(r) < LONG and "answers by" not in r]
    return [*out, *(f"The best response in words: {response}." for response in told)]


def exposed(game: Game, found: Debrief) -> list[str]:
    """Say how exploitable the person was."""
    seen = found.exposure
    if not seen.seen:
        return ["You made no move, so nothing is known of how you play."]
    if not seen.figures:
        out = [f"How exploitable you are cannot be bounded. {seen.why}"]
        for number, (lead, after) in enumerate(seen.ahead):
            hand = f"In hand {number + 1} an" if len(seen.ahead) > 1 else "An"
            by = f"ahead of you by {points(lead)}" if lead > TINY else "ahead of you by nothing"
            out.append(
                f"{hand} opponent who did what the policy did before round {after}, and then the best against your "
                f"move there, would have been {by} after it: the most that anyone could have taken on that way."
            )
        return out
    situations = f"{seen.seen} situation{'s' * (seen.seen > 1)}"
    out = [
        f"You were seen in {situations}; what you do elsewhere is not known, so these are bounds over all you might do."
    ]
    unit = game.unit
    if "exploitability" in seen.figures:
        out.append(
            f"A best-responding opponent would win {_between(seen.figures['exploitability'])} {unit} from you beyond "
            "the game's value (exploitability)."
        )
    elif "worst" in seen.figures:
        out.append(f"The opponent worst for you would be ahead by {_between(seen.figures['worst'])} {unit}.")
    return out


def lines(found: Debrief) -> list[Line]:
    """Return each decision as a row."""
    return [_line(judged, number) for number, hand in enumerate(found.hands, 1) for judged in hand.judged]


def _line(judged: Judged, number: int) -> Line:
    decision, cost = judged.decision, judged.cost
    word = decision.word
    state = decision.key or "(start)"
    if judged.worth is None or judged.best is None or cost is None:
        worth = ""
        if judged.now is not None:
            worth = "this round alone: " + _listed({word(a): v for a, v in judged.now.items()})
        return Line(str(number), state, word(judged.action), "not computed", "", worth, False)
    return Line(
        hand=str(number),
        state=state,
        did=word(judged.action),
        best=word(judged.best),
        cost=points(cost) if cost > TINY else "0",
        worth=_listed({word(a): v for a, v in judged.worth.items()}),
        costly=cost > TINY,
    )


def _listed(values: dict[str, float]) -> str:
    ranked = sorted(values.items(), key=lambda item: -item[1])
    more = f", and {len(ranked) - FEW} more" if len(ranked) > FEW else ""
    return ", ".join(f"{word}: {points(value)}" for word, value in ranked[:FEW]) + more


def _between(bounds: Bounds) -> str:
    low, high = points(bounds.low), points(bounds.high)
    return low if low == high else f"between {low} and {high}"


def outcome(ended: Round, hands: bool) -> str:
    """Return what a round that is over came to, in a sentence."""
    where = f"Hand {ended.hand + 1}" if hands else f"Round {ended.number + 1}"
    own = ", ".join(m.decision.word(m.action) for m in ended.moves if not m.learner)
    other = ", ".join(m.decision.word(m.action) for m in ended.moves if m.learner)
    paid = f"you get {points(ended.opponent)}, they get {points(ended.learner)}"
    return f"{where}: you {own or 'did nothing'}; they {other or 'did nothing'}. {paid[0].upper()}{paid[1:]}."


def chances(p: Mapping[str, float]) -> str:
    """Return probabilities in words, likeliest first, those that round to nothing left out."""
    ranked = sorted(p.items(), key=lambda item: -item[1])
    return ", ".join(f"{word} {value:.0%}" for word, value in ranked[:FEW] if value >= 0.005)
