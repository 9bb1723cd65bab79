"""Training a model on J: one step from a look at its policy to an update.

A step scores every decision once, which gives the whole policy as a table; computes the weights of all
actions from the game tree (milliseconds); and updates the model from them. ``clipped`` follows the weights;
``mmd`` first improves the table and then projects the model onto it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sepo.audit.measures import BEST_RESPONSE, Adversary, pool, respond, terms
from sepo.games.base import MeasureSet, Weights
from sepo.lm.adapter import anchored, snapshot
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import infoset_reach
from sepo.train.direct import Batch, Penalties, clipped_loss, penalised, projection_loss, spread
from sepo.train.learner import Learner, Look
from sepo.train.mirror import MirrorRules, improve
from sepo.train.objective import CreditRules, Signal, signal
from sepo.train.recipe import TrainSection, weights
from sepo.train.record import divergence, entropy, ledger_rows


class Optimiser:
    """Training on J as a stage of ``train.loop``, from the policy that the learner holds when this is made.

    That policy is the reference of the KL.

    Parameters
    ----------
    key
        Of all randomness: run name, arm, seed.
    """

    name = "train"

    def __init__(self, learner: Learner, measures: MeasureSet, section: TrainSection, key: tuple[object, ...]) -> None:
        self.learner = learner
        self.tree: Tree = learner.tree
        self.measures = measures
        self.section = section
        self.key = key
        self.lambdas: Weights = weights(section.lambda_, measures.weights)
        self.rules = CreditRules(
            credit=section.credit,
            estimator=section.estimator,
            scale=section.scale,
            returns=section.returns,
            baseline=section.baseline,
            groups=section.groups,
            group_size=section.group_size,
        )
        self.anchor = snapshot(learner.policy.language_model)
        self.reference = learner.look(gradient=False).rows
        self.response: Floats | None = None
        self.target: Floats | None = None

    def signal(self, policy: Floats, key: tuple[object, ...], rules: CreditRules) -> Signal:
        """Return the weights of all actions at a policy (entries,)."""
        found = terms(self.tree, self.measures, policy, self.lambdas, self.exploiters(policy))
        return signal(self.tree, policy, found, rules, key)

    def exploiters(self, policy: Floats) -> Sequence[Adversary]:
        """Return the adversaries of e: the pool, the best response to ``policy``, or both."""
        fixed = [] if self.section.exploiter == "best_response" else pool(self.tree, self.measures, "exploiter")
        if self.section.exploiter == "pool":
            return fixed
        if self.response is not None:
            return [*fixed, Adversary(BEST_RESPONSE, self.response)]
        wanted = {"own": 1.0} if self.tree.game.zero_sum else {"own": 1.0, "other": -1.0}
        return [*fixed, respond(self.tree, policy, wanted)]

    @property
    def criterion(self) -> str:
        """What the best step is chosen by."""
        return f"{self.measures.name}.J"

    def worth(self, line: Mapping[str, Any]) -> float:
        """Return J at the measure set's own lambdas, so that arms with other lambdas are chosen alike."""
        return float(line["measures"][self.measures.name]["J"])

    def observe(self, look: Look) -> dict[str, Any]:
        """Return entropy and KL of the policy, in nats, weighed by how often decisions are met."""
        share = decision_share(self.tree, self.learner, look.strategy, self.section.coverage)
        return {"entropy": entropy(look.rows, share), "kl": divergence(look.rows, self.reference, share)}

    def advance(self, look: Look) -> dict[str, Any]:
        """Take one step from a look at the current policy; return loss, ledger and warnings."""
        number = self.learner.step
        section = self.section
        self._hold_response(look.strategy, number)
        found = self.signal(look.strategy, (*self.key, number), self.rules)
        share = decision_share(self.tree, self.learner, look.strategy, section.coverage)
        penalties = Penalties(section.kl, entropy_bonus(section, number), section.legal_mass)
        if section.update == "mmd":
            if self.target is None or number % section.mirror.projections == 0:
                self.target = self._improved(look.strategy, number)
            rows = self._rows(self.target)
            batch = Batch(self.learner.decisions, rows, look.rows, self.reference, share)
            loss = self.learner.update(batch, penalised(projection_loss, penalties), look)
        else:
            weighted = spread(self.tree, self.learner.decisions, found.weights)
            batch = Batch(self.learner.decisions, weighted, look.rows, self.reference, share)
            loss = self.learner.update(batch, penalised(clipped_loss(section.clip), penalties), look)
        dead = [row.kind for row in found.ledger if row.dead]
        return {
            "loss": loss,
            "divisor": found.divisor,
            "ledger": ledger_rows(found.ledger),
            "warnings": [f"dead term: '{kind}' has a value, but its gradient is zero" for kind in dead],
        }

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on beyond the learner."""
        held = {"response": self.response, "target": self.target}
        return {
            "anchor": self.anchor,
            "held": {k: torch.from_numpy(v.copy()) for k, v in held.items() if v is not None},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.anchor = state["anchor"]
        with anchored(self.learner.policy.language_model, self.anchor):
            self.reference = self.learner.look(gradient=False).rows
        self.response = state["held"]["response"].numpy() if "response" in state["held"] else None
        self.target = state["held"]["target"].numpy() if "target" in state["held"] else None

    def _hold_response(self, policy: Floats, number: int) -> None:
        """With ``best_response_every`` above 1, hold the best response fixed between its recomputations."""
        if self.section.exploiter == "pool" or self.section.best_response_every == 1:
            return
        if self.response is None or number % self.section.best_response_every == 0:
            self.response = None
            self.response = self.exploiters(policy)[-1].strategy

    def _improved(self, policy: Floats, number: int) -> Floats:
        mirror = self.section.mirror
        raw = CreditRules(**{**self.rules.__dict__, "scale": "none"})

        def weights_at(at: Floats, step: int) -> Floats:
            return self.signal(at, (*self.key, number, step), raw).weights

        return improve(self.tree, policy, weights_at, MirrorRules(mirror.eta, mirror.alpha, mirror.steps, mirror.decay))

    def _rows(self, vector: Floats) -> list[Floats]:
        """Merge a strategy by question, weighing the seats that ask it by reach alike."""
        rows = spread(self.tree, self.learner.decisions, vector)
        return [row / row.sum() for row in rows]


def decision_share(tree: Tree, learner: Learner, policy: Floats, coverage: float) -> Floats:
    """Return each decision's weight: how often it is met when both seats play ``policy`` with uniform play mixed in.

    Without the uniform share, a state that the policy avoids would never be learnt. (decisions,), sums to 1.
    """
    counts = np.bincount(tree.owner, minlength=len(tree.infosets)).astype(float)
    mixed = (1 - coverage) * policy + coverage / counts[tree.owner]
    reached = infoset_reach(tree, mixed)
    place = {d.key: i for i, d in enumerate(learner.decisions)}
    out = np.zeros(len(learner.decisions))
    for info, r in zip(tree.infosets, reached, strict=True):
        out[place[info.key]] += r
    total: Floats = out / out.sum()
    return total


def entropy_bonus(section: TrainSection, step: int) -> float:
    """Return the coefficient of the entropy bonus at a step."""
    entropy = section.entropy
    done = min(1.0, step / entropy.over) if entropy.over else 1.0
    return entropy.start + (entropy.end - entropy.start) * done if entropy.over else entropy.start
