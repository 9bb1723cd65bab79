"""Arguments that several commands share, and what they turn into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.errors import InputError
from sepo.games.base import Game
from sepo.games.registry import GAMES, make

GameOption = Annotated[str, typer.Option("--game", "-g", help="A game's name (see `sepo games`).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
PolicyArgument = Annotated[
    str,
    typer.Argument(
        metavar="POLICY",
        help="script:NAME, uniform, table:FILE, bundled:smollm2, hf:ID_OR_PATH[+ADAPTER] or human.",
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Write the result to this file.")]


def chosen_games(name: str) -> list[Game]:
    """Return the game of that name, or every one for ``all``."""
    return [make(n) for n in GAMES] if name == "all" else [make(name)]


def parse_choice(value: str, choices: tuple[str, ...], what: str) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises
    ------
    InputError
        Otherwise, naming the choices.
    """
    if value not in choices:
        raise InputError(f"unknown {what} '{value}': it is one of {', '.join(choices)}")
    return value
