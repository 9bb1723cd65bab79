"""A model in training on one game: its decisions, its optimiser, its state on disk.

Both stages, fine-tuning and training on J, are steps of this learner; it knows no recipe and no arm.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sepo.audit.arena import Ground, layout
from sepo.errors import InputError
from sepo.files import write_atomic
from sepo.games.base import Decision
from sepo.games.wording import ORIGINAL, Wording, pick, reword
from sepo.lm.adapter import restore, snapshot, trainable
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Floats, Ints
from sepo.train.direct import Batch, Loss, Scorer, Scores, gather
from sepo.train.sample import Asked
from sepo.train.sections import Schedule

HELD = 6 * 2**30
"""Bytes up to which the graphs of several forward passes are kept, rather than running each pass twice."""


class Look(NamedTuple):
    """What a pass over some decisions showed.

    Attributes
    ----------
    asked
        What was scored, (asked,); the next two are of these.
    rows
        The policy, one (legal actions,) array each; none where only some replies were asked about.
    mass
        The probability on legal strings, (asked,); where only some replies were asked about, that of the questions that
        were last asked in full.
    strategy : (entries,)
        What is known of the whole policy after it.
    scorer, scores
        What scored them, and the scores whose graph is kept; None where it is not.
    """

    asked: Asked
    rows: list[Floats]
    mass: Floats
    strategy: Floats
    scorer: Scorer
    scores: list[Scores] | None


class Learner:
    """A trainable direct-style policy over the information states in which a game's opponents are met.

    In a small game every look scores every decision. In a large one a look scores those that are asked for, and the
    rest of the policy is what it was when last asked, or as an update saw it (``recall``): uniform where it never was.

    Parameters
    ----------
    policy
        Its model has been prepared by ``lm.adapter.make_trainable``.
    wordings
        What a step's questions are put in, one of them drawn for each step; the last look is in the first.
    key
        Of that draw.
    partner
        A learner of another game with the same policy, whose optimiser is shared.
    """

    def __init__(
        self,
        policy: DirectPolicy,
        ground: Ground,
        schedule: Schedule,
        wordings: Sequence[Wording] = (ORIGINAL,),
        key: tuple[object, ...] = (),
        partner: Learner | None = None,
    ) -> None:
        self.policy = policy
        self.ground = ground
        self.layout = layout(ground)
        self.schedule = schedule
        self.decisions: Sequence[Decision] = self.layout.questions
        self.parameters = list(trainable(policy.language_model).values())
        self.optimiser: torch.optim.Optimizer = (
            partner.optimiser if partner else torch.optim.AdamW(self.parameters, weight_decay=0.0)
        )
        self.step = 0
        self.known: Floats = self.layout.uniform
        self.seen = np.zeros(len(self.decisions), dtype=bool)
        self.mass: Floats = np.zeros(0)
        self._glimpsed: dict[int, tuple[Ints, Floats]] = {}
        self.wordings, self.key = wordings, key
        self._everything: dict[Wording, Scorer] = {}
        self._per_token = 0.0  # bytes that a graph takes, once a pass has shown it

    @property
    def wording(self) -> Wording:
        """The words of this step's questions."""
        if len(self.wordings) == 1 or self.step >= self.schedule.steps:
            return self.wordings[0]
        return pick(self.wordings, *self.key, self.step)

    @property
    def everything(self) -> Asked:
        """All questions."""
        return Asked(np.arange(len(self.decisions)), self.decisions)

    def scorer(self, asked: Asked) -> Scorer:
        """Return what scores decisions in this step's words; that of all decisions is kept."""
        wording, everything = self.wording, asked.decisions is self.decisions
        if everything and wording in self._everything:
            return self._everything[wording]
        scorer = Scorer(self.policy, [reword(d, wording) for d in asked.decisions], replies=asked.replies)
        if everything:
            self._everything[wording] = scorer
        return scorer

    def look(self, asked: Asked | None = None, *, gradient: bool) -> Look:
        """Score decisions, all unless told which. With ``gradient``, and if memory holds it, keep the graph.

        Where only some replies are asked about they are laid out for an update, and scored by that.
        """
        asked = self.everything if asked is None else asked
        scorer = self.scorer(asked)
        if asked.replies is not None:
            return Look(asked, [], self.mass, self.known, scorer, None)
        scores = self._held(scorer) if gradient else None
        rows, mass = scorer.evaluate() if scores is None else scorer.probabilities(scores)
        if asked.decisions is self.decisions:
            self.known = gather(self.layout, rows)
            self.seen[:] = True
        else:
            self.known = self.known.copy()
            for i, row in zip(asked.chosen.tolist(), rows, strict=True):
                self.known[self.layout.starts[i] : self.layout.starts[i] + len(row)] = row
            self.seen[asked.chosen] = True
        self.mass = mass
        return Look(asked, rows, mass, self.known, scorer, scores)

    def _held(self, scorer: Scorer) -> list[Scores] | None:
        """Return all scores with their graphs, or None where those would take more memory than ``HELD``.

        What a token takes depends on the model and on how many of its layers are trained; the first pass shows it.
        """
        if not scorer.plans:
            return []
        later = sum(plan.computed for plan in scorer.plans[1:])
        if later * self._per_token > HELD:
            return None
        with graph_size(self.policy.language_model.model) as size:
            first = scorer.scores(scorer.plans[0])
        self._per_token = sum(size.values()) / scorer.plans[0].computed
        if later * self._per_token > HELD:
            return None
        return [first, *(scorer.scores(plan) for plan in scorer.plans[1:])]

    def update(self, batch: Batch, loss: Loss, look: Look, *, glimpse: bool = False) -> float:
        """Take one optimiser step on the decisions of a look; return the loss before it.

        With ``glimpse`` it is noted what was seen of the policy where only some replies are scored, until ``recall``.
        """
        for group in self.optimiser.param_groups:
            group |= {"lr": rate(self.schedule, self.step), "betas": self.schedule.betas}
        replies = look.asked.replies
        noted: list[Scores] = []
        total = look.scorer.backward(batch, loss, look.scores, noted)
        if glimpse and replies is not None:
            rows, mass = look.scorer.probabilities(noted)
            for i, some, row, on_them in zip(look.asked.chosen.tolist(), replies, rows, mass.tolist(), strict=True):
                self._glimpsed[i] = (some, row * on_them)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return total

    def recall(self) -> None:
        """Take what updates saw of the replies that they scored for what is known of the policy.

        The mass on legal replies counts as what it was on the questions last asked in full; what is left of it goes to
        the other replies, as these were to each other: uniform where they were never asked about.
        """
        if not self._glimpsed:
            return
        self.known = self.known.copy()
        legal = float(self.mass.mean())
        for i, (some, found) in self._glimpsed.items():
            place = self.layout.infosets[i].entries
            row = self.known[place].copy()
            row[some] = 0.0
            left = max(0.0, legal - found.sum())
            row = row * (left / row.sum()) if row.sum() > 0 else row
            row[some] = found
            if row.sum() > 0:
                self.known[place] = row / row.sum()
        self.seen[list(self._glimpsed)] = True
        self._glimpsed = {}

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on beyond the model."""
        known, seen, mass = (torch.from_numpy(kept.copy()) for kept in (self.known, self.seen, self.mass))
        glimpsed = {i: tuple(torch.from_numpy(part.copy()) for part in of) for i, of in self._glimpsed.items()}
        return {"step": self.step, "known": known, "seen": seen, "mass": mass, "glimpsed": glimpsed}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.step = int(state["step"])
        self.known, self.seen, self.mass = (state[name].numpy() for name in ("known", "seen", "mass"))
        self._glimpsed = {i: (some.numpy(), found.numpy()) for i, (some, found) in state["glimpsed"].items()}

    def model_state(self) -> dict[str, Any]:
        """Return the model's trained weights and the optimiser's state, which partners share."""
        return {"weights": snapshot(self.policy.language_model), "optimiser": self.optimiser.state_dict()}

    def load_model(self, state: Mapping[str, Any]) -> None:
        """Put them back."""
        restore(self.policy.language_model, state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])


@contextmanager
def graph_size(model: Any) -> Iterator[dict[int, int]]:
    """Note the bytes of what is kept for the backward pass, by where they lie; a model's weights are there anyway."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    found: dict[int, int] = {}

    def note(kept: torch.Tensor) -> torch.Tensor:
        storage = kept.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return kept

    with torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
        yield found


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
