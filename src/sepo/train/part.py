"""What a run has of a game: the game as training plays it, and the part of one arm and seed in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sepo.audit.arena import SETS, Arena, Ground, ground_of
from sepo.audit.sampled import hold_to_independent
from sepo.errors import InputError
from sepo.games.base import Game, MeasureName, MeasureSet
from sepo.games.registry import make
from sepo.games.wording import ORIGINAL, Wording, chosen, wordings
from sepo.train.recipe import Arm, Recipe
from sepo.train.sections import Schedule


@dataclass(frozen=True, eq=False)
class Domain:
    """A game of a run: what the run calls it, its recipe, its folder, the game as it is played, and its words."""

    name: str
    recipe: Recipe
    folder: Path
    game: Game
    ground: Ground
    words: tuple[Wording, ...]

    @classmethod
    def of(cls, name: str, recipe: Recipe, folder: Path) -> Domain:
        """Make the game of a recipe.

        Raises
        ------
        InputError
            If the recipe asks for what the game does not have.
        """
        hold_to_independent(make(recipe.game, recipe.rules, recipe.measures))
        game = make(recipe.game, {**recipe.rules, **recipe.practice}, recipe.measures)
        return cls(name, recipe, folder, game, ground_of(game), worded(recipe, game))


@dataclass(frozen=True, eq=False)
class Part:
    """What one arm and seed does in one game."""

    domain: Domain
    arm: Arm
    seed: int

    @classmethod
    def of(cls, domain: Domain, arm: str, seed: int) -> Part:
        """Return the part of an arm that is told by its name."""
        return cls(domain, next(a for a in domain.recipe.arms if a.name == arm), seed)

    @property
    def recipe(self) -> Recipe:
        """The game's recipe."""
        return self.domain.recipe

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return unit_folder(self.domain.folder, self.arm.name, self.seed)

    @property
    def done(self) -> Path:
        """The file that says that it is finished."""
        return self.folder / "done.json"

    @property
    def key(self) -> tuple[object, ...]:
        """The key of its randomness."""
        return self.recipe.name, self.arm.name, self.seed

    @property
    def measures(self) -> MeasureSet:
        """The measures whose J a trained arm is trained on."""
        return self.domain.game.measures(self.recipe.measure_name(self.arm))

    @property
    def sets(self) -> tuple[MeasureName, ...]:
        """The sets of measures that its steps have: the one trained on, and those with the rules that are played by.

        A set with a preset of other rules is of another game: its figures would stand beside none of the audit's.
        """
        recipe, trained = self.recipe, self.recipe.measure_name(self.arm)
        rules = {s: make(recipe.game, {**recipe.rules, **recipe.practice}, s).rules for s in SETS}
        return tuple(s for s in SETS if s == trained or dict(rules[s]) == dict(self.domain.game.rules))

    @property
    def schedule(self) -> Schedule:
        """How its steps are taken."""
        return self.recipe.settings(self.arm) if self.arm.stage == "train" else self.recipe.sft


def drawn(recipe: Recipe, ground: Ground | None = None) -> bool:
    """Return whether a run's audits draw episodes or replies, so that the untrained model's too is of its seed.

    They do where no history can be held. ``ground`` is where the game is played, if training plays it by the audit's
    rules.
    """
    game = make(recipe.game, recipe.rules, recipe.measures)
    if recipe.style == "reasoned" or game.sampled_chance:
        return True
    try:
        found = ground if ground is not None and not recipe.practice else ground_of(game)
    except InputError:
        return True
    return isinstance(found, Arena) and found.beliefs is not None


def worded(recipe: Recipe, game: Game) -> tuple[Wording, ...]:
    """Return the wordings that a recipe trains in.

    Raises
    ------
    InputError
        If the game lacks one.
    """
    match recipe.wordings:
        case "original":
            return (ORIGINAL,)
        case "mixed":
            return chosen(game, [wording.name for wording in wordings(game)])
        case names:
            return chosen(game, list(dict.fromkeys(names)))


def unit_folder(folder: Path, arm: str, seed: int) -> Path:
    """Return where an arm and seed of a run keep their files."""
    return folder / "arms" / arm / f"seed-{seed}"
