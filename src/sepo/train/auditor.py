"""What a finished arm leaves behind: its policy as a table, its scorecard, and episodes to read.

A small game is scored whole and its figures are exact. In a large one the audit asks about the states that matter
most, within the recipe's budget, and every figure has bounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sepo.audit.arena import SETS, Arena, Ground, scripted
from sepo.audit.compare import CARD_SCHEMA
from sepo.audit.methods import Options
from sepo.audit.scorecard import audit, audit_table, versions
from sepo.files import read_json, write_json, write_text
from sepo.games.base import Decision, Game
from sepo.games.registry import make
from sepo.play.episode import episodes, stepped
from sepo.policies.direct import DirectPolicy
from sepo.policies.script import opponent
from sepo.policies.table import PolicyTable, row
from sepo.solve.tree import Floats, Tree
from sepo.train.learner import Learner
from sepo.train.recipe import Arm, Recipe, Schedule
from sepo.train.record import measured

Show = Callable[[], list[dict[str, Any]]]
"""Plays episodes to be read."""


class Auditor:
    """Audits one arm and seed of a run.

    Parameters
    ----------
    policy
        The model, in float32; its trained weights are put in place before each ``write``.
    """

    def __init__(self, recipe: Recipe, arm: Arm, seed: int, folder: Path, ground: Ground, policy: DirectPolicy) -> None:
        self.recipe, self.seed, self.folder = recipe, seed, folder
        self.ground, self.policy = ground, policy
        self.game = make(recipe.game, recipe.rules, recipe.measures)
        self.title = f"{recipe.name}/{arm.name}/seed-{seed}"

    def write(self, name: str, same_as: str | None = None) -> dict[str, Any]:
        """Write table and scorecard of the policy as it is now, under ``last`` or ``best``; return its metrics.

        Parameters
        ----------
        same_as
            The policy was written under this name already.
        """
        if same_as is not None:
            copy(self.folder, same_as, self.folder, name, self.title, self.seed)
            return {}
        table, part, line, shown = self._whole(name) if isinstance(self.ground, Tree) else self._asked(name)
        table.save(self.folder / "policies" / f"{name}.json")
        card = {
            "schema": CARD_SCHEMA,
            "policy": table.name,
            "seed": self.seed,
            "versions": versions(model=True),
            "model": dict(table.notes),
            "games": {self.game.name: part},
        }
        write_json(self.folder / "scorecards" / f"{name}.json", card)
        if name == "last" and self.recipe.episodes:
            write_text(self.folder / "episodes.jsonl", "".join(json.dumps(line) + "\n" for line in shown()))
        return line

    def _whole(self, name: str) -> tuple[PolicyTable, dict[str, Any], dict[str, Any], Show]:
        learner = Learner(self.policy, self.ground, Schedule(steps=0))
        look = learner.look(gradient=False)
        rows = {d.key: row(d, p) for d, p in zip(learner.decisions, look.rows, strict=True)}
        mass = {d.key: float(m) for d, m in zip(learner.decisions, look.mass, strict=True)}
        table = PolicyTable(
            f"{self.title}/{name}", self.game.name, self.game.rules, rows, mass=mass, notes=dict(self.policy.about())
        )
        line = {**measured(self.ground, look.strategy), "legal_mass": float(look.mass.mean())}
        return table, audit_table(table, self.game), line, lambda: self._on_trees(look.strategy)

    def _asked(self, name: str) -> tuple[PolicyTable, dict[str, Any], dict[str, Any], Show]:
        noted = Noted(self.policy)
        games = {s: make(self.recipe.game, self.recipe.rules, s) for s in SETS}
        settings = self.recipe.audit
        options = Options(
            seed=self.seed, budget=settings.budget, adversaries=settings.adversaries, episodes=settings.episodes
        )
        part = audit(noted, games, options)
        table = noted.table(f"{self.title}/{name}", self.game)
        measures = {s: {k: m and m["value"] for k, m in row.items()} for s, row in part["measures"].items()}
        line = {
            "measures": measures,
            "exploitability": None,
            "legal_mass": part["legal_mass"] and part["legal_mass"]["value"],
        }
        assert isinstance(self.ground, Arena)
        if self.ground.beliefs is not None:
            return table, part, line, self._stepped
        space = self.ground.space
        return table, part, line, lambda: self._on_trees(np.concatenate(table.probabilities(space.questions)))

    def _on_trees(self, strategy: Floats) -> list[dict[str, Any]]:
        """Return sampled episodes of the policy against every opponent, to be read by people."""
        lines = []
        for name, tree, learner, other in _meetings(self.ground, strategy):
            lines += episodes(tree, learner, name, other, self.recipe.episodes, self._key(name))
        return lines

    def _stepped(self) -> list[dict[str, Any]]:
        """Return such episodes of a policy that is no vector, played decision by decision."""
        assert isinstance(self.ground, Arena)
        lines = []
        for name in self.ground.met:
            met = opponent(self.game, name)
            lines += stepped(self.policy, self.game, met, self.recipe.episodes, self._key(name))
        return lines

    def _key(self, opponent: str) -> tuple[object, ...]:
        return "episodes", self.recipe.name, self.seed, opponent


def copy(source: Path, there: str, folder: Path, name: str, title: str, seed: int) -> None:
    """Write the table and scorecard of a policy that was audited as ``there`` in another place once more."""
    card = read_json(source / "scorecards" / f"{there}.json", "scorecard")
    write_json(folder / "scorecards" / f"{name}.json", card | {"policy": f"{title}/{name}", "seed": seed})
    table = (source / "policies" / f"{there}.json").read_text(encoding="utf-8")
    write_text(folder / "policies" / f"{name}.json", table)


class Noted:
    """A model whose answers are noted, so they can be written down after an audit."""

    def __init__(self, policy: DirectPolicy) -> None:
        self.policy = policy
        self.name = policy.name
        self._rows: dict[Game, dict[str, dict[str, float]]] = {}
        self._mass: dict[str, float] = {}

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Ask the model."""
        answers = self.policy.probabilities(decisions)
        for decision, p in zip(decisions, answers, strict=True):
            self._rows.setdefault(decision.game, {})[decision.key] = row(decision, p)
        return answers

    def legal_mass(self) -> Mapping[str, float] | None:
        """Of the decisions asked so far."""
        return self.policy.legal_mass()

    def about(self) -> Mapping[str, Any]:
        """Return what the model says of itself."""
        return self.policy.about()

    def table(self, name: str, game: Game) -> PolicyTable:
        """Return what was answered in a game; uniform elsewhere."""
        rows = self._rows.get(game, {})
        mass = self.policy.legal_mass() or {}
        known = {key: mass[key] for key in rows if key in mass}
        return PolicyTable(name, game.name, game.rules, rows, "uniform", known, dict(self.policy.about()))


def _meetings(ground: Ground, strategy: Floats) -> list[tuple[str, Tree, Floats, Floats]]:
    """Return opponent, tree, learner and opponent's strategy of every meeting that episodes are written of."""
    if isinstance(ground, Tree):
        return [(name, ground, strategy, other) for name, other in scripted(ground).items()]
    return [(o, m.tree, m.profile(strategy), m.other) for o, ms in ground.met.items() for m in ms[:1]]
