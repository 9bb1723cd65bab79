"""Weights that find themselves: a budget for a measure in place of a weight, kept by dual ascent. Numbers only.

A budget b on a measure v turns training into a constrained problem: the most payoff among the policies with v <= b.
Its Lagrangian is J with the multiplier in place of the weight, and the multiplier is learnt beside the policy. What
improves the policy, and how the measure is found, is left to the caller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sepo.errors import InputError
from sepo.games.base import Weights

DAMPING = 1.0
"""The proportional gain over the integral one."""
MOST = 100.0
"""No weight rises above this: under a budget that no policy can keep it would rise without end, and any later budget
would take as long to be heard."""


class Dual:
    """Dual ascent on the weights that have a budget.

    Let v_k be a measure after the k-th update of the policy, b its budget and

        g_k = (v_k - b) / max(|v_k|, b),    0 where both are 0,

    the *relative* violation, which lies between -1 and 1 wherever a measure is not negative. Then

        lambda_{k+1} = max(0, lambda_k + rate * (g_k + DAMPING * (g_k - g_{k-1}))),    g_{-1} = g_0.

    - Without the second summand this is projected dual ascent, as in C. Tessler, D. J. Mankowitz and S. Mannor,
      "Reward constrained policy optimization", ICLR 2019, equation 9: g has the sign of the subgradient v - b of the
      dual function, so both rest at the same weights: at v = b, or at lambda = 0 below the budget.
    - Dual ascent alone is an integral controller, and circles around the budget. The second summand adds the
      proportional part of A. Stooke, J. Achiam and P. Abbeel, "Responsive safety in reinforcement learning by PID
      Lagrangian methods", ICML 2020, here in its velocity form; with equal gains it is optimistic gradient ascent,
      whose last iterate converges where that of plain ascent does not (M. Sohrabi et al., "On PI controllers for
      updating Lagrange multipliers in constrained optimization", ICML 2024).
    - Anti-windup comes with the velocity form: the sum itself is cut off at 0, so a measure that stays far below its
      budget stores nothing that must be undone once it does not; and it is cut off at ``MOST``.
    - The division is a departure from all three. A measure may be many times its budget at the start and can never be
      further below it than the budget, so with v - b the weight leaps up and creeps down; and a rate that suits a
      budget of 0.6 is too slow for one of 0.02. Relative, ``rate`` is the most that a weight gains in a step of ascent.

    The saddle point is a stochastic policy wherever the measure jumps with the weight, as it does in small games, and a
    policy that is improved to its best between two updates jumps too. Update often: on a table, at every step of mirror
    descent (see ``train.mirror``), where the measure costs a sweep.

    Parameters
    ----------
    budgets
        By weight, ``e``, ``c`` or ``x``, the most its measure may be. The other weights stay as they start.
    start
        The weights at first.
    rate
        See above; 0.2 suits weights of the order of 1 that are updated some hundred times.

    Raises
    ------
    InputError
        If a budget is for no weight, a budget or a start is negative or not finite, or the rate is not positive.
    """

    def __init__(self, budgets: Mapping[str, float], start: Weights, rate: float) -> None:
        if unknown := [name for name in budgets if name not in Weights._fields]:
            raise InputError(f"a budget is for e, c or x, not '{unknown[0]}'")
        for name, budget in budgets.items():
            if not 0 <= budget < math.inf:
                raise InputError(f"the budget of {name} must be a number that is not negative, not {budget}")
            if not 0 <= getattr(start, name) < math.inf:
                raise InputError(f"the weight {name} must start at a number that is not negative")
        if not 0 < rate < math.inf:
            raise InputError(f"the rate of dual ascent must be positive, not {rate}")
        self.budgets = {name: float(budget) for name, budget in budgets.items()}
        self.rate = rate
        self._weights = start
        self._last: dict[str, float] = {}

    def weights(self) -> Weights:
        """Return the weights as they are now."""
        return self._weights

    def update(self, values: Mapping[str, float | None]) -> Weights:
        """Move the weights by what the measures are now, and return them.

        Parameters
        ----------
        values
            The measures e, c and x; those without a budget may be missing.

        Raises
        ------
        InputError
            If a measure with a budget is missing, does not apply to the game (None) or is not finite. Nothing has
            moved then.
        """
        violations = {name: _violation(name, values.get(name), budget) for name, budget in self.budgets.items()}
        moved = {}
        for name, g in violations.items():
            step = self.rate * (g + DAMPING * (g - self._last.get(name, g)))
            moved[name] = min(MOST, max(0.0, getattr(self._weights, name) + step))
        self._weights = self._weights._replace(**moved)
        self._last = violations
        return self._weights

    def state(self) -> dict[str, Any]:
        """Return what the next update depends on, as JSON has it."""
        return {"weights": self._weights._asdict(), "last": dict(self._last)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.

        Raises
        ------
        InputError
            If it is no state of such weights.
        """
        try:
            weights = Weights(**{name: float(value) for name, value in state["weights"].items()})
            last = {str(name): float(value) for name, value in state["last"].items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(
                "a state of dual ascent holds 'weights' of e, c and x, and their 'last' violations"
            ) from None
        if set(last) - set(self.budgets):
            raise InputError(f"a state of dual ascent on {', '.join(last)} does not fit budgets of other weights")
        self._weights, self._last = weights, last


def _violation(name: str, value: float | None, budget: float) -> float:
    if value is None or not math.isfinite(value):
        raise InputError(f"the weight {name} has a budget, but its measure is {'missing' if value is None else value}")
    scale = max(abs(value), budget)
    return (value - budget) / scale if scale > 0 else 0.0
