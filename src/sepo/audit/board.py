"""Who meets whom: the audited policy as a strategy of one game, and the smallest tree that shows a meeting exactly.

A tree of a whole game is rarely needed. A meeting of two known policies is walked only along what both may do; the
best answer to one of them along what that one may do. Where both have short memories, histories that neither tells
apart are one node. What comes out is the same to the last digits as from the whole tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sepo.errors import ShortcutError
from sepo.games.base import Decision, Game, Memory
from sepo.policies.base import Policy, checked
from sepo.policies.script import ScriptPolicy, UniformPolicy, opponent, played
from sepo.policies.table import PolicyTable
from sepo.solve.expand import MAX_NODES, walk
from sepo.solve.stages import Answer
from sepo.solve.tree import Bools, Floats, Tree

MEMORIES: tuple[Memory, ...] = ("round", "last", "all")


class Subject:
    """The policy that is audited, as a strategy of one game.

    Parameters
    ----------
    policy
        A script, the uniform policy or a table; a model is elicited into a table before.
    unknown
        Whether a table that lacks an information state is merely not known there, rather than wrong: it then counts
        as uniform there, and ``knows`` says so.
    """

    def __init__(self, game: Game, policy: Policy, *, unknown: bool = False) -> None:
        self.game = game
        self.policy = policy
        self.table = policy if isinstance(policy, PolicyTable) else None
        self._unknown = unknown
        self.memory: Memory = "all"
        if isinstance(policy, UniformPolicy):
            self.memory = "round"
        elif isinstance(policy, ScriptPolicy):
            self.memory = opponent(game, policy.script).memory

    def __call__(self, decision: Decision) -> Floats:
        """Return the probability of each legal action."""
        if not self.knows(decision):
            return np.full(len(decision.legal), 1 / len(decision.legal))
        p = checked(self.policy, [decision])[0]
        out: Floats = p / p.sum()
        return out

    def knows(self, decision: Decision) -> bool:
        """Whether the policy's answer is known."""
        return not self._unknown or self.table is None or decision.key in self.table.table


class Match(NamedTuple):
    """A meeting: the learner's seat, the tree of what may happen, and both strategies on it, (entries,).

    ``open`` (infosets,) marks the learner's information states at which its answer is not known.
    """

    opponent: str
    seat: int
    tree: Tree
    profile: Floats
    open: Bools


def match(subject: Subject, name: str, seat: int, max_nodes: int = MAX_NODES) -> Match:
    """Let the learner meet a scripted opponent.

    Raises
    ------
    TooLargeError
        If the two may do more than ``max_nodes`` nodes hold.
    """
    game = subject.game
    other = opponent(game, name)
    memory = longer(subject.memory, other.memory)
    tree = walk(game, {seat: subject, 1 - seat: lambda d: played(other, d)}, memory, max_nodes)
    return Match(name, seat, tree, tree.fixed, _open(tree, subject, seat))


def facing(subject: Subject, seat: int, memory: Memory = "round", max_nodes: int = MAX_NODES) -> Match:
    """Let the learner meet anyone at all: its own moves are those it makes, the other seat's are all there are.

    The profile is NaN at the other seat's entries. ``memory`` is what the other seat must be able to remember at least;
    a best response to a policy with a short memory needs no more than that memory.

    Raises
    ------
    TooLargeError
        If that is more than ``max_nodes`` nodes.
    """
    tree = _with_anyone(subject.game, {seat: subject}, longer(subject.memory, memory), max_nodes)
    return Match("anyone", seat, tree, tree.fixed, _open(tree, subject, seat))


@lru_cache(maxsize=256)
def against(game: Game, name: str, seat: int, max_nodes: int = MAX_NODES) -> Match:
    """Let anyone in ``seat`` meet a scripted opponent; the profile is NaN at the seat's own entries.

    Raises
    ------
    TooLargeError
        If that is more than ``max_nodes`` nodes.
    """
    other = opponent(game, name)
    tree = _with_anyone(game, {1 - seat: lambda d: played(other, d)}, other.memory, max_nodes)
    return Match(name, seat, tree, tree.fixed, tree.mover == seat)


def _with_anyone(game: Game, fixed: Mapping[int, Answer], memory: Memory, max_nodes: int) -> Tree:
    """Walk a game in which one seat is free, by the memory of the other where that is enough to answer it."""
    try:
        return walk(game, fixed, memory, max_nodes)
    except ShortcutError:
        return walk(game, fixed, "all", max_nodes)


def longer(first: Memory, second: Memory) -> Memory:
    """Return the longer of two memories."""
    return max(first, second, key=MEMORIES.index)


def _open(tree: Tree, subject: Subject, seat: int) -> Bools:
    if subject.table is None:
        return np.zeros(len(tree.infosets), dtype=bool)
    return np.array([i.seat == seat and not subject.knows(i.decision) for i in tree.infosets], dtype=bool)
