"""Arguments that several commands share, and what they turn into."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sepo.audit.playable import games_of as games_of  # for the commands, which look here
from sepo.audit.playable import under as under
from sepo.cli.terminal import console
from sepo.errors import InputError
from sepo.games.base import Weights
from sepo.lm.template import hold_to_text
from sepo.policies.spec import FORMS

if TYPE_CHECKING:
    from rich.progress import TaskID

SETS = ("paper", "sepo", "both")
METHODS = ("auto", "exact", "sampled")
GameOption = Annotated[str, typer.Option("--game", "-g", help="A game's name (see `sepo games`).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
PolicyArgument = Annotated[
    str,
    typer.Argument(
        metavar="POLICY",
        help=f"{FORMS}.",
    ),
]
RuleOption = Annotated[
    list[str] | None, typer.Option("--rule", metavar="NAME=VALUE", help="A rule of the game, before any preset.")
]
WorkersOption = Annotated[
    int, typer.Option("--workers", "-w", min=1, help="Processes that run arms and seeds side by side.")
]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Write the result to this file.")]


def parse_rules(texts: Sequence[str]) -> dict[str, Any]:
    """Read rules given as ``NAME=VALUE``: true, false or a number.

    Raises
    ------
    InputError
        If a text is of another form.
    """
    out: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            out[name] = json.loads(value)
        except ValueError:
            raise InputError(f"a rule is NAME=VALUE with true, false or a number, not '{text}'") from None
    return out


def parse_list(text: str, option: str) -> tuple[str, ...]:
    """Return what a comma-separated list names.

    Raises
    ------
    InputError
        If it names nothing, or something twice.
    """
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise InputError(f"{option} takes names with commas between them, not '{text}'")
    if len(set(found)) < len(found):
        raise InputError(f"{option} names one thing twice: '{text}'")
    return found


def parse_budget(text: str) -> int | None:
    """Return how many information states a model may be asked about; None for all.

    Raises
    ------
    InputError
        If the text is neither ``all`` nor a positive whole number.
    """
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) > 0):
        raise InputError(f"--budget must be a positive number or 'all', not '{text}'")
    return int(text)


def parse_weights(text: str | None, usual: Weights) -> Weights:
    """Return the lambdas given as ``E,C,X``; the usual ones if none are.

    Raises
    ------
    InputError
        If the text is not three numbers that are not negative.
    """
    if text is None:
        return usual
    found = _numbers(text, 3)
    if found is None:
        raise InputError(f"--lambda takes the weights of e, c and x, such as 2.4,1,1.8, not '{text}'")
    return Weights(*found)


def parse_price(text: str | None) -> tuple[float, float] | None:
    """Return the prices of a million tokens read and written, given as ``IN,OUT``.

    Raises
    ------
    InputError
        If the text is not two numbers that are not negative.
    """
    if text is None:
        return None
    found = _numbers(text, 2)
    if found is None:
        raise InputError(f"--price takes what a million tokens read and written cost, such as 0.5,1.5, not '{text}'")
    return found[0], found[1]


def _numbers(text: str, count: int) -> list[float] | None:
    """Read so many numbers that are not negative, with commas between them; None if the text is none such."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    return found if len(found) == count and all(0 <= n < math.inf for n in found) else None


def parse_body(text: str | None) -> dict[str, Any]:
    """Return the fields given as a JSON object.

    Raises
    ------
    InputError
        If the text is none.
    """
    return _parse_object(text, "--body", '{"top_k": 0}')


def parse_template(text: str | None) -> dict[str, Any]:
    """Return the arguments of a chat template given as a JSON object.

    Raises
    ------
    InputError
        If the text is none, or names what is no argument of a template.
    """
    found = _parse_object(text, "--template", '{"enable_thinking": false}')
    hold_to_text(found, "--template")
    return found


def _parse_object(text: str | None, option: str, example: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{option} takes a JSON object, such as '{example}', not '{text}'")
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
def reporting() -> Iterator[Callable[[str, int, int], None]]:
    """Show on stderr how far each thing is, and how long it will take: a bar, or lines where it is no terminal.

    What is told with nothing done yet is announced with its size; the time left is shown from the first part on.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    out = console(stderr=True)
    tasks: dict[str, TaskID] = {}
    said: dict[str, tuple[int, float]] = {}
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
                said[what] = -1, time.monotonic()
            bar.update(tasks[what], completed=done, total=total)
            tenth = 10 * done // max(1, total)
            last, start = said[what]
            if not out.is_terminal and tenth > last:
                said[what] = tenth, start
                left = (time.monotonic() - start) / done * (total - done) if done else 0.0
                note = f", about {left:.0f} s left" if left >= 1 else ""
                out.print(f"{what}: {done} of {total}{note}", soft_wrap=True)

        yield tell
