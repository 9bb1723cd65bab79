"""``sepo elicit``: write a policy's answers to every information state of a game as a table file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.arguments import GameOption, PolicyArgument, announced
from sepo.games.registry import make
from sepo.policies.spec import load_policy
from sepo.policies.table import elicit
from sepo.solve.expand import expand


def command(
    policy: PolicyArgument,
    game: GameOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The table file to write.")],
) -> None:
    """Write a policy's whole behaviour in a game as a table."""
    played = make(game)
    with announced("asking the model") as tell:
        table = elicit(load_policy(policy, played, tell), played, expand(played))
    table.save(out)
    typer.echo(f"{len(table.table)} information states of {policy} written to {out}", err=True)
