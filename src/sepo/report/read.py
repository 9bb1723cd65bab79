"""A run folder, read and checked: the summary, each seed's metrics and policy, and where it came from.

Knows the files of a run and nothing of how a page shows them. The summary must be there; metrics, policies,
recipe and environment are optional, since a run may have been interrupted. Numbers of a step that are not finite are
read as missing; elsewhere they are refused, as JSON has none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sepo.audit.compare import load_card
from sepo.errors import InputError
from sepo.files import read_json
from sepo.play.episode import SCHEMA as EPISODES
from sepo.policies.table import PolicyTable, load_table
from sepo.train.rules import other_rules

SCHEMA = "sepo.run/1"


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]


class _Read(BaseModel):
    """A part of a file: further keys are ignored, so a newer run can still be shown."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)


class Estimate(_Read):
    """A figure over seeds: its mean, its 95 % Student t interval, and each seed's own value."""

    value: float
    low: float
    high: float
    n: int | None = None
    seeds: tuple[Number, ...] = ()


class ArmSummary(_Read):
    """One arm's figures at its last step and at the step that the validation criterion chose.

    ``method`` says how the figures were found where that is not said by seeds.
    """

    name: str
    stage: str = ""
    about: str = ""
    seeds: tuple[int, ...] = ()
    steps: int | None = None
    last: Mapping[str, Estimate | None] = Field(default_factory=dict)
    best: Mapping[str, Estimate | None] = Field(default_factory=dict)
    best_steps: tuple[int | None, ...] = ()
    criterion: str | None = None
    method: str = ""
    warnings: tuple[str, ...] = ()


class Difference(_Read):
    """How a figure of an arm differs from that of another one: mean over ``n`` seeds, with its interval."""

    arm: str
    figure: str
    mean: float
    interval: tuple[float, float] | None = None
    n: int


class Paired(_Read):
    """What an arm's figures are set beside, and the differences of the others, paired by seed."""

    minus: str
    rows: tuple[Difference, ...] = ()


class Summary(_Read):
    """``summary.json``."""

    schema_: Literal["sepo.run/1"] = Field(alias="schema")
    name: str
    game: str
    rules: Mapping[str, Any] = Field(default_factory=dict)
    rules_by_measures: Mapping[str, Mapping[str, Any]] | None = None
    unit: str = "points per round"
    measures: str = "sepo"
    model: str = ""
    seeds: tuple[int, ...] = ()
    arms: tuple[ArmSummary, ...]
    published: tuple[Mapping[str, Any], ...] = ()
    ceilings: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)
    paired: Paired | None = None

    @property
    def other_rules(self) -> Mapping[str, Mapping[str, Any]]:
        """The rules of those sets of measures that were audited by others than ``rules``."""
        return other_rules(self.game, self.measures, self.rules, self.rules_by_measures)


class LedgerLine(_Read):
    """What one measure contributed to a step; see ``train.objective.LedgerRow``."""

    kind: str
    value: Number = None
    gradient_share: Number = None
    recovered: Number = None
    dead: bool = False


class Step(_Read):
    """A line of ``metrics.jsonl``; ``illegal`` and ``truncated`` are shares of the replies of a model that writes."""

    step: int
    stage: str = "train"
    measures: Mapping[str, Mapping[str, Number]] = Field(default_factory=dict)
    exploitability: Number = None
    legal_mass: Number = None
    illegal: Number = None
    truncated: Number = None
    ledger: tuple[LedgerLine, ...] = ()
    warnings: tuple[str, ...] = ()


class Moved(_Read):
    """A move of a recorded episode, as far as the page computes with it; see ``play.episode.move``."""

    by: str | None = None
    round: int | None = None
    state: str | None = None
    action: str | None = None
    probability: float | None = None
    paid: tuple[float, ...] | None = None
    policy: Mapping[str, float] | None = None


class PlayedHand(_Read):
    """A hand of a recorded episode."""

    seat: int = 0
    own: float | None = None
    other: float | None = None
    moves: tuple[Moved, ...] = ()


class Episode(_Read):
    """A line of ``episodes.jsonl``."""

    opponent: str = ""
    episode: int = 0
    own: float = 0.0
    other: float = 0.0
    hands: tuple[PlayedHand, ...] = ()


