"""The scorecard: every measure of one policy in its games, as one JSON document.

A figure is ``{"value", "low", "high", "n"}``. ``low = high = value`` and ``n`` is null where it is exact; without
``n`` they are bounds that hold for certain, where part of the policy is not known; with ``n`` a 95 % interval from
that many instances or clusters of episodes. An end of which nothing is known is null. A measure that does not apply is
null, never 0.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sepo.audit.compare import CARD_SCHEMA, REPORTED, SEVERAL_SCHEMA
from sepo.audit.figures import ANYONE, Figure, listed, met, reported, span
from sepo.audit.fingerprint import fingerprint
from sepo.audit.found import Found, difference, number
from sepo.audit.methods import Options, Sets, Tell, find, quiet
from sepo.games.base import Game, MeasureName, MeasureSet
from sepo.games.held import recorded
from sepo.policies.base import Estimated, Policy
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


@dataclass(frozen=True)
class Inspected:
    """What an audit found of one policy in one game: by the rules of each set of measures."""

    games: Games
    found: Mapping[Game, Found]

    @property
    def main(self) -> MeasureName:
        """The set by whose rules and pools the other figures are taken: ``sepo`` if both sets are asked for."""
        return list(self.games)[-1]


def scorecard(
    policy: Policy, games: Sequence[Game | Games], options: Options | None = None, tell: Tell = quiet
) -> dict[str, Any]:
    """Audit a policy in each game and return the scorecard document."""
    return scorecards([(policy, games)], options, tell)


def scorecards(
    asked: Sequence[tuple[Policy, Sequence[Game | Games]]], options: Options | None = None, tell: Tell = quiet
) -> dict[str, Any]:
    """Audit policies, each in its games; several give one document with what is between them.

    Differences are of each policy from the first one. All play the same deals and coins, so where figures are sampled
    the differences are paired, and their intervals narrower than the figures' own.
    """
    options = options or Options()
    cards, inspections = [], []
    for policy, games in asked:
        audited: dict[str, Any] = {}
        inspected: dict[str, Inspected] = {}
        about: Mapping[str, Any] = {}
        model = False
        for entry in games:
            taken = by_set(entry, options.sets) if isinstance(entry, Game) else entry
            name = next(iter(taken.values())).name
            inspected[name] = inspect(policy, taken, options, tell)
            audited[name] = document(inspected[name], options)
            about = policy.about() or about
            model = model or policy.legal_mass() is not None or isinstance(policy, Estimated)
        card = {"schema": CARD_SCHEMA, "policy": policy.name, "seed": options.seed, "versions": versions(model)}
        if (digest := fingerprint(policy, policy.name, kept=options.asking.kept)) is not None:
            card["fingerprint"] = digest
        if about:
            card["model" if model else "about"] = dict(about)
        cards.append(card | {"options": options.document(model=model), "games": audited})
        inspections.append(inspected)
    if len(cards) == 1:
        return cards[0]
    apart = {
        str(card["policy"]): between(inspections[0], other, options)
        for card, other in zip(cards[1:], inspections[1:], strict=True)
    }
    return {
        "schema": SEVERAL_SCHEMA,
        "scorecards": cards,
        "differences": {"from": cards[0]["policy"], "of": apart},
    }


def between(first: Mapping[str, Inspected], second: Mapping[str, Inspected], options: Options) -> dict[str, Any]:
    """Return the differences, second minus first, in the games both played by the same rules.

    By set of measures those of u, e, c, x and J, and under ``reported`` those of the figures that stand beside them.
    """
    out: dict[str, Any] = {}
    for name in [n for n in first if n in second]:
        for of, game in first[name].games.items():
            other = second[name].games.get(of)
            if other is None or dict(other.rules) != dict(game.rules):
                continue
            ours, theirs = first[name].found[game], second[name].found[other]
            found, key = out.setdefault(name, {}), (options.seed, name, "difference")
            one, two = game.measures(of), other.measures(of)
            found[of] = _apart(ours, theirs, ours.measures(one), theirs.measures(two), (*key, of), one)
            if of == first[name].main:
                figures = _beside(ours, game, one), _beside(theirs, other, two)
                found[REPORTED] = _apart(ours, theirs, *figures, key, one)
    return out


Figures = Mapping[str, Figure | None]


def _apart(
    ours: Found, theirs: Found, one: Figures, two: Figures, key: tuple[object, ...], measures: MeasureSet
) -> dict[str, Any]:
    return {k: difference(ours, theirs, one[k], two[k], (*key, k), span(k, measures)) for k in one}


def _beside(found: Found, game: Game, measures: MeasureSet) -> dict[str, Figure | None]:
    """Return the figures that stand beside the measures, as far as what was found tells of them."""
    known = [quantity for quantity in ("worst", "gap", "exploitability") if found.values.has(ANYONE, quantity)]
    return reported(game, measures, known)


def audit_table(table: PolicyTable, game: Game, sets: Sets = "both", *, adversaries: bool = True) -> dict[str, Any]:
    """Return one game's part of the scorecard, exactly, from a policy table."""
    return audit_tables({game: table}, by_set(game, sets), adversaries=adversaries)


