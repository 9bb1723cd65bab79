"""``sepo audit``: the scorecard of one or more policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from sepo.audit.scorecard import Sets, scorecard
from sepo.cli.arguments import JsonOption, OutOption, announced, games_of, parse_choice
from sepo.files import dump_json, write_json
from sepo.games.registry import make
from sepo.policies.spec import load_policy


def command(
    policies: Annotated[list[str], typer.Argument(metavar="POLICY...", help="Policies to audit, in the order shown.")],
    game: Annotated[str, typer.Option("--game", "-g", help="A game, or all that the policy can play.")] = "all",
    measures: Annotated[str, typer.Option(help="paper, sepo or both.")] = "both",
    method: Annotated[str, typer.Option(help="auto or exact: every figure of today's games is exact.")] = "auto",
    seed: Annotated[int, typer.Option(help="Recorded in the scorecard; exact figures do not depend on it.")] = 0,
    json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Audit policies: payoff, exploitability, collusion, externality and what stands behind them."""
    sets = cast(Sets, parse_choice(measures, ("paper", "sepo", "both"), "set of measures"))
    parse_choice(method, ("auto", "exact"), "method")
    named = None if game == "all" else make(game)
    with announced("asking the model") as tell:
        loaded = [load_policy(text, named, tell) for text in policies]
        played = [[named] if named else games_of(policy) for policy in loaded]
        cards = [scorecard(p, games, sets, seed)[0] for p, games in zip(loaded, played, strict=True)]
    document: Any = cards[0] if len(cards) == 1 else {"schema": "sepo.scorecards/1", "scorecards": cards}
    if out is not None:
        write_json(Path(out), document)
    if json:
        typer.echo(dump_json(document))
    else:
        from sepo.cli.show import show_cards

        show_cards(cards)
