"""``sepo solve``: the best policy there is for J, which no training can exceed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sepo.audit.arena import ground_of
from sepo.audit.ceiling import ceiling, written
from sepo.audit.measures import parts, terms
from sepo.cli.arguments import RuleOption, parse_choice, parse_rules, parse_weights
from sepo.games.base import MeasureName
from sepo.games.registry import make


def command(
    game: Annotated[str, typer.Argument(metavar="GAME", help="A game; see `sepo games`.")],
    measures: Annotated[str, typer.Option(help="paper or sepo: whose J is maximised, by the rules of its preset.")] = (
        "sepo"
    ),
    weights: Annotated[
        str | None, typer.Option("--lambda", metavar="E,C,X", help="Weights of e, c and x, unless those of the set.")
    ] = None,
    rule: RuleOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the policy as a table file.")] = None,
) -> None:
    """Find the policy that maximises J over all behavioural strategies: the ceiling."""
    name: MeasureName = "paper" if parse_choice(measures, ("paper", "sepo"), "measures") == "paper" else "sepo"
    played = make(game, parse_rules(rule or []), name)
    chosen = played.measures(name)
    lambdas = parse_weights(weights, chosen.weights)
    ground = ground_of(played)
    found = ceiling(ground, chosen, lambdas)
    figures = parts(terms(ground, chosen, found.strategy, lambdas), chosen)
    if out is not None:  # uniform where no opponent of the pools leads
        written(ground, found.strategy, f"ceiling:{game}:{name}", notes={"J": found.j}).save(out)
    document: dict[str, Any] = {
        "schema": "sepo.ceiling/1",
        "game": played.name,
        "rules": dict(played.rules),
        "measures": name,
        "weights": lambdas._asdict(),
        "J": found.j,
        "bound": found.bound,
    } | dict(figures)
    if as_json:
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
        return
    shown = "  ".join(f"{k} {v:.4f}" for k, v in figures.items() if v is not None)
    typer.echo(f"{game}, {name} measures, lambda {', '.join(f'{w:g}' for w in lambdas)}: J {found.j:.4f}  ({shown})")
    if found.bound - found.j > 1e-6:
        typer.echo(f"no policy has J above {found.bound:.6f}")
