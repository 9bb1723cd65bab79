"""The safety card of a policy: its scorecard with all that it takes to recompute it, as one JSON document.

Beside the scorecard's figures it holds how they were asked for, the digest of what was asked (``audit.prompts``), a
fingerprint of the policy where it has one, and the command. ``audit.verify`` recomputes it; ``report.safety`` writes
it for people.
"""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sepo.audit.asked import Asked, read_asked
from sepo.audit.compare import SAFETY_SCHEMA, load_card
from sepo.audit.fingerprint import check_fingerprint, fingerprint
from sepo.audit.prompts import prompts
from sepo.audit.scorecard import Games
from sepo.errors import InputError
from sepo.games.base import MeasureName
from sepo.games.registry import make
from sepo.policies.base import Policy

MODELS = ("bundled", "hf", "openai")
SCRIPTS = ("script", "axelrod", "uniform")
USUAL = {"style": "direct", "samples": 32, "tokens": 200, "illegal": "forfeit", "retries": 2}
BUDGET = 3000


def kind_of(reference: str) -> str:
    """Return what a POLICY string names: ``script``, ``table`` or ``model``.

    Raises
    ------
    InputError
        If it names a person, whose answers nobody can recompute, or nothing known.
    """
    kind = reference.partition(":")[0]
    if kind in MODELS:
        return "model"
    if kind in SCRIPTS:
        return "script"
    if kind == "table":
        return "table"
    why = "a person's figures cannot be recomputed" if kind == "human" else "it is no POLICY that can be loaded again"
    raise InputError(f"no card of '{reference}': {why}")


def card(
    scorecard: Mapping[str, Any], policy: Policy | None, wording: str | None = None, date: datetime.date | None = None
) -> dict[str, Any]:
    """Return the card of a policy from its scorecard.

    Parameters
    ----------
    policy
        The policy itself, for its fingerprint where the scorecard has none; None of a server, which has none either.
    wording
        The wording in which it was audited; the games' own words unless given.
    date
        Stands on the card; nothing depends on it.

    Raises
    ------
    InputError
        If the scorecard does not say how it was asked for, or lacks what a card tells.
    """
    name = str(scorecard["policy"])
    if "options" not in scorecard:
        raise InputError(f"the scorecard of '{name}' does not say how it was made: make the card of the policy itself")
    kind = kind_of(name)
    where = f"scorecard of '{name}'"
    asked = read_asked(scorecard["options"], where)
    _check(scorecard, where)
    if _reasoned(asked) and asked.asking is not None and asked.asking.seed is not None:
        raise InputError(
            f"{where}: replies were drawn by seed {asked.asking.seed}, all else by seed {scorecard['seed']}, which no "
            "command says: audit it with one seed"
        )
    out: dict[str, Any] = {"schema": SAFETY_SCHEMA, "policy": name, "kind": kind}
    if wording is not None:
        out["wording"] = wording
    digest = scorecard.get("fingerprint") or fingerprint(policy, name)
    out |= {"seed": scorecard["seed"], "options": dict(scorecard["options"]), "fingerprint": digest}
    out |= {key: dict(scorecard[key]) for key in ("model", "about") if key in scorecard}
    games: dict[str, Any] = {}
    for game, part in scorecard["games"].items():
        taken = games_of(game, part, asked)
        added = {
            "definitions": {of: {"e": g.measures(of).e} for of, g in taken.items()},
            "prompts": prompts(taken.values(), wording, reasoned=_reasoned(asked)),
        }
        games[game] = dict(part) | added
    out |= {"versions": dict(scorecard["versions"]), "command": "", "games": games}
    out["command"] = command(out)
    if date is not None:
        out["date"] = date.isoformat()
    return out


def _reasoned(asked: Asked) -> bool:
    return asked.asking is not None and asked.asking.style == "reasoned"


def games_of(name: str, part: Mapping[str, Any], asked: Asked) -> Games:
    """Return a game as each set of measures was taken in it, by the rules that a scorecard records.

    Raises
    ------
    InputError
        If there is no such game or rule.
    """
    sets: tuple[MeasureName, ...] = ("paper", "sepo") if asked.measures == "both" else (asked.measures,)
    own = part.get("rules_by_measures", {})
    return {of: make(name, own.get(of, part["rules"])) for of in sets}


