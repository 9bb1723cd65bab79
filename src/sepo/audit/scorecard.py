"""The scorecard: every measure of one policy in its games, as one JSON document.

A figure is ``{"value", "low", "high", "n"}``. ``low = high = value`` and ``n`` is null where it is exact; without
``n`` they are bounds that hold for certain, where part of the policy is not known; with ``n`` a 95 % interval from
that many instances or clusters of episodes. A measure that does not apply is null, never 0.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np

from sepo.audit.board import Subject
from sepo.audit.compare import CARD_SCHEMA
from sepo.audit.elicitation import Inquiry
from sepo.audit.estimate import clustered
from sepo.audit.exact import Expectations, evaluate, extremes
from sepo.audit.figures import ANYONE, Figure, frequency, listed, measured, met, reported
from sepo.errors import InputError, TooLargeError
from sepo.games.base import Game, MeasureName, MeasureSet
from sepo.play.rollout import generator
from sepo.policies.base import Policy
from sepo.policies.human import HumanPolicy
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.table import PolicyTable, check_keys
from sepo.solve.expand import MAX_NODES, expand
from sepo.solve.tree import Floats
from sepo.solve.value import infoset_reach

Tell = Callable[[str, int, int], None]
"""Hears what is done, how much of it, and how much there is."""


def quiet(what: str, done: int, total: int) -> None:
    """Say nothing."""


Sets = Literal["paper", "sepo", "both"]
SMALL = 200_000
"""Games of up to this many nodes are walked whole to hold a table's keys against them."""


@dataclass(frozen=True)
class Options:
    """How to audit.

    Attributes
    ----------
    sets
        Which measures.
    method
        ``auto``: exact where it can be. ``exact``: refuse what cannot. ``sampled``: play episodes.
    seed
        Of everything drawn.
    episodes
        Episodes per opponent where figures are sampled.
    half_width
        Stop sampling as soon as J is known to this half-width; None plays ``episodes``.
    budget
        Information states of a game that a model is asked about; None asks about all that can be reached.
    """

    sets: Sets = "both"
    method: Literal["auto", "exact", "sampled"] = "auto"
    seed: int = 0
    episodes: int = 1000
    half_width: float | None = None
    budget: int | None = 3000


def exact(value: float) -> dict[str, float | int | None]:
    """Return an exact figure."""
    return {"value": value, "low": value, "high": value, "n": None}


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
    found: dict[Game, _Found] = {}
    for game in dict.fromkeys(games.values()):
        chosen = [game.measures(name) for name, g in games.items() if g is game]
        found[game] = _evaluate(policy, game, chosen, options, tell)
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
        row = measured(g, g.measures(name))
        part["measures"][name] = {k: found[g].figure(f, (*key, name, k)) for k, f in row.items()}
    whole = there.values.has(ANYONE, "worst")
    part |= {k: there.figure(f, (*key, k)) for k, f in reported(game, measures, whole).items()}
    part |= there.extra
    train = measures.pools["train"]
    part["frequencies"] = {f"seat {s}": there.frequencies(train, s, key) for s in game.seats}
    part["opponents"] = [
        {"name": o, "pool": pool}
        | {k: there.figure(f, (*key, pool, o, k)) for k, f in met(o, there.values.has(o, "best")).items()}
        for pool, o in listed(measures.pools)
    ]
    return part


