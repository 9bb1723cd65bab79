"""By which rules the figures of a run were found, where a set of measures has others than the run's own.

A run trains by the rules of its recipe and audits every set of measures by that set's preset, so in a game whose
presets differ (``auction``) one document has figures of two games. Knows the keys of a run's documents and nothing of
how they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sepo.errors import InputError
from sepo.games.base import MeasureName
from sepo.games.held import recorded
from sepo.games.registry import SETS, make

MAIN: MeasureName = "sepo"
"""The set by whose rules a run's audit takes the figures that belong to none."""
Rules = Mapping[str, Any]


def other_rules(game: str, measures: str, rules: Rules, told: object = None) -> dict[str, Rules]:
    """Return the rules of those sets of measures that a run audits by others than its own.

    Parameters
    ----------
    game, measures, rules
        As the run's document has them.
    told
        Its ``rules_by_measures``. Where it has none, as older ones, the rules are the presets', but for those that the
        recipe must have set itself.
    """
    if isinstance(told, Mapping):
        found = {str(of): own for of, own in told.items() if isinstance(own, Mapping)}
    else:
        try:
            usual = recorded(make(game, None, measures))
            chosen = {rule: value for rule, value in rules.items() if usual.get(rule) != value}
            found = {of: recorded(make(game, chosen, of)) for of in SETS}
        except InputError:  # a game that is not installed here, or has no such rules any more
            return {}
    return {of: own for of, own in found.items() if dict(own) != dict(rules)}


def rules_of(figure: str, others: Mapping[str, Rules]) -> Rules | None:
    """Return the rules of a figure by its dotted name; None where they are the run's own."""
    return others.get(figure.rpartition(".")[0] or MAIN)


def apart(rules: Rules, other: Rules) -> str:
    """Say in which rules another game differs: ``overbid_loss True``."""
    return ", ".join(f"{rule} {value}" for rule, value in other.items() if rules.get(rule) != value)
