"""How arms of a run differ, seed by seed.

Arms of one seed start from the same model, so their figures are paired by seed. Where audits draw, both arms were met
by the same clusters as well (instances, or cards and coins), and a difference has the interval that these leave of it:
much less than the two arms' own intervals add up to.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from sepo.audit.arena import SETS
from sepo.audit.clusters import read_clusters
from sepo.audit.compare import REPORTED, figures, known
from sepo.audit.methods import Options
from sepo.audit.scorecard import Games, Inspected, between
from sepo.files import read_json
from sepo.games.registry import make
from sepo.train.part import unit_folder
from sepo.train.recipe import Recipe
from sepo.train.seeds import BySeed, Figure, paired

CLUSTERS = "clusters.json"
"""Of a unit: what the audit of its last step found in each cluster, where it drew some."""


def by_seed(recipe: Recipe, arm: str, folder: Path) -> dict[str, dict[int, Figure]]:
    """Return the figures of an arm's last steps, by name and seed."""
    out: dict[str, dict[int, Figure]] = {}
    for seed in recipe.seeds:
        unit = unit_folder(folder, arm, seed)
        if (unit / "done.json").exists():
            card = read_json(unit / "scorecards" / "last.json", "scorecard")["games"][recipe.game]
            for name, figure in figures(card):
                out.setdefault(name, {})[seed] = Figure(figure["value"], figure["low"], figure["high"])
    return out


class Apart:
    """The differences between the last steps of a run's arms.

    Parameters
    ----------
    folder
        Of the run, in one of its games.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder = recipe, folder
        self._figures: dict[str, BySeed] = {}
        self._clusters: dict[tuple[str, int], Inspected | None] = {}
        self._found: dict[tuple[str, str], BySeed] = {}

    def __call__(self, ours: str, theirs: str) -> BySeed:
        """Return an arm's figures minus another's, by name and seed, over the seeds that both finished."""
        if (ours, theirs) not in self._found:
            one, two = self.figures(ours), self.figures(theirs)
            found = {name: paired(of, two.get(name, {})) for name, of in one.items()}
            for seed in _seeds(found):
                for name, figure in self._drawn(ours, theirs, seed).items():
                    if seed in found.get(name, ()):
                        found[name][seed] = figure
            self._found[ours, theirs] = found
        return self._found[ours, theirs]

    def figures(self, arm: str) -> BySeed:
        """Return the figures of an arm's last steps, by name and seed."""
        if arm not in self._figures:
            self._figures[arm] = by_seed(self.recipe, arm, self.folder)
        return self._figures[arm]

    @property
    def over_clusters(self) -> bool:
        """Whether a difference that was asked for is over the clusters of two audits."""
        asked = ((*arms, seed) for arms, found in self._found.items() for seed in _seeds(found))
        return any(self._pair(*which) is not None for which in asked)

    def _drawn(self, ours: str, theirs: str, seed: int) -> dict[str, Figure]:
        """Return the differences of a seed over the clusters that both arms were audited on, if they were on any."""
        if (pair := self._pair(ours, theirs, seed)) is None:
            return {}
        game = self.recipe.game
        one, two = ({game: of} for of in pair)
        found = between(two, one, Options(seed=seed)).get(game, {})
        return {
            key if of == REPORTED else f"{of}.{key}": Figure(figure["value"], figure["low"], figure["high"])
            for of, row in found.items()
            for key, figure in row.items()
            if figure is not None and known(figure)
        }

    def _pair(self, ours: str, theirs: str, seed: int) -> tuple[Inspected, Inspected] | None:
        """Return what the audits of two arms found in their clusters; None if one has none."""
        one, two = (self._of(arm, seed) for arm in (ours, theirs))
        return None if one is None or two is None else (one, two)

    @cached_property
    def _games(self) -> Games:
        return {of: make(self.recipe.game, self.recipe.rules, of) for of in SETS}

    def _of(self, arm: str, seed: int) -> Inspected | None:
        if (arm, seed) not in self._clusters:
            file = unit_folder(self.folder, arm, seed) / CLUSTERS
            self._clusters[arm, seed] = read_clusters(file, self._games) if file.exists() else None
        return self._clusters[arm, seed]


def _seeds(found: BySeed) -> set[int]:
    return {seed for of in found.values() for seed in of}
