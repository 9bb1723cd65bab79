"""Audits: a policy's scorecard in some games."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sepo.api.card import Scorecard
from sepo.api.given import (
    METHODS,
    GameLike,
    Method,
    PolicyLike,
    Tell,
    as_game,
    as_policy,
    asking_of,
    count,
    flag,
    mapping,
    one_of,
    seed_of,
    words,
)
from sepo.audit.methods import Options, Sets, quiet
from sepo.audit.playable import games_of, under
from sepo.audit.scorecard import Games, by_set, scorecard
from sepo.errors import InputError
from sepo.games.held import hold_to_figures
from sepo.policies.base import Policy
from sepo.policies.script import ScriptPolicy
from sepo.policies.script import opponent as scripted


def audit(
    policy: PolicyLike,
    games: GameLike | Sequence[GameLike] = "all",
    *,
    measures: Sets = "both",
    rules: Mapping[str, Any] | None = None,
    method: Method = "auto",
    episodes: int | None = None,
    half_width: float | None = None,
    control: bool = True,
    opponents: Sequence[str] = (),
    budget: int | None = 3000,
    adversaries: bool = True,
    seed: int = 0,
    tell: Tell | None = None,
) -> Scorecard:
    """Audit a policy: payoff, exploitability, collusion, externality and what stands behind them.

    Parameters
    ----------
    policy
        In any form that ``load_policy`` takes: a POLICY string, a table, your own function.
    games
        A game's name, a game, several of them, or ``all`` that the policy can play.
    measures
        ``paper``, ``sepo`` or ``both``; of a game given by name, each by the rules of its preset.
    rules
        Rules of games given by name, before any preset; a table's rows are of the game by these rules.
    method
        ``auto``: exact where it can be; ``exact``: refuse what cannot; ``sampled``: play episodes.
    episodes
        Clusters of episodes per opponent and seat, where figures are sampled.
    half_width
        Sample until J is known to this half-width, however long it takes.
    control
        Whether the variance of sampled figures is cut by control variates.
    opponents
        Names of further opponents to be met.
    budget
        Information states of a game that a language model is asked about; None for all.
    adversaries
        Whether the worst case and the time to exploit are searched for.
    seed
        Of whatever is drawn; exact figures do not depend on it.
    tell
        Hears of progress.

    Returns
    -------
    Scorecard
        The figures that ``sepo audit`` prints.

    Raises
    ------
    InputError
        If there is no such policy, game, rule or opponent, there is no game at all, two of the games have one name, or
        the method asked for cannot be had.
    EndpointError
        If an endpoint fails after its retries.

    Examples
    --------
    >>> import sepo
    >>> sepo.audit("script:nash", "kuhn")
    Scorecard('script:nash', kuhn: J 0.0139, exploitability 0.0000)
    >>> sepo.audit(lambda decision: decision.legal[0], ["kuhn", "split"], measures="sepo")
    Scorecard('function:<lambda>', kuhn: J -2.5278, exploitability 1.0000, split: J -2.1000)
    """
    listed = list(games) if isinstance(games, Sequence) and not isinstance(games, str) else [games]
    if not listed:
        raise InputError("an audit takes at least one game: a name, a game, several of them, or 'all'")
    seed = seed_of(seed)
    only = listed[0] if len(listed) == 1 and listed != ["all"] else None
    if only is not None and isinstance(policy, Mapping) and "schema" not in policy:  # rows, which say no rules
        only, rules = as_game(only, rules), None
        listed = [only]
    loaded = as_policy(policy, only, seed)
    options = Options(
        sets=one_of(measures, ("paper", "sepo", "both"), "set of measures"),
        method=one_of(method, METHODS, "method"),
        seed=seed,
        episodes=None if episodes is None else count(episodes, "episodes", least=2),
        half_width=None if half_width is None else positive(half_width),
        control=flag(control, "control"),
        opponents=words(opponents, "opponents"),
        budget=None if budget is None else count(budget, "budget"),
        adversaries=flag(adversaries, "adversaries"),
        asking=asking_of(loaded),
    )
    taken = [t for given in listed for t in _taken(loaded, given, options.sets, mapping(rules, "rules"))]
    _hold_to_names(taken)
    return Scorecard(scorecard(loaded, taken, options, tell or quiet))


def _taken(policy: Policy, given: GameLike, sets: Sets, rules: Mapping[str, Any]) -> list[Games]:
    """Return games to audit a policy in, each as every set of measures is taken in it."""
    if isinstance(given, str):
        return [under(policy, n, sets, rules) for n in (games_of(policy) if given == "all" else [given])]
    game = as_game(given, rules)
    if isinstance(policy, ScriptPolicy):
        scripted(game, policy.script)
    hold_to_figures(game)
    return [by_set(game, sets)]


def _hold_to_names(taken: Sequence[Games]) -> None:
    """Refuse different games of one name: a scorecard has a part for each name."""
    known: dict[str, Games] = {}
    for games in taken:
        name = next(iter(games.values())).name
        if known.setdefault(name, games) != games:
            raise InputError(f"two different games are called '{name}', and a scorecard has one: audit each alone")


def positive(half_width: float) -> float:
    """Return a half-width that is a positive number.

    Raises
    ------
    InputError
        Otherwise.
    """
    if isinstance(half_width, bool) or not isinstance(half_width, int | float) or not half_width > 0:
        raise InputError(f"half_width must be a positive number, not {half_width!r}")
    return float(half_width)
