"""The one table of games with a panel of their own; shares of actions for others, a plain table for unknown games."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sepo.games.registry import GAMES
from sepo.report.behaviour import Behaviour, first_decisions
from sepo.report.conduct import conduct
from sepo.report.kuhn import kuhn
from sepo.report.read import Run

PANELS: Mapping[str, Callable[[Run], Behaviour]] = {"kuhn": kuhn}


def behaviour(run: Run) -> Behaviour | None:
    """Return the panel of the run's game, or None where nothing is known of what the arms do."""
    known = any(seed.policy for seeds in run.histories.values() for seed in seeds)
    if known and run.summary.game in PANELS:
        return PANELS[run.summary.game](run)
    if run.summary.game in GAMES and (found := conduct(run)) is not None:
        return found
    return first_decisions(run) if known else None
