"""A run's summary as a table in the terminal: its arms side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from sepo.cli.terminal import console
from sepo.display import NONE, number

if TYPE_CHECKING:
    from sepo.cli.terminal import Console

COLUMNS = ("exploitability", "sepo.J", "sepo.u", "paper.J", "robustness", "held_out", "legal_mass")
VISIBLE = 5e-5
"""What is less than this is nothing in the digits that are shown."""


def show_run(summary: Mapping[str, Any]) -> None:
    """Print the last step of every arm: mean and 95 % interval over seeds, of one seed what its audit leaves open."""
    seeds = len(summary["seeds"])
    title = f"{summary['name']}: {summary['model']}, {seeds} seed{'s' if seeds > 1 else ''}, {summary['unit']}"
    table = Table(title=title, title_justify="left")
    table.add_column("arm")
    columns = [c for c in COLUMNS if any(c in arm["last"] for arm in summary["arms"])]
    for column in columns:
        table.add_column(column, justify="right")
    for arm in summary["arms"]:
        table.add_row(arm["name"], *(_cell(arm["last"].get(c)) for c in columns))
    out = wide()
    out.print(table)
    for arm in summary["arms"]:
        for warning in arm["warnings"]:
            out.print(f"{arm['name']}: {warning}", style="yellow")


def wide() -> Console:
    """Return a console that does not squeeze tables into 80 columns where the output is no terminal."""
    usual = console()
    return usual if usual.is_terminal else console(width=120)


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return NONE
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if figure["n"] == 1 and high - low < VISIBLE:
        return number(value)
    if abs((high - value) - (value - low)) < VISIBLE:
        return f"{number(value)}\n\u00b1{number((high - low) / 2)}"
    return f"{number(value)}\n[{number(low)}, {number(high)}]"
