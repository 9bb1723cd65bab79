"""Training from Python, and a run as an object: its figures over the seeds, its curves, its policies."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sepo.api.card import FIGURE, Scorecard, load_scorecard
from sepo.api.given import as_json, count, flag, mapping
from sepo.display import figure, table
from sepo.errors import InputError
from sepo.extras import hold_to_extra
from sepo.files import PathLike, path_of, read_json
from sepo.frames import Columns, Kind, frame
from sepo.policies.table import PolicyTable, load_table

Which = Literal["last", "best"]
HEADS = ("J", "e", "exploitability", "worst_case_advantage")
"""Figures that a notebook shows of every arm, where it has them."""


@dataclass(frozen=True)
class Run:
    """A run folder, read.

    Attributes
    ----------
    folder
        Where it is.
    summary
        ``summary.json``: every arm's figures over the seeds, with their intervals; what it was paired with; ceilings.
    """

    folder: Path
    summary: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.summary["name"])

    @property
    def game(self) -> str:
        """What was played."""
        return str(self.summary["game"])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The recipe's seeds."""
        return tuple(self.summary.get("seeds", ()))

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, in the recipe's order."""
        return tuple(arm["name"] for arm in self.summary["arms"])

    def frame(self, kind: Kind = "pandas") -> Any:
        """Return the figures over the seeds as a data frame: one row per arm, step and figure.

        Parameters
        ----------
        kind
            ``pandas`` or ``polars``.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            Columns ``run``, ``game``, ``arm``, ``at`` (``last`` or ``best`` step), ``figure`` (``sepo.J``, …), the mean
            ``value`` with its interval ``low``, ``high``, and the number of seeds ``n``.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        rows = [
            (self.name, self.game, arm["name"], at, name, *(found.get(key) for key in FIGURE))
            for arm in self.summary["arms"]
            for at in ("last", "best")
            for name, found in arm.get(at, {}).items()
            if found is not None
        ]
        columns: Columns = {"run": str, "game": str, "arm": str, "at": str, "figure": str, **FIGURE}
        return frame(rows, columns, kind)

    def metrics(self, kind: Kind = "pandas") -> Any:
        """Return the curves as a data frame: one row per arm, seed, stage, step and figure.

        Whatever number a step has noted is there, under a dotted name: ``measures.sepo.J``, ``exploitability``, ….

        Raises
        ------
        InputError
            If the library is not installed.
        """
        rows = [
            (arm, seed, line.get("stage", "train"), line["step"], name, value)
            for arm in self.arms
            for seed in self.seeds
            for line in self._lines(arm, seed)
            for name, value in _numbers(line)
        ]
        columns: Columns = {"arm": str, "seed": int, "stage": str, "step": int, "figure": str, "value": float}
        return frame(rows, columns, kind)

    def policy(self, arm: str, seed: int | None = None, at: Which = "last") -> PolicyTable:
        """Return an arm's policy as a table.

        Parameters
        ----------
        seed
            The first one unless given.
        at
            ``last`` step or ``best``.

        Raises
        ------
        InputError
            If the run has no such arm or seed, or kept no such policy.
        """
        file, title = self._unit(arm, seed)
        return load_table(file / "policies" / f"{at}.json", f"{title} ({at})")

    def scorecard(self, arm: str, seed: int | None = None, at: Which = "last") -> Scorecard:
        """Return the scorecard of an arm and seed, given as ``policy`` takes them.

        Raises
        ------
        InputError
            As ``policy`` does.
        """
        return load_scorecard(self._unit(arm, seed)[0] / "scorecards" / f"{at}.json")

    def report(self, out: PathLike | None = None) -> Path:
        """Write the run's report, one HTML file, and return where it is; ``report.html`` in its folder unless given."""
        return report(self, out)

    def _unit(self, arm: str, seed: int | None) -> tuple[Path, str]:
        """Return the folder of an arm and seed, and what it is called."""
        chosen = seed if seed is not None else next(iter(self.seeds), 0)
        for what, value, known in (("arm", arm, self.arms), ("seed", chosen, self.seeds)):
            if value not in known:
                raise InputError(f"run '{self.name}' has no {what} {value!r}: it has {', '.join(map(str, known))}")
        arms = self.folder / "arms"
        if not (arms / arm).resolve().is_relative_to(arms.resolve()):
            raise InputError(f"run '{self.name}': an arm cannot be called {arm!r}")
        return arms / arm / f"seed-{chosen}", f"{arm}, seed {chosen}"

    def _lines(self, arm: str, seed: int) -> list[dict[str, Any]]:
        from sepo.report.read import json_lines

        return [line for _, line in json_lines(self._unit(arm, seed)[0] / "metrics.jsonl", "metrics")]

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {self.game!r}, arms {', '.join(map(repr, self.arms))}, {len(self.seeds)} seeds)"

    def __rich_repr__(self) -> Iterator[Any]:
        yield self.name
        yield "game", self.game
        yield "arms", list(self.arms)
        yield "seeds", list(self.seeds)

    def _repr_html_(self) -> str:
        of = self.summary.get("measures", "sepo")
        known = {name for arm in self.summary["arms"] for name, found in arm.get("last", {}).items() if found}
        heads = [h for h in (f"{of}.{HEADS[0]}", f"{of}.{HEADS[1]}", *HEADS[2:]) if h in known]
        rows = [
            [arm["name"], arm.get("steps") or 0, *(figure(arm.get("last", {}).get(h)) for h in heads)]
            for arm in self.summary["arms"]
        ]
        seeds = len(self.seeds)
        caption = f"{self.name}: {self.game}, {self.summary.get('model', '')}, last step, {seeds} seed"
        return table(caption + ("" if seeds == 1 else "s"), ["arm", "steps", *heads], rows)


