"""``sepo audit --wordings`` and ``--horizons``: what is to be audited, checked before anything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sepo.audit.methods import Sets
from sepo.audit.playable import games_of, under
from sepo.audit.scorecard import Games
from sepo.audit.variation import Variation
from sepo.cli.arguments import parse_list
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.games.wording import chosen, remark, wordings
from sepo.policies.base import Policy
from sepo.policies.human import HumanPolicy
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.table import PolicyTable

ALL = ("all",)


def parse_horizons(text: str) -> tuple[int, ...]:
    """Return the numbers of rounds of a list such as ``4,8,12``.

    Raises
    ------
    InputError
        If it is another kind of list.
    """
    found = parse_list(text, "--horizons")
    if not all(part.isdecimal() and part.isascii() and len(part) < 10 for part in found):
        raise InputError(f"--horizons takes numbers of rounds, such as 4,8,12, not '{text}'")
    return tuple(map(int, found))


def asked(
    policies: Sequence[Policy],
    name: str,
    sets: Sets,
    rules: Mapping[str, Any],
    horizons: Sequence[int] | None,
    words: Sequence[str] | None,
) -> tuple[list[Variation], list[str]]:
    """Return every variation to audit, and remarks on what is left out.

    Raises
    ------
    InputError
        If a policy reads no words, or a game has no such horizon or wording.
    """
    if horizons is not None and "rounds" in rules:
        raise InputError("--horizons sets the rule 'rounds': leave out --rule rounds=…")
    if words is not None:
        for policy in policies:
            if isinstance(policy, PolicyTable | ScriptPolicy | UniformPolicy | HumanPolicy):
                raise InputError(f"--wordings is for language models, which read: '{policy.name}' is none")
    out: list[Variation] = []
    remarks: list[str] = []
    for policy in policies:
        names = games_of(policy) if name == "all" else [name]
        if horizons is not None:
            names, without = _with_rounds(policy, names, choosy=name != "all")
            remarks += [f"game '{n}' is left out: it has no rule 'rounds'" for n in without]
        for horizon in [None] if horizons is None else horizons:
            games = [_at(policy, n, sets, rules, horizon) for n in names]
            out += [Variation(policy, its, horizon, wording) for wording, its in _in_words(games, words)]
            if words == ALL:
                remarks += [said for g in games if (said := remark(next(iter(g.values())))) is not None]
    return out, list(dict.fromkeys(remarks))


def _with_rounds(policy: Policy, names: Sequence[str], *, choosy: bool) -> tuple[list[str], list[str]]:
    """Return the names of the games with a horizon that can be set, and of the others."""
    having = [n for n in names if "rounds" in make(n).rules]
    without = [n for n in names if n not in having]
    if without and (choosy or not having):
        raise InputError(f"--horizons sets the rule 'rounds', and game '{without[0]}' has no such rule")
    return having, without


def _at(policy: Policy, name: str, sets: Sets, rules: Mapping[str, Any], horizon: int | None) -> Games:
    """Return a game at a horizon. A table is of one: what it would do at another it does not say."""
    if horizon is None:
        return under(policy, name, sets, rules)
    if isinstance(policy, PolicyTable) and policy.game == name:
        its = under(policy, name, sets, rules)
        if (own := next(iter(its.values())).rounds) != horizon:
            raise InputError(
                f"policy table '{policy.name}' is for {own} rounds and says nothing of {horizon}: "
                "audit the policy it was elicited from"
            )
        return its
    return under(policy, name, sets, {**rules, "rounds": horizon})


def _in_words(games: Sequence[Games], words: Sequence[str] | None) -> list[tuple[str | None, list[Games]]]:
    """Return each wording by name, with the games that have it."""
    if words is None:
        return [(None, list(games))]
    out: dict[str | None, list[Games]] = {}
    for taken in games:
        game = next(iter(taken.values()))
        for wording in chosen(game, [w.name for w in wordings(game)] if words == ALL else words):
            out.setdefault(wording.name, []).append(taken)
    return list(out.items())
