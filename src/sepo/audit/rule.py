"""An opponent written out as a rule: by as few of the things that it sees as tell its actions apart, and in words.

Such a rule can be read, played and audited against. What finds opponents is elsewhere (``audit.search``,
``audit.ahead``).
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sepo.audit.growing import Choose
from sepo.games.base import Decision, Memory, Opponent
from sepo.games.repeated import Pair, RepeatedGame
from sepo.solve.tree import Floats

SHORT = 9
"""A rule with so many answers is told in full."""


class Seen(NamedTuple):
    """What an opponent's action may depend on; None where it does not, or where there is nothing."""

    number: int | None
    last: Pair | None
    public: Hashable
    private: Hashable


@dataclass(frozen=True)
class Rule:
    """A deterministic opponent, written out.

    Attributes
    ----------
    table
        Action by what is seen: a ``Seen`` in repeated games, the information state elsewhere. It holds what can come
        up against the policy it was found for.
    fields
        The fields of ``Seen`` that matter.
    otherwise
        The opponent that answers anything else.
    about
        The rule in words.
    """

    table: Mapping[Hashable, str]
    fields: tuple[str, ...]
    otherwise: Choose
    about: str
    memory: Memory = "last"

    def __call__(self, decision: Decision) -> str:
        """Return the action."""
        action = self.table.get(seen(decision, self.fields))
        return action if action in decision.legal else self.otherwise(decision)

    def answer(self, decision: Decision) -> Floats:
        """Return the probability of each legal action: 1 for the one it takes."""
        return np.array([float(a == self(decision)) for a in decision.legal])

    @property
    def opponent(self) -> Opponent:
        """The rule as a script that can be played."""
        return Opponent("searched", lambda decision: {self(decision): 1.0}, self.about, self.memory)


def seen(decision: Decision, fields: Sequence[str]) -> Hashable:
    """Return those fields of what a seat sees in a repeated game; elsewhere its information state."""
    if not isinstance(decision.game, RepeatedGame):
        return decision.key
    view = decision.view
    return Seen(
        view.number if "number" in fields else None,
        view.rounds[-1] if "last" in fields and view.rounds else None,
        view.public if "public" in fields else None,
        view.private if "private" in fields else None,
    )


def written(played: Sequence[tuple[Decision, str]], otherwise: Choose) -> Rule:
    """Write an opponent's actions out, by as few fields as tell them apart: the last pair rather than the round.

    ``otherwise`` answers what did not come up.
    """
    game = played[0][0].game
    table: dict[Hashable, str] = {d.key: a for d, a in played}
    if not isinstance(game, RepeatedGame):
        return Rule(table, (), otherwise, f"{len(table)} answers by information state", "all")
    order = ("last", "number", "private", "public")
    for size in range(len(order) + 1):
        for fields in itertools.combinations(order, size):
            table = {}
            if all(table.setdefault(seen(d, fields), a) == a for d, a in played):
                return Rule(table, fields, otherwise, described(table, fields))
    table = {d.key: a for d, a in played}
    about = f"{len(table)} answers by the whole history"
    return Rule(table, (), lambda d: table.get(d.key) or otherwise(d), about, "all")


def described(table: Mapping[Hashable, str], fields: Sequence[str]) -> str:
    """Return a rule in words, such as ``COOPERATE; then copies``."""
    if not fields:
        return f"always {next(iter(table.values()))}"
    situations = [(at, a) for at, a in table.items() if isinstance(at, Seen)]
    if fields == ("number",):
        return "round by round " + ", ".join(a for _, a in sorted((at.number or 0, a) for at, a in situations))
    if fields == ("last",):
        first = "; ".join(a for at, a in situations if at.last is None)
        then = [(at.last, a) for at, a in situations if at.last is not None]
        if all(a == pair.other for pair, a in then):
            return f"{first}; then copies"
        if len(then) <= SHORT:
            return f"{first}; then " + ", ".join(f"{a} after {pair.own}-{pair.other}" for pair, a in then)
    words = {"last": "the last pair", "number": "the round", "private": "its own values", "public": "what is public"}
    return f"{len(table)} answers by " + ", ".join(words[f] for f in fields)
