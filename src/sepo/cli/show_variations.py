"""The tables of ``sepo audit --wordings`` and ``--horizons``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from sepo.cli.show import figure
from sepo.cli.terminal import console
from sepo.display import number

MEASURED = ("J", "u", "e", "c", "x")
BESIDE = ("worst_case_advantage", "legal_mass")
HEADING = {"worst_case_advantage": "worst case", "legal_mass": "legal mass"}


def show_variations(document: Mapping[str, Any]) -> None:
    """Print what was found of each game and policy, a row a wording or horizon, then what varies with the wording.

    Where both vary, each horizon has tables of its own.
    """
    out = console()
    cards = document["scorecards"]
    several = len({card["policy"] for card in cards}) > 1
    row = "wording" if "wording" in cards[0] else "horizon"
    for game in dict.fromkeys(name for card in cards for name in card["games"]):
        groups: dict[tuple[str, int | None], list[Mapping[str, Any]]] = {}
        for card in cards:
            if game in card["games"]:
                rounds = card.get("horizon") if row == "wording" else None
                groups.setdefault((card["policy"], rounds), []).append(card)
        for (policy, rounds), here in groups.items():
            parts = [card["games"][game] for card in here]
            of = game if rounds is None else f"{game}, {rounds} rounds"
            methods = "/".join(dict.fromkeys(p["method"] for p in parts))
            out.print(f"{policy}: {of}" if several else of, f"({parts[0]['unit']}, {methods})")
            for table in _tables({"horizon": "rounds"}.get(row, row), [str(card[row]) for card in here], parts):
                out.print(table)
    for found in document["spread"]:
        out.print(_spread(found))


def _tables(heading: str, names: Sequence[str], parts: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    """Make a table a set of measures, and one of what stands beside them, which is by the last set's rules."""
    found = {
        f"{of} measures": {k: [p["measures"][of][k] for p in parts] for k in MEASURED} for of in parts[0]["measures"]
    }
    found["beside the measures"] = {k: [p.get(k) for p in parts] for k in BESIDE}
    for title, figures in found.items():
        columns = {k: column for k, column in figures.items() if any(f is not None for f in column)}
        if not columns:
            continue
        table = Table(title=title, title_justify="left")
        table.add_column(heading, no_wrap=True)
        for k in columns:
            table.add_column(HEADING.get(k, k), justify="right", overflow="fold")
        for i, name in enumerate(names):
            table.add_row(name, *(figure(column[i]) for column in columns.values()))
        yield table


def _spread(found: Mapping[str, Any]) -> Table:
    several = len(found["policies"]) > 1
    rounds = f", {found['horizon']} rounds" if "horizon" in found else ""
    of = f"{len(found['wordings'])} wordings" + (f", {len(found['policies'])} policies" if several else "")
    table = Table(title=f"{found['game']}{rounds}: {of}", title_justify="left")
    headings = {"mean": "mean", "sd_wording": "sd between wordings"}
    if several:
        headings |= {"sd_policy": "sd between policies", "share_wording": "variance that is wording"}
    table.add_column("figure")
    for heading in headings.values():
        table.add_column(heading, justify="right")
    for name, row in found["figures"].items():
        if "." not in name and name not in BESIDE:
            continue
        cells = [f"{row[k]:.0%}" if k.startswith("share") and row[k] is not None else number(row[k]) for k in headings]
        table.add_row(HEADING.get(name, name.replace(".", " ")), *cells, style="bold" if name.endswith(".J") else None)
    return table
