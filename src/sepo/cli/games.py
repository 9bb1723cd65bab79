"""``sepo games``: what can be played, and everything about one game."""

from __future__ import annotations

from typing import Annotated

import typer

from sepo.games.registry import GAMES, make


def command(
    game: Annotated[str | None, typer.Argument(help="A game's name, for its details.")] = None,
) -> None:
    """List the games; with a name, show its rules, pools, opponents, measures and first prompt."""
    from sepo.cli.show import show_game, show_games

    if game is None:
        show_games([make(name) for name in GAMES])
    else:
        show_game(make(game))