def audit_tables(tables: Mapping[Game, PolicyTable], games: Games, *, adversaries: bool = True) -> dict[str, Any]:
    """Return one game's part of the scorecard, exactly, from a policy's table by the rules of each set of measures."""
    options = Options(method="exact", adversaries=adversaries)
    return document(_inspect(tables.__getitem__, games, options, quiet), options)


def audit(policy: Policy, games: Games, options: Options, tell: Tell = quiet) -> dict[str, Any]:
    """Return one game's part of the scorecard."""
    return document(inspect(policy, games, options, tell), options)


def inspect(policy: Policy, games: Games, options: Options, tell: Tell = quiet) -> Inspected:
    """Find what the scorecard says of a policy in one game."""
    return _inspect(lambda game: policy, games, options, tell)


def _inspect(policy: Callable[[Game], Policy], games: Games, options: Options, tell: Tell) -> Inspected:
    """Find what the scorecard says of a policy in one game, where it may be written out by the rules of each set."""
    found: dict[Game, Found] = {}
    for game in dict.fromkeys(games.values()):
        chosen = [game.measures(name) for name, g in games.items() if g is game]
        # the worst case is told of by the main set's rules alone
        told = options if game is games[list(games)[-1]] else replace(options, adversaries=False)
        found[game] = find(policy(game), game, chosen, told, tell)
    return Inspected(games, found)


def document(inspected: Inspected, options: Options) -> dict[str, Any]:
    """Write what was found as one game's part of the scorecard."""
    games, main = inspected.games, inspected.main
    game, there = games[main], inspected.found[games[main]]
    measures = game.measures(main)
    key = (options.seed, game.name)
    part: dict[str, Any] = {
        "rules": dict(recorded(game)),
        "unit": game.unit,
        "method": there.method,
        "measures": {},
        "weights": {name: g.measures(name).weights._asdict() for name, g in games.items()},
    }
    for name, g in games.items():
        if dict(g.rules) != dict(game.rules):
            part.setdefault("rules_by_measures", {})[name] = dict(recorded(g))
        here = inspected.found[g]
        of = g.measures(name)
        row = {k: here.figure(f, (*key, name, k), span=span(k, of)) for k, f in here.measures(of).items()}
        j = row["J"]
        if here.stopped is not None and j is not None and name == here.stopped.of:
            width = here.stopped.half_width  # the one that allows for the stopping
            j |= {"low": number(float(j["value"] or 0) - width), "high": number(float(j["value"] or 0) + width)}
        part["measures"][name] = row
    beside = _beside(there, game, measures)
    part |= {k: there.figure(f, (*key, k), span(k, measures)) for k, f in beside.items()}
    part |= there.extra
    train = measures.pools["train"]
    part["frequencies"] = {f"seat {s}": there.frequencies(train, s, key) for s in game.seats}
    part["opponents"] = [
        {"name": o, "pool": pool}
        | {
            k: there.figure(f, (*key, pool, o, k), span=span(k, measures))
            for k, f in met(o, there.values.has(o, "best")).items()
        }
        for pool, o in [*listed(measures.pools), *(("asked", o) for o in options.opponents)]
    ]
    return part
