r"""What the program says on a terminal: the one way out for its lines, documents and tables.

Names, replies and files come from anyone. Here a character that moves the cursor, colours, turns the reading direction
or cannot be seen is written out, such as ``\x1b``, and square brackets are no markup, so a command passes text on
as it is. Ruff holds every other module to this one: ``print``, ``typer.echo`` and rich's ``Console`` are for here.

Whoever reads may stop, as ``head`` does. A command then goes on in silence, to its files and its own exit code.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import typer

from sepo.files import dump_json
from sepo.printable import json_ascii, printable, visible

if TYPE_CHECKING:
    from rich.console import Console as Console

INTERRUPTED = 130
"""Exit code of a program that was interrupted; a command that has said so itself ends by ``SystemExit`` with it."""
_format_warning = warnings.formatwarning


def say(text: object = "", *, err: bool = False) -> None:
    """Print one line, on stdout or on stderr; a line break in it is written out too."""
    _echo(printable(text), err=err)


def show(document: str) -> None:
    """Print a document of several lines on stdout, which ends as it does."""
    _echo(visible(document), nl=False)


def say_json(document: Any) -> None:
    """Print a JSON document on stdout; in its strings, what is hidden or stdout cannot write is escaped."""
    text = dump_json(document)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json_ascii(text)
    _echo(text)


def _echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    try:
        typer.echo(text, err=err, nl=nl)
    except BrokenPipeError:
        _hang_up(sys.stderr if err else sys.stdout)


def _hang_up(stream: IO[str]) -> None:
    """Let what is still to be said to a reader who is gone go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def console(**options: Any) -> Console:
    """Return a console for tables and bars that shows text as text; styles are given as styles, not in the text.

    Parameters
    ----------
    options
        As rich's ``Console`` takes them, such as ``stderr`` or ``width``.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            """Go on where rich would end the program, with the exit code of a gate that failed."""
            _hang_up(self.file)

        def render_str(self, text: str, **given: Any) -> Text:
            """Take strings as they are, before they are measured and wrapped."""
            return super().render_str(visible(text), **given)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            """Let nothing through that was not rich's own: a ``Text`` may hold anything."""
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

    return Terminal(**{"markup": False, "emoji": False, "highlight": False} | options)


class _Record(logging.LogRecord):
    """A log message, which may name what was read; the colours of a library's own format stay."""

    def getMessage(self) -> str:  # noqa: N802  (logging's own name)
        return visible(super().getMessage())


def guard() -> None:
    """Hold what is not said through here to the same: log messages, warnings, and errors that nobody expected.

    A program that was started without an input has an empty one. What stdout has no character for, as in Latin-1, is
    written out, as it is on stderr.
    """
    if sys.stdin is None:
        sys.stdin = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.setLogRecordFactory(_Record)
    warnings.formatwarning = _warning
    sys.excepthook = _unexpected


def _warning(*args: Any, **kwargs: Any) -> str:
    return visible(_format_warning(*args, **kwargs))


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _echo(visible("".join(traceback.format_exception(kind, error, trace))), err=True, nl=False)