def _numbers(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of a step with its dotted name; what comes in lists is left out."""
    for key, value in found.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{before}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and (before or key != "step"):
            yield before + key, float(value)


def train(
    recipe: PathLike | Mapping[str, Any],
    out: PathLike | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    workers: int = 1,
    tell: Callable[[Mapping[str, Any]], None] | None = None,
) -> Run:
    """Run a recipe: fine-tune, train and audit its arms over its seeds.

    Parameters
    ----------
    recipe
        A recipe file of one game, or its document.
    out
        The run folder; ``runs/NAME`` unless given.
    settings
        Changes to the recipe by dotted keys, arms by name: ``{"sft.steps": 10, "arms.sepo.train.steps": 20}``.
    resume
        Whether to go on with a run that was stopped; its finished parts are kept.
    workers
        How many processes run arms and seeds side by side; 1 is this one alone. Each has its share of the threads, and
        figures are those of one process with as many.
    tell
        Hears of every step, as a mapping with ``arm``, ``seed``, ``stage``, ``steps`` and ``line``, the step's figures.

    Returns
    -------
    Run
        As ``load_run`` reads it.

    Raises
    ------
    InputError
        If the recipe is wrong or of several games, which ``sepo run`` trains; if ``workers`` is no positive whole
        number; if the folder holds a run and ``resume`` is not set, or another process is at it; or if language models
        are not installed.
    EndpointError
        If a worker failed; what is finished is kept.

    Examples
    --------
    >>> import sepo
    >>> sepo.train({"name": "x", "game": "kuhn", "arms": [{"name": "base", "stage": "first"}]})
    Traceback (most recent call last):
        ...
    sepo.errors.InputError: recipe 'recipe', key 'arms.0.stage': Input should be 'base', 'sft' or 'train'
    """
    from sepo.train.recipe import is_joint, parse_recipe, read_document, set_key

    said = [f"{key}={as_json(value, f'setting {key}')}" for key, value in mapping(settings, "settings").items()]
    if isinstance(recipe, Mapping):
        where, document = "recipe", json.loads(as_json(recipe, "the recipe"))
        for setting in said:
            set_key(document, setting)
    else:
        where = str(path_of(recipe))
        document = read_document(path_of(recipe), said)
    if is_joint(document):
        raise InputError(f"recipe '{where}' is of several games: train it by `sepo run`, then load_run FOLDER/GAME")
    loaded = parse_recipe(document, where)
    workers, resume = count(workers, "workers"), flag(resume, "resume")
    hold_to_extra("lm", "training needs")
    from sepo.train.run import run  # torch takes seconds to import

    folder = Path("runs") / loaded.name if out is None else path_of(out)
    words = ["sepo", "run", where, *(w for s in said for w in ("--set", s))]
    run(loaded, folder, tell or _quiet, resume=resume, command=shlex.join(words), workers=workers)
    return load_run(folder)


def _quiet(event: Mapping[str, Any]) -> None:
    """Say nothing."""


def load_run(folder: PathLike) -> Run:
    """Read a run folder, as ``train`` and ``sepo run`` write it.

    Returns
    -------
    Run
        Summary, curves, policies and scorecards.

    Raises
    ------
    InputError
        If there is no run, or one of its files is not as it should be.
    """
    from sepo.report.read import read_run

    place = path_of(folder)
    read_run(place)  # its files are checked
    return Run(place, read_json(place / "summary.json", "run summary"))


def report(run: Run | PathLike, out: PathLike | None = None) -> Path:
    """Write a run's report: one HTML file that needs no network.

    Parameters
    ----------
    run
        A run, or its folder.
    out
        The file; ``report.html`` in the run's folder unless given.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If there is no run, or the file cannot be written.
    """
    from sepo.report.page import write_report

    folder = run.folder if isinstance(run, Run) else path_of(run)
    return write_report(folder, None if out is None else path_of(out))
