"""``sepo data``: demonstrations for supervised fine-tuning, as a folder that ``datasets`` and TRL read."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from sepo.cli.arguments import parse_choice, parse_rules
from sepo.cli.terminal import say
from sepo.data.episodes import Demonstrations, demonstrate, shown
from sepo.data.folder import check_free, write_folder
from sepo.data.styles import Style, check
from sepo.games.registry import games

STYLES = ("direct", "reasoned", "both")


def command(
    game: Annotated[str, typer.Argument(metavar="GAME", help="A game (see `sepo games`), or all.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; new or empty.")],
    style: Annotated[
        str, typer.Option(help="direct (the bare action), reasoned (a true sentence, then the action) or both.")
    ] = "direct",
    examples: Annotated[
        int | None, typer.Option(min=1, help="Decisions per game, about; 8000 unless given, kuhn 7000, items 4000.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 42,
    rule: Annotated[list[str] | None, typer.Option("--rule", metavar="NAME=VALUE", help="A rule of the game.")] = None,
) -> None:
    """Write decisions of a game's demonstrators as chats for supervised fine-tuning, split by episode."""
    parse_choice(style, STYLES, "style")
    styles = cast(list[Style], ["direct", "reasoned"] if style == "both" else [style])
    rules = parse_rules(rule or [])
    played = [shown(name, rules) for name in (games() if game == "all" else [game])]
    for each in played:
        for wanted in styles:
            check(each, wanted)
    check_free(out)
    sets = [demonstrate(each, examples, seed) for each in played]
    write_folder(out, sets, styles, _said(game, style, examples, seed, rule or []))
    for made in sets:
        say(f"{made.game.name}: {_size(made)}", err=True)
    say(f"written to {out}", err=True)


def _size(made: Demonstrations) -> str:
    train, test = len(made.split("train")), len(made.split("test"))
    episodes = made.examples[-1].episode + 1
    return f"{train} examples to train on, {test} to test on, of {episodes} episodes"


def _said(game: str, style: str, examples: int | None, seed: int, rules: Sequence[str]) -> str:
    """Return the command as the card names it: with every option that matters, and any folder."""
    words = ["sepo", "data", game, "--out", "DIR", "--style", style, "--seed", str(seed)]
    words += ["--examples", str(examples)] * (examples is not None)
    for rule in rules:
        words += ["--rule", rule]
    return shlex.join(words)
