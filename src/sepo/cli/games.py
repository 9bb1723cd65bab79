"""``sepo games``: what can be played, everything about one game, and the files of a new one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.terminal import say, show
from sepo.errors import InputError
from sepo.games.registry import OPENSPIEL, faults, games, make


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="GAME | new NAME", help="A game, for its details; or new and a name."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder of the new game; ./NAME unless given.")
    ] = None,
) -> None:
    """List the games; show the rules, pools, opponents and measures of GAME; or write a new game to start from."""
    match words or []:
        case [] if out is None:
            _list()
        case ["new"]:
            raise InputError("name the new game: sepo games new NAME")
        case ["new", name]:
            _new(name, Path(name) if out is None else out)
        case [game] if out is None:
            from sepo.cli.show import show_game

            show_game(make(game))
        case _:
            raise InputError("usage: sepo games, sepo games GAME or sepo games new NAME [--out DIR]")


def _list() -> None:
    from sepo.cli.show import show_games

    show_games([make(name) for name in games()])
    say(f"{OPENSPIEL}NAME: a two-player game of OpenSpiel")
    for fault in faults():
        say(f"not available: {fault}")


def _new(name: str, folder: Path) -> None:
    """Write the new game's files and say what to do with them."""
    from sepo.games.template import class_name, write_game

    written = write_game(name, folder)
    where = shlex.quote(str(folder))
    show(
        f"""written: {", ".join(str(path) for path in written)}

sepo finds the game through the entry point in {written[-1]}:

    [project.entry-points."sepo.games"]
    {name} = "{name}:{class_name(name)}"

Next:

    pip install -e {where}
    pytest {where}
    sepo games {name}
    sepo audit uniform --game {name}
"""
    )
