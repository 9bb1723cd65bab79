"""What a finished arm leaves behind: its policy as a table, its scorecard, and episodes to read.

A small game is scored whole and its figures are exact. In a large one the audit asks about the states that matter
most, within the recipe's budget, and every figure has bounds.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sepo.audit.arena import SETS, Arena, Ground, scripted, small, trained_on
from sepo.audit.clusters import clusters
from sepo.audit.compare import CARD_SCHEMA
from sepo.audit.methods import Options
from sepo.audit.scorecard import audit_tables, document, inspect, versions
from sepo.files import read_json, write_json, write_text
from sepo.games.base import Decision, Game
from sepo.games.registry import make
from sepo.play.episode import episodes, stepped
from sepo.policies.base import Policy
from sepo.policies.direct import DirectPolicy
from sepo.policies.script import opponent
from sepo.policies.table import PolicyTable, noted, row
from sepo.solve.tree import Floats, Tree
from sepo.train.apart import CLUSTERS
from sepo.train.learner import Learner, Look
from sepo.train.part import Part
from sepo.train.sections import Schedule

Show = Callable[[], list[dict[str, Any]]]


class Audited(NamedTuple):
    """What an audit found.

    Attributes
    ----------
    table
        The policy.
    card
        Its part of the scorecard.
    line
        Its metrics.
    show
        Plays episodes to be read.
    clusters
        What was found cluster by cluster, where figures are of clusters drawn: see ``audit.clusters``.
    """

    table: PolicyTable
    card: dict[str, Any]
    line: dict[str, Any]
    show: Show
    clusters: dict[str, Any] | None = None


class Auditor(ABC):
    """Audits one arm and seed of a run in one of its games."""

    def __init__(self, part: Part) -> None:
        self.part, self.recipe, self.seed, self.folder = part, part.recipe, part.seed, part.folder
        self.games = {s: make(part.recipe.game, part.recipe.rules, s) for s in SETS}
        self.game = self.games[part.recipe.measures]
        self.ground = small(self.game) if part.recipe.practice else part.domain.ground  # by the audit's rules
        self.title = f"{part.recipe.name}/{part.arm.name}/seed-{part.seed}"

    @abstractmethod
    def audited(self, name: str) -> Audited:
        """Audit the policy as it is now."""

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
        table, part, line, show, drawn = self.audited(name)
        self._in_part(table, part).save(self.folder / "policies" / f"{name}.json")
        card = {
            "schema": CARD_SCHEMA,
            "policy": table.name,
            "seed": self.seed,
            "versions": versions(model=True),
            "model": dict(table.notes),
            "games": {self.game.name: part},
        }
        write_json(self.folder / "scorecards" / f"{name}.json", card)
        if name == "last" and drawn is not None:
            write_json(self.folder / CLUSTERS, drawn)
        if name == "last" and self.recipe.episodes:
            write_text(self.folder / "episodes.jsonl", "".join(json.dumps(line) + "\n" for line in show()))
        return line

    def _in_part(self, table: PolicyTable, part: Mapping[str, Any]) -> PolicyTable:
        """Note in a table that is uniform where the model was not asked in how many information states it was."""
        asked, states = len(table.table), part.get("states")
        same = states is not None and dict(part["rules"]) == dict(table.rules)
        reachable = states["reachable"] if states is not None and same else None
        if table.default is None or asked == reachable:
            return table
        return replace(table, notes=noted(table.notes, asked, reachable))

    def line(
        self, measures: Mapping[str, Mapping[str, float | None]], exploitability: float | None, mass: float | None
    ) -> dict[str, Any]:
        """Return the metrics of what was audited; of measures and exploitability what is of the game of the steps.

        A set of measures whose rules are others, by its preset or as training plays by others than the audit, is left
        out: it is of another game than the steps' figures, beside which the line stands.
        """
        played = dict(self.part.domain.game.rules)
        return {
            "measures": {s: measures[s] for s, g in self.games.items() if s in measures and dict(g.rules) == played},
            "exploitability": exploitability if dict(self.games["sepo"].rules) == played else None,
            "legal_mass": mass,
        }

    def options(self) -> Options:
        """Return how the audit goes about a game that is not scored whole."""
        settings = self.recipe.audit
        return Options(
            seed=self.seed, budget=settings.budget, adversaries=bool(settings.adversaries), episodes=settings.episodes
        )

    def stepped(self, policy: Policy) -> list[dict[str, Any]]:
        """Return sampled episodes against every opponent, to be read by people, played decision by decision."""
        met = self.game.opponents if isinstance(self.ground, Tree) else trained_on(self.game)
        lines = []
        for name in met:
            other = opponent(self.game, name)
            lines += stepped(policy, self.game, other, self.recipe.episodes, self.key(name))
        return lines

    def key(self, opponent: str) -> tuple[object, ...]:
        """Return the key of the episodes against an opponent."""
        return "episodes", self.recipe.name, self.seed, opponent


class ScoredAuditor(Auditor):
    """Audits a model that is scored on its legal actions.

    Parameters
    ----------
    policy
        The model, in float32; its trained weights are put in place before each ``write``.
    """

    def __init__(self, part: Part, policy: DirectPolicy) -> None:
        super().__init__(part)
        self.policy = policy

    def audited(self, name: str) -> Audited:
        """Score a game whole where it is small by the rules of both sets; else ask about what matters most."""
        trees = {game: self.ground if game == self.game else small(game) for game in self.games.values()}
        whole = {game: tree for game, tree in trees.items() if isinstance(tree, Tree)}
        return self._whole(name, whole) if len(whole) == len(trees) else self._asked(name)

    def _whole(self, name: str, trees: Mapping[Game, Tree]) -> Audited:
        looks = {
            game: Learner(self.policy, tree, Schedule(steps=0)).look(gradient=False) for game, tree in trees.items()
        }
        tables = {game: self._table(name, game, look) for game, look in looks.items()}
        look = looks[self.game]
        part = audit_tables(tables, self.games, adversaries=self.recipe.audit.adversaries is not False)
        exploitable = part["exploitability"]
        line = self.line(measures_of(part), exploitable and exploitable["value"], float(look.mass.mean()))
        return Audited(tables[self.game], part, line, lambda: self._on_trees(trees[self.game], look.strategy))

    def _table(self, name: str, game: Game, look: Look) -> PolicyTable:
        """Write a look at all of a game out."""
        asked = look.asked.decisions
        rows = {d.key: row(d, p) for d, p in zip(asked, look.rows, strict=True)}
        mass = {d.key: float(m) for d, m in zip(asked, look.mass, strict=True)}
        return PolicyTable(
            f"{self.title}/{name}", game.name, game.rules, rows, mass=mass, notes=dict(self.policy.about())
        )

    def _asked(self, name: str) -> Audited:
        noted = Noted(self.policy)
        options = self.options()
        found = inspect(noted, self.games, options)
        part, drawn = document(found, options), clusters(found)
        table = noted.table(f"{self.title}/{name}", self.game)
        line = self.line(measures_of(part), None, part["legal_mass"] and part["legal_mass"]["value"])
        if not isinstance(ground := self.ground, Arena) or ground.beliefs is not None:
            return Audited(table, part, line, lambda: self.stepped(self.policy), drawn)
        answers = table.probabilities(ground.space.questions)
        return Audited(table, part, line, lambda: self._on_trees(ground, np.concatenate(answers)), drawn)

    def _on_trees(self, ground: Ground, strategy: Floats) -> list[dict[str, Any]]:
        """Return such episodes of a policy that is a vector."""
        lines = []
        for name, tree, learner, other in _meetings(ground, strategy):
            lines += episodes(tree, learner, name, other, self.recipe.episodes, self.key(name))
        return lines


def measures_of(part: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the values of the measures in a game's part of a scorecard, by set."""
    return {s: {k: m and m["value"] for k, m in row.items()} for s, row in part["measures"].items()}


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
        self._mass: dict[Game, dict[str, float]] = {}

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Ask the model."""
        answers = self.policy.probabilities(decisions)
        mass = self.policy.legal_mass() or {}  # by key: of games that are put otherwise it has the last one's
        for decision, p in zip(decisions, answers, strict=True):
            self._rows.setdefault(decision.game, {})[decision.key] = row(decision, p)
            if decision.key in mass:
                self._mass.setdefault(decision.game, {})[decision.key] = mass[decision.key]
        return answers

    def legal_mass(self) -> Mapping[str, float] | None:
        """Of the decisions asked so far."""
        return self.policy.legal_mass()

    def about(self) -> Mapping[str, Any]:
        """Return what the model says of itself."""
        return self.policy.about()

    def table(self, name: str, game: Game) -> PolicyTable:
        """Return what was answered in a game; uniform elsewhere."""
        rows, mass = self._rows.get(game, {}), self._mass.get(game, {})
        return PolicyTable(name, game.name, game.rules, rows, "uniform", mass, dict(self.policy.about()))


def _meetings(ground: Ground, strategy: Floats) -> list[tuple[str, Tree, Floats, Floats]]:
    """Return opponent, tree, learner and opponent's strategy of every meeting that episodes are written of."""
    if isinstance(ground, Tree):
        return [(name, ground, strategy, other) for name, other in scripted(ground).items()]
    return [(o, m.tree, m.profile(strategy), m.other) for o, ms in ground.met.items() for m in ms[:1]]
