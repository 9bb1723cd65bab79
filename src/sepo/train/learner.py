"""A model in training on one game: its decisions, its optimiser, its state on disk.

Both stages, fine-tuning and training on J, are steps of this learner; it knows no recipe and no arm.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sepo.errors import InputError
from sepo.files import write_atomic
from sepo.games.base import Decision
from sepo.lm.adapter import restore, snapshot, trainable
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Floats, Tree
from sepo.train.direct import Batch, Loss, Scorer, Scores, gather
from sepo.train.recipe import Schedule


class Look(NamedTuple):
    """What one pass over all decisions showed: the policy by question and as (entries,), the legal mass, the graph."""

    rows: list[Floats]
    strategy: Floats
    mass: Floats
    scores: list[Scores] | None


class Learner:
    """A trainable direct-style policy over all information states of a tree.

    Parameters
    ----------
    policy
        Its model has been prepared by ``lm.adapter.make_trainable``.
    """

    def __init__(self, policy: DirectPolicy, tree: Tree, schedule: Schedule) -> None:
        self.policy = policy
        self.tree = tree
        self.schedule = schedule
        self.decisions: Sequence[Decision] = tree.questions
        self.scorer = Scorer(policy, self.decisions)
        self.parameters = list(trainable(policy.language_model).values())
        self.optimiser = torch.optim.AdamW(self.parameters, lr=schedule.learning_rate, weight_decay=0.0)
        self.step = 0

    def look(self, *, gradient: bool) -> Look:
        """Score every decision once. With ``gradient``, and if one pass holds all, keep the graph for ``update``."""
        if gradient and len(self.scorer.plans) == 1:
            scores = [self.scorer.scores(self.scorer.plans[0])]
            rows, mass = self.scorer.probabilities(scores)
        else:
            scores = None
            rows, mass = self.scorer.evaluate()
        return Look(rows, gather(self.tree, self.decisions, rows), mass, scores)

    def update(self, batch: Batch, loss: Loss, look: Look | None = None) -> float:
        """Take one optimiser step; return the loss before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.schedule, self.step)
        total = self.scorer.backward(batch, loss, look.scores if look is not None else None)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return total

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "step": self.step,
            "weights": snapshot(self.policy.language_model),
            "optimiser": self.optimiser.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        restore(self.policy.language_model, state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])


def rate(schedule: Schedule, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine or linear decay to 0 at the last step."""
    top = schedule.learning_rate * min(1.0, (step + 1) / max(1, schedule.warmup))
    progress = max(0, step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    match schedule.decay:
        case "cosine":
            return top * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        case "linear":
            return top * (1 - min(1.0, progress))
        case _:
            return top


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""

    def write(made: Path) -> None:
        try:
            torch.save(state, made)
        except RuntimeError as error:  # torch's own writer reports a full disk so
            raise OSError(errno.EIO, f"the checkpoint could not be written in full ({error})") from error

    write_atomic(path, write)


def load_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    InputError
        If it is no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        raise InputError(f"checkpoint '{path}' cannot be read: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(state, dict) or "step" not in state:
        raise InputError(f"'{path}' is no checkpoint")
    return state
