"""Scripted policies: a game's named opponents, and the uniform policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sepo.errors import ContractError, InputError
from sepo.games.base import Decision, Game, Opponent
from sepo.policies.base import SUM_TOLERANCE
from sepo.solve.tree import Floats

AXELROD = "axelrod:"


@dataclass(frozen=True)
class ScriptPolicy:
    """Plays one of a game's scripted opponents; which game, the decisions say."""

    name: str
    script: str

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Compute each answer from the script."""
        return [played(opponent(d.game, self.script), d) for d in decisions]

    def legal_mass(self) -> Mapping[str, float] | None:
        """Scripts are no model."""
        return None

    def about(self) -> Mapping[str, Any]:
        """Nothing beyond the name."""
        return {}


@dataclass(frozen=True)
class UniformPolicy:
    """Every legal action with the same probability."""

    name: str = "uniform"

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Return one over the number of legal actions."""
        return [np.full(len(d.legal), 1 / len(d.legal)) for d in decisions]

    def legal_mass(self) -> Mapping[str, float] | None:
        """Uniform play is no model."""
        return None

    def about(self) -> Mapping[str, Any]:
        """Nothing beyond the name."""
        return {}


def opponent(game: Game, name: str) -> Opponent:
    """Look a scripted opponent up: one of the game's own, in ``ipd`` any ``axelrod:STRATEGY``.

    Raises
    ------
    InputError
        If the game has no opponent of that name.
    """
    if name.startswith(AXELROD) and game.name == "ipd":
        from sepo.games.axelrod import strategy  # importing the library takes seconds

        return strategy(name)
    if name not in game.opponents:
        raise InputError(f"unknown script '{name}' in game '{game.name}': it has {', '.join(game.opponents)}")
    return game.opponents[name]


def played(opponent: Opponent, decision: Decision) -> Floats:
    """Return the script's probabilities in the order of ``decision.legal``.

    Raises
    ------
    ContractError
        If the script offers an illegal action, or its probabilities do not sum to 1.
    """
    answer = opponent.script(decision)
    if illegal := [a for a, p in answer.items() if p > 0 and a not in decision.legal]:
        raise ContractError(
            f"script '{opponent.name}' plays the illegal action '{illegal[0]}' at '{decision.key}' "
            f"of game '{decision.game.name}'"
        )
    out = np.array([answer.get(action, 0.0) for action in decision.legal], dtype=float)
    if not (abs(out.sum() - 1) <= SUM_TOLERANCE and (out >= 0).all()):
        raise ContractError(
            f"script '{opponent.name}' at '{decision.key}' of game '{decision.game.name}': probabilities must not be "
            f"negative and sum to 1, unlike {dict(answer)}"
        )
    return out
