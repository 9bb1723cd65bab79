"""What J is at a step of training: whom the policy meets there, and what each term weighs.

Both may move: exploiters are found as the policy changes, and a weight with a budget follows its measure. What the
policy learns from the terms is left to ``train.objective`` and ``train.target``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sepo.audit.arena import BEST_RESPONSE, Adversary, Ground, respond
from sepo.audit.encounter import GAIN
from sepo.audit.measures import BEHIND, KINDS, Play, Term, measure, per_round, playing, terms
from sepo.errors import InputError
from sepo.games.base import MeasureSet, Weights
from sepo.solve.tree import Floats
from sepo.train.dual import Dual
from sepo.train.league import League, itself
from sepo.train.sections import TrainSection, weights


class Opposition:
    """The terms of J as they stand, at the weights and against the exploiters of the moment.

    Parameters
    ----------
    ground
        Where the game is played.
    measures
        The measures of J, with their own weights and pools.
    section
        What the recipe says of weights and exploiters.

    Attributes
    ----------
    lambdas
        The weights now.
    response
        The opponent's strategy that is held fixed between two searches for a best response, if one is.
    league
        The exploiters found so far, where they are kept.

    Raises
    ------
    InputError
        If a measure has a budget that does not apply to the game.
    """

    def __init__(self, ground: Ground, measures: MeasureSet, section: TrainSection) -> None:
        self.ground, self.measures, self.section = ground, measures, section
        self.lambdas: Weights = weights(section.lambda_, measures.weights)
        self.dual = self._dual() if section.lambda_.budgets else None
        self.response: Floats | None = None
        self.league = League(ground) if section.exploiter in ("growing", "league") else None

    def _dual(self) -> Dual:
        budgets = self.section.lambda_.budgets
        for name in ("c", "x"):
            if name in budgets and getattr(self.measures, name) is None:
                raise InputError(
                    f"{name} has a budget, but does not apply to the {self.measures.name} measures of this game"
                )
        return Dual(budgets, self.lambdas, self.section.lambda_.rate)

    def ascend(self, policy: Floats | Play) -> None:
        """Move the weights that have a budget, if any, by what the measures are at a policy (entries,)."""
        if self.dual is not None:
            found = self.terms(policy)
            self.lambdas = self.dual.update({kind: measure(found, kind) for kind in KINDS})

    @property
    def pace(self) -> float:
        """What a step on J is multiplied by: less than 1 where weights with a budget have grown.

        1 / (1 + their sum), as A. Stooke, J. Achiam and P. Abbeel scale the gradient of a Lagrangian ("Responsive
        safety in reinforcement learning by PID Lagrangian methods", ICML 2020). Otherwise a weight that grows makes
        steps long, long steps circle, what circles stays above its budget, and the weight grows.
        """
        return 1.0 if self.dual is None else 1.0 / (1.0 + sum(getattr(self.lambdas, k) for k in self.dual.budgets))

    def terms(self, policy: Floats | Play) -> list[Term]:
        """Return the terms of J at a policy (entries,)."""
        play = playing(policy)
        exploiters = self._exploiters(play.learner)
        return terms(self.ground, self.measures, play, self.lambdas, exploiters, self.section.margin)

    def standing(self) -> tuple[object, ...]:
        """Return what the terms of J depend on beside the policy; each part is replaced where it changes."""
        return (self.lambdas, self.response, *(self.league.found if self.league is not None else ()))

    def _exploiters(self, policy: Floats) -> Sequence[Adversary | str]:
        """Return the adversaries of e: the pool, the best response to ``policy``, both, or all found so far."""
        if self.league is not None:
            return [*self.measures.pools["exploiter"], *self.league.found]
        fixed = () if self.section.exploiter == "best_response" else self.measures.pools["exploiter"]
        if self.section.exploiter == "pool":
            return fixed
        if self.response is not None:
            return [*fixed, Adversary(BEST_RESPONSE, self.response)]
        return [*fixed, self.respond(policy)]

    def respond(self, policy: Floats) -> Adversary:
        """Return the opponent that gets farthest ahead of a policy (entries,)."""
        wanted = {"own": 1.0} if self.ground.game.zero_sum else GAIN
        return respond(self.ground, policy, wanted)

    def renew(self, policy: Floats, number: int) -> None:
        """Search for an exploiter of a policy (entries,), where one is due at this step."""
        due = number % self.section.best_response_every == 0
        if self.league is not None:
            if due:
                past = self.section.exploiter == "league"
                self.league.note(itself(self.ground, policy) if past else self.respond(policy))
            return
        if self.section.exploiter == "pool" or self.section.best_response_every == 1:
            return
        if self.response is None or due:
            self.response = self.respond(policy).strategy

    def now(self, policy: Floats) -> dict[str, Any]:
        """Return how far the worst opponent is ahead, beside the pool's e, and how many were found; and the weights."""
        told: dict[str, Any] = {}
        if self.section.exploiter != "pool":
            worst = self.respond(policy)
            ahead = [per_round(self.ground, policy, worst, s, BEHIND) for s in self.ground.game.seats]
            told["worst_case_advantage"] = float(np.mean(ahead))
        if self.league is not None:
            told["exploiters_found"] = len(self.league.found)
        if self.dual is not None:
            told["lambda"] = self.lambdas._asdict()
        return told

    def state(self) -> dict[str, Any]:
        """Return what the terms of the next step depend on, as a checkpoint has it."""
        return {
            "response": None if self.response is None else torch.from_numpy(self.response.copy()),
            "league": self.league.state() if self.league is not None else None,
            "dual": self.dual.state() if self.dual is not None else None,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.response = None if state["response"] is None else state["response"].numpy()
        if self.league is not None:
            self.league.load(state["league"])
        if self.dual is not None:
            self.dual.load(state["dual"])
            self.lambdas = self.dual.weights()
