"""Reach probabilities and expected values: forward and backward sweeps over a tree.

Shapes: a profile is (entries,), the action probabilities of both seats; ``due`` is (nodes,), what falls
due on entering each node (see ``Tree.combine``).
"""

from __future__ import annotations

import numpy as np

from sepo.solve.tree import Floats, Tree


def transition(tree: Tree, profile: Floats) -> Floats:
    """Return the probability of the move into each node, given its parent. (nodes,)."""
    return np.where(tree.entry >= 0, profile[tree.entry], tree.chance)


def reach(tree: Tree, profile: Floats) -> Floats:
    """Return the probability of passing through each node. (nodes,)."""
    step = transition(tree, profile)
    out = np.ones(tree.nodes)
    for level in tree.levels[1:]:
        out[level] = out[tree.parent[level]] * step[level]
    return out


def counterfactual_reach(tree: Tree, profile: Floats, seat: int) -> Floats:
    """Return the probability of each node if ``seat`` tried to get there: chance and the other seat only. (nodes,)."""
    return reach(tree, np.where(tree.seat == seat, 1.0, profile))


def expected(tree: Tree, profile: Floats, due: Floats) -> float:
    """Return the expected sum of ``due`` over an episode."""
    return float(reach(tree, profile) @ due)


def node_values(tree: Tree, profile: Floats, due: Floats, *, immediate: bool = False) -> Floats:
    """Return the expected sum of what falls due at each node and after it. (nodes,).

    With ``immediate``, only what falls due in the round of the move into the node counts: the credit
    of the published system, which has no return-to-go.
    """
    step = transition(tree, profile)
    out = due.copy()
    for level in reversed(tree.levels[1:]):
        share = step[level] * out[level]
        if immediate:
            share = share * (tree.round[level] == tree.round[tree.parent[level]])
        np.add.at(out, tree.parent[level], share)
    return out


def infoset_reach(tree: Tree, profile: Floats) -> Floats:
    """Return the probability of passing through each information state. (infosets,)."""
    here = np.flatnonzero(tree.infoset >= 0)
    out: Floats = np.bincount(tree.infoset[here], reach(tree, profile)[here], len(tree.infosets)).astype(float)
    return out


def own_reach(tree: Tree, profile: Floats) -> Floats:
    """Return the probability that each information state's own seat plays towards it. (infosets,)."""
    out = np.ones(len(tree.infosets))
    for level in tree.recall_levels[1:]:
        before = tree.previous[level]
        out[level] = profile[before] * out[tree.owner[before]]
    return out
