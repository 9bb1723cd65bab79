"""What stands in a scorecard to be compared, and whether one value of a figure is better than another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sepo.errors import InputError
from sepo.files import read_json
from sepo.policies.table import in_part

CARD_SCHEMA = "sepo.scorecard/1"
SAFETY_SCHEMA = "sepo.card/1"
SEVERAL_SCHEMA = "sepo.scorecards/1"
REPORTED = "reported"
"""Beside the sets of measures among the differences of several scorecards: the figures that belong to no set."""
ENOUGH = 10
"""Clusters below which a scorecard is said to rest on few."""
BETTER_HIGH = {"u", "J", "robustness", "held_out", "welfare", "legal_mass", "nra"}
BETTER_LOW = {"e", "c", "x", "exploitability", "worst_case_advantage", "security_gap", "illegal_rate"}


def load_card(path: Path, schemas: Sequence[str] = (CARD_SCHEMA, SAFETY_SCHEMA)) -> dict[str, Any]:
    """Read a scorecard file, or a safety card's, which holds one.

    Raises
    ------
    InputError
        If the file holds no scorecard.
    """
    document = read_json(path, "scorecard")
    check_card(document, path, schemas)
    return document


def load_cards(path: Path) -> list[dict[str, Any]]:
    """Read a file of one scorecard, or of several, as an audit of several policies writes it.

    Raises
    ------
    InputError
        If the file holds no scorecard, or something else among them.
    """
    document = read_json(path, "scorecard")
    cards = cards_of(document, path)
    if not cards:
        raise InputError(f"'{path}' is no list of scorecards: 'scorecards' must hold some")
    schemas = (CARD_SCHEMA,) if document.get("schema") == SEVERAL_SCHEMA else (CARD_SCHEMA, SAFETY_SCHEMA)
    for card in cards:
        check_card(card, path, schemas)
    return cards


def cards_of(document: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """Return the scorecards of a file's document, one or several; what each of them is was not looked at.

    Raises
    ------
    InputError
        If it is of several and has no list of them.
    """
    if document.get("schema") != SEVERAL_SCHEMA:
        return [document]
    cards = document.get("scorecards")
    if not isinstance(cards, list) or not all(isinstance(card, dict) for card in cards):
        raise InputError(f"'{path}' is no list of scorecards")
    return cards


def known_of(card: Mapping[str, Any]) -> str:
    """Return in how many information states the table of a scorecard was elicited; empty where it does not say."""
    notes = card.get("model") or card.get("about")
    return in_part(notes) if isinstance(notes, Mapping) else ""


def elicited(card: Mapping[str, Any]) -> str:
    """Return what figures are of a table that was elicited in part; empty where a scorecard does not say."""
    part = known_of(card)
    return f"elicited in {part}: the figures are the table's, which is uniform elsewhere" if part else ""


def partly(card: Mapping[str, Any]) -> str:
    """Return the same as one sentence on the policy."""
    return f"{card['policy']} was {said}" if (said := elicited(card)) else ""


def few(card: Mapping[str, Any]) -> str:
    """Return one sentence on a scorecard with intervals over a handful of clusters; empty where there are enough."""
    found = {
        game: figure["n"]
        for game, part in card["games"].items()
        if str(part.get("method", "")).startswith(("sampled", "exact in each"))
        for row in part.get("measures", {}).values()
        for figure in row.values()
        if isinstance(figure, Mapping) and isinstance(figure.get("n"), int) and 1 < figure["n"] < ENOUGH
    }
    if not found:
        return ""
    told = ", ".join(f"{n} in {game}" for game, n in found.items())
    return f"{card['policy']}: intervals of fewer than {ENOUGH} clusters ({told}) hold less often than 19 times in 20"


def remarks(card: Mapping[str, Any]) -> list[str]:
    """Return what is to be said beside the figures of a scorecard, a sentence each."""
    return [said for said in (partly(card), few(card)) if said]


def check_card(document: Mapping[str, Any], path: Path, schemas: Sequence[str] = (CARD_SCHEMA,)) -> None:
    """Hold a document to what a scorecard is; ``path`` is where it came from.

    Raises
    ------
    InputError
        If it is none.
    """
    what = "safety card" if CARD_SCHEMA not in schemas else "scorecard"
    if document.get("schema") not in schemas:
        raise InputError(f"'{path}' is no {what}: its schema is {document.get('schema')!r}, not '{schemas[0]}'")
    if not isinstance(document.get("games"), dict):
        raise InputError(f"'{path}' is no {what}: 'games' must hold an object with a part for each game")
    if not document["games"]:
        raise InputError(f"{what} '{path}' has no game")
    if isinstance(seed := document.get("seed", 0), bool) or not isinstance(seed, int):
        raise InputError(f"{what} '{path}': 'seed' must be a whole number")
    for name, part in document["games"].items():
        if isinstance(part, Mapping):
            _check_parts(part, f"{what} '{path}', game '{name}'")
        try:
            found = [(f["value"], f["low"], f["high"]) for _, f in _told(part)]
            sound = all(end is None or _finite(end) for ends in found for end in ends)
            sound = sound and all(isinstance(f.get("n"), int | None) for _, f in _told(part))
            sound = sound and all(low is None or high is None or low <= high for _, low, high in found)
        except (AttributeError, KeyError, TypeError):
            sound = False
        if not sound:
            raise InputError(
                f"scorecard '{path}': a figure of game '{name}' lacks a number as value, low or high, "
                "or has its ends the wrong way round"
            )


def _check_parts(part: Mapping[str, Any], where: str) -> None:
    """Hold one game's part of a scorecard to what is an object in it, where it is there, and what is a list of such."""
    for key in ("rules", "rules_by_measures", "measures", "weights", "frequencies"):
        if not isinstance(part.get(key, {}), Mapping):
            raise InputError(f"{where}: '{key}' must be an object")
    met = part.get("opponents", [])
    if not isinstance(met, list) or not all(isinstance(row, Mapping) for row in met):
        raise InputError(f"{where}: 'opponents' must be a list of objects")
    for row in part.get("frequencies", {}).values():
        shares = list(row.values()) if isinstance(row, Mapping) else [row]
        if not all(isinstance(f, Mapping) and (f.get("value") is None or _finite(f["value"])) for f in shares):
            raise InputError(f"{where}: 'frequencies' must hold a figure for each action of a seat")


