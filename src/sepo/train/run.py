"""A run: every arm and seed of a recipe, in a folder that can be resumed after a kill at any moment.

Units are (seed, arm) pairs in a fixed order. A unit is finished when its ``done.json`` stands; an
unfinished one continues from its newest checkpoint and repeats the same steps to the same figures, since all
randomness comes from keys and everything else a step depends on is in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from sepo.audit.arena import Ground, ground_of
from sepo.audit.scorecard import versions
from sepo.errors import InputError
from sepo.files import write_atomic, write_json, write_text
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.games.wording import ORIGINAL, wordings
from sepo.lm.adapter import make_trainable, restore, save_model, snapshot
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Tree
from sepo.train.auditor import Auditor, copy
from sepo.train.data import demonstrations, of_arena
from sepo.train.learner import Learner, load_state, save_state
from sepo.train.loop import Best, Stage, loop, newest
from sepo.train.optimise import Optimiser
from sepo.train.recipe import Arm, Recipe, Schedule, load_recipe
from sepo.train.record import Metrics, environment
from sepo.train.sft import Imitator
from sepo.train.summary import summarise

Tell = Callable[[Mapping[str, Any]], None]
"""Called at every step with arm, seed, stage, steps and the metrics line; and once per finished unit."""


@dataclass(frozen=True, eq=False)
class Unit:
    """One arm and seed, with its folder."""

    recipe: Recipe
    arm: Arm
    seed: int
    folder: Path
    game: Game
    ground: Ground
    tell: Tell

    @property
    def done(self) -> Path:
        """The file that says that the unit is finished."""
        return self.folder / "done.json"


def run(recipe: Recipe, folder: Path, tell: Tell, *, resume: bool = False, command: str = "") -> dict[str, Any]:
    """Run a recipe and return the summary, which is also written to ``folder``.

    Raises
    ------
    InputError
        If the folder holds a run and ``resume`` is not set, or holds one of another recipe. One that only adds seeds
        or arms is none: what is finished stays, and the rest is run.
    """
    game = make(recipe.game, {**recipe.rules, **recipe.practice}, recipe.measures)
    ground = ground_of(game)
    prepare(recipe, folder, resume=resume, command=command)
    for seed in recipe.seeds:
        for arm in sorted(recipe.arms, key=lambda a: ("base", "sft", "train").index(a.stage)):
            unit = Unit(recipe, arm, seed, unit_folder(folder, arm.name, seed), game, ground, tell)
            if not unit.done.exists():
                _run_unit(unit, folder)
            tell({"arm": arm.name, "seed": seed, "stage": "done", "steps": 0, "line": {}})
    summary = summarise(recipe, folder)
    write_json(folder / "summary.json", summary)
    return summary


def prepare(recipe: Recipe, folder: Path, *, resume: bool, command: str) -> None:
    """Lay the run folder out, or check that the one in which something was finished is of this recipe or a part."""
    file = folder / "recipe.yaml"
    document = recipe.model_dump(mode="json", by_alias=True)
    if file.exists() and (folder / "arms").exists():
        if not resume:
            raise InputError(f"'{folder}' already holds a run: continue it with --resume, or choose another --out")
        there = load_recipe(file)
        if why := refusal(there, recipe):
            raise InputError(f"'{folder}' holds a run of another recipe: {why}")
        if there != recipe:
            write_text(file, yaml.safe_dump(document, sort_keys=False))
        return
    write_text(file, yaml.safe_dump(document, sort_keys=False))
    write_json(folder / "environment.json", environment(command, versions(model=True)))


def refusal(there: Recipe, here: Recipe) -> str | None:
    """Return why a run begun with one recipe cannot go on with another, and what to do; None where it can.

    Seeds and arms may be added, in any order, and other things said about them: no finished unit depends on that, but
    for the untrained model, which is audited with the first seed. All else must be the same.
    """
    old, new = _by_name(there), _by_name(here)
    arms, ours = old.pop("arms"), new.pop("arms")
    del old["seeds"], new["seeds"]
    if differing := next(_differences(old, new), None):
        return f"{differing}: choose another --out"
    lacking = [f"seed {seed}" for seed in there.seeds if seed not in here.seeds]
    lacking += [f"arm '{name}'" for name in arms if name not in ours]
    if lacking:
        return f"{lacking[0]} is there and not here: add it, or choose another --out"
    if differing := next(_differences(arms, {name: ours[name] for name in arms}, "arms"), None):
        return f"{differing}: choose another --out"
    first, now = there.seeds[0], here.seeds[0]
    if first != now and any(arm.stage == "base" for arm in there.arms):
        return f"its base is audited with seed {first}, not {now}: put {first} first, or choose another --out"
    return None


def _by_name(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's document with its arms by name, and without what is said about them."""
    document = recipe.model_dump(mode="json", by_alias=True)
    arms = [(arm.pop("name"), arm) for arm in document["arms"]]
    return document | {"arms": {name: {k: v for k, v in arm.items() if k != "about"} for name, arm in arms}}


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield each setting in which two documents differ, dotted, with its values."""
    for key in {**there, **here}:
        where = f"{above}.{key}" if above else key
        old, new = (of.get(key) for of in (there, here))
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, where)
        elif old != new or (key in there) != (key in here):
            was, wanted = (repr(of[key]) if key in of else "not set" for of in (there, here))
            yield f"{where} is {was} there and {wanted} here"


def _run_unit(unit: Unit, folder: Path) -> None:
    if unit.arm.stage == "base" and _is_copied(unit, folder):
        return
    policy = _policy(unit)
    if unit.arm.stage == "base":
        auditor = _auditor(unit, policy)
        line = auditor.write("last")
        auditor.write("best", same_as="last")
        Metrics(unit.folder / "metrics.jsonl").add({"step": 0, "stage": "base", **line})
        write_json(unit.done, {"steps": 0, "best_step": 0, "criterion": None})
        return
    schedule: Schedule = unit.recipe.sft
    if unit.arm.stage == "train":
        settings = unit.recipe.settings(unit.arm)
        schedule = settings
        if settings.start == "sft":
            sft = next(a for a in unit.recipe.arms if a.stage == "sft")
            start = load_state(unit_folder(folder, sft.name, unit.seed) / "checkpoints" / "final.pt")
            restore(policy.language_model, start["weights"])
    mixed = unit.recipe.wordings == "mixed"
    key = (unit.recipe.name, unit.arm.name, unit.seed)
    learner = Learner(policy, unit.ground, schedule, wordings(unit.game) if mixed else (ORIGINAL,), key)
    stage = _stage(unit, learner)
    about = {"arm": unit.arm.name, "seed": unit.seed, "stage": stage.name, "steps": schedule.steps}
    every = unit.recipe.checkpoint_every
    best = loop(learner, stage, unit.folder, every, lambda line: unit.tell({**about, "line": line}))
    if isinstance(stage, Optimiser) and stage.league is not None:
        for name, table in stage.league.tables().items():
            table.save(unit.folder / "exploiters" / f"{name}.json")
    _finish(unit, policy, schedule.steps, best)
    write_json(unit.done, {"steps": schedule.steps, "best_step": best.step, "criterion": stage.criterion})
    newest(unit.folder).unlink(missing_ok=True)


def _is_copied(unit: Unit, folder: Path) -> bool:
    """Take the untrained model's files from an earlier seed, since it does not depend on one, and say if there is one.

    Episodes are sampled by seed, and are the earlier one's.
    """
    for seed in unit.recipe.seeds:
        there = unit_folder(folder, unit.arm.name, seed)
        if seed == unit.seed or not (there / "done.json").exists():
            continue
        for name in ("last", "best"):
            copy(there, name, unit.folder, name, f"{unit.recipe.name}/{unit.arm.name}/seed-{unit.seed}", unit.seed)
        for file in ("episodes.jsonl", "metrics.jsonl", "done.json"):
            if (there / file).exists():
                write_text(unit.folder / file, (there / file).read_text(encoding="utf-8"))
        return True
    return False


def _finish(unit: Unit, policy: DirectPolicy, steps: int, best: Best) -> None:
    """Save and audit the last policy and the best one."""
    lm = policy.language_model
    checkpoints = unit.folder / "checkpoints"
    last = snapshot(lm)
    save_state(checkpoints / "final.pt", {"step": steps, "weights": last})
    for name, weights in (("best", best.weights), ("last", last)):
        restore(lm, weights)
        write_atomic(checkpoints / name, lambda made: save_model(lm, made))
    auditor = _auditor(unit, policy)
    for name, weights in (("last", last), ("best", best.weights)):
        restore(auditor.policy.language_model, weights)
        auditor.write(name, same_as="last" if name == "best" and best.step == steps else None)


def _auditor(unit: Unit, policy: DirectPolicy) -> Auditor:
    """Return what audits a policy in float32, over the base weights as they are shipped, whatever it was trained in."""
    if policy.language_model.dtype != "float32":
        policy = _policy(unit, "float32")
    return Auditor(unit.recipe, unit.arm, unit.seed, unit.folder, unit.ground, policy)


def unit_folder(folder: Path, arm: str, seed: int) -> Path:
    """Return where an arm and seed of a run keep their files."""
    return folder / "arms" / arm / f"seed-{seed}"


def _policy(unit: Unit, dtype: Literal["float32"] | None = None) -> DirectPolicy:
    section = unit.recipe.model
    lm = load_model(section.policy, dtype or section.dtype, section.template)
    make_trainable(lm, section.adapter, section.rank, section.alpha, section.targets, unit.seed, section.layers)
    return DirectPolicy(lm, name=section.policy, budget=section.budget)


def _stage(unit: Unit, learner: Learner) -> Stage:
    if unit.arm.stage == "sft":
        sft, ground = unit.recipe.sft, unit.ground
        if isinstance(ground, Tree):
            shown = demonstrations(ground, unit.game.measures("paper"), sft.examples, unit.seed)
        else:
            shown = of_arena(ground, sft.examples, unit.seed)
        return Imitator(learner, shown, sft.episodes, (unit.recipe.name, "sft", unit.seed))
    measures = unit.game.measures(unit.recipe.measure_name(unit.arm))
    key = (unit.recipe.name, unit.arm.name, unit.seed)
    return Optimiser(learner, measures, unit.recipe.settings(unit.arm), key)
