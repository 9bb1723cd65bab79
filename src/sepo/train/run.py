"""A run: every arm and seed of a recipe, in a folder that can be resumed after a kill at any moment.

Units are (seed, arm) pairs in a fixed order. A unit is finished when its ``done.json`` stands; an
unfinished one continues from its newest checkpoint and repeats the same steps to the same figures, since all
randomness comes from keys and everything else a step depends on is in the checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sepo.audit.compare import CARD_SCHEMA
from sepo.audit.measures import scripted
from sepo.audit.scorecard import audit_table, versions
from sepo.errors import InputError
from sepo.files import write_atomic, write_json, write_text
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable, restore, save_model, snapshot
from sepo.lm.load import load_model
from sepo.play.episode import episodes
from sepo.policies.direct import DirectPolicy
from sepo.policies.table import PolicyTable
from sepo.solve.expand import expand
from sepo.solve.tree import Tree
from sepo.train.data import demonstrations
from sepo.train.learner import Learner, Look, load_state, save_state
from sepo.train.loop import Best, Stage, loop, newest
from sepo.train.optimise import Optimiser
from sepo.train.recipe import Arm, Recipe, Schedule, parse_recipe
from sepo.train.record import Metrics, environment, measured
from sepo.train.sft import Imitator
from sepo.train.summary import summarise

MOST_STATES = 1000
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
    tree: Tree
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
        If the folder holds a run and ``resume`` is not set, or holds one of another recipe.
    """
    game = make(recipe.game, recipe.rules)
    tree = expand(game)
    if (states := len(tree.questions)) > MOST_STATES:
        raise InputError(
            f"game '{game.name}' has {states} information states; training scores all of them at every step, "
            f"which is meant for at most {MOST_STATES}"
        )
    prepare(recipe, folder, resume=resume, command=command)
    for seed in recipe.seeds:
        for arm in sorted(recipe.arms, key=lambda a: ("base", "sft", "train").index(a.stage)):
            unit = Unit(recipe, arm, seed, unit_folder(folder, arm.name, seed), game, tree, tell)
            if not unit.done.exists():
                _run_unit(unit, folder)
            tell({"arm": arm.name, "seed": seed, "stage": "done", "steps": 0, "line": {}})
    summary = summarise(recipe, folder)
    write_json(folder / "summary.json", summary)
    return summary


def prepare(recipe: Recipe, folder: Path, *, resume: bool, command: str) -> None:
    """Lay the run folder out, or check that the one in which something was finished is of this recipe."""
    file = folder / "recipe.yaml"
    document = recipe.model_dump(mode="json", by_alias=True)
    if file.exists() and (folder / "arms").exists():
        if not resume:
            raise InputError(f"'{folder}' already holds a run: continue it with --resume, or choose another --out")
        there = parse_recipe(yaml.safe_load(file.read_text(encoding="utf-8")), str(file))
        if there != recipe:
            raise InputError(f"'{folder}' holds a run of another recipe: choose another --out")
        return
    write_text(file, yaml.safe_dump(document, sort_keys=False))
    write_json(folder / "environment.json", environment(command, versions(model=True)))


def _run_unit(unit: Unit, folder: Path) -> None:
    policy = _policy(unit)
    if unit.arm.stage == "base":
        learner = _auditor(unit, policy)
        look = learner.look(gradient=False)
        mass = {"legal_mass": float(look.mass.mean())}
        Metrics(unit.folder / "metrics.jsonl").add(
            {"step": 0, "stage": "base", **measured(unit.tree, look.strategy), **mass}
        )
        for name in ("last", "best"):
            _write_policy(unit, learner, name)
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
    learner = Learner(policy, unit.tree, schedule)
    stage = _stage(unit, learner)
    about = {"arm": unit.arm.name, "seed": unit.seed, "stage": stage.name, "steps": schedule.steps}
    every = unit.recipe.checkpoint_every
    best = loop(learner, stage, unit.folder, every, lambda line: unit.tell({**about, "line": line}))
    _finish(unit, policy, schedule.steps, best)
    write_json(unit.done, {"steps": schedule.steps, "best_step": best.step, "criterion": stage.criterion})
    newest(unit.folder).unlink(missing_ok=True)


