"""Improving a policy table by magnetic mirror descent, before the model is projected onto it.

``pi' ~ [pi * exp(eta * A) * magnet^(eta * alpha)]^(1 / (1 + eta * alpha))`` with a uniform magnet.
S. Sokota et al., "A unified approach to reinforcement learning, quantal response equilibria, and
two-player zero-sum games", ICLR 2023. A is the counterfactual advantage, weighed by the reach of chance and
the opponent only: a state that the policy itself avoids is learnt as fast as any other. Steps cost under a
millisecond, so many are taken between two projections, with a step size that decays within a projection:
against a best-responding exploiter a constant one circles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sepo.solve.tree import Floats, Tree
from sepo.solve.value import own_reach

FLOOR = 1e-9
REACH_FLOOR = 1e-2
"""Own reach below this counts as this, so sampled weights of rare states are not blown up."""


class MirrorRules(NamedTuple):
    """Step size ``eta`` and magnet ``alpha``; ``steps`` per projection, step k at ``eta / (1 + k / decay)``."""

    eta: float = 10.0
    alpha: float = 0.005
    steps: int = 500
    decay: float = 5.0


def improve(tree: Tree, learner: Floats, weights_at: Callable[[Floats, int], Floats], rules: MirrorRules) -> Floats:
    """Take mirror-descent steps from the policy ``learner``. (entries,).

    Parameters
    ----------
    weights_at
        The weights of the actions at a policy, (entries,), see ``train.objective.Signal``; the second argument
        numbers the step. A weight is the action's probability times own reach times its counterfactual advantage.
    """
    policy = learner
    for step in range(rules.steps):
        weights = weights_at(policy, step)
        rate = 1 / (1 + step / rules.decay)
        eta, alpha = rules.eta * rate, rules.alpha * rate
        reach = np.maximum(own_reach(tree, policy), REACH_FLOOR)[tree.owner]
        advantage = weights / (np.maximum(policy, FLOOR) * reach)
        policy = softmax(tree, (np.log(np.maximum(policy, FLOOR)) + eta * advantage) / (1 + eta * alpha))
    return policy


def softmax(tree: Tree, logits: Floats) -> Floats:
    """Normalise ``exp(logits)`` within each information state. (entries,)."""
    top = np.full(len(tree.infosets), -np.inf)
    np.maximum.at(top, tree.owner, logits)
    raw = np.exp(logits - top[tree.owner])
    out: Floats = raw / np.bincount(tree.owner, raw, len(tree.infosets))[tree.owner]
    return out
