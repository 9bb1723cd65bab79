"""``sepo solve``: the best policy there is for J, which no training can exceed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.audit.measures import KINDS
from sepo.cli.arguments import RuleOption, parse_choice, parse_rules, parse_weights
from sepo.cli.terminal import say, say_json
from sepo.display import number
from sepo.files import check_writable
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
    worst_case: Annotated[
        float | None,
        typer.Option(
            "--worst-case",
            metavar="POINTS",
            help="Only policies that no opponent is ahead of by more than this, per round.",
        ),
    ] = None,
    rule: RuleOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the policy as a table file.")] = None,
) -> None:
    """Find the policy that maximises J over all behavioural strategies: the ceiling."""
    from sepo.audit.solved import solved  # scipy takes half a second to import

    if out is not None:
        check_writable(out)
    name: MeasureName = "paper" if parse_choice(measures, ("paper", "sepo"), "measures") == "paper" else "sepo"
    played = make(game, parse_rules(rule or []), name)
    lambdas = parse_weights(weights, played.measures(name).weights)
    document, table = solved(played, name, lambdas, worst_case)
    if out is not None:
        table.save(out)
    if as_json:
        say_json(document)
        return
    shown = "  ".join(f"{k} {number(document[k])}" for k in KINDS if document[k] is not None)
    said = ", ".join(f"{w:g}" for w in lambdas)
    capped = "" if worst_case is None else f", worst-case advantage at most {worst_case:g}"
    say(f"{game}, {name} measures, lambda {said}{capped}: J {number(document['J'])}  ({shown})")
    if document.get("price"):
        say(f"a point of worst-case advantage less would cost {number(document['price'])} of J")
    if document["bound"] - document["J"] > 1e-6:
        say(f"no policy has J above {number(document['bound'], 6)}")
