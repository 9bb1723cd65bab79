"""Which games a policy can play, and by which rules each set of measures is taken in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sepo.audit.methods import Sets
from sepo.audit.scorecard import Games, by_set
from sepo.errors import InputError
from sepo.games.held import hold_to_figures
from sepo.games.registry import GAMES, games, make
from sepo.policies.base import Policy
from sepo.policies.human import HumanPolicy
from sepo.policies.script import AXELROD, ScriptPolicy, opponent
from sepo.policies.table import PolicyTable


def games_of(policy: Policy) -> list[str]:
    """Return the names of the games that a policy can play: a table its own, a script those that have it, else all.

    Raises
    ------
    InputError
        If there is none, or the policy is a person, who is asked about one game at a time.
    """
    if isinstance(policy, PolicyTable):
        return [policy.game]
    if isinstance(policy, HumanPolicy):
        raise InputError(f"name the game that you want to be asked about: --game {' or '.join(GAMES)}")
    if isinstance(policy, ScriptPolicy) and policy.script.startswith(AXELROD):
        return ["ipd"]
    found = list(games())
    if isinstance(policy, ScriptPolicy):
        found = [name for name in found if policy.script in make(name).opponents]
        if not found:
            raise InputError(f"unknown script '{policy.script}': no game has it (see `sepo games NAME`)")
    return found


def under(policy: Policy, name: str, sets: Sets, rules: Mapping[str, Any]) -> Games:
    """Return a game as each set of measures is taken in it: by the rules given, else by those of the set's preset.

    A policy table has rules of its own.

    Raises
    ------
    InputError
        If there is no such game, rule or script, a table is for another game, or a game is broken.
    """
    if isinstance(policy, PolicyTable) and policy.game == name and not rules:
        try:
            game = make(policy.game, policy.rules)
        except InputError as error:
            raise InputError(f"policy table '{policy.name}': {error}") from None
        hold_to_figures(game)
        return by_set(game, sets)
    out = {of: make(name, rules, preset=of) for of in by_set(make(name, rules), sets)}
    for game in out.values():
        hold_to_figures(game)
        if isinstance(policy, ScriptPolicy):
            opponent(game, policy.script)
    return out
