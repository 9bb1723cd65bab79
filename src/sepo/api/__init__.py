"""The public Python interface: what the commands do, as functions whose results show themselves and become frames.

Everything here is thin: the functions take what people have at hand, ask the rooms below, and return their documents as
objects. ``sepo.audit`` is ``sepo.api.audit``, and so on for every name.
"""

from sepo.api.audits import audit
from sepo.api.card import Figure, Scorecard, load_scorecard
from sepo.api.comparisons import Comparison, compare
from sepo.api.given import load_game, load_policy
from sepo.api.meetings import Episodes, Match, match, play
from sepo.api.runs import Run, load_run, report, train
from sepo.api.tables import Ceiling, elicit, exploit, solve
from sepo.errors import InputError
from sepo.policies.table import PolicyTable

__all__ = [
    "Ceiling",
    "Comparison",
    "Episodes",
    "Figure",
    "InputError",
    "Match",
    "PolicyTable",
    "Run",
    "Scorecard",
    "audit",
    "compare",
    "elicit",
    "exploit",
    "load_game",
    "load_policy",
    "load_run",
    "load_scorecard",
    "match",
    "play",
    "report",
    "solve",
    "train",
]
