"""The steps of a stage in the reasoned style: whose each is, and what TRL logs of it as a line of our metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from transformers import TrainerCallback

from sepo.train import ranks
from sepo.train.part import Part
from sepo.train.record import Metrics, read_metrics

Tell = Callable[[Part, Mapping[str, Any]], None]
"""Hears every line of a game's metrics."""


class Place(NamedTuple):
    """A step of a stage: whose it is, and which of that game's."""

    part: int
    number: int


def order(parts: Sequence[Part]) -> list[Place]:
    """Return the steps of a stage: each is of the game that is least far, so all arrive together."""
    wanted = [part.schedule.steps for part in parts]
    done = [0] * len(parts)
    out = []
    for _ in range(sum(wanted)):
        which = min(range(len(parts)), key=lambda i: done[i] / wanted[i] if wanted[i] else 1.0)
        out.append(Place(which, done[which]))
        done[which] += 1
    return out


class Noted(TrainerCallback):  # type: ignore[misc]
    """Writes a stage's metrics, one line a step, into the folder of the game whose step it was."""

    def __init__(self, parts: Sequence[Part], steps: Sequence[Place], stage: str, tell: Tell) -> None:
        self.parts, self.steps, self.stage, self.tell = parts, steps, stage, tell
        self.files: list[Metrics] = []
        self.line: dict[str, Any] = {}
        self.validation: dict[str, float] = {}

    def begin(self, done: int) -> None:
        """Open the files, without the lines of steps that will be taken again."""
        for number, part in enumerate(self.parts) if ranks.first() else ():
            kept, file = sum(place.part == number for place in self.steps[:done]), part.folder / "metrics.jsonl"
            for line in read_metrics(file):
                if line["stage"] == self.stage and line["step"] < kept and line.get("validation_loss") is not None:
                    self.validation[part.domain.name] = line["validation_loss"]
            self.files.append(Metrics(file, kept, self.stage))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Note a step, or what was held back."""
        found = dict(logs or {})
        self.validation |= {
            name.removeprefix("eval_").removesuffix("_loss"): value
            for name, value in found.items()
            if name.startswith("eval_") and name.endswith("_loss")
        }
        if "loss" not in found or not self.files:
            return
        place = self.steps[state.global_step - 1]
        part = self.parts[place.part]
        line = {"step": place.number, "stage": self.stage, "lr": found["learning_rate"], "loss": found["loss"]}
        line |= {name: found[name] for name in ("grad_norm", "kl", "entropy") if name in found}
        if self.stage == "sft":
            line["validation_loss"] = self.validation.get(part.domain.name)
        line |= self.line
        self.files[place.part].add(line)
        self.tell(part, line)