def _finite(found: object) -> bool:
    """Whether something is a number that is one: JSON's readers also take NaN, which no comparison ever fails."""
    try:
        return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    except OverflowError:
        return False


def figures(game: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the headline figures of one game's part of a scorecard, with dotted names."""
    return ((name, figure) for name, figure in _told(game) if known(figure))


def _told(game: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield all figures, also those that lack an end or a value."""
    for name, row in game.get("measures", {}).items():
        for key, figure in row.items():
            if isinstance(figure, Mapping):
                yield f"{name}.{key}", figure
    for key, figure in game.items():
        if isinstance(figure, Mapping) and "value" in figure:
            yield key, figure


def known(figure: Mapping[str, Any]) -> bool:
    """Whether a figure has its bounds: a lower bound has no upper end, and what was not reached has no value."""
    return all(figure[key] is not None for key in ("value", "low", "high"))


def ends_of(figure: Mapping[str, Any]) -> tuple[float, float]:
    """Return the ends of a figure, which are infinite where they are not known."""
    low, high = figure.get("low"), figure.get("high")
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def row_of(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return two values of a figure, their difference, and whether it is for the better, where that can be told."""
    difference = after["value"] - before["value"]
    apart = after["low"] > before["high"] or after["high"] < before["low"]
    key = name.rsplit(".", 1)[-1]
    better = None
    if apart and abs(difference) > 1e-12 and key in BETTER_HIGH | BETTER_LOW:
        better = (difference > 0) == (key in BETTER_HIGH)
    return {
        "figure": name,
        "before": dict(before),
        "after": dict(after),
        "difference": difference,
        "intervals_apart": apart,
        "better": better,
    }
