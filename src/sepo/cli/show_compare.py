"""A comparison in the terminal: sentences first, then a table a game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from sepo.audit.meanings import rank
from sepo.cli.show import figure
from sepo.cli.terminal import console
from sepo.report.comparison import each

STYLES = {"better": "green", "worse": "red"}


def show_comparison(document: Mapping[str, Any]) -> None:
    """Print what changed, the most important first, and every figure."""
    out = console()
    for found in each(document):
        out.print(Text.assemble((found["after"], "bold"), " against ", (found["before"], "bold")))
        out.print(found["summary"])
        for verdict in found["verdicts"]:
            if verdict["reading"] != "same":
                style = STYLES.get(verdict["reading"], "")
                word = verdict["reading"] if style else ""
                out.print(Text.assemble("  ", (word, style), "  " if word else "", verdict["said"]))
        for said in found["caveats"]:
            out.print(Text.assemble("  ", ("mind", "yellow"), f"  {said}"))
        for game, rows in found["games"].items():
            out.print(_table(game, rows, found))


def _table(game: str, rows: list[Mapping[str, Any]], found: Mapping[str, Any]) -> Table:
    table = Table(title=game, title_justify="left")
    for heading in ("figure", found["before"], found["after"], "difference", "verdict"):
        words = heading in ("figure", "verdict")
        table.add_column(heading, justify="left" if words else "right", overflow="fold")
    for row in sorted(rows, key=lambda r: rank(r["figure"])):
        reading = row["reading"]
        change = f"{row['difference']:+.4f}"
        if row["low"] is not None and row["high"] - row["low"] > 1e-9:
            change += f" [{row['low']:+.4f}, {row['high']:+.4f}]"
        verdict = "" if reading in ("same", "untold") else reading + (", small" if row["small"] else "")
        cells = [figure(row["before"]), figure(row["after"]), change]
        table.add_row(row["figure"], *cells, verdict, style=STYLES.get(reading))
    return table
