"""The exact gradient of an expected value with respect to the action probabilities of a behavioural strategy.

With perfect recall an episode passes each information state at most once, so the expected value is
multilinear in the strategy and its derivative with respect to the probability of action a at information
state I is the sum over nodes h of I of reach(h) * Q(h, a).
"""

from __future__ import annotations

import numpy as np

from sepo.solve.tree import Floats, Layout, Tree
from sepo.solve.value import Passage


def action_gradient(tree: Tree, profile: Floats, due: Floats, *, immediate: bool = False) -> Floats:
    """Return the derivative of the expected sum of ``due`` with respect to each action probability. (entries,).

    That of entry (I, a) is the sum over nodes h of I of reach(h) * Q(h, a). It is exact for either seat.
    """
    return passage_gradient(Passage(tree, profile), due, immediate=immediate)


def passage_gradient(passage: Passage, due: Floats, *, immediate: bool = False) -> Floats:
    """Return the ``action_gradient`` of a profile whose way through its tree may be known in part. (entries,)."""
    tree, value, reached = passage.tree, passage.values(due, immediate=immediate), passage.nodes
    moved = np.flatnonzero(tree.entry >= 0)
    out = np.zeros(len(tree.seat))
    np.add.at(out, tree.entry[moved], reached[tree.parent[moved]] * value[moved])
    return out


def centred(tree: Layout, profile: Floats, gradient: Floats) -> Floats:
    """Subtract each information state's policy-weighted mean: reach * Q becomes reach * (Q - V). (entries,)."""
    mean = np.bincount(tree.owner, profile * gradient, len(tree.infosets))
    out: Floats = gradient - mean[tree.owner]
    return out


def logit_gradient(tree: Layout, profile: Floats, gradient: Floats) -> Floats:
    """Return the gradient with respect to softmax logits: pi(a) * reach * (Q - V). (entries,)."""
    return profile * centred(tree, profile, gradient)
