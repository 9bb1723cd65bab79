"""Recipes: what a run trains, on what, and how. YAML, validated; unknown keys are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from sepo.errors import InputError
from sepo.games.base import MeasureName
from sepo.train.sections import AuditSection, ModelSection, ReasonedSection, Section, Seed, SftSection, TrainSection

S = TypeVar("S", bound=Section)
NAME = r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
"""What a folder may be named after."""


class Arm(Section):
    """One variant: ``base`` is the model as loaded, ``sft`` after fine-tuning, ``train`` trained on J from there."""

    name: Annotated[str, Field(pattern=NAME, max_length=60, description="of its folder")]
    stage: Annotated[
        Literal["base", "sft", "train"], Field(description="the model as loaded, after fine-tuning, or trained on J")
    ] = "train"
    about: Annotated[str, Field(description="a line for the report")] = ""
    train: Annotated[dict[str, Any], Field(description="keys of `train`, on top of the recipe's own")] = Field(
        default_factory=dict
    )


Words = Literal["original", "mixed"] | Annotated[list[str], Field(min_length=1)]


class Recipe(Section):
    """A whole run."""

    name: Annotated[str, Field(pattern=NAME, max_length=60, description="of the run; its folder is runs/NAME")]
    game: Annotated[str, Field(description="what is played; see `sepo games`")]
    rules: Annotated[dict[str, Any], Field(description="rules of the game, on top of the measures' preset")] = Field(
        default_factory=dict
    )
    practice: Annotated[
        dict[str, Any], Field(description="rules that training plays by instead of the audit's, as other instances")
    ] = Field(default_factory=dict)
    measures: Annotated[MeasureName, Field(description="the set whose J is trained on, and whose rules hold")] = "sepo"
    seeds: Annotated[list[Seed], Field(min_length=1, description="every arm is run with each")] = Field(
        default_factory=lambda: [0]
    )
    model: ModelSection = Field(default_factory=ModelSection)
    sft: SftSection = Field(default_factory=SftSection)
    train: TrainSection = Field(default_factory=TrainSection)
    audit: AuditSection = Field(default_factory=AuditSection)
    style: Annotated[
        Literal["direct", "reasoned"],
        Field(description="whether the model is scored on its legal actions, or writes freely and is sampled"),
    ] = "direct"
    reasoned: ReasonedSection = Field(default_factory=ReasonedSection)
    arms: Annotated[list[Arm], Field(min_length=1, description="the variants that are compared")]
    wordings: Annotated[
        Words,
        Field(
            description="words of the questions in training: the game's own, or one of its wordings for each step, of "
            "all or of those named"
        ),
    ] = "original"
    checkpoint_every: Annotated[int, Field(ge=1, description="steps between two checkpoints")] = 10
    episodes: Annotated[int, Field(ge=0, description="episodes written out per opponent at the end")] = 4

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        names = [arm.name for arm in self.arms]
        if twice := [n for n in names if names.count(n) > 1]:
            raise ValueError(f"two arms are named '{twice[0]}'")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed stands twice in {self.seeds}")
        stages = [arm.stage for arm in self.arms]
        if stages.count("sft") > 1:
            raise ValueError("two arms have stage 'sft'; one is enough, since they would be the same")
        for arm in self.arms:
            try:
                section = self.settings(arm)
            except ValidationError as error:
                raise ValueError(f"arm '{arm.name}', {mistake(error, 'train')}") from None
            if arm.stage == "train" and section.start == "sft" and "sft" not in stages:
                raise ValueError(f"arm '{arm.name}' starts from sft, but no arm has stage 'sft'")
            if arm.stage == "train" and self.style == "reasoned" and (why := unsampled(section)):
                raise ValueError(f"arm '{arm.name}': {why}")
        return self

    def settings(self, arm: Arm) -> TrainSection:
        """Return the training settings of an arm: the recipe's, with the arm's own on top."""
        base = self.train.model_dump(by_alias=True)
        return TrainSection.model_validate(merged(base, arm.train))

    def measure_name(self, arm: Arm) -> MeasureName:
        """Return the measure set that an arm is trained on."""
        return self.settings(arm).measures or self.measures


SAMPLED = {"estimator": "sampled", "update": "clipped", "exploiter": "pool", "baseline": "group"}
"""What the reasoned style leaves of training on J: what a model writes is known from episodes alone."""


def unsampled(section: TrainSection) -> str | None:
    """Return what the reasoned style cannot have of training settings; None where it can have them all."""
    for name, wanted in SAMPLED.items():
        if (found := getattr(section, name)) != wanted:
            return f"in the reasoned style train.{name} is '{wanted}', not '{found}'"
    return "in the reasoned style weights are fixed: give lambda no budget" if section.lambda_.budgets else None


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` on top, mapping by mapping."""
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        out[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return out


def load_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` settings (dotted keys; arms by name).

    Raises
    ------
    InputError
        Naming the file, the key and what is wrong.
    """
    document = read_document(path, settings)
    if is_joint(document):
        raise InputError(f"recipe '{path}' is of several games, which only `sepo run` takes: give one of theirs")
    return parse_recipe(document, str(path))


def is_joint(document: Mapping[str, Any]) -> bool:
    """Return whether a recipe's document is of several games; see ``train.joint``."""
    return "games" in document


def read_document(path: Path, settings: Sequence[str] = ()) -> dict[str, Any]:
    """Read the document of a recipe file and apply settings; see ``load_recipe``."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no recipe at '{path}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read recipe '{path}': {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # a ValueError is of a date that there is not
        raise InputError(f"recipe '{path}' is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"recipe '{path}' must be a mapping of keys to values")
    for setting in settings:
        set_key(document, setting)
    return document


def parse_recipe(document: Mapping[str, Any], where: str) -> Recipe:
    """Validate a recipe's document; see ``load_recipe``."""
    return validated(Recipe, document, where)


def validated(kind: type[S], document: Mapping[str, Any], where: str) -> S:
    """Validate the document of a recipe of a kind; see ``load_recipe``."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        found = mistake(error)
        raise InputError(f"recipe '{where}'{', ' if found.startswith('key ') else ': '}{found}") from None


def mistake(error: ValidationError, above: str = "") -> str:
    """Return the first mistake in a document: its key, which stands under ``above``, and what is wrong."""
    first = error.errors()[0]
    key = ".".join([*([above] if above else []), *(str(part) for part in first["loc"])])
    if first["type"] == "extra_forbidden":
        return f"unknown key '{key}'"
    message = first["msg"].removeprefix("Value error, ")
    return f"key '{key}': {message}" if key else message


def set_key(document: dict[str, Any], setting: str) -> None:
    """Apply one ``key=value`` setting to a recipe's document, in place; see ``load_recipe``."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise InputError(f"--set takes key=value, not '{setting}'")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"--set {setting}: the value is not YAML: {error}") from None
    at: Any = document
    way = key.split(".")
    while len(way) > 1 or isinstance(at, list):
        part, *way = way if isinstance(at, dict) else _arm_first(at, way)
        if isinstance(at, dict):
            at = at.setdefault(part, {})
        else:
            named = [a for a in at if isinstance(a, dict) and a.get("name") == part]
            if not named:
                raise InputError(f"--set {setting}: no arm is named '{part}'")
            if not way:
                raise InputError(f"--set {setting}: name a key of the arm '{part}'")
            at = named[0]
        if not isinstance(at, dict | list):
            raise InputError(f"--set {setting}: '{part}' holds a value, not keys")
    at[way[0]] = value


def _arm_first(arms: Sequence[Any], way: Sequence[str]) -> list[str]:
    """Return the parts of a dotted key within a list of arms, those of its arm's name as one: names may have dots.

    It is the longest name that the key begins with.
    """
    names = [arm.get("name") for arm in arms if isinstance(arm, dict)]
    size = next((n for n in range(len(way), 1, -1) if ".".join(way[:n]) in names), 1)
    return [".".join(way[:size]), *way[size:]]
