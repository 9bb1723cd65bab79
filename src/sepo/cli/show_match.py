"""A match as tables in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from sepo.cli.show import figure
from sepo.cli.terminal import console
from sepo.display import number


def show_match(document: Mapping[str, Any]) -> None:
    """Print what everyone earns against everyone, and how they rate."""
    out = console()
    names = document["policies"]
    title = f"{document['game']} ({document['unit']}, {document['method']}): what the row earns"
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    for name in names:
        table.add_column(f"against {name}", justify="right")
    for name, row in zip(names, document["payoffs"], strict=True):
        table.add_row(name, *map(figure, row))
    out.print(table)
    nash = document["nash_average"]
    ranked = sorted(range(len(names)), key=lambda i: -document["ratings"][i]["value"])
    table = Table(title="how far it is ahead, on average", title_justify="left")
    for heading in ("policy", "of all alike (rating)", "of the Nash average", "weight there"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for i in ranked:
        skill, weight = (number(nash[key][i]) for key in ("skills", "weights"))
        table.add_row(names[i], figure(document["ratings"][i]), skill, weight)
    out.print(table)
