"""Joint recipes: one model trained on several games, each as in a recipe of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from sepo.errors import InputError
from sepo.train.recipe import Arm, Recipe, Words, is_joint, merged, parse_recipe, read_document, validated
from sepo.train.sections import ModelSection, ReasonedSection, Section


class Joint(Section):
    """The document of a joint recipe.

    ``games`` names recipe files, beside this one unless absolute. Of each, the game with its rules, practice and
    measures is taken, and how it is trained and audited; the model, the seeds and the arms are this document's, and
    what it says of ``sft``, ``train`` and ``audit`` goes before what theirs say.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=40)]
    games: Annotated[list[str], Field(min_length=1, description="recipe files, beside this one unless absolute")]
    seeds: Annotated[list[int], Field(min_length=1)] = Field([0])
    model: ModelSection = Field(default_factory=ModelSection)
    sft: dict[str, Any] = Field(default_factory=dict, description="keys of `sft` that go before theirs")
    train: dict[str, Any] = Field(default_factory=dict, description="keys of `train` that go before theirs")
    audit: dict[str, Any] = Field(default_factory=dict, description="keys of `audit` that go before theirs")
    style: Literal["direct", "reasoned"] = "direct"
    reasoned: ReasonedSection = Field(default_factory=ReasonedSection)
    arms: Annotated[list[Arm], Field(min_length=1)]
    wordings: Words = "original"
    checkpoint_every: Annotated[int, Field(ge=1)] = 10
    episodes: Annotated[int, Field(ge=0)] = 4


class Plan(NamedTuple):
    """A joint recipe's name and, game by game, what is run."""

    name: str
    recipes: list[Recipe]


def load_joint(path: Path, settings: Sequence[str] = ()) -> Plan:
    """Read a joint recipe, apply ``key=value`` settings, and return a recipe for each of its games.

    Raises
    ------
    InputError
        Naming the file, the key and what is wrong.
    """
    return parse_joint(read_document(path, settings), path)


def parse_joint(document: Mapping[str, Any], path: Path) -> Plan:
    """Validate the document of a joint recipe and read the recipes that it names; see ``load_joint``."""
    joint = validated(Joint, document, str(path))
    ours = joint.model_dump(by_alias=True, exclude={"games", "name", "sft", "train", "audit"})
    recipes: list[Recipe] = []
    for file in joint.games:
        theirs = read_document(path.parent / file)
        if is_joint(theirs):
            raise InputError(f"recipe '{path}', key 'games': '{file}' is of several games itself")
        game = parse_recipe(theirs, file).game
        if any(recipe.game == game for recipe in recipes):
            raise InputError(f"recipe '{path}', key 'games': two of them are of '{game}'")
        over = {name: getattr(joint, name) for name in ("sft", "train", "audit")}
        whole = merged(theirs, over) | ours | {"name": f"{joint.name}-{game}"}
        recipes.append(parse_recipe(whole, f"{path}: {file}"))
    for arm in [arm for arm in joint.arms if arm.stage == "train"]:
        if len(starts := {recipe.settings(arm).start for recipe in recipes}) > 1:
            said = " and ".join(sorted(starts))
            raise InputError(f"recipe '{path}': arm '{arm.name}' starts from {said} by its games: set train.start")
    return Plan(joint.name, recipes)
