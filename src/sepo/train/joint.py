"""Joint recipes: one model trained on several games, or on one under several rules, each as in a recipe of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from sepo.errors import InputError
from sepo.train.recipe import NAME, Arm, Recipe, Words, is_joint, merged, parse_recipe, read_document, validated
from sepo.train.sections import ModelSection, ReasonedSection, Section, Seed

OVER = ("sft", "train", "audit")
"""Keys of which a joint recipe says what goes before what its games' recipes say."""


class Joint(Section):
    """The document of a joint recipe.

    ``games`` names recipe files, beside this one unless absolute. Of each, the game with its rules, practice and
    measures is taken, and how it is trained and audited; the model, the seeds and the arms are this document's, and
    what it says of ``sft``, ``train`` and ``audit`` goes before what theirs say. An entry that is a mapping has the
    file as its ``recipe``, and keys that go before both: a game may so be there twice, under another ``name``.
    """

    name: Annotated[str, Field(pattern=NAME, max_length=40)]
    games: Annotated[
        list[str | dict[str, Any]],
        Field(
            min_length=1,
            description="recipe files, beside this one unless absolute, or mappings of a file (`recipe`) and of keys "
            "that go before its own",
        ),
    ]
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field([0])
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
    """The name of a run and, by what it calls each of its games, the game's recipe."""

    name: str
    recipes: dict[str, Recipe]


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
    ours = joint.model_dump(by_alias=True, exclude={"games", "name", *OVER})
    over = {name: getattr(joint, name) for name in OVER}
    recipes: dict[str, Recipe] = {}
    for entry in joint.games:
        file, own = _entry(entry, ours, path)
        theirs = read_document(path.parent / file)
        if is_joint(theirs):
            raise _wrong(path, f"'{file}' is of several games itself")
        name = parse_recipe(merged(theirs, own), f"{path}: {file}").name
        if name in recipes:
            again = f"write {{recipe: {file}, name: {name}-2, …}} to have a game twice"
            raise _wrong(path, f"two of them are named '{name}'; {again}")
        if name == "arms":
            raise _wrong(path, f"'{file}' is named '{name}', which is the folder of the weights")
        whole = merged(merged(theirs, over), own) | ours | {"name": f"{joint.name}-{name}"}
        recipes[name] = parse_recipe(whole, f"{path}: {file}")
    for arm in [arm for arm in joint.arms if arm.stage == "train"]:
        if len(starts := {recipe.settings(arm).start for recipe in recipes.values()}) > 1:
            said = " and ".join(sorted(starts))
            raise InputError(f"recipe '{path}': arm '{arm.name}' starts from {said} by its games: set train.start")
    return Plan(joint.name, recipes)


def _entry(entry: str | Mapping[str, Any], ours: Collection[str], path: Path) -> tuple[str, dict[str, Any]]:
    """Return the recipe file of an entry of ``games``, and the keys that go before the file's own."""
    if isinstance(entry, str):
        return entry, {}
    own = dict(entry)
    file = own.pop("recipe", None)
    if not isinstance(file, str):
        raise _wrong(path, f"an entry that is a mapping names its file as 'recipe', and {entry} does not")
    if shared := next((key for key in own if key in ours), None):
        raise _wrong(path, f"'{shared}' is the same for all of them: say it of the joint recipe, not of '{file}'")
    return file, own


def _wrong(path: Path, why: str) -> InputError:
    return InputError(f"recipe '{path}', key 'games': {why}")
