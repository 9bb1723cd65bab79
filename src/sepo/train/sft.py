"""Supervised fine-tuning in the direct style: weighted cross-entropy over merged decisions.

All demonstrated examples of one information state are one decision with the observed action shares as its
target, so a pass over thousands of examples costs as much as a pass over the distinct prompts. The loss
covers the reply only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sepo.solve.tree import Floats
from sepo.train.data import Demonstrations
from sepo.train.direct import Batch, imitation_loss, spread
from sepo.train.learner import Learner, Look


class Imitator:
    """Fine-tuning as a stage of ``train.loop``: full-batch steps on the merged demonstrations.

    States that were never shown have no weight.
    """

    name = "sft"
    criterion = "validation_loss"

    def __init__(self, learner: Learner, shown: Demonstrations) -> None:
        self.learner = learner
        counts = spread(learner.tree, learner.decisions, shown.train)
        totals = np.array([c.sum() for c in counts])
        targets = [c / max(t, 1.0) for c, t in zip(counts, totals, strict=True)]
        self.batch = Batch(learner.decisions, targets, targets, None, totals / totals.sum())
        self.validation = spread(learner.tree, learner.decisions, shown.validation)

    def observe(self, look: Look) -> dict[str, Any]:
        """Return the cross-entropy of the held-back examples, in nats per reply."""
        return {"validation_loss": validation_loss(look.rows, look.mass, self.validation)}

    def advance(self, look: Look) -> dict[str, Any]:
        """Take one step; return the training loss, in nats per reply, before it."""
        return {"loss": self.learner.update(self.batch, imitation_loss, look)}

    def worth(self, line: Mapping[str, Any]) -> float:
        """Return what the best step is chosen by: the lower the validation loss, the better."""
        return -float(line["validation_loss"])

    def state(self) -> dict[str, Any]:
        """Nothing beyond the learner."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Nothing to continue from."""


def validation_loss(rows: Sequence[Floats], mass: Floats, shown: Sequence[Floats]) -> float:
    """Return the mean of minus the log-probability of the shown replies; ``shown`` are counts by decision."""
    loss = 0.0
    for p, m, c in zip(rows, mass, shown, strict=True):
        loss -= float((c * (np.log(np.maximum(p, 1e-30)) + np.log(max(float(m), 1e-30)))).sum())
    return loss / max(sum(float(c.sum()) for c in shown), 1.0)
