"""The policy table that a step of ``mmd`` projects the model onto, and where most is lost against it.

A target is the policy improved by mirror descent on the terms of J as they stand (``train.mirror``), or the best policy
there is, for an arm that is taught it. How the model gets there is left to ``train.optimise``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sepo.audit.capped import capped
from sepo.audit.ceiling import ceiling
from sepo.audit.measures import Play
from sepo.audit.sweep import mass_of, slope
from sepo.solve.gradient import centred
from sepo.solve.tree import Floats, Layout, Tree
from sepo.solve.value import own_reach
from sepo.train.kept import Kept
from sepo.train.mirror import DECAY, FLOOR, MASS_FLOOR, REACH_FLOOR, MirrorRules, Push, improve, softmax
from sepo.train.objective import CreditRules, action_weights
from sepo.train.opposition import Opposition
from sepo.train.sections import TrainSection

BUDGET_DECAY = 50.0
"""``mirror.DECAY`` where a weight has a budget: slower, since the weight must find its place meanwhile."""
HELD = 0.1
"""Least weight of a decision in a projection that looks at what is lost."""


class Target:
    """Where the policy is to go next.

    Parameters
    ----------
    layout
        Of all policy tables here.
    opposition
        What J is, step by step. Weights with a budget are moved at every step of mirror descent.
    section
        What the recipe says of targets.
    rules
        How actions are credited; what they are worth is not scaled here.
    key
        Of all randomness.

    Attributes
    ----------
    strategy : (entries,)
        The target, once there is one.
    price
        What a point of a capped worst case is worth in J.
    """

    def __init__(
        self, layout: Layout, opposition: Opposition, section: TrainSection, rules: CreditRules, key: tuple[object, ...]
    ) -> None:
        self.layout, self.opposition, self.section, self.key = layout, opposition, section, key
        self.rules = replace(rules, scale="none")
        self.strategy: Floats | None = None
        self.price = 0.0
        self._lost: Kept[Floats] = Kept()

    def teach(self) -> None:
        """Set the target to the best policy there is, once, where that is what the arm is taught."""
        if self.section.target != "ceiling" or self.strategy is not None:
            return
        held, margin = self.opposition, self.section.margin
        if self.section.worst_case is not None:
            found = capped(held.ground, held.measures, self.section.worst_case, held.lambdas, margin=margin)
            self.strategy, self.price = found.strategy, found.price
        else:
            self.strategy = ceiling(held.ground, held.measures, held.lambdas, margin=margin).strategy

    def renew(self, policy: Floats, number: int) -> None:
        """Set the target of a step from what is known of the policy (entries,), where it is due."""
        due = number % self.section.mirror.projections == 0
        if self.section.target != "ceiling" and (self.strategy is None or due):
            self.strategy = self._improved(policy, number)

    def _improved(self, policy: Floats, number: int) -> Floats:
        mirror, layout, rules = self.section.mirror, self.layout, self.rules
        exact = rules.estimator == "exact" and rules.credit == "credited"

        def push(at: Floats, step: int) -> Push:
            play = Play(at)
            self.opposition.ascend(play)
            found = self.opposition.terms(play)
            if mirror.values == "mean" and exact:
                gradient, mass = slope(found, play, layout, immediate=rules.returns == "immediate")
                return Push(at * centred(layout, at, gradient), np.maximum(mass, MASS_FLOOR), self.opposition.pace)
            pushed = action_weights(layout, play, found, rules, (*self.key, number, step))
            if isinstance(layout, Tree) and not layout.merged:
                met = own_reach(layout, at)
            else:  # several pasts of its own may lead to a state
                met = mass_of(found, at, layout)
            return Push(pushed, np.maximum(met, REACH_FLOOR), self.opposition.pace)

        start = policy
        if mirror.inertia and self.strategy is not None:
            logs = [np.log(np.maximum(p, FLOOR)) for p in (policy, self.strategy)]
            start = softmax(layout, (1 - mirror.inertia) * logs[0] + mirror.inertia * logs[1])
        decay = mirror.decay or (DECAY if self.opposition.dual is None else BUDGET_DECAY)
        return improve(layout, start, push, MirrorRules(mirror.eta, mirror.alpha, mirror.steps, decay))

    def stakes(self, target: Floats, policy: Floats) -> Floats:
        """Return how much each decision weighs by what the policy loses there against a target. (decisions,).

        It is loss / (loss + focus), and no less than ``HELD``, so that what is right stays right. The loss is in J per
        visit, at the target's action values: summed over decisions by the policy's reach it is exactly the difference
        in J between the two (S. Kakade and J. Langford, "Approximately optimal approximate reinforcement learning",
        ICML 2002). Where all actions in question are worth the same there is nothing to learn.

        Parameters
        ----------
        target, policy : (entries,)
        """

        def find() -> Floats:
            layout, play = self.layout, Play(target)
            found, mass = slope(self.opposition.terms(play), play, layout)
            question = layout.asks[layout.owner]
            value = found / np.maximum(np.bincount(layout.asks, mass), MASS_FLOOR)[question]
            loss = np.maximum(np.bincount(question, (target - policy) * value), 0.0)
            stakes: Floats = np.maximum(loss / (loss + self.section.mirror.focus), HELD)
            return stakes

        return self._lost(find, target, policy, *self.opposition.standing())

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on, as a checkpoint has it."""
        held = None if self.strategy is None else torch.from_numpy(self.strategy.copy())
        return {"price": self.price, "strategy": held}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.price = state["price"]
        self.strategy = None if state["strategy"] is None else state["strategy"].numpy()
