"""``sepo audit``: the scorecard of one or more policies."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sepo.audit.methods import Sets
from sepo.audit.playable import games_of, under
from sepo.audit.scorecard import Games, scorecards
from sepo.audit.variation import variations
from sepo.cli.arguments import (
    JsonOption,
    OutOption,
    RuleOption,
    parse_list,
    parse_rules,
    reporting,
)
from sepo.cli.asking import asks_models, parse_options
from sepo.cli.terminal import say, say_json
from sepo.cli.variations import asked, parse_horizons
from sepo.errors import InputError
from sepo.files import check_writable, write_json
from sepo.policies.base import Policy
from sepo.policies.spec import Asking, load_policy


@asks_models
def command(
    asking: Asking,
    policies: Annotated[list[str], typer.Argument(metavar="POLICY...", help="Policies to audit, in the order shown.")],
    game: Annotated[str, typer.Option("--game", "-g", help="A game, or all that the policy can play.")] = "all",
    measures: Annotated[str, typer.Option(help="paper, sepo or both; each by the rules of its preset.")] = "both",
    rule: RuleOption = None,
    method: Annotated[str, typer.Option(help="auto (exact where it can be), exact or sampled.")] = "auto",
    episodes: Annotated[
        int | None, typer.Option(min=2, help="Episodes per opponent and seat, where figures are sampled.")
    ] = None,
    half_width: Annotated[
        float | None, typer.Option(min=0.0, help="Sample until J is known to this half-width, however long it takes.")
    ] = None,
    control: Annotated[bool, typer.Option(help="Cut the variance of sampled figures by control variates.")] = True,
    opponent: Annotated[
        list[str] | None, typer.Option(help="A further opponent to be met, such as axelrod:TitFor2Tats in ipd.")
    ] = None,
    budget: Annotated[
        str, typer.Option(help="Information states of a game that a model is asked about: a number, or all.")
    ] = "3000",
    adversaries: Annotated[
        bool, typer.Option(help="Tell who attains the worst case, and the time to exploit: often most of the work.")
    ] = True,
    words: Annotated[
        str | None,
        typer.Option("--wordings", help="Audit models in other wordings: all, or names such as original,renamed."),
    ] = None,
    horizons: Annotated[
        str | None, typer.Option(help="Audit at other numbers of rounds, such as 4,8,12, in games that have them.")
    ] = None,
    json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Audit policies: payoff, exploitability, collusion, externality and what stands behind them."""
    if out is not None:
        check_writable(out)
    if twice := next((text for text in policies if policies.count(text) > 1), None):
        raise InputError(f"policy '{twice}' stands twice: an audit takes each once")
    options = parse_options(
        asking, measures, method, episodes, half_width, opponent, budget, control=control, adversaries=adversaries
    )
    rules = parse_rules(rule or [])
    varied = words is not None or horizons is not None
    named = None if words is None else parse_list(words, "--wordings")
    rounds = None if horizons is None else parse_horizons(horizons)
    document: Any
    with reporting() as tell:
        loaded = [load_policy(text, asking=asking) for text in policies]
        if varied:
            several, remarks = asked(loaded, game, options.sets, rules, rounds, named)
            for remark in remarks:
                say(f"sepo: {remark}", err=True)
            document = variations(several, options, tell)
        else:
            document = scorecards([(p, _games(p, game, options.sets, rules)) for p in loaded], options, tell)
    if out is not None:
        write_json(out, document)
    if json:
        say_json(document)
    elif varied:
        from sepo.cli.show_variations import show_variations

        show_variations(document)
    else:
        from sepo.cli.show import show_cards, show_differences

        show_cards(document.get("scorecards", [document]))
        if "differences" in document:
            show_differences(document["differences"])


def _games(policy: Policy, name: str, sets: Sets, rules: dict[str, Any]) -> list[Games]:
    """Return the games to play, each as every set of measures is taken in it."""
    names = games_of(policy) if name == "all" else [name]
    return [under(policy, n, sets, rules) for n in names]
