"""What is compared: scorecards, safety cards, and arms of run folders, each read as one side.

A side is the figures of one policy, or of one arm over its seeds, with what they were found under. Knows files and
nothing of what a difference means (``report.verdicts``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sepo.audit.compare import (
    CARD_SCHEMA,
    REPORTED,
    SAFETY_SCHEMA,
    SEVERAL_SCHEMA,
    cards_of,
    check_card,
    figures,
    partly,
)
from sepo.errors import InputError
from sepo.files import read_json
from sepo.report.read import refuse_unfinished
from sepo.train.rules import MAIN, other_rules

RUN_SCHEMA = "sepo.run/1"
ARM = "@"


@dataclass(frozen=True)
class Played:
    """One game of a side.

    Attributes
    ----------
    rules
        By measure set, and under the empty name those of the figures that belong to none.
    found
        Figures by dotted name: ``value``, ``low``, ``high``, ``n``.
    seeds
        Of a run's arm: each figure's value by seed, where every seed has it.
    partly
        Of a run's arm: the figures that only some of its seeds have, as (how many have it, how many finished).
    under
        What else the figures rest on, as (what, value) pairs that can be compared: method, opponents, prompts, ….
    """

    unit: str
    rules: Mapping[str, Mapping[str, Any]]
    found: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, Any]
    seeds: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    under: Mapping[str, Any] = field(default_factory=dict)
    partly: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """What is compared.

    Attributes
    ----------
    name
        What it is called: the policy, or the run and its arm.
    source
        The file or folder it was read from.
    partly
        A sentence on a table that was elicited in part, where it is one.
    """

    name: str
    source: str
    kind: Literal["scorecard", "run"]
    games: Mapping[str, Played]
    versions: Mapping[str, Any]
    under: Mapping[str, Any] = field(default_factory=dict)
    partly: str = ""


Differences = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By the name of a side, by game and figure: its difference from the first side, paired over what both played."""


def read_sides(arguments: Sequence[str | Mapping[str, Any]]) -> tuple[list[Side], Differences]:
    """Read what is to be compared, in order, and the paired differences that a file of several scorecards holds.

    A mapping is a scorecard's document; text names a file or a folder. A run folder is its trained arm, ``FOLDER@ARM``
    another one; alone it is all its arms. A file of several scorecards is all of them.

    Raises
    ------
    InputError
        If a file is none of these, or there are fewer than two sides.
    """
    out: list[Side] = []
    paired: Differences = {}
    for text in arguments:
        if not isinstance(text, str):
            out.append(_card(text, ""))
            continue
        folder, at, arm = text.rpartition(ARM)
        if Path(text).is_dir():
            out += _run(Path(text), None, every=len(arguments) == 1)
        elif at and Path(folder).is_dir():
            out += _run(Path(folder), arm, every=False)
        else:
            document = read_json(Path(text), "scorecard")
            out += [_card(card, text) for card in cards_of(document, Path(text))]
            if document.get("schema") == SEVERAL_SCHEMA and len(arguments) == 1:
                paired = _paired(document)
    if len(out) < 2:
        raise InputError("there is nothing to compare with: name two scorecards or run folders, or more")
    return _told_apart(out), paired


def _card(document: Mapping[str, Any], source: str) -> Side:
    check_card(document, Path(source or "scorecard"), (CARD_SCHEMA, SAFETY_SCHEMA))
    games = {}
    for name, part in document["games"].items():
        main, own = _object(part, "rules"), _object(part, "rules_by_measures")
        rules = {"": main} | {of: _object(own, of) if of in own else main for of in part.get("measures", {})}
        under = {"method": part.get("method"), "opponents": _opponents(part)}
        for key in ("prompts", "states"):
            if isinstance(part.get(key), Mapping):
                under[key] = part[key].get("sha256") if key == "prompts" else part[key].get("asked")
        weights = _object(part, "weights")
        games[name] = Played(str(part.get("unit", "")), rules, dict(figures(part)), weights, under=under)
    under = {"seed": document.get("seed")}
    for key in ("options", "model"):
        found = document.get(key)
        under |= {k: v for k, v in found.items() if k != "opponents"} if isinstance(found, Mapping) else {}
    if "wording" in document:
        under["wording"] = document["wording"]
    return Side(
        name=str(document.get("policy")),
        source=source,
        kind="scorecard",
        games=games,
        versions=_object(document, "versions"),
        under={k: v for k, v in under.items() if k not in ("asked", "reachable")},
        partly=partly(document),
    )


