"""A game as flat arrays.

Moves are numbered breadth first, so the moves out of a node are contiguous, every level is a slice, and
a sweep over levels is a forward or backward pass over the whole game. Move 0 is the one into the root. In most
games each move leads to a node of its own, and move k leads to node k; in a game whose states ``merge`` several
moves lead to one node and the tree is a directed acyclic graph. An *entry* is one legal action at one
information state; a behavioural strategy (or a pair of them) is a vector over entries. Everything else in
``solve`` is written on these arrays. ``solve.expand`` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sepo.errors import ContractError
from sepo.games.base import Decision, Game

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Infoset:
    """One information state of one seat: its entries are ``start .. start + len(legal)``."""

    seat: int
    decision: Decision
    start: int

    @property
    def key(self) -> str:
        """The information state key."""
        return self.decision.key

    @property
    def entries(self) -> slice:
        """Where its actions stand in a strategy vector."""
        return slice(self.start, self.start + len(self.decision.legal))


class Layout:
    """Information states with their entries end to end: what a vector over entries needs to be read state by state."""

    infosets: tuple[Infoset, ...]

    @cached_property
    def starts(self) -> Ints:
        """First entry of each information state. (infosets,)."""
        return np.array([i.start for i in self.infosets], dtype=np.int64)

    @cached_property
    def sizes(self) -> Ints:
        """Number of legal actions at each information state. (infosets,)."""
        return np.array([len(i.decision.legal) for i in self.infosets], dtype=np.int64)

    @cached_property
    def mover(self) -> Ints:
        """Seat of each information state. (infosets,)."""
        return np.array([i.seat for i in self.infosets], dtype=np.int64)

    @cached_property
    def owner(self) -> Ints:
        """Information state of each entry. (entries,)."""
        return np.repeat(np.arange(len(self.infosets)), self.sizes)

    @cached_property
    def seat(self) -> Ints:
        """Seat of each entry. (entries,)."""
        return self.mover[self.owner]

    @property
    def uniform(self) -> Floats:
        """The policy that plays every legal action alike. (entries,)."""
        out: Floats = 1.0 / self.sizes[self.owner]
        return out

    @cached_property
    def questions(self) -> tuple[Decision, ...]:
        """The distinct questions that the information states ask, first met first."""
        return tuple({i.key: i.decision for i in self.infosets}.values())

    @cached_property
    def asks(self) -> Ints:
        """Which of ``questions`` each information state asks. (infosets,)."""
        place = {decision.key: which for which, decision in enumerate(self.questions)}
        return np.array([place[i.key] for i in self.infosets], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Tree(Layout):
    """The arrays of a game.

    Attributes
    ----------
    actor, infoset : (nodes,)
        Who moves (a seat, ``CHANCE``, ``TERMINAL``); information state (-1 where no seat moves).
    first, count : (nodes,)
        Moves out of node n are ``first[n] .. first[n] + count[n]``.
    parent, child, round : (moves,)
        The nodes a move leads from (-1 into the root) and to; the round it belongs to.
    entry : (moves,)
        Entry of the action, -1 for a chance move and into the root.
    chance : (moves,)
        Probability of the chance move, 1 elsewhere.
    features : (2, features, moves)
        What falls due on a move, counted from seat 0 and from seat 1; see ``names``.
    names
        ``own``, ``other`` (payoffs), ``round`` (the rounds of the episode, due at its end), then the game's own.
    levels
        One slice of moves per depth.
    infosets
        Information states of both seats.
    last : (2, nodes)
        The seat's last own entry on the way to the node, -1 where it has not moved. Empty if ``merged``.
    merged
        Whether some node is reached by several moves, or an information state by several own pasts.
    played : (entries,)
        Strategy of the seats that the tree was pruned to, NaN at the entries of the others; None if not pruned.
        Moves that such a seat never makes are absent.
    """

    game: Game
    parent: Ints
    child: Ints
    actor: Ints
    infoset: Ints
    entry: Ints
    round: Ints
    chance: Floats
    first: Ints
    count: Ints
    features: Floats
    names: tuple[str, ...]
    levels: tuple[slice, ...]
    infosets: tuple[Infoset, ...]
    last: Ints
    merged: bool = False
    played: Floats | None = None

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.actor)

    @property
    def moves(self) -> int:
        """Number of moves, the one into the root included."""
        return len(self.parent)

    @property
    def fixed(self) -> Floats:
        """The strategies that the tree was pruned to, NaN where it was not. (entries,)."""
        return np.full(len(self.owner), np.nan) if self.played is None else self.played

    @cached_property
    def index(self) -> dict[tuple[int, str], int]:
        """Where the information state of a seat and key stands among ``infosets``."""
        return {(info.seat, info.key): which for which, info in enumerate(self.infosets)}

    @cached_property
    def decided(self) -> Ints:
        """The nodes at which a seat moves."""
        return np.flatnonzero(self.infoset >= 0)

    @cached_property
    def depth(self) -> Ints:
        """Depth of each information state, -1 where its nodes are not equally deep. (infosets,)."""
        deep = np.zeros(self.nodes, dtype=np.int64)
        for number, level in enumerate(self.levels):
            deep[self.child[level]] = number
        here, at = self.infoset[self.decided], deep[self.decided]
        out = np.full(len(self.infosets), -1, dtype=np.int64)
        out[here] = at
        out[here[out[here] != at]] = -1
        return out

    @cached_property
    def asked(self) -> Ints:
        """Return where each entry's answer stands among the answers to all questions, end to end. (entries,)."""
        ends = np.cumsum([len(d.legal) for d in self.questions])
        starts = dict(
            zip((d.key for d in self.questions), (ends - [len(d.legal) for d in self.questions]), strict=True)
        )
        offset = np.array([starts[i.key] - i.start for i in self.infosets], dtype=np.int64)
        out: Ints = np.arange(len(self.owner)) + offset[self.owner]
        return out

    @cached_property
    def previous(self) -> Ints:
        """Return each information state's last own entry before it, -1 where there is none. (infosets,).

        Raises
        ------
        ContractError
            If a seat forgets what it did: nodes of one information state differ in their own past.
        """
        if self.merged:
            raise ContractError(f"game '{self.game.name}': states that merge have no one past")
        out = np.full(len(self.infosets), -2, dtype=np.int64)
        for seat in (0, 1):
            here = np.flatnonzero(self.actor == seat)
            out[self.infoset[here]] = self.last[seat, here]
            if (bad := np.flatnonzero(out[self.infoset[here]] != self.last[seat, here])).size:
                key = self.infosets[self.infoset[here[bad[0]]]].key
                raise ContractError(f"game '{self.game.name}': no perfect recall at information state '{key}'")
        return out

    @cached_property
    def recall_levels(self) -> tuple[Ints, ...]:
        """Information states by the number of own decisions before them, first ones first."""
        depth = np.zeros(len(self.infosets), dtype=np.int64)
        pending = np.flatnonzero(self.previous >= 0)
        while pending.size:
            new = depth[self.owner[self.previous[pending]]] + 1
            changed = new != depth[pending]
            depth[pending] = new
            if not changed.any():
                break
        return tuple(np.flatnonzero(depth == d) for d in range(int(depth.max(initial=0)) + 1))

    @cached_property
    def recall_entries(self) -> tuple[tuple[Ints, ...], tuple[Ints, ...]]:
        """Return each seat's entries by the number of own decisions before them, first ones first."""
        depth = np.zeros(len(self.infosets), dtype=np.int64)
        for number, level in enumerate(self.recall_levels):
            depth[level] = number
        at = depth[self.owner]
        return tuple(  # type: ignore[return-value]  # two seats
            tuple(np.flatnonzero((self.seat == seat) & (at == d)) for d in range(len(self.recall_levels)))
            for seat in (0, 1)
        )

    @cached_property
    def recall_steps(self) -> tuple[tuple[tuple[Ints, Ints], ...], tuple[tuple[Ints, Ints], ...]]:
        """Return each seat's entries as in ``recall_entries``, each with the own entry before it (-1: none)."""
        return tuple(  # type: ignore[return-value]  # two seats
            tuple(
                (entries, self.previous[self.owner[entries]]) for entries in self.recall_entries[seat] if entries.size
            )
            for seat in (0, 1)
        )

    @cached_property
    def decisions_backwards(self) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        """Return each seat's information states, last ones first, as (start, stop, own entry before)."""
        out: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] = ([], [])
        for level in reversed(self.recall_levels):
            for which in level.tolist():
                info = self.infosets[which]
                out[info.seat].append((info.entries.start, info.entries.stop, int(self.previous[which])))
        return out

    @cached_property
    def payoffs(self) -> tuple[Floats, Floats]:
        """Return each seat's payoff in sequence form: own entries are rows, the other's columns; chance is in it.

        Row and column 0 stand for no move yet. Dense, (entries + 1, entries + 1): for small trees.
        """
        reach = np.ones(self.nodes)
        for level in self.levels[1:]:
            reach[level] = reach[self.parent[level]] * self.chance[level]  # unmerged: move k leads to node k
        size = len(self.seat) + 1
        out = np.zeros((2, size, size))
        for seat in (0, 1):
            np.add.at(out[seat], (self.last[seat] + 1, self.last[1 - seat] + 1), reach * self.feature("own", seat))
        return out[0], out[1]

    def feature(self, name: str, learner: int) -> Floats:
        """Return what falls due on each move under ``name``, from the learner's seat. (moves,)."""
        out: Floats = self.features[learner, self.names.index(name)]
        return out

    def combine(self, learner: int, weights: Mapping[str, float]) -> Floats:
        """Return the weighted sum of features on each move. (moves,)."""
        parts = [weight * self.feature(name, learner) for name, weight in weights.items() if weight]
        out: Floats = sum(parts[1:], parts[0]) if parts else np.zeros(self.moves)
        return out

    def join(self, learner: int, own: Floats, other: Floats) -> Floats:
        """Let ``own`` play the learner's seat and ``other`` the other one. Each is (entries,)."""
        return np.where(self.seat == learner, own, other)
