"""Arguments that several commands share, and what they turn into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from sepo.errors import InputError
from sepo.games.base import Game
from sepo.games.registry import GAMES, make
from sepo.policies.base import Policy
from sepo.policies.human import HumanPolicy
from sepo.policies.script import ScriptPolicy
from sepo.policies.table import PolicyTable

GameOption = Annotated[str, typer.Option("--game", "-g", help="A game's name (see `sepo games`).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
PolicyArgument = Annotated[
    str,
    typer.Argument(
        metavar="POLICY",
        help="script:NAME, uniform, table:FILE, bundled:smollm2[+ADAPTER], hf:ID_OR_PATH[+ADAPTER] or human.",
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Write the result to this file.")]


def games_of(policy: Policy) -> list[Game]:
    """Return the games that a policy can play: a table its own, a script those that have it, a model all of them.

    Raises
    ------
    InputError
        If there is none, or the policy is a person, who is asked about one game at a time.
    """
    if isinstance(policy, PolicyTable):
        try:
            return [make(policy.game, policy.rules)]
        except InputError as error:
            raise InputError(f"policy table '{policy.name}': {error}") from None
    if isinstance(policy, HumanPolicy):
        raise InputError(f"name the game that you want to be asked about: --game {' or '.join(GAMES)}")
    found = [make(name) for name in GAMES]
    if isinstance(policy, ScriptPolicy):
        found = [game for game in found if policy.script in game.opponents]
        if not found:
            raise InputError(f"unknown script '{policy.script}': no game has it (see `sepo games NAME`)")
    return found


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


@contextmanager
def announced(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr while a model answers; it appears only if there is more than one pass."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, visible=False)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=total > 1)
            if not console.is_terminal and total > 1 and done % max(1, total // 10) == 0:
                console.print(f"{what}: pass {done} of {total}", highlight=False)

        yield tell