def command(card: Mapping[str, Any]) -> str:
    """Return the command that makes the card again; what is usual is left out but for seed, method and measures."""
    options, asking = card["options"], card["options"].get("asking", {})
    words = ["sepo", "card", card["policy"]]
    for game in card["games"]:
        words += ["--game", game]
    for rule, value in _given(card).items():
        words += ["--rule", f"{rule}={json.dumps(value)}"]
    words += ["--measures", options["measures"], "--method", options["method"], "--seed", str(card["seed"])]
    for name in ("episodes", "half_width"):
        if options[name] is not None:
            words += [f"--{name.replace('_', '-')}", str(options[name])]
    words += [] if options["control"] else ["--no-control"]
    for opponent in options["opponents"]:
        words += ["--opponent", opponent]
    if options["budget"] != BUDGET:
        words += ["--budget", "all" if options["budget"] is None else str(options["budget"])]
    words += [] if options["adversaries"] else ["--no-adversaries"]
    words += ["--wording", card["wording"]] if "wording" in card else []
    for name, usual in USUAL.items():
        if asking.get(name, usual) != usual:
            words += [f"--{name}", str(asking[name])]
    words += ["--tokenizer", asking["tokenizer"]] if asking.get("tokenizer") else []
    for name in ("body", "template"):
        words += [f"--{name}", json.dumps(asking[name])] if asking.get(name) else []
    return shlex.join(words)


def _given(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules that must be given for those of the card to come out, over the presets of each set."""
    if card["kind"] == "table":
        return {}  # a table has its own
    out: dict[str, Any] = {}
    asked = read_asked(card["options"], "card")
    for name, part in card["games"].items():
        for of, game in games_of(name, part, asked).items():
            usual = make(name, None, of).rules
            out |= {rule: value for rule, value in game.rules.items() if value != usual.get(rule)}
    return out


def load_safety_card(path: Path) -> dict[str, Any]:
    """Read a card file.

    Raises
    ------
    InputError
        If the file holds no card, or one that cannot be recomputed; the message names what is wrong.
    """
    document = load_card(path, (SAFETY_SCHEMA,))
    where = f"card '{path}'"
    _check(document, where)
    if not isinstance(document.get("command", ""), str):
        raise InputError(f"{where}: 'command' must be text")
    if document.get("kind") != kind_of(document["policy"]):
        raise InputError(f"{where}: 'kind' must be '{kind_of(document['policy'])}', not {document.get('kind')!r}")
    asked = read_asked(document.get("options"), where)
    for name, part in document["games"].items():
        if not isinstance(part.get("prompts"), dict):
            raise InputError(f"{where}, game '{name}': 'prompts' must be an object")
        games_of(name, part, asked)
    return document


def _check(document: Mapping[str, Any], where: str) -> None:
    """Hold a scorecard, or the card that has it, to what a card tells of it."""
    for key, kind, what in (("policy", str, "text"), ("seed", int, "a whole number"), ("versions", dict, "an object")):
        if not isinstance(document.get(key), kind) or isinstance(document.get(key), bool):
            raise InputError(f"{where}: '{key}' must be {what}")
    check_fingerprint(document, where)
    if not isinstance(document.get("wording", ""), str):
        raise InputError(f"{where}: 'wording' must be text")
    for key in ("model", "about"):
        if not isinstance(document.get(key, {}), dict):
            raise InputError(f"{where}: '{key}' must be an object")
    for name, part in document["games"].items():
        for key in ("rules", "measures"):
            if not isinstance(part.get(key), dict):
                raise InputError(f"{where}, game '{name}': '{key}' must be an object")
        for key in ("unit", "method"):
            if not isinstance(part.get(key), str):
                raise InputError(f"{where}, game '{name}': '{key}' must be text")
        states = part.get("states") or {"asked": 0, "reachable": 0}
        if not isinstance(states, dict) or not all(isinstance(states.get(k), int) for k in ("asked", "reachable")):
            raise InputError(f"{where}, game '{name}': 'states' must have 'asked' and 'reachable', which are numbers")
        if not all({"name", "pool"} <= set(row) for row in part.get("opponents", [])):
            raise InputError(f"{where}, game '{name}': every opponent must have 'name' and 'pool'")
