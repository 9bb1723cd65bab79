"""Reach probabilities and expected values: forward and backward sweeps over a tree.

Shapes: a profile is (entries,), the action probabilities of both seats; ``due`` is (moves,), what falls
due on each move (see ``Tree.combine``). Reach is also found of many profiles at once, (..., entries).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sepo.solve.tree import Floats, Tree


class Passage:
    """One profile's way through a tree, each part found when it is first asked for."""

    def __init__(self, tree: Tree, profile: Floats) -> None:
        self.tree = tree
        self.profile = profile

    @cached_property
    def step(self) -> Floats:
        """The probability of each move, given the node it leads from. (..., moves)."""
        return transition(self.tree, self.profile)

    @cached_property
    def nodes(self) -> Floats:
        """The probability of passing through each node. (..., nodes)."""
        tree, step = self.tree, self.step
        shape = (*self.profile.shape[:-1], tree.nodes)
        if not tree.merged:
            out = np.ones(shape)
            for level in tree.levels[1:]:
                out[..., level] = out[..., tree.parent[level]] * step[..., level]
            return out
        out = np.zeros(shape)
        out[..., 0] = 1.0
        for level in tree.levels[1:]:
            np.add.at(out.T, tree.child[level], (out[..., tree.parent[level]] * step[..., level]).T)
        return out

    @cached_property
    def moves(self) -> Floats:
        """The probability of making each move; 1 into the root. (..., moves)."""
        if not self.tree.merged:
            return self.nodes
        out: Floats = self.nodes[..., self.tree.parent] * self.step
        out[..., 0] = 1.0
        return out

    def values(self, due: Floats, *, immediate: bool = False) -> Floats:
        """Return the expected sum of what falls due on each move and after it: see ``node_values``. (moves,)."""
        tree, step = self.tree, self.step
        after = np.zeros(tree.nodes)
        out = due.copy()
        for level in reversed(tree.levels):
            out[level] += after[tree.child[level]]
            if level.start == 0:
                break
            share = step[level] * out[level]
            if immediate:
                share = share * (tree.round[level] == _round_before(tree)[level])
            np.add.at(after, tree.parent[level], share)
        return out


def transition(tree: Tree, profile: Floats) -> Floats:
    """Return the probability of each move, given the node it leads from. (..., moves)."""
    return np.where(tree.entry >= 0, profile[..., tree.entry], tree.chance)


def reach(tree: Tree, profile: Floats) -> Floats:
    """Return the probability of passing through each node. (..., nodes)."""
    return Passage(tree, profile).nodes


def move_reach(tree: Tree, profile: Floats) -> Floats:
    """Return the probability of making each move; 1 into the root. (..., moves)."""
    return Passage(tree, profile).moves


def counterfactual_reach(tree: Tree, profile: Floats, seat: int) -> Floats:
    """Return how likely each node is if ``seat`` tries to get there: by chance and the other seat. (..., nodes)."""
    return reach(tree, np.where(tree.seat == seat, 1.0, profile))


def expected(tree: Tree, profile: Floats, due: Floats) -> float:
    """Return the expected sum of ``due`` over an episode."""
    return float(move_reach(tree, profile) @ due)


def node_values(tree: Tree, profile: Floats, due: Floats, *, immediate: bool = False) -> Floats:
    """Return the expected sum of what falls due on each move and after it; at the root, the episode's. (moves,).

    With ``immediate``, only what falls due in the round of the move counts: the credit of the published
    system, which has no return-to-go. In a game whose states merge, that needs the round to be part of the state.
    """
    return Passage(tree, profile).values(due, immediate=immediate)


def _round_before(tree: Tree) -> Floats:
    """Return the round of a move into the node that each move leads from. (moves,)."""
    into = np.zeros(tree.nodes)
    into[tree.child] = tree.round
    return into[tree.parent]


def infoset_reach(tree: Tree, profile: Floats) -> Floats:
    """Return the probability of passing through each information state. (infosets,)."""
    return by_infoset(tree, reach(tree, profile))


def by_infoset(tree: Tree, nodes: Floats) -> Floats:
    """Add values of the nodes, (nodes,), up over each information state. (infosets,)."""
    here = tree.decided
    out: Floats = np.bincount(tree.infoset[here], nodes[here], len(tree.infosets)).astype(float)
    return out


def own_reach(tree: Tree, profile: Floats) -> Floats:
    """Return the probability that each information state's own seat plays towards it. (infosets,)."""
    out = np.ones(len(tree.infosets))
    for level in tree.recall_levels[1:]:
        before = tree.previous[level]
        out[level] = profile[before] * out[tree.owner[before]]
    return out
