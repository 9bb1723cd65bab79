"""How the quantities of an audit are found: exactly, within bounds, or from episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from sepo.audit.board import Subject
from sepo.audit.deviation import deviation_response
from sepo.audit.elicitation import Inquiry
from sepo.audit.exact import Expectations, best_values, evaluate, extremes
from sepo.audit.figures import SHARE, measured, quotient
from sepo.audit.found import Found, Stopped, exact, number, statistic
from sepo.audit.posterior import from_replies, illegal_rate, share_illegal, told
from sepo.audit.sampled import FIRST, Sampled, by_instance, drawn_instances, hold_to_independent, joined, with_best
from sepo.audit.sequence import Look, Stopping
from sepo.audit.units import Known, divisible, most_nodes, play, spread
from sepo.audit.worst import attained_by, worst_case
from sepo.errors import InputError, TooLargeError
from sepo.games.base import Game, MeasureSet
from sepo.play.lockstep import DECISIONS, LEGAL_MASS
from sepo.policies.base import Estimated, Policy
from sepo.policies.human import HumanPolicy
from sepo.policies.spec import Asking
from sepo.policies.table import PolicyTable, check_keys, check_mass
from sepo.solve.expand import expand
from sepo.solve.value import infoset_reach

Tell = Callable[[str, int, int], None]
"""Hears what is done, how much of it, and how much there is."""
Sets = Literal["paper", "sepo", "both"]
SMALL = 200_000
"""Games of up to this many nodes are walked whole to hold a table's keys against them."""
EPISODES = 1000
MODEL_INSTANCES = 32
"""Instances that a model plays unless told otherwise; scripts and tables play all."""
WRITTEN_EPISODES = 100
"""Episodes that a model that writes plays against each opponent, unless told otherwise."""
MOST_EPISODES = 200_000
"""Where sampling for a half-width gives up."""


