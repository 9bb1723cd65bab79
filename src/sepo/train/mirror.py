"""Improving a policy table by magnetic mirror descent, before the model is projected onto it.

``pi' ~ [pi * exp(eta * A) * magnet^(eta * alpha)]^(1 / (1 + eta * alpha))`` with a uniform magnet.
S. Sokota et al., "A unified approach to reinforcement learning, quantal response equilibria, and
two-player zero-sum games", ICLR 2023. Steps cost milliseconds, so many are taken between two projections, with a
step size that decays within a projection: against a best-responding exploiter a constant one circles.

A is the counterfactual advantage (weighed by the reach of chance and the opponent only: a state that the policy itself
avoids is learnt as fast as any other), or the mean advantage over the meetings in which the state is met: then a state
that chance hardly ever leads to is learnt as fast as any other too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sepo.solve.tree import Floats, Layout

DECAY = 5.0
"""How fast steps shrink unless a recipe says so."""
FLOOR = 1e-9
REACH_FLOOR = 1e-2
"""Own reach below this counts as this, so sampled weights of rare states are not blown up."""
MASS_FLOOR = 1e-12


class MirrorRules(NamedTuple):
    """Step size ``eta`` and magnet ``alpha``; ``steps`` per projection, step k at ``eta / (1 + k / decay)``."""

    eta: float = 10.0
    alpha: float = 0.005
    steps: int = 500
    decay: float = DECAY


class Push(NamedTuple):
    """Where a policy should go.

    Attributes
    ----------
    weights : (entries,)
        The action's probability times reach times its advantage, see ``train.objective.Signal``.
    reach : (infosets,)
        What the weights of a state are divided by.
    pace
        What the step's size is multiplied by.
    """

    weights: Floats
    reach: Floats
    pace: float = 1.0


def improve(layout: Layout, learner: Floats, push: Callable[[Floats, int], Push], rules: MirrorRules) -> Floats:
    """Take mirror-descent steps from the policy ``learner``. (entries,).

    Parameters
    ----------
    push
        Answers a policy, (entries,), and the number of the step.
    """
    policy = learner
    for step in range(rules.steps):
        weights, reach, pace = push(policy, step)
        rate = pace / (1 + step / rules.decay)
        eta, alpha = rules.eta * rate, rules.alpha * rate
        advantage = weights / (np.maximum(policy, FLOOR) * reach[layout.owner])
        policy = softmax(layout, (np.log(np.maximum(policy, FLOOR)) + eta * advantage) / (1 + eta * alpha))
    return policy


def softmax(layout: Layout, logits: Floats) -> Floats:
    """Normalise ``exp(logits)`` within each information state. (entries,)."""
    top = np.maximum.reduceat(logits, layout.starts)
    raw = np.exp(logits - top[layout.owner])
    out: Floats = raw / np.bincount(layout.owner, raw, len(layout.infosets))[layout.owner]
    return out
