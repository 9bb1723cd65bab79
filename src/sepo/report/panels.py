"""The one table of games with a panel of their own, and the plain one for every other game."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sepo.report.behaviour import Behaviour, first_decisions
from sepo.report.kuhn import kuhn
from sepo.report.read import Run

PANELS: Mapping[str, Callable[[Run], Behaviour]] = {"kuhn": kuhn}


def behaviour(run: Run) -> Behaviour | None:
    """Return the panel of the run's game, or None where no arm has written a policy."""
    if not any(seed.policy for seeds in run.histories.values() for seed in seeds):
        return None
    return PANELS.get(run.summary.game, first_decisions)(run)
