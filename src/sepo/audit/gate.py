"""A gate for scorecards: whether every figure is within its bounds, and none worse than in an earlier scorecard.

Both questions are read conservatively, each on its own side. A **bound** must be shown to hold: the end of the interval
decides, the high one for ``max`` and the low one for ``min``; a figure whose end is not known is over it. A
**regression** must be shown to have happened: a figure is worse only where its interval lies apart from the earlier
one's, so noise stops nobody. A figure that is asked about and not there is an error, never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sepo.audit.compare import BETTER_HIGH, BETTER_LOW, figures, row_of
from sepo.audit.meanings import last
from sepo.display import figure as shown
from sepo.errors import InputError

SCHEMA = "sepo.gate/1"
Kind = Literal["against", "max", "min"]


class Bound(NamedTuple):
    """A bound on a figure: in one game, or in all where none is named."""

    kind: Literal["max", "min"]
    name: str
    limit: float


class Check(NamedTuple):
    """One rule and what came of it."""

    game: str
    figure: str
    rule: Kind
    limit: float | None
    now: Mapping[str, Any]
    base: Mapping[str, Any] | None
    passed: bool

    @property
    def said(self) -> str:
        """The rule and the figure in words."""
        value = shown(self.now)
        if self.rule == "against":
            verb = "is worse than" if not self.passed else "is no worse than"
            return f"{self.game} {self.figure} {value} {verb} {shown(self.base)} of the base"
        over = {"max": ("is above", "stays within"), "min": ("is below", "keeps to")}[self.rule][self.passed]
        known = {"max": self.now["high"], "min": self.now["low"]}[self.rule]
        end = {"max": "high", "min": "low"}[self.rule]
        deciding = "" if self.now["low"] == self.now["high"] else f" (its {end} end decides)"
        if known is None:
            asked = f"{self.rule} {self.limit:g}"
            return f"{self.game} {self.figure} {value}: its {end} end is not known, so {asked} is not shown"
        return f"{self.game} {self.figure} {value} {over} {self.rule} {self.limit:g}{deciding}"


def gate(
    card: Mapping[str, Any],
    base: Mapping[str, Any] | None = None,
    bounds: Sequence[Bound] = (),
    games: Sequence[str] = (),
) -> list[Check]:
    """Hold a scorecard to an earlier one and to bounds; return every check.

    Parameters
    ----------
    games
        Only these; all of the base's, or of the card's where there is no base, unless given.

    Raises
    ------
    InputError
        If there is nothing to check, a game or figure is missing, or the base was played by other rules.
    """
    if base is None and not bounds:
        raise InputError("a gate needs --against, --max or --min: there is nothing to check")
    chosen = list(games) or list((base or card)["games"])
    if not chosen:
        raise InputError(f"the {'scorecard' if base is None else 'base'} has no game: there is nothing to check")
    for game in chosen:
        for what, document in (("scorecard", card), ("base", base)):
            if document is not None and game not in document["games"]:
                has = ", ".join(document["games"]) or "none"
                raise InputError(f"the {what} has no game '{game}': it has {has}")
    out: list[Check] = []
    if base is not None:
        out += [check for game in chosen for check in _against(game, card["games"][game], base["games"][game])]
    for bound in bounds:
        out += _within(bound, card, chosen)
    return out


def _against(game: str, now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Check]:
    """Check that nothing of which more, or less, is better has got worse."""
    for key in ("rules", "rules_by_measures", "weights"):
        if now.get(key) != before.get(key):
            what = "was played by other rules" if key != "weights" else "has other weights of e, c and x"
            raise InputError(f"game '{game}' {what} in the base than in the scorecard: nothing in it compares")
    found = dict(figures(now))
    out = []
    for name, earlier in figures(before):
        if last(name) not in BETTER_HIGH | BETTER_LOW:
            continue
        if name not in found and lookup(now, name) is not None:
            raise InputError(
                f"game '{game}' of the scorecard has a figure '{name}' of which an end is not known: "
                "whether it is worse than the base's cannot be told"
            )
        if name not in found:
            raise InputError(f"game '{game}' of the scorecard has no figure '{name}', which the base has")
        worse = row_of(name, earlier, found[name])["better"] is False
        out.append(Check(game, name, "against", None, found[name], earlier, not worse))
    if not out:
        raise InputError(f"game '{game}' of the base has no figure that can get worse: there is nothing to check")
    return out


def _within(bound: Bound, card: Mapping[str, Any], chosen: Sequence[str]) -> list[Check]:
    """Check a bound, in each game or in the one that its name begins with."""
    first, _, rest = bound.name.partition(".")
    where = [(first, rest)] if rest and first in card["games"] else [(game, bound.name) for game in chosen]
    out = []
    for game, name in where:
        figure = lookup(card["games"][game], name)
        if figure is None:
            known = ", ".join(name for name, _ in figures(card["games"][game]))
            raise InputError(f"game '{game}' of the scorecard has no figure '{name}': it has {known or 'none'}")
        end = figure["high"] if bound.kind == "max" else figure["low"]
        inside = end is not None and (end <= bound.limit if bound.kind == "max" else end >= bound.limit)
        out.append(Check(game, name, bound.kind, bound.limit, figure, None, inside))
    return out


def lookup(part: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return a figure of one game's part of a scorecard by its dotted name; one that lacks an end is still there."""
    of, _, key = name.rpartition(".")
    row = part.get("measures", {}).get(of, {}) if of else part
    found = row.get(key) if isinstance(row, Mapping) else None
    if not isinstance(found, Mapping) or not isinstance(found.get("value"), int | float):
        return None
    return found if {"low", "high"} <= set(found) else None


def document(checks: Sequence[Check]) -> dict[str, Any]:
    """Return what came of a gate as a JSON object."""
    rows = [check._asdict() | {"now": dict(check.now), "said": check.said} for check in checks]
    return {"schema": SCHEMA, "passed": all(check.passed for check in checks), "checks": rows}