def _finish(unit: Unit, policy: DirectPolicy, steps: int, best: Best) -> None:
    """Save and audit the last policy and the best one."""
    lm = policy.language_model
    checkpoints = unit.folder / "checkpoints"
    last = snapshot(lm)
    save_state(checkpoints / "final.pt", {"step": steps, "weights": last})
    for name, weights in (("best", best.weights), ("last", last)):
        restore(lm, weights)
        write_atomic(checkpoints / name, lambda made: save_model(lm, made))
    learner = _auditor(unit, policy)
    for name, weights in (("last", last), ("best", best.weights)):
        restore(lm, weights)
        _write_policy(unit, learner, name)


def _auditor(unit: Unit, policy: DirectPolicy) -> Learner:
    """Return the learner whose policy is written and audited: in float32, whatever it was trained in."""
    lm = policy.language_model
    if lm.dtype != "float32":
        lm.model.float()
        lm.dtype = "float32"
        policy = DirectPolicy(lm, name=policy.name, budget=policy.budget)
    return Learner(policy, unit.tree, Schedule(steps=0))


def unit_folder(folder: Path, arm: str, seed: int) -> Path:
    """Return where an arm and seed of a run keep their files."""
    return folder / "arms" / arm / f"seed-{seed}"


def _policy(unit: Unit) -> DirectPolicy:
    section = unit.recipe.model
    lm = load_model(section.policy, section.dtype, section.template)
    make_trainable(lm, section.adapter, section.rank, section.alpha, section.targets, unit.seed)
    return DirectPolicy(lm, name=section.policy, budget=section.budget)


def _stage(unit: Unit, learner: Learner) -> Stage:
    if unit.arm.stage == "sft":
        shown = demonstrations(unit.tree, unit.game.measures("paper"), unit.recipe.sft.examples, unit.seed)
        return Imitator(learner, shown)
    measures = unit.game.measures(unit.recipe.measure_name(unit.arm))
    key = (unit.recipe.name, unit.arm.name, unit.seed)
    return Optimiser(learner, measures, unit.recipe.settings(unit.arm), key)


def _write_policy(unit: Unit, learner: Learner, name: str) -> None:
    """Write the learner's policy as a table, with its scorecard."""
    look = learner.look(gradient=False)
    rows = {
        d.key: dict(zip(d.legal, map(float, p), strict=True)) for d, p in zip(learner.decisions, look.rows, strict=True)
    }
    mass = {d.key: float(m) for d, m in zip(learner.decisions, look.mass, strict=True)}
    title = f"{unit.recipe.name}/{unit.arm.name}/seed-{unit.seed}/{name}"
    about = dict(learner.policy.about())
    table = PolicyTable(title, unit.game.name, unit.game.rules, rows, mass=mass, notes=about)
    table.save(unit.folder / "policies" / f"{name}.json")
    card = {
        "schema": CARD_SCHEMA,
        "policy": title,
        "seed": unit.seed,
        "versions": versions(model=True),
        "model": about,
    }
    part = audit_table(table, unit.game)
    write_json(unit.folder / "scorecards" / f"{name}.json", card | {"games": {unit.game.name: part}})
    if name == "last" and unit.recipe.episodes:
        _write_episodes(unit, look)


def _write_episodes(unit: Unit, look: Look) -> None:
    """Write sampled episodes of the policy against every opponent, to be read by people."""
    lines = []
    for opponent, other in scripted(unit.tree).items():
        key = ("episodes", unit.recipe.name, unit.seed, opponent)
        lines += episodes(unit.tree, look.strategy, opponent, other, unit.recipe.episodes, key)
    write_text(unit.folder / "episodes.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
