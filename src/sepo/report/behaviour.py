"""What the arms have learnt to do: their policy tables at the last step, over seeds, as a plain table.

A game's own panel (see ``report.panels``) is a function from a run to a ``Behaviour``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sepo.display import NONE
from sepo.report.plots import Panel
from sepo.report.read import Run, SeedRun
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import number

FIRST = 24  # information states that the plain table shows


class Spread(NamedTuple):
    """A probability over seeds: the mean, the least and the greatest."""

    mean: float
    low: float
    high: float


class Behaviour(NamedTuple):
    """The panel of a game: a chart, a table, or both."""

    panel: Panel | None
    table: Table


def spread(seeds: Sequence[SeedRun], key: str, action: str) -> Spread | None:
    """Return how probable an action is at an information state, over the seeds whose table has it."""
    rows = [seed.policy.table[key] for seed in seeds if seed.policy is not None and key in seed.policy.table]
    found = [row.get(action, 0.0) for row in rows]
    return Spread(sum(found) / len(found), min(found), max(found)) if found else None


def spread_cell(found: Spread | None) -> Cell:
    """Return a probability as a cell, with the lowest and highest seed below where they differ."""
    if found is None:
        return Cell(NONE)
    return Cell(number(found.mean), "" if found.low == found.high else f"{number(found.low)} to {number(found.high)}")


def first_decisions(run: Run) -> Behaviour:
    """Return a plain table for any game: each action's probability at the first information states."""
    actions: dict[tuple[str, str], None] = {}
    for seeds in run.histories.values():
        for seed in seeds:
            for key, row in list(seed.policy.table.items())[:FIRST] if seed.policy else ():
                actions.update(((key, action), None) for action in row)
    rows = []
    for key in list(dict.fromkeys(key for key, _ in actions))[:FIRST]:
        offered = [action for k, action in actions if k == key]
        for place, action in enumerate(offered):
            cells = [spread_cell(spread(seeds, key, action)) for seeds in run.histories.values()]
            heads = [Head(key or "(start)", "", len(offered))] if place == 0 else []
            rows.append(Row([*heads, Head(action)], cells))
    columns = [Cell("information state"), Cell("action"), *(Cell(name) for name in run.histories)]
    return Behaviour(None, Table("Probability of each action at the first decisions, at the last step", columns, rows))
