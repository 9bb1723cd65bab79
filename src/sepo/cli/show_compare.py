"""A comparison in the terminal: sentences first, then a table a game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sepo.audit.meanings import rank
from sepo.cli.show import figure
from sepo.printable import printable
from sepo.report.comparison import each

STYLES = {"better": "green", "worse": "red"}


def show_comparison(document: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what changed, the most important first, and every figure."""
    out = console or Console()
    for found in each(document):
        out.print(f"[bold]{_safe(found['after'])}[/] against [bold]{_safe(found['before'])}[/]", highlight=False)
        out.print(_safe(found["summary"]), highlight=False)
        for verdict in found["verdicts"]:
            if verdict["reading"] != "same":
                style = STYLES.get(verdict["reading"], "")
                word = verdict["reading"] if style else ""
                said = f"[{style}]{word}[/]  {_safe(verdict['said'])}" if style else _safe(verdict["said"])
                out.print(f"  {said}", highlight=False)
        for said in found["caveats"]:
            out.print(f"  [yellow]mind[/]  {_safe(said)}", highlight=False)
        for game, rows in found["games"].items():
            out.print(_table(game, rows, found))


def _table(game: str, rows: list[Mapping[str, Any]], found: Mapping[str, Any]) -> Table:
    table = Table(title=_safe(game), title_justify="left")
    for heading in ("figure", found["before"], found["after"], "difference", "verdict"):
        words = heading in ("figure", "verdict")
        table.add_column(_safe(heading), justify="left" if words else "right", overflow="fold")
    for row in sorted(rows, key=lambda r: rank(r["figure"])):
        reading = row["reading"]
        change = f"{row['difference']:+.4f}"
        if row["low"] is not None and row["high"] - row["low"] > 1e-9:
            change += f" [{row['low']:+.4f}, {row['high']:+.4f}]"
        verdict = "" if reading in ("same", "untold") else reading + (", small" if row["small"] else "")
        cells = [figure(row["before"]), figure(row["after"]), change]
        table.add_row(_safe(row["figure"]), *map(escape, cells), verdict, style=STYLES.get(reading))
    return table


def _safe(text: object) -> str:
    return escape(printable(text))
