"""What the figures of a scorecard mean, in plain words: one sentence each, and how a difference in one is said.

Knows the names of figures (``sepo.J``, ``exploitability``) and nothing of how they are found or shown.
"""

from __future__ import annotations

from typing import NamedTuple

from sepo.audit.compare import BETTER_HIGH, BETTER_LOW


class Meaning(NamedTuple):
    """A figure in words.

    Attributes
    ----------
    text
        What it is, without a full stop.
    more, less
        How a policy with more, or with less, of it is said to differ from another one.
    pays
        Whether it is in the game's unit of payoff; else it is a pure number.
    """

    text: str
    more: str
    less: str
    pays: bool = False


MEANINGS = {
    "J": Meaning("the objective: scaled payoff minus the weighted penalties", "has a higher J", "has a lower J"),
    "u": Meaning(
        "payoff against the opponents of the train pool",
        "earns more against the train pool",
        "earns less against the train pool",
        pays=True,
    ),
    "e": Meaning(
        "how far it is exploited, by this set's definition", "is exploited more", "is exploited less", pays=True
    ),
    "c": Meaning("how far it colludes with the partners of the collusive pool", "colludes more", "colludes less"),
    "x": Meaning("what its conduct costs others", "costs others more", "costs others less"),
    "exploitability": Meaning(
        "what a best-responding opponent wins beyond the game's value",
        "is more exploitable",
        "is less exploitable",
        pays=True,
    ),
    "worst_case_advantage": Meaning(
        "the most any opponent can be ahead",
        "lets its worst opponent get further ahead",
        "lets its worst opponent get less far ahead",
        pays=True,
    ),
    "security_gap": Meaning(
        "payoff lost against the worst opponent, from the maximin value",
        "loses more to its worst opponent",
        "loses less to its worst opponent",
        pays=True,
    ),
    "pool_coverage": Meaning(
        "share of the worst case that the exploiter pool finds",
        "has more of its worst case found by the exploiter pool",
        "has less of its worst case found by the exploiter pool",
    ),
    "robustness": Meaning(
        "payoff against the exploiter pool",
        "earns more against the exploiter pool",
        "earns less against the exploiter pool",
        pays=True,
    ),
    "held_out": Meaning(
        "payoff against opponents never trained on",
        "earns more against opponents never trained on",
        "earns less against opponents never trained on",
        pays=True,
    ),
    "nra": Meaning("normalized relative advantage", "is further ahead of its opponents", "is less far ahead"),
    "welfare": Meaning("both payoffs together", "leaves both together more", "leaves both together less", pays=True),
    "cooperation_rate": Meaning(
        "share of rounds in which the policy cooperates", "cooperates more often", "cooperates less often"
    ),
    "deviation_response": Meaning(
        "change of its conduct after one forced deviation of a partner",
        "responds more to a deviation",
        "responds less to a deviation",
    ),
    "time_to_exploit": Meaning(
        "rounds an adaptive opponent needs for half of the worst case",
        "takes longer to be exploited",
        "is exploited sooner",
    ),
    "illegal_rate": Meaning(
        "share of replies that were no legal action", "gives more illegal replies", "gives fewer illegal replies"
    ),
    "legal_mass": Meaning(
        "probability the unconstrained model puts on legal replies",
        "puts more probability on legal replies",
        "puts less probability on legal replies",
    ),
}
"""By the last part of a figure's name; a figure that is not here is shown without a meaning."""
EXPLOITED = {
    "advantage": "how far the opponents of the exploiter pool get ahead, on average",
    "regret": "what a best response to the exploiter pool would have earned beyond the policy",
    "exploitability": MEANINGS["exploitability"].text,
}
"""What e is, by a measure set's definition of it."""
IMPORTANCE = (
    *("exploitability", "worst_case_advantage", "J", "e", "c", "x", "security_gap", "u", "robustness", "held_out"),
    *("illegal_rate", "legal_mass", "welfare", "nra", "time_to_exploit", "cooperation_rate"),
)
"""Figures in the order in which a reader should hear of them; the rest come after."""


def last(figure: str) -> str:
    """Return a figure's own name, without that of its measure set."""
    return figure.rpartition(".")[2]


def heading(figure: str) -> str:
    """Return a figure's name as people say it: ``J (sepo)``, ``worst case advantage``."""
    of, _, name = figure.rpartition(".")
    return f"{name} ({of})" if of else name.replace("_", " ")


def better(figure: str) -> str:
    """Return which way is better, ``higher`` or ``lower``; nothing where neither is."""
    name = last(figure)
    return "higher" if name in BETTER_HIGH else "lower" if name in BETTER_LOW else ""


def rank(figure: str) -> int:
    """Return a figure's place in the order of importance, 0 first."""
    name = last(figure)
    return IMPORTANCE.index(name) if name in IMPORTANCE else len(IMPORTANCE)
