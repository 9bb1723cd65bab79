"""The ``sepo`` program: its commands, and how an error becomes one line and an exit code.

0 done; 1 a gate failed; 2 wrong usage or input; 3 an endpoint or worker failed after its retries; 130 interrupted.
Results go to stdout, progress and messages to stderr.
"""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from sepo import __version__
from sepo.cli import (
    ablate,
    audit,
    bench,
    card,
    compare,
    data,
    elicit,
    exploit,
    frontier,
    games,
    gate,
    match,
    play,
    report,
    run,
    serve,
    solve,
    verify,
)
from sepo.cli.terminal import INTERRUPTED, guard, say
from sepo.errors import EndpointError, InputError

app = typer.Typer(
    name="sepo",
    help="Train language-model agents with Safe Equilibrium Policy Optimization; audit any policy, exactly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    *(run, ablate, audit, elicit, exploit, match, play, serve, solve, compare, gate, card, verify),
    *(data, games, report, frontier, bench),
)
for command in COMMANDS:
    app.command()(command.command)
    app.registered_commands[-1].name = command.__name__.rsplit(".", 1)[-1]


def _version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Train language-model agents with Safe Equilibrium Policy Optimization; audit any policy, exactly."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and context.invoked_subcommand != "run":
        raise InputError(f"'sepo {context.invoked_subcommand}' is one process: only 'sepo run' takes several")


def main() -> None:
    """Run the program."""
    guard()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # two busy processes otherwise slow each other manyfold
    try:
        code = app(standalone_mode=False) or 0
        if code == INTERRUPTED:
            raise KeyboardInterrupt  # what typer makes its exit code of
        sys.exit(code)
    except InputError as error:
        say(f"sepo: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except EndpointError as error:
        say(f"sepo: {' '.join(str(error).split())}", err=True)
        sys.exit(3)
    except OSError as error:  # a path that cannot be looked at, a folder that cannot be made
        where = "" if error.filename is None else f" at '{error.filename}'"
        say(f"sepo: {error.strerror or error}{where}", err=True)
        sys.exit(2)
    except TyperException as error:  # wrong usage; without any argument its message is the help
        text = error.format_message()
        if len(sys.argv) == 1:
            typer.echo(text, err=True)  # noqa: TID251  (the program's own help, in colours)
        else:
            say(f"sepo: {' '.join(text.split())} (see sepo --help)", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        say("sepo: interrupted; finished work is kept", err=True)
        sys.exit(INTERRUPTED)
