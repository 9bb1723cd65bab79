"""The decisions of a learner over several trees, as one vector.

A game that is too large to hold whole is held as one tree per opponent, pruned to what that opponent may do. Many
information states stand in several of those trees and are one question to the learner; here each stands once. A
``Space`` lays entries out as a ``Tree`` does, so whatever is computed state by state takes either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sepo.games.base import Decision
from sepo.solve.tree import Floats, Infoset, Ints, Tree


@dataclass(frozen=True, eq=False)
class Space:
    """Distinct information states of a learner, by key, first met first."""

    infosets: tuple[Infoset, ...]

    @classmethod
    def over(cls, trees: Iterable[tuple[Tree, int]]) -> Space:
        """Collect the information states that a seat has in some trees; ``trees`` are pairs of tree and seat."""
        found: dict[str, Infoset] = {}
        start = 0
        for tree, seat in trees:
            for info in tree.infosets:
                if info.seat == seat and info.key not in found:
                    found[info.key] = Infoset(seat, info.decision, start)
                    start += len(info.decision.legal)
        return cls(tuple(found.values()))

    @cached_property
    def starts(self) -> Ints:
        """First entry of each information state. (infosets,)."""
        return np.array([i.start for i in self.infosets], dtype=np.int64)

    @cached_property
    def sizes(self) -> Ints:
        """Number of legal actions at each information state. (infosets,)."""
        return np.array([len(i.decision.legal) for i in self.infosets], dtype=np.int64)

    @cached_property
    def owner(self) -> Ints:
        """Information state of each entry. (entries,)."""
        return np.repeat(np.arange(len(self.infosets)), self.sizes)

    @property
    def seat(self) -> Ints:
        """Seat in which each entry was first met. (entries,)."""
        return np.array([i.seat for i in self.infosets], dtype=np.int64)[self.owner]

    @cached_property
    def index(self) -> dict[str, int]:
        """Where each information state stands, by key."""
        return {info.key: which for which, info in enumerate(self.infosets)}

    @property
    def questions(self) -> tuple[Decision, ...]:
        """The decision of each information state."""
        return tuple(info.decision for info in self.infosets)

    @property
    def uniform(self) -> Floats:
        """The policy that plays every legal action alike. (entries,)."""
        out: Floats = 1.0 / self.sizes[self.owner]
        return out

    def at(self, tree: Tree, seat: int) -> Ints:
        """Return where each entry of a seat in a tree stands in this space. (entries,).

        It is -1 at the entries of the other seat, and at those of information states that are not of this space.
        """
        which = np.array([self.index.get(i.key, -1) if i.seat == seat else -1 for i in tree.infosets], dtype=np.int64)
        offset = np.where(which >= 0, self.starts[which] - tree.starts, 0)
        known = (which >= 0)[tree.owner]
        out: Ints = np.where(known, np.arange(len(tree.owner)) + offset[tree.owner], -1)
        return out


Layout = Tree | Space
"""Whatever lays information states and their entries out."""