@dataclass
class _Found:
    """What is known of a policy in one game."""

    game: Game
    method: str
    values: Expectations
    extra: dict[str, Any]

    def figure(self, formula: Figure | None, key: tuple[object, ...]) -> dict[str, float | int | None] | None:
        """Return a figure of the scorecard; None where it does not apply or is not defined."""
        if formula is None:
            return None
        rows = self.values.rows
        asked: set[int] = set()
        middle = formula(self.values.get(rows.mean(axis=0, keepdims=True), asked))
        if not np.isfinite(middle.value).all():
            return None
        value, low, high = (float(x[0]) for x in middle)
        if not self.values.unknown:
            low = high = value
        if len(rows) == 1 or not asked:
            return {"value": value, "low": min(low, value), "high": max(high, value), "n": None}
        columns = sorted(asked)
        full = rows.mean(axis=0)

        def statistic(means: Floats) -> Floats:
            every = np.broadcast_to(full, (len(means), len(full))).copy()
            every[:, columns] = means
            return np.broadcast_to(formula(self.values.get(every)).value, (len(means),))

        interval = clustered(rows[:, columns], statistic, generator("interval", *key))
        out = {"value": interval.value, "low": interval.low, "high": interval.high, "n": self.values.episodes}
        return out if np.isfinite(list(interval[:3])).all() else out | {"low": None, "high": None}

    def frequencies(self, opponents: Sequence[str], seat: int, key: tuple[object, ...]) -> dict[str, Any]:
        """Return the share of own decisions, in one seat, at which each action is played."""
        begin = f"play {seat} "
        counts = list(dict.fromkeys(q for o, q in self.values.columns if o in opponents and q.startswith(begin)))
        for o in opponents:
            for q in counts:
                self.values.absent(o, q)
        return {
            q.removeprefix(begin): self.figure(frequency(opponents, q, counts), (*key, "frequency", q)) for q in counts
        }


def _evaluate(policy: Policy, game: Game, sets: Sequence[MeasureSet], options: Options, tell: Tell) -> _Found:
    """Find every quantity that the measures of some sets ask for."""
    opponents = tuple(dict.fromkeys(o for m in sets for names in m.pools.values() for o in names))
    if isinstance(policy, PolicyTable):
        _hold_to_game(policy, game)
    if isinstance(policy, PolicyTable | ScriptPolicy | UniformPolicy):
        subject = Subject(game, policy)
        if options.method != "sampled":
            try:
                return _exactly(subject, opponents, tell)
            except TooLargeError:
                raise
    elif options.method != "sampled" and not game.sampled_chance:
        return _asked(policy, game, opponents, options, tell)
    raise InputError(f"game '{game.name}' cannot be sampled yet")


def _asked(policy: Policy, game: Game, opponents: Sequence[str], options: Options, tell: Tell) -> _Found:
    """Ask a model, or a person, what matters, and evaluate what is known."""
    person = isinstance(policy, HumanPolicy)
    inquiry = Inquiry(policy, game, opponents, None if person else options.budget, tell, MAX_NODES)
    inquiry.ask()
    table = inquiry.table()
    subject = Subject(game, table, unknown=True)
    values = evaluate(subject, opponents, inquiry.matches)
    if inquiry.anyone:
        extremes(subject, values, inquiry.anyone)
    return _found(
        subject, values, "bounded" if values.unknown else "exact", 0 if person else len(table.table), inquiry.states
    )


def _exactly(subject: Subject, opponents: Sequence[str], tell: Tell) -> _Found:
    values = evaluate(subject, opponents)
    extremes(subject, values)
    rows = len(values.values[0])
    values.episodes = rows if rows > 1 else None
    return _found(subject, values, f"exact in each of {rows} instances" if subject.game.sampled_chance else "exact")


def _found(subject: Subject, values: Expectations, method: str, asked: int = 0, states: int = 0) -> _Found:
    train = subject.game.measures("sepo").pools["train"]
    extra: dict[str, Any] = {"illegal_rate": None, "legal_mass": legal_mass(subject, values, train)}
    if asked:
        extra["states"] = {"asked": asked, "reachable": states}
    return _Found(subject.game, method, values, extra)


def legal_mass(subject: Subject, values: Expectations, opponents: Sequence[str]) -> dict[str, Any] | None:
    """Return the mean legal mass over the decisions met against some opponents."""
    mass = None if subject.table is None else subject.table.legal_mass()
    if mass is None:
        return None
    total = weight = 0.0
    for o in opponents:
        for m in values.matches[o]:
            reached = infoset_reach(m.tree, m.profile)
            for i, r in zip(m.tree.infosets, reached.tolist(), strict=True):
                if i.seat == m.seat and i.key in mass:
                    total += r * mass[i.key]
                    weight += r
    return exact(total / weight) if weight else None


def _hold_to_game(table: PolicyTable, game: Game) -> None:
    """Hold a table's keys to the game's information states, where the game is small enough to know them all."""
    try:
        tree = expand(game, SMALL)
    except TooLargeError:
        return
    check_keys(table, game, {d.key: d for d in tree.questions})
