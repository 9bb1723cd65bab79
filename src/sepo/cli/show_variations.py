"""The tables of ``sepo audit --wordings`` and ``--horizons``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from sepo.cli.show import figure
from sepo.cli.terminal import console
from sepo.display import number

MEASURED = ("J", "u", "e", "c", "x")
BESIDE = ("worst_case_advantage", "legal_mass")
HEADING = {"worst_case_advantage": "worst case", "legal_mass": "legal mass"}


def show_variations(document: Mapping[str, Any]) -> None:
    """Print a row a variation, one table a game and set of measures, then what varies with the wording."""
    out = console()
    cards = document["scorecards"]
    for game in dict.fromkeys(name for card in cards for name in card["games"]):
        here = [card for card in cards if game in card["games"]]
        for of in here[0]["games"][game]["measures"]:
            out.print(_rows(game, of, here))
    for found in document["spread"]:
        out.print(_spread(found))


def _rows(game: str, of: str, cards: Sequence[Mapping[str, Any]]) -> Table:
    parts = [card["games"][game] for card in cards]
    methods = "/".join(dict.fromkeys(p["method"] for p in parts))
    table = Table(title=f"{game}, {of} measures ({parts[0]['unit']}, {methods})", title_justify="left")
    several = len({card["policy"] for card in cards}) > 1
    named = [k for k in ("policy", "horizon", "wording") if k in cards[0] and (several or k != "policy")]
    for k in named:
        table.add_column({"horizon": "rounds"}.get(k, k), overflow="fold", no_wrap=k != "policy")
    columns = {k: [p["measures"][of][k] for p in parts] for k in MEASURED}
    if of == list(parts[0]["measures"])[-1]:  # what stands beside the measures is by the last set's rules
        columns |= {k: [p.get(k) for p in parts] for k in BESIDE}
    columns = {k: column for k, column in columns.items() if any(f is not None for f in column)}
    for k in columns:
        table.add_column(HEADING.get(k, k), justify="right", overflow="fold")
    for i, card in enumerate(cards):
        table.add_row(*(str(card[k]) for k in named), *(figure(column[i]) for column in columns.values()))
    return table


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
