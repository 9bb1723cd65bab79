"""What an opponent can collect at most from a policy of which only a part is known."""

from __future__ import annotations

import numpy as np

from sepo.audit.board import Match
from sepo.solve.tree import Bools, Floats, Ints, Tree
from sepo.solve.value import reach, transition


def at_most(m: Match, due: Floats) -> float:
    """Bound the expected sum of ``due`` over all opponents and all the policy may do where it is not known.

    The opponent answers an information state as a whole as long as its belief there is certain, that is, as long as
    no open decision of the learner lies on the way; beyond one, and at the open decisions themselves, each node is
    answered by itself. That grants more than any opponent has, so it is a bound; it is exact where nothing open is met.

    Parameters
    ----------
    m
        The meeting with anyone; its profile is ignored at the other seat's entries.
    due : (moves,)
        What the opponent collects on each move.
    """
    tree, other = m.tree, 1 - m.seat
    certain = np.where(tree.seat == other, 1.0 / tree.sizes[tree.owner], m.profile)
    weight = reach(tree, certain)
    passed = _passed(tree, m.open, weight)
    step = transition(tree, np.where(tree.seat == other, 0.0, m.profile))
    which = tree.infoset
    answers = (tree.actor == other) & ~passed
    alone = ((tree.actor == other) & passed) | np.append(m.open, False)[which]
    after, most = np.zeros(tree.nodes), np.full(tree.nodes, -np.inf)
    for level in reversed(tree.levels[1:]):
        value = due[level] + after[tree.child[level]]
        parent, entry = tree.parent[level], tree.entry[level]
        free, together = alone[parent], answers[parent]
        np.maximum.at(most, parent[free], value[free])
        here = np.unique(parent[free])
        after[here] = most[here]
        taken = step[level].copy()
        if together.any():
            taken[together] = _chosen(
                tree, which[parent[together]], entry[together], weight[parent[together]], value[together]
            )
        rest = ~free
        np.add.at(after, parent[rest], (taken * value)[rest])
    return float(after[0] + due[0])


def _chosen(tree: Tree, infosets: Ints, entries: Ints, weight: Floats, value: Floats) -> Floats:
    """Return 1 for the moves that best answer their information states, 0 for the others."""
    options = np.bincount(entries, weight * value, len(tree.seat))
    here = np.unique(infosets)
    grid = tree.starts[here][:, None] + np.minimum(np.arange(tree.sizes[here].max()), tree.sizes[here][:, None] - 1)
    best = tree.starts[here] + np.argmax(options[grid], axis=1)
    return np.isin(entries, best).astype(float)


def _passed(tree: Tree, open_: Bools, weight: Floats) -> Bools:
    """Return the nodes on whose way there may be an open decision, among those that are reached at all. (nodes,)."""
    out = np.zeros(tree.nodes, dtype=bool)
    opened = np.append(open_, False)[tree.infoset]
    for level in tree.levels[1:]:
        parent = tree.parent[level]
        np.logical_or.at(out, tree.child[level], (out[parent] | opened[parent]) & (weight[parent] > 0))
    return out
