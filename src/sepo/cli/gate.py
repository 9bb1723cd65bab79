"""``sepo gate``: stop a regression, by exit code."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from sepo.audit.compare import load_card, remarks
from sepo.audit.gate import Bound, document, gate
from sepo.cli.arguments import JsonOption
from sepo.cli.terminal import say, say_json
from sepo.errors import InputError


def command(
    card: Annotated[Path, typer.Argument(help="A scorecard or safety card, as JSON.")],
    against: Annotated[
        Path | None, typer.Option(metavar="BASE.json", help="An earlier one: no figure may be worse, intervals apart.")
    ] = None,
    most: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="NAME=VALUE", help="The figure's interval must end at or below this."),
    ] = None,
    least: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="NAME=VALUE", help="The figure's interval must begin at or above this."),
    ] = None,
    game: Annotated[
        list[str] | None, typer.Option("--game", "-g", help="Only this game, again for more; all unless given.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Hold a scorecard to an earlier one and to bounds: exit code 1, and a line a failed rule, where it fails.

    NAME is a figure such as exploitability, sepo.J or kuhn.exploitability. A figure that is missing is exit code 2.
    """
    bounds = [*(_bound("max", text) for text in most or []), *(_bound("min", text) for text in least or [])]
    base = None if against is None else load_card(against)
    held = load_card(card)
    checks = gate(held, base, bounds, game or ())
    failed = [check for check in checks if not check.passed]
    if json:
        say_json(document(checks))
    else:
        for check in failed:
            say(f"failed: {check.said}")
        if not failed:
            say(f"passed: {len(checks)} checks")
        for said in remarks(held):
            say(said, err=True)
    if failed:
        raise typer.Exit(1)


def _bound(kind: Literal["max", "min"], text: str) -> Bound:
    name, _, value = text.rpartition("=")
    try:
        limit = float(value)
    except ValueError:
        limit = math.nan
    if not name or not math.isfinite(limit):
        raise InputError(f"--{kind} takes NAME=VALUE, such as exploitability=0.1, not '{text}'")
    return Bound(kind, name, limit)
