"""The scorecard: every measure of one policy in its games, as one JSON document.

A figure is ``{"value", "low", "high", "n"}``. ``low = high = value`` and ``n`` is null where it is exact; without
``n`` they are bounds that hold for certain, where part of the policy is not known; with ``n`` a 95 % interval from
that many instances or clusters of episodes. A measure that does not apply is null, never 0.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sepo.audit.compare import CARD_SCHEMA
from sepo.audit.figures import ANYONE, listed, met, reported
from sepo.audit.methods import Found, Options, Sets, Tell, find, quiet
from sepo.games.base import Game, MeasureName
from sepo.policies.base import Policy
from sepo.policies.table import PolicyTable


def versions(model: bool) -> dict[str, str]:
    """Return the versions that a figure depends on; ``model`` adds those of the language-model stack."""
    names = ["sepo", "numpy", *(["torch", "transformers", "peft"] if model else [])]
    out = {"python": platform.python_version()}
    for name in names:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out


Games = Mapping[MeasureName, Game]
"""A game as each set of measures is taken in it: the same one, or by the rules of each set's preset."""


def by_set(game: Game, sets: Sets) -> Games:
    """Take every set of measures in the same game."""
    names: tuple[MeasureName, ...] = ("paper", "sepo") if sets == "both" else (sets,)
    return dict.fromkeys(names, game)


def scorecard(
    policy: Policy, games: Sequence[Game | Games], options: Options | None = None, tell: Tell = quiet
) -> dict[str, Any]:
    """Audit a policy in each game and return the scorecard document."""
    options = options or Options()
    audited: dict[str, Any] = {}
    about: Mapping[str, Any] = {}
    model = False
    for entry in games:
        taken = by_set(entry, options.sets) if isinstance(entry, Game) else entry
        name = next(iter(taken.values())).name
        audited[name] = audit(policy, taken, options, tell)
        about = policy.about() or about
        model = model or policy.legal_mass() is not None
    document = {"schema": CARD_SCHEMA, "policy": policy.name, "seed": options.seed, "versions": versions(model)}
    if about:
        document["model" if model else "about"] = dict(about)
    return document | {"games": audited}


def audit_table(table: PolicyTable, game: Game, sets: Sets = "both") -> dict[str, Any]:
    """Return one game's part of the scorecard, exactly, from a policy table."""
    return audit(table, by_set(game, sets), Options(sets=sets, method="exact"))


def audit(policy: Policy, games: Games, options: Options, tell: Tell = quiet) -> dict[str, Any]:
    """Return one game's part of the scorecard.

    The figures beside the measures are taken by the rules and pools of the last set, ``sepo`` if both are asked for.
    """
    main: MeasureName = list(games)[-1]
    found: dict[Game, Found] = {}
    for game in dict.fromkeys(games.values()):
        chosen = [game.measures(name) for name, g in games.items() if g is game]
        found[game] = find(policy, game, chosen, options, tell)
    game, there = games[main], found[games[main]]
    measures = game.measures(main)
    key = (options.seed, game.name)
    part: dict[str, Any] = {
        "rules": dict(game.rules),
        "unit": game.unit,
        "method": there.method,
        "measures": {},
        "weights": {name: g.measures(name).weights._asdict() for name, g in games.items()},
    }
    for name, g in games.items():
        if dict(g.rules) != dict(game.rules):
            part.setdefault("rules_by_measures", {})[name] = dict(g.rules)
        row = found[g].measures(g.measures(name))
        part["measures"][name] = {k: found[g].figure(f, (*key, name, k)) for k, f in row.items()}
    whole = there.values.has(ANYONE, "gap")
    beside = reported(game, measures, whole)
    if not there.values.has(ANYONE, "worst"):
        beside |= {"worst_case_advantage": None, "pool_coverage": None}
    part |= {k: there.figure(f, (*key, k)) for k, f in beside.items()}
    part |= there.extra
    train = measures.pools["train"]
    part["frequencies"] = {f"seat {s}": there.frequencies(train, s, key) for s in game.seats}
    part["opponents"] = [
        {"name": o, "pool": pool}
        | {k: there.figure(f, (*key, pool, o, k)) for k, f in met(o, there.values.has(o, "best")).items()}
        for pool, o in [*listed(measures.pools), *(("asked", o) for o in options.opponents)]
    ]
    return part
