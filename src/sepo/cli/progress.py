"""The live display of a run: stage, step, J, exploitability and the time left. On stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sepo.cli import terminal
from sepo.cli.terminal import say
from sepo.display import number
from sepo.train.recipe import Arm, Recipe
from sepo.train.sections import ModelSection

if TYPE_CHECKING:
    from sepo.cli.terminal import Console


def announce(model: ModelSection) -> None:
    """Say on stderr which model is loaded, and what would make training it faster on this machine."""
    say(f"loading {model.policy}", err=True)
    from sepo.lm.load import emulated

    if emulated(model.dtype):
        say(
            f"this machine's CPU has no arithmetic for {model.dtype}: training is several times as fast with"
            " --set model.dtype=float32",
            err=True,
        )


class RunDisplay:
    """Told of every step of a run; counts all steps of all arms and seeds, and says what is left.

    There is a bar for each arm and seed that is trained now: one, unless workers train several side by side.
    Where stderr is no terminal, one line a tenth of a stage is printed instead of a live bar.

    Parameters
    ----------
    recipes
        The run's by name: one, or one for each game of a joint run.
    """

    def __init__(self, recipes: Mapping[str, Recipe], console: Console | None = None) -> None:
        self.console = console or terminal.console(stderr=True)
        each = [(name, recipe, arm) for name, recipe in recipes.items() for arm in recipe.arms]
        self.games = len(recipes)
        self.measures = {(name, arm.name): recipe.measure_name(arm) for name, recipe, arm in each}
        self.left = {(name, arm.name, seed): _steps(r, arm) for name, r, arm in each for seed in r.seeds}
        self.pace: list[float] = []
        self.last = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.tasks: dict[tuple[str, int], TaskID] = {}

    def __enter__(self) -> RunDisplay:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def tell(self, event: Mapping[str, Any]) -> None:
        """Show a step, or note that a unit is finished."""
        line, steps, unit = event["line"], event["steps"], (event["arm"], event["seed"])
        self.left[event["name"], *unit] = steps - line["step"] if line else 0
        if not line:
            if unit in self.tasks:
                self.bar.remove_task(self.tasks.pop(unit))
            return
        now = time.monotonic()
        self.pace, self.last = [*self.pace[-40:], now - self.last], now
        title = f"{event['arm']} seed {event['seed']} ({event['stage']})"
        if self.games > 1:
            title = f"{event['name']}: {title}"
        figures = self._figures(self.measures[event["name"], event["arm"]], line)
        left = f"about {self._remaining()} left"
        if unit not in self.tasks:
            self.tasks[unit] = self.bar.add_task(title, figures="", left="")
        shown = {"description": title, "total": max(1, steps), "completed": line["step"]}
        self.bar.update(self.tasks[unit], **shown, figures=figures, left=left)
        if not self.console.is_terminal and (line["step"] % max(1, steps // 10) == 0 or line["step"] == steps):
            self.console.print(f"{title} step {line['step']}/{steps} {figures} {left}", soft_wrap=True)

    def _figures(self, measures: str, line: Mapping[str, Any]) -> str:
        if "measures" not in line:
            return f"loss {number(line['loss'])}"
        found = line["measures"][measures]["J"]
        out = "J of some opponents unseen" if found is None else f"J {found:+.4f}"
        if line.get("exploitability") is not None:
            out += f"  exploitability {number(line['exploitability'])}"
        return out

    def _remaining(self) -> str:
        seconds = sum(self.left.values()) * sorted(self.pace)[len(self.pace) // 2]
        return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


def _steps(recipe: Recipe, arm: Arm) -> int:
    if arm.stage == "base":
        return 0
    return recipe.sft.steps if arm.stage == "sft" else recipe.settings(arm).steps
