"""A policy that answers like a model: it can only be asked, and every batch of questions is noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sepo.games.base import Decision, Game
from sepo.keys import generator
from sepo.policies.table import PolicyTable
from sepo.solve.tree import Floats


class Hidden:
    """Random answers by key, uniform over each simplex; ``sharpness`` 0 is a deterministic policy."""

    def __init__(self, seed: int, sharpness: float = 1.0, mass: float | None = None) -> None:
        self.name = f"hidden {seed}"
        self.seed, self.sharpness, self.mass = seed, sharpness, mass
        self.calls: list[list[str]] = []

    @property
    def asked(self) -> list[str]:
        return [key for call in self.calls for key in call]

    def answer(self, decision: Decision) -> Floats:
        n = len(decision.legal)
        rng = generator(self.seed, decision.key)
        if self.sharpness == 0:
            return np.eye(n)[rng.integers(n)]
        return rng.dirichlet(np.full(n, self.sharpness))

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        self.calls.append([d.key for d in decisions])
        return [self.answer(d) for d in decisions]

    def legal_mass(self) -> Mapping[str, float] | None:
        return None if self.mass is None else dict.fromkeys(self.asked, self.mass)

    def about(self) -> Mapping[str, Any]:
        return {}


def written_out(hidden: Hidden, game: Game, decisions: Sequence[Decision]) -> PolicyTable:
    """Write a hidden policy's answers down, so that it is known."""
    rows = {d.key: dict(zip(d.legal, (p := hidden.answer(d)) / p.sum(), strict=True)) for d in decisions}
    table = {key: {a: float(x) for a, x in row.items()} for key, row in rows.items()}
    return PolicyTable(hidden.name, game.name, game.rules, table)


def pool_names(game: Game) -> tuple[str, ...]:
    """Return every opponent of every pool once."""
    sets = (game.measures("paper"), game.measures("sepo"))
    return tuple(dict.fromkeys(o for m in sets for names in m.pools.values() for o in names))