@dataclass(frozen=True)
class SeedRun:
    """One seed of one arm.

    Attributes
    ----------
    steps
        In order.
    policy
        At the last step, where one was written.
    card
        The game's part of the scorecard at the last step, where there is one.
    episodes
        Records of episodes that the last step played.
    """

    seed: int
    steps: tuple[Step, ...]
    policy: PolicyTable | None
    card: Mapping[str, Any] | None = None
    episodes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes
    ----------
    histories
        By arm name, the seeds that have files, in the order of the summary.
    recipe
        The text of ``recipe.yaml``, empty where it is missing.
    environment
        ``environment.json``, empty where it is missing.
    audited
        Whether this is no run, but policies that were audited: each is an arm.
    """

    summary: Summary
    histories: Mapping[str, tuple[SeedRun, ...]]
    recipe: str
    environment: Mapping[str, Any]
    audited: bool = False


def runs_in(folder: Path) -> list[Path]:
    """Return the run folders that a path stands for: itself, or those in it, such as a joint run's games.

    Raises
    ------
    InputError
        If there is no folder, or no run in it.
    """
    if not folder.is_dir():
        raise InputError(f"no run folder at '{folder}'")
    found = [folder] if (folder / "summary.json").exists() else sorted(f.parent for f in folder.glob("*/summary.json"))
    if not found:
        refuse_unfinished(folder)
        raise InputError(f"'{folder}' has no summary.json: give a run folder that `sepo run` wrote")
    return found


def refuse_unfinished(folder: Path) -> None:
    """Refuse a folder of a run that was stopped before it had a summary.

    Raises
    ------
    InputError
        With the command that continues it, as the run's ``environment.json`` tells it.
    """
    begun = next(iter([*folder.glob("recipe.yaml"), *sorted(folder.glob("*/recipe.yaml"))]), None)
    ends = ("summary.json", "ablation.json", "frontier.json")
    if begun is None or any((begun.parent / name).exists() for name in ends):
        return
    file = begun.parent / "environment.json"
    record = read_json(file, "environment") if file.exists() else {}
    further = record.get("continued")
    last = further[-1] if isinstance(further, list) and further else record
    command = str(last.get("command") or "") if isinstance(last, Mapping) else ""
    words = command if command.startswith("sepo ") else "sepo run RECIPE"
    words += "" if words.endswith(" --resume") else " --resume"
    raise InputError(f"the run in '{folder}' is not finished, and has no summary.json yet: continue it with `{words}`")


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    InputError
        If there is no run, or one of its files is not as it should be; the message names the file and key.
    """
    if runs_in(folder) != [folder]:
        raise InputError(f"'{folder}' holds several runs: name one of them")
    summary = read_summary(folder)
    environment = folder / "environment.json"
    return Run(
        summary=summary,
        histories={arm.name: _histories(folder / "arms", arm, summary.game) for arm in summary.arms},
        recipe=_text(folder / "recipe.yaml"),
        environment=read_json(environment, "environment") if environment.exists() else {},
    )


def read_summary(folder: Path) -> Summary:
    """Read a run's summary: its figures alone.

    Raises
    ------
    InputError
        If there is none, or it is not as it should be; the message names the file and key.
    """
    path = folder / "summary.json"
    if not path.exists():
        refuse_unfinished(folder)
    document = read_json(path, "run summary")
    if document.get("schema") != SCHEMA:
        raise InputError(f"run summary '{path}': schema must be '{SCHEMA}', not {document.get('schema')!r}")
    return _validated(Summary, document, f"run summary '{path}'")


def read_summaries(folder: Path) -> dict[str, Summary]:
    """Read the summaries of a folder of runs, by the names of their folders."""
    return {file.parent.name: read_summary(file.parent) for file in sorted(folder.glob("*/summary.json"))}


def _histories(arms: Path, arm: ArmSummary, game: str) -> tuple[SeedRun, ...]:
    home = arms / arm.name
    if not home.resolve().is_relative_to(arms.resolve()):  # a name such as ``..`` reads nothing outside the run
        return ()
    out = []
    for seed in arm.seeds:
        folder = home / f"seed-{seed}"
        table = folder / "policies" / "last.json"
        steps = _steps(folder / "metrics.jsonl")
        if steps or table.exists():
            policy = load_table(table) if table.exists() else None
            card = _card(folder / "scorecards" / "last.json", game)
            out.append(SeedRun(seed, steps, policy, card, _episodes(folder / "episodes.jsonl")))
    return tuple(out)


def _card(path: Path, game: str) -> Mapping[str, Any] | None:
    """Return a scorecard's part of a game, None where there is none."""
    part = load_card(path)["games"].get(game) if path.exists() else None
    return part if isinstance(part, Mapping) else None


def _episodes(path: Path) -> tuple[Mapping[str, Any], ...]:
    """Read recorded episodes; lines of another kind are no episodes."""
    found = []
    for where, document in json_lines(path, "episodes"):
        if isinstance(document, Mapping) and document.get("schema") == EPISODES:
            _validated(Episode, document, where)
            found.append(document)
    return tuple(found)


def _steps(path: Path) -> tuple[Step, ...]:
    return tuple(_validated(Step, document, where) for where, document in json_lines(path, "metrics"))


def json_lines(path: Path, what: str) -> Iterator[tuple[str, Any]]:
    """Yield a file's JSON lines and where each is; a last one without its line break was not finished."""
    for number, line in enumerate(_text(path).split("\n")[:-1], start=1):
        if not line.strip():
            continue
        where = f"{what} '{path}', line {number}"
        try:
            yield where, json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:  # an integer of thousands of digits, or nesting without end
            raise InputError(f"{where}: not JSON that can be read: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{path}': {error}") from None


_Model = TypeVar("_Model", bound=_Read)


def _validated(kind: type[_Model], document: object, where: str) -> _Model:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}{f', key {key!r}' if key else ''}: {first['msg']}") from None
