"""The step loop that every stage of training shares: look, record, step, checkpoint; and continue after a kill.

A model that learns several games takes a step of one game after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from sepo.audit.arena import SETS
from sepo.errors import InputError
from sepo.games.base import MeasureName
from sepo.lm.adapter import snapshot
from sepo.lm.trunk import forget
from sepo.train import ranks
from sepo.train.kept import Kept
from sepo.train.learner import Learner, Look, load_state, rate, save_state
from sepo.train.record import Metrics, alarms, measured, probes
from sepo.train.sample import Asked

SCHEMA = "sepo.checkpoint/2"
"""What a checkpoint holds; another number where that changes."""


class Stage(Protocol):
    """One stage of training: what a step does, and what the best step is chosen by."""

    @property
    def name(self) -> str:
        """``sft`` or ``train``."""

    @property
    def alarmed(self) -> bool:
        """Whether an alarm is raised where a fixed opponent is met far worse than at the start while J rises."""

    @property
    def criterion(self) -> str:
        """Name of the figure that chooses the best step."""

    def worth(self, line: Mapping[str, Any]) -> float:
        """Return the criterion of a metrics line, higher is better."""

    def wanted(self, number: int) -> Asked | None:
        """Return which decisions the step of this number scores; None for all. May ask about more beforehand."""

    def observe(self, look: Look) -> dict[str, Any]:
        """Return the stage's own figures of a policy, for the metrics."""

    def advance(self, look: Look) -> dict[str, Any]:
        """Take one step from a look at the policy; return what it did, for the metrics."""

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on beyond the learner."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""


class Best(NamedTuple):
    """The best policy so far by the stages' criterion, after how many steps of each game, and its trained weights."""

    steps: tuple[int, ...]
    value: float
    weights: dict[str, torch.Tensor]


class Course:
    """One game's way through a stage: the learner of that game, what its steps do, and the file of its metrics.

    Parameters
    ----------
    folder
        Where ``metrics.jsonl`` is.
    tell
        Called with every line of it.
    sets
        The measures that a line has: those that are of the game as it is played here.
    """

    def __init__(
        self,
        learner: Learner,
        stage: Stage,
        folder: Path,
        tell: Callable[[Mapping[str, Any]], None],
        sets: Sequence[MeasureName] = SETS,
    ) -> None:
        self.learner, self.stage, self.folder, self.tell, self.sets = learner, stage, folder, tell, sets
        self.steps = learner.schedule.steps
        self.worth: float | None = None  # at the last step that asked in the first wording
        self._first: dict[str, Any] | None = None  # probes and worth of the first step
        self._metrics: Metrics | None = None
        self._measured: Kept[tuple[dict[str, Any], dict[str, float]]] = Kept()

    @property
    def progress(self) -> float:
        """Share of the steps that are done."""
        return self.learner.step / self.steps if self.steps else 1.0

    def turn(self, looked: Callable[[], None]) -> None:
        """Look at the policy, record it, and take a step; behind the last step only look.

        Where steps ask in several wordings, a policy is worth more in one than in another. So what is compared between
        steps, the best step and alarms, is of those that ask in the first wording, as the last look does.

        Parameters
        ----------
        looked
            Called when ``worth`` is known anew, before the policy is changed.
        """
        learner, stage = self.learner, self.stage
        number = learner.step
        if self._metrics is None and ranks.first():
            self._metrics = Metrics(self.folder / "metrics.jsonl", number, stage.name)
        started = time.perf_counter()
        look = learner.look(stage.wanted(number), gradient=number < self.steps)
        line: dict[str, Any] = {"step": number, "stage": stage.name, "lr": rate(learner.schedule, number)}
        ground, policy = learner.ground, look.strategy
        found, probed = self._measured(lambda: (measured(ground, policy, self.sets), probes(ground, policy)), policy)
        line |= {
            **found,
            "legal_mass": float(look.mass.mean()),
            **stage.observe(look),
        }
        line["probes"] = probed
        raised = self._compare(line) if learner.wording == learner.wordings[0] else None
        if raised is not None:
            looked()
        if number < self.steps:
            line |= stage.advance(look)
        if stage.alarmed:
            line["warnings"] = [*line.get("warnings", []), *(raised or ())]
        line["seconds"] = time.perf_counter() - started
        if self._metrics is not None:
            self._metrics.add(line)
            self.tell(line)

    def _compare(self, line: Mapping[str, Any]) -> list[str]:
        """Note what the policy is worth, and return the alarms that it raises beside the first step."""
        self.worth = worth = self.stage.worth(line)
        first = self._first = self._first or {"probes": line["probes"], "worth": worth}
        scale = self.learner.ground.game.max_payoff
        return alarms(first["probes"], line["probes"], worth, first["worth"], scale)

    def state(self) -> dict[str, Any]:
        """Return what the next turn depends on beyond the model."""
        own = {"first": self._first, "worth": self.worth}
        return {"learner": self.learner.state(), "stage": self.stage.state(), **own}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.learner.load(state["learner"])
        self.stage.load(state["stage"])
        self._first, self.worth = state["first"], state["worth"]


def newest(folder: Path) -> Path:
    """Return where a unit keeps its newest checkpoint while it is unfinished."""
    return folder / "checkpoints" / "newest.pt"


def loop(courses: Sequence[Course], folder: Path, every: int) -> Best:
    """Take the courses to their last steps, from the newest checkpoint if there is one.

    All train one model. The next step is of the course that is least far, so they arrive together. A policy is measured
    before each step, so the line of step k shows it after k updates; the last line has no update. The best policy has
    the highest mean worth, each course's as it last was; see ``Course.turn`` on wordings.

    Parameters
    ----------
    folder
        Where the checkpoints are.
    every
        Steps of each course between two of them.

    Raises
    ------
    InputError
        If the checkpoint cannot be read, or was written by another version.
    """
    best: Best | None = None
    model = courses[0].learner
    if newest(folder).exists():
        state = load_state(newest(folder))
        if state.get("schema") != SCHEMA:
            raise InputError(
                f"checkpoint '{newest(folder)}' was written by another version of sepo: resume with that version, or "
                "delete it to train anew"
            )
        model.load_model(state["model"])
        for course, kept in zip(courses, state["courses"], strict=True):
            course.load(kept)
        best = Best(**state["best"]) if state["best"] else None
    ranks.wait()  # before the first of them writes a checkpoint

    def looked() -> None:
        nonlocal best
        worths = [course.worth for course in courses if course.worth is not None]
        if len(worths) < len(courses):
            return
        mean = sum(worths) / len(worths)
        if best is None or mean > best.value:
            steps = tuple(course.learner.step for course in courses)
            best = Best(steps, mean, snapshot(model.policy.language_model))

    def keep() -> None:
        number = sum(course.learner.step for course in courses)
        if number % (every * len(courses)):
            return
        forget(model.policy.language_model.model)  # as a run that goes on from here knows nothing of it
        if ranks.first():
            kept = {
                "model": model.model_state(),
                "courses": [course.state() for course in courses],
                "best": best._asdict() if best else None,
            }
            save_state(newest(folder), {"schema": SCHEMA, "step": number, **kept})

    while (course := min(courses, key=lambda c: c.progress)).progress < 1:
        keep()
        course.turn(looked)
    keep()
    for course in courses:
        course.turn(looked)
    assert best is not None  # every course has been looked at
    return best
