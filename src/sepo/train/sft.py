"""Supervised fine-tuning in the direct style: weighted cross-entropy over merged decisions.

All demonstrated examples of one information state are one decision with the observed action shares as its
target, so a pass over thousands of examples costs as much as a pass over the distinct prompts. The loss
covers the reply only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sepo.keys import generator
from sepo.solve.tree import Floats
from sepo.train.data import Demonstrations
from sepo.train.direct import Batch, imitation_loss
from sepo.train.learner import Learner, Look
from sepo.train.sample import Asked, Sample, everything, most

HELD = 64
"""Held-back decisions that a large game is validated on: those shown most."""
VALIDATE_EVERY = 10


class Imitator:
    """Fine-tuning as a stage of ``train.loop``: steps on the merged demonstrations, or on a sample of them.

    States that were never shown have no weight.

    Parameters
    ----------
    episodes
        Of a large game, each step learns the decisions of so many shown episodes.
    key
        Of the draws.
    """

    name = "sft"
    alarmed = False
    criterion = "validation_loss"

    def __init__(self, learner: Learner, shown: Demonstrations, episodes: int, key: tuple[object, ...]) -> None:
        self.learner, self.key, self.size = learner, key, episodes
        self.shown = shown
        totals = np.array([c.sum() for c in shown.train])
        self.targets = [c / max(t, 1.0) for c, t in zip(shown.train, totals, strict=True)]
        self.share = totals / totals.sum()
        self.sample = everything(shown.asked.decisions, self.share)
        self.held = most(np.array([c.sum() for c in shown.validation]), HELD)
        self.met = np.arange(len(self.share))
        self.seen: float | None = None

    def wanted(self, number: int) -> Asked | None:
        """Return the decisions of a step: all, or a sample by how often they were shown."""
        shown = self.shown
        if not shown.episodes:
            return None
        if self.seen is None or number % VALIDATE_EVERY == 0 or number == self.learner.schedule.steps:
            look = self.learner.look(shown.asked.some(self.held), gradient=False)
            self.seen = validation_loss(look.rows, look.mass, [shown.validation[i] for i in self.held.tolist()])
        drawn = generator(*self.key, number, "batch").choice(len(shown.episodes), self.size)
        met, counts = np.unique(np.concatenate([shown.episodes[i] for i in drawn.tolist()]), return_counts=True)
        length = sum(map(len, shown.episodes)) / len(shown.episodes)
        share = counts / (self.size * length)
        self.sample = Sample(shown.asked.some(met), share, share / self.share[met])
        self.met = met
        if number == self.learner.schedule.steps:
            return self.sample.asked
        return self.sample.asked._replace(replies=[np.flatnonzero(self.targets[i]) for i in met.tolist()])

    def observe(self, look: Look) -> dict[str, Any]:
        """Return the cross-entropy of held-back examples, in nats per reply; in a large game of those shown most."""
        if self.shown.episodes:
            return {"validation_loss": self.seen, "asked": len(look.asked.decisions)}
        return {"validation_loss": validation_loss(look.rows, look.mass, self.shown.validation)}

    def advance(self, look: Look) -> dict[str, Any]:
        """Take one step; return the training loss, in nats per reply, before it."""
        targets = look.asked.scored([self.targets[i] for i in self.met.tolist()])
        batch = Batch(look.asked.decisions, targets, targets, None, self.sample.share)
        return {"loss": self.learner.update(batch, imitation_loss, look)}

    def worth(self, line: Mapping[str, Any]) -> float:
        """Return what the best step is chosen by: the lower the validation loss, the better."""
        return -float(line["validation_loss"])

    def state(self) -> dict[str, Any]:
        """Return the validation loss, where it is not found at every step."""
        return {"seen": self.seen}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.seen = state["seen"]


def validation_loss(rows: Sequence[Floats], mass: Floats, shown: Sequence[Floats]) -> float:
    """Return the mean of minus the log-probability of the shown replies; ``shown`` are counts by decision."""
    loss = 0.0
    for p, m, c in zip(rows, mass, shown, strict=True):
        loss -= float((c * (np.log(np.maximum(p, 1e-30)) + np.log(max(float(m), 1e-30)))).sum())
    return loss / max(sum(float(c.sum()) for c in shown), 1.0)
