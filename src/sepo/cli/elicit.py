"""``sepo elicit``: write a policy's answers to the information states of a game as a table file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.audit.elicitation import Inquiry
from sepo.audit.methods import SMALL
from sepo.cli.arguments import (
    GameOption,
    PolicyArgument,
    RuleOption,
    parse_budget,
    parse_rules,
    reporting,
)
from sepo.cli.asking import asks_models
from sepo.errors import TooLargeError
from sepo.games.registry import make
from sepo.policies.spec import Asking, load_policy
from sepo.policies.table import elicit
from sepo.solve.expand import MAX_NODES, expand


@asks_models
def command(
    asking: Asking,
    policy: PolicyArgument,
    game: GameOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The table file to write.")],
    rule: RuleOption = None,
    budget: Annotated[
        str, typer.Option(help="Information states to ask about, most reached ones first: a number, or all.")
    ] = "all",
) -> None:
    """Write a policy's behaviour in a game as a table.

    In a game too large to walk whole, or with a budget, that is its behaviour against the game's own opponents.
    """
    played = make(game, parse_rules(rule or []))
    asked = parse_budget(budget)
    with reporting() as tell:
        loaded = load_policy(policy, played, lambda done, total: tell(f"asking about {game}", done, total), asking)
        try:
            tree = expand(played, SMALL) if asked is None else None
        except TooLargeError:
            tree = None
        if tree is not None:
            table = elicit(loaded, played, tree)
        else:
            pools = played.measures("sepo").pools.values()
            opponents = tuple(dict.fromkeys(o for names in pools for o in names))
            inquiry = Inquiry(loaded, played, opponents, asked, tell, MAX_NODES)
            inquiry.ask()
            table = inquiry.table()
    table.save(out)
    typer.echo(f"{len(table.table)} information states of {policy} written to {out}", err=True)
