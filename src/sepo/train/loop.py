"""The step loop that every stage of training shares: look, record, step, checkpoint; and continue after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from sepo.lm.adapter import snapshot
from sepo.train.learner import Learner, Look, load_state, rate, save_state
from sepo.train.record import Metrics, alarms, measured, probes
from sepo.train.sample import Asked


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
    """The best step so far by the stage's criterion, and its trained weights."""

    step: int
    value: float
    weights: dict[str, torch.Tensor]


def newest(folder: Path) -> Path:
    """Return where a unit keeps its newest checkpoint while it is unfinished."""
    return folder / "checkpoints" / "newest.pt"


def loop(learner: Learner, stage: Stage, folder: Path, every: int, tell: Callable[[Mapping[str, Any]], None]) -> Best:
    """Run a stage to its last step, from its newest checkpoint if there is one.

    Each step is measured before it is taken, so the line of step k shows the policy after k updates; the
    last line has no update.
    """
    best: Best | None = None
    first: dict[str, Any] | None = None  # probes and J of the first step
    if newest(folder).exists():
        state = load_state(newest(folder))
        learner.load(state["learner"])
        stage.load(state["stage"])
        best = Best(**state["best"]) if state["best"] else None
        first = state["first"]
    metrics = Metrics(folder / "metrics.jsonl", learner.step, stage.name)
    steps = learner.schedule.steps
    while True:
        number = learner.step
        if number % every == 0:
            kept = {
                "learner": learner.state(),
                "stage": stage.state(),
                "best": best._asdict() if best else None,
                "first": first,
            }
            save_state(newest(folder), {"step": number, **kept})
        started = time.perf_counter()
        look = learner.look(stage.wanted(number), gradient=number < steps)
        line: dict[str, Any] = {"step": number, "stage": stage.name, "lr": rate(learner.schedule, number)}
        line |= {
            **measured(learner.ground, look.strategy),
            "legal_mass": float(look.mass.mean()),
            **stage.observe(look),
        }
        worth = stage.worth(line)
        line["probes"] = probes(learner.ground, look.strategy)
        first = first or {"probes": line["probes"], "worth": worth}
        if best is None or worth > best.value:
            best = Best(number, worth, snapshot(learner.policy.language_model))
        if number < steps:
            line |= stage.advance(look)
        if stage.alarmed:
            scale = learner.ground.game.max_payoff
            raised = alarms(first["probes"], line["probes"], worth, first["worth"], scale)
            line["warnings"] = [*line.get("warnings", []), *raised]
        line["seconds"] = time.perf_counter() - started
        metrics.add(line)
        tell(line)
        if number >= steps:
            return best