def _object(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object of a document; an empty one where there is none."""
    found = document.get(key)
    return found if isinstance(found, Mapping) else {}


def _opponents(part: Mapping[str, Any]) -> list[str] | None:
    rows = part.get("opponents")
    if not isinstance(rows, list):
        return None
    return [f"{row.get('pool')}: {row.get('name')}" for row in rows if isinstance(row, Mapping)]


def _paired(document: Mapping[str, Any]) -> Differences:
    """Return the differences that a file of several scorecards holds, by policy."""
    found = document.get("differences")
    try:
        return {
            str(policy): {
                game: {
                    key if of == REPORTED else f"{of}.{key}": value
                    for of, row in sets.items()
                    for key, value in row.items()
                    if value
                }
                for game, sets in games.items()
            }
            for policy, games in (found or {}).get("of", {}).items()
        }
    except AttributeError:
        raise InputError("the differences between several scorecards are not as `sepo audit` writes them") from None


def _run(folder: Path, wanted: str | None, *, every: bool) -> list[Side]:
    """Read a run's arms: the one wanted, or the trained one, or every one that has figures."""
    path = folder / "summary.json"
    if not path.exists():
        refuse_unfinished(folder)
    document = read_json(path, "run summary")
    if document.get("schema") != RUN_SCHEMA:
        raise InputError(f"run summary '{path}': schema must be '{RUN_SCHEMA}', not {document.get('schema')!r}")
    try:
        arms = {str(arm["name"]): arm for arm in document["arms"] if arm["last"]}
        if wanted is not None:
            if wanted not in arms:
                has = ", ".join(arms) or "none"
                raise InputError(f"run '{folder}' has no finished arm '{wanted}': it has {has}")
            chosen = [wanted]
        elif every:
            chosen = list(arms)
        else:
            trained = [name for name, arm in arms.items() if arm.get("stage", "train") == "train"]
            chosen = ["sepo"] if "sepo" in trained else [*arms, *trained][-1:]
        environment = folder / "environment.json"
        versions = _object(read_json(environment, "environment"), "versions") if environment.exists() else {}
        return [_arm(document, arms[name], folder, versions) for name in chosen]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"run summary '{path}' is not as `sepo run` writes it") from None


def _arm(document: Mapping[str, Any], arm: Mapping[str, Any], folder: Path, versions: Mapping[str, Any]) -> Side:
    found = {name: figure for name, figure in arm["last"].items() if figure is not None}
    seeds = {}
    partly = {}
    for name, figure in found.items():
        for key in ("value", "low", "high"):
            if not isinstance(figure[key], int | float) or figure[key] != figure[key]:
                raise TypeError
        values = figure.get("seeds", ())
        has = len(values) - list(values).count(None)
        if 0 < has < len(arm["seeds"]):
            partly[name] = has, len(arm["seeds"])
        elif has == len(values) == len(arm["seeds"]):
            seeds[name] = {int(s): float(v) for s, v in zip(arm["seeds"], values, strict=True)}
    own = other_rules(document["game"], document["measures"], document["rules"], document.get("rules_by_measures"))
    sets = dict.fromkeys(["", *(name.rpartition(".")[0] for name in found)])
    rules = {of: own.get(of or MAIN, document["rules"]) for of in sets}
    under = {"model": document["model"], "steps": arm.get("steps")}
    played = Played(str(document["unit"]), rules, found, {}, seeds, partly=partly)
    return Side(f"{document['name']}, {arm['name']}", str(folder), "run", {document["game"]: played}, versions, under)


def _told_apart(sides: Sequence[Side]) -> list[Side]:
    """Give sides of one name their source, and a number where that does not tell them apart either."""
    names = [side.name for side in sides]
    out = [s if names.count(s.name) == 1 or not s.source else replace(s, name=f"{s.name} ({s.source})") for s in sides]
    names = [side.name for side in out]
    return [s if names.count(s.name) == 1 else replace(s, name=f"{s.name} {i + 1}") for i, s in enumerate(out)]