def quiet(what: str, done: int, total: int) -> None:
    """Say nothing."""


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
        Clusters of episodes, one per opponent and seat in each, where figures are sampled; None is ``EPISODES``, and
        one per instance in a game that draws instances (a model: ``MODEL_INSTANCES``).
    half_width
        Stop sampling as soon as J is known to this half-width, by a confidence sequence; None plays ``episodes``.
    control
        Whether sampled figures use control variates.
    opponents
        Further opponents to be met, beside the pools.
    budget
        Information states of a game that a model is asked about; None asks about all that can be reached.
    adversaries
        Whether adversaries are let loose on the policy: the search for a worst case, and the time it takes to exploit.
    asking
        How models are asked, and by whom: its workers, if it has any, play sampled episodes.
    """

    sets: Sets = "both"
    method: Literal["auto", "exact", "sampled"] = "auto"
    seed: int = 0
    episodes: int | None = None
    half_width: float | None = None
    control: bool = True
    opponents: tuple[str, ...] = ()
    budget: int | None = 3000
    adversaries: bool = True
    asking: Asking = field(default_factory=Asking)

    def document(self, *, model: bool) -> dict[str, Any]:
        """Return what the figures depend on beside policy, game and seed; ``audit.asked`` reads it back.

        Parameters
        ----------
        model
            Whether the policy is a language model, so that it matters how it was asked.
        """
        out: dict[str, Any] = {
            "measures": self.sets,
            "method": self.method,
            "episodes": self.episodes,
            "half_width": self.half_width,
            "control": self.control,
            "opponents": list(self.opponents),
            "budget": self.budget,
            "adversaries": self.adversaries,
        }
        if model:
            out["asking"] = asdict(self.asking.rules) | {
                "tokenizer": self.asking.tokenizer,
                "body": dict(self.asking.limits.body),
            }
            out["asking"] |= {"template": dict(self.asking.template)} if self.asking.template else {}
            out["asking"] |= {"seed": self.asking.seed} if self.asking.seed != self.seed else {}
        return out


def find(policy: Policy, game: Game, sets: Sequence[MeasureSet], options: Options, tell: Tell = quiet) -> Found:
    """Find every quantity that the measures of some sets ask for.

    Raises
    ------
    InputError
        If the method asked for cannot be had.
    """
    hold_to_independent(game)
    named = [o for m in sets for names in m.pools.values() for o in names]
    opponents = tuple(dict.fromkeys([*named, *options.opponents]))
    if isinstance(policy, PolicyTable):
        _hold_to_game(policy, game)
    known = isinstance(policy, Known)
    if options.method != "sampled":
        try:
            if known:
                key = (options.seed, game.name)
                return _exactly(Subject(game, policy), opponents, key, adversaries=options.adversaries)
            if options.method == "exact" or not game.sampled_chance:
                return _asked(policy, game, opponents, options, tell)
        except TooLargeError:
            if options.method == "exact":
                raise
            return _sampled(policy, game, sets[-1], opponents, options, tell)
    return _sampled(policy, game, sets[-1], opponents, options, tell)


def _exactly(subject: Subject, opponents: Sequence[str], key: tuple[object, ...], *, adversaries: bool) -> Found:
    values = evaluate(subject, opponents, max_nodes=most_nodes(subject.game))
    extremes(subject, values)
    rows = len(values.values[0])
    values.episodes = rows if rows > 1 else None
    method = f"exact in each of {rows} instances" if subject.game.sampled_chance else "exact"
    extra = _about(subject, values)
    if adversaries:
        extra |= worst_case(subject, values, None, key)
    return Found(subject.game, method, values, extra)


def _asked(policy: Policy, game: Game, opponents: Sequence[str], options: Options, tell: Tell) -> Found:
    """Ask a model, or a person, what matters, and evaluate what is known."""
    person = isinstance(policy, HumanPolicy)
    budget = None if person or options.method == "exact" else options.budget
    inquiry = Inquiry(policy, game, opponents, budget, tell, most_nodes(game))
    inquiry.ask()
    subject = Subject(game, inquiry.table(), unknown=True)
    values = evaluate(subject, opponents, inquiry.matches)
    if isinstance(policy, Estimated):
        return _estimated(policy, subject, values, inquiry, options)
    if inquiry.anyone:
        extremes(subject, values, inquiry.anyone)
    extra = _about(subject, values)
    if options.adversaries:
        extra |= worst_case(subject, values, inquiry.anyone or None, (options.seed, game.name))
    if not person:
        extra["states"] = {"asked": len(inquiry.rows), "reachable": inquiry.states}
    return Found(game, "bounded" if values.unknown else "exact", values, extra)


def _estimated(policy: Estimated, subject: Subject, values: Expectations, inquiry: Inquiry, options: Options) -> Found:
    """Evaluate a policy that was asked about by samples."""
    game = subject.game
    key = (options.seed, game.name)
    found = from_replies(policy, values, inquiry.matches, inquiry.anyone, key, game)
    train = game.measures("sepo").pools["train"]
    tallies = {key: policy.tally(d) for key, d in inquiry.asked.items()}
    found.extra |= {
        "illegal_rate": illegal_rate([m for o in train for m in values.matches[o]], tallies, key),
        "legal_mass": None,
        "deviation_response": None,
        "replies": told(tallies.values()),
        "states": {"asked": len(inquiry.rows), "reachable": inquiry.states},
    }
    if options.adversaries:
        worst = None
        if inquiry.anyone and not game.sampled_chance:
            worst = {"lower_bound": True, "opponent": attained_by(subject, inquiry.anyone)}
        found.extra |= {"worst_case": worst, "time_to_exploit": None}
    return found


def _sampled(
    policy: Policy,
    game: Game,
    main: MeasureSet,
    opponents: Sequence[str],
    options: Options,
    tell: Tell,
) -> Found:
    """Play episodes, on trees where the policy is known and they can be held, else state by state."""
    if isinstance(policy, HumanPolicy):
        raise InputError("a person is asked about a whole game: --method sampled is for scripts, tables and models")
    key = (options.seed, "audit")
    if writes := isinstance(policy, Estimated):
        policy = policy.once()
    known = isinstance(policy, Known)
    subject = Subject(game, policy) if known else None
    instances = drawn_instances(game)

    def batch(clusters: range) -> Sampled:
        def heard(done: int, total: int) -> None:
            tell(f"playing {game.name}", done, total)

        if options.asking.workers is not None and divisible(policy):
            return spread(policy, game, opponents, clusters, key, options.asking, heard)
        return play(policy, game, opponents, clusters, key, heard)

    first = min(instances, MODEL_INSTANCES) if instances and not known else instances
    usual = first or (WRITTEN_EPISODES if writes else EPISODES)
    parts, look = _until_enough(batch, game, main, options, usual, instances or MOST_EPISODES)
    reduced, plain = joined([p.values for p in parts]), joined([p.plain for p in parts])
    values, raw = (reduced, plain) if options.control else (plain, None)
    size = len(values.values[0])
    for one in (reduced, plain):
        if instances:
            one.values[:] = [by_instance(row, instances) for row in one.values]
        with_best(one, game, opponents, range(len(one.values[0])))
    values.episodes = len(values.values[0])
    extra: dict[str, Any] = {"illegal_rate": None, "legal_mass": None, "deviation_response": None}
    if subject is not None:
        extra |= _fix_extremes(subject, (reduced, plain), (options.seed, game.name), adversaries=options.adversaries)
    stopped = None
    if look is not None:
        stopped = Stopped(size, float(look.half_width), main.name)
        extra["stopped"] = {"at": size, "half_width": number(look.half_width), "of": f"{main.name} J"}
    found = Found(game, "sampled", values, extra, raw, stopped)
    train = main.pools["train"]
    if isinstance(policy, Estimated):
        rate = share_illegal(found, opponents, (*key, game.name, "illegal_rate"))
        extra |= {"illegal_rate": rate, "replies": told(policy.tallies)}
    if all(values.has(o, LEGAL_MASS) for o in train):
        extra["legal_mass"] = found.figure(
            quotient(train, LEGAL_MASS, DECISIONS), (*key, game.name, LEGAL_MASS), span=SHARE
        )
    return found


def _fix_extremes(
    subject: Subject, all_values: Sequence[Expectations], key: tuple[object, ...], *, adversaries: bool
) -> dict[str, Any]:
    """Add what is exact in sampled figures too: the extremes over all opponents of a policy that is known.

    Where instances are drawn each has its own, and those that were played count.
    """
    found = Expectations()
    found.add("", "", np.zeros(max(1, drawn_instances(subject.game))))
    extremes(subject, found)
    extra = worst_case(subject, found, None, key) if adversaries else {}
    for values in all_values:
        for name, quantity in list(found.columns)[1:]:
            rows = found.values[found.columns[name, quantity]]
            if len(rows) > 1:
                values.add(name, quantity, rows[: len(values.values[0])])
            else:
                values.fix(name, quantity, *[float(rows[0])] * 3)
        values.fixed |= found.fixed
        values.drawn |= found.drawn
    return extra


def _until_enough(
    batch: Callable[[range], Sampled], game: Game, main: MeasureSet, options: Options, usual: int, most: int
) -> tuple[list[Sampled], Look | None]:
    """Play the clusters asked for, or as many as the half-width asked for takes."""
    if options.half_width is None:
        return [batch(range(options.episodes or usual))], None
    j = measured(game, main)["J"]
    if j is None or main.e == "exploitability":
        raise InputError(f"game '{game.name}' measures exploitability, which is not sampled: leave out --half-width")
    if main.e == "regret" and main.weights.e and any(best_values(game, o) is None for o in main.pools["exploiter"]):
        raise InputError(
            f"game '{game.name}': what a best response to each exploiter earns is too much work by these rules, "
            f"so {main.name} J is not known: leave out --half-width"
        )
    if most < FIRST:
        raise InputError(
            f"a half-width takes at least {FIRST} instances of game '{game.name}': --rule instances={FIRST} or more"
        )
    stopping = Stopping(options.half_width, minimum=FIRST)
    parts, played = [], 0
    while True:
        more = min(max(FIRST, played), most - played)
        parts.append(batch(range(played, played + more)))
        played += more
        values = joined([p.values if options.control else p.plain for p in parts])
        names = [o for names in main.pools.values() for o in names]
        with_best(values, game, tuple(dict.fromkeys(names)), range(played))
        look = stopping.look_at(values.rows, statistic(j, values), values.sure)
        if look.stop or played >= most:
            return parts, look


def _about(subject: Subject, values: Expectations) -> dict[str, Any]:
    game = subject.game
    out: dict[str, Any] = {
        "illegal_rate": None,
        "legal_mass": legal_mass(subject, values, game.measures("sepo").pools["train"]),
        "deviation_response": None,
    }
    if game.deviation is not None and game.rounds > game.deviation.round + 1:
        value, low, high = deviation_response(subject, game.deviation, most_nodes(game))
        out["deviation_response"] = {"value": value, "low": low, "high": high, "n": None}
    return out


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
    """Hold a table's keys to the game's information states, where they are few enough to know, and its legal mass."""
    check_mass(table)
    try:
        tree = expand(game, SMALL)
    except TooLargeError:
        return
    check_keys(table, game, {d.key: d for d in tree.questions})
