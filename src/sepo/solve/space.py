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

from sepo.solve.tree import Infoset, Ints, Layout, Tree


@dataclass(frozen=True, eq=False)
class Space(Layout):
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
    def index(self) -> dict[str, int]:
        """Where each information state stands, by key."""
        return {info.key: which for which, info in enumerate(self.infosets)}

    def at(self, tree: Tree, seat: int) -> Ints:
        """Return where each entry of a seat in a tree stands in this space. (entries,).

        It is -1 at the entries of the other seat, and at those of information states that are not of this space.
        """
        which = np.array([self.index.get(i.key, -1) if i.seat == seat else -1 for i in tree.infosets], dtype=np.int64)
        offset = np.where(which >= 0, self.starts[which] - tree.starts, 0)
        known = (which >= 0)[tree.owner]
        out: Ints = np.where(known, np.arange(len(tree.owner)) + offset[tree.owner], -1)
        return out
