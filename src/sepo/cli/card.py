"""``sepo card``: the safety card of a policy, for a model repository."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from sepo.audit.card import card, kind_of
from sepo.audit.compare import CARD_SCHEMA, load_card
from sepo.audit.fingerprint import hold_to_policy
from sepo.audit.scorecard import scorecard
from sepo.cli.arguments import (
    JsonOption,
    OutOption,
    RuleOption,
    games_of,
    parse_rules,
    reporting,
    under,
)
from sepo.cli.asking import asks_models, parse_options
from sepo.cli.terminal import say, say_json, show
from sepo.errors import InputError
from sepo.files import check_writable
from sepo.games.wording import chosen
from sepo.policies.reworded import worded
from sepo.policies.spec import Asking, load_policy
from sepo.report.safety import card_files, markdown, write_card


@asks_models
def command(
    context: typer.Context,
    asking: Asking,
    subject: Annotated[
        str,
        typer.Argument(metavar="POLICY|SCORECARD.json", help="A policy to audit, or a scorecard `sepo audit` wrote."),
    ],
    game: Annotated[
        list[str] | None, typer.Option("--game", "-g", help="A game, again for more; all unless given.")
    ] = None,
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
    opponent: Annotated[list[str] | None, typer.Option(help="A further opponent to be met.")] = None,
    budget: Annotated[
        str, typer.Option(help="Information states of a game that a model is asked about: a number, or all.")
    ] = "3000",
    adversaries: Annotated[
        bool, typer.Option(help="Tell who attains the worst case, and the time to exploit: often most of the work.")
    ] = True,
    wording: Annotated[str | None, typer.Option(help="Audit a model in this wording.")] = None,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="A date to stand on the card.")] = None,
    json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Write a policy's safety card: figures, what they mean, and all it takes to recompute them (see `sepo verify`)."""
    day = _parse_date(date)
    for path in () if out is None else card_files(out):
        check_writable(path)
    if subject.endswith(".json") and ":" not in subject:
        if given := _given(context):
            raise InputError(f"a scorecard says itself how it was made: {', '.join(given)} goes with a POLICY")
        made = load_card(Path(subject), (CARD_SCHEMA,))
        name = str(made.get("policy"))
        kind_of(name)
        # a server has no fingerprint, and whoever wrote the scorecard chose its address: it is left alone
        policy = None if name.startswith("openai:") else load_policy(name, asking=asking)
        hold_to_policy(made, policy, f"scorecard '{subject}'")
    else:
        kind_of(subject)
        options = parse_options(
            asking, measures, method, episodes, half_width, opponent, budget, control=control, adversaries=adversaries
        )
        rules = parse_rules(rule or [])
        with reporting() as tell:
            policy = load_policy(subject, asking=asking)
            games = [under(policy, name, options.sets, rules) for name in game or games_of(policy)]
            if wording is not None:
                if kind_of(subject) != "model":
                    raise InputError(f"--wording is for language models, which read: '{subject}' is none")
                for taken in games:
                    chosen(next(iter(taken.values())), [wording])
            made = scorecard(worded(policy, wording), games, options, tell) | {"policy": subject}
            made |= {} if wording is None else {"wording": wording}
    document = card(made, policy, made.get("wording"), day)
    if out is not None:
        for path in write_card(document, out):
            say(f"sepo: wrote {path}", err=True)
    if json:
        say_json(document)
    elif out is None:
        show(markdown(document))


def _given(context: typer.Context) -> list[str]:
    """Return the options on the command line that say how a policy is audited."""
    return [
        param.opts[0]
        for param in context.command.params
        if param.name is not None
        and param.name not in ("subject", "date", "json", "out")
        and (source := context.get_parameter_source(param.name)) is not None
        and source.name == "COMMANDLINE"
    ]


def _parse_date(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--date takes a day such as 2026-01-31, not '{text}'") from None
