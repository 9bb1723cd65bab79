"""Anyone's agent as a policy: a Python function from a decision to the probability of each action.

It must answer the same question alike, as a behavioural strategy does, so each is asked once and its answer kept. An
agent that draws its actions is to return the probabilities that it draws them with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sepo.errors import ContractError
from sepo.games.base import Decision, Game
from sepo.solve.tree import Floats

Answer = Mapping[str, float] | Sequence[float] | Floats | str
"""Probabilities by action, those left out having none; or in the order of ``decision.legal``; or one action."""
Agent = Callable[[Decision], Answer]


@dataclass(frozen=True, eq=False)
class FunctionPolicy:
    """Plays what a function says.

    Attributes
    ----------
    function
        What it is asked is the decision: ``decision.legal``, the actions; ``decision.key``, the information state in
        short; ``decision.view``, all that the seat has seen; ``decision.game``; ``decision.chat()``, the same in words.
    """

    name: str
    function: Agent
    _answers: dict[tuple[Game, str], Floats] = field(default_factory=dict, repr=False)

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Ask the function what it was not asked before.

        Raises
        ------
        ContractError
            If it names an action that is not legal, or its answer is neither probabilities nor an action.
        """
        for d in decisions:
            if (d.game, d.key) not in self._answers:
                self._answers[d.game, d.key] = self._asked(d)
        return [self._answers[d.game, d.key] for d in decisions]

    def legal_mass(self) -> Mapping[str, float] | None:
        """Functions are no model."""
        return None

    def about(self) -> Mapping[str, Any]:
        """Nothing beyond the name."""
        return {}

    def _asked(self, decision: Decision) -> Floats:
        answer = self.function(decision)
        where = f"policy '{self.name}' at information state '{decision.key}' of game '{decision.game.name}'"
        if isinstance(answer, str):
            answer = {answer: 1.0}
        if isinstance(answer, Mapping):
            if illegal := [a for a in answer if a not in decision.legal]:
                raise ContractError(
                    f"{where}: '{illegal[0]}' is no legal action; legal are {', '.join(decision.legal)}"
                )
            answer = [answer.get(action, 0.0) for action in decision.legal]
        try:
            return np.array(answer, dtype=float)
        except (TypeError, ValueError):
            shown = repr(answer) if len(repr(answer)) < 60 else f"{repr(answer)[:56]}..."
            raise ContractError(
                f"{where}: an answer is a probability for each action or one action, not {shown}"
            ) from None
