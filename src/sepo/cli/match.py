"""``sepo match``: policies against each other."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

from sepo.cli.arguments import (
    GameOption,
    JsonOption,
    OutOption,
    RuleOption,
    parse_budget,
    parse_choice,
    parse_rules,
    reporting,
)
from sepo.cli.asking import asks_models
from sepo.cli.terminal import say_json
from sepo.files import check_writable, write_json
from sepo.games.registry import make
from sepo.policies.spec import Asking, load_policy

METHODS = ("auto", "exact", "sampled")


@asks_models
def command(
    asking: Asking,
    policies: Annotated[list[str], typer.Argument(metavar="POLICY POLICY...", help="At least two policies.")],
    game: GameOption,
    rule: RuleOption = None,
    method: Annotated[str, typer.Option(help="auto (exact where it can be), exact or sampled.")] = "auto",
    deals: Annotated[
        int | None, typer.Option(min=2, help="Deals that every pair plays in both seats, where they are sampled.")
    ] = None,
    budget: Annotated[
        str, typer.Option(help="Decisions that a policy is asked in an exact meeting: a number, or all.")
    ] = "3000",
    json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Let policies meet, each pair in both seats and on the same deals: payoffs, ratings and the Nash average."""
    from sepo.audit.tournament import MatchOptions, tournament

    if out is not None:
        check_writable(out)
    chosen = cast(Literal["auto", "exact", "sampled"], parse_choice(method, METHODS, "method"))
    played = make(game, parse_rules(rule or []))
    with reporting() as tell:
        loaded = [load_policy(text, played, asking=asking) for text in policies]
        document = tournament(loaded, played, MatchOptions(chosen, deals, asking.seed, parse_budget(budget)), tell)
    if out is not None:
        write_json(out, document)
    if json:
        say_json(document)
    else:
        from sepo.cli.show_match import show_match

        show_match(document)
