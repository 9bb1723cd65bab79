"""``sepo elicit``: write a policy's answers to the information states of a game as a table file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.audit.behaviour import behaviour
from sepo.cli.arguments import (
    GameOption,
    PolicyArgument,
    RuleOption,
    parse_budget,
    parse_rules,
    reporting,
)
from sepo.cli.asking import asks_models
from sepo.cli.terminal import say
from sepo.files import check_writable
from sepo.games.registry import make
from sepo.policies.spec import Asking, load_policy
from sepo.policies.table import in_part


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

    In a game too large to walk whole, or with a budget, that is its behaviour against the game's own opponents: the
    table is uniform elsewhere.
    """
    check_writable(out)
    played = make(game, parse_rules(rule or []))
    asked = parse_budget(budget)
    with reporting() as tell:
        loaded = load_policy(policy, played, lambda done, total: tell(f"asking about {game}", done, total), asking)
        table = behaviour(loaded, played, asked, tell)
    table.save(out)
    part = in_part(table.notes)
    what = f"{part}, uniform elsewhere," if part else f"{len(table.table)} information states"
    say(f"{what} of {policy} written to {out}", err=True)
