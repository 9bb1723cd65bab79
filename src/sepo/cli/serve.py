"""``sepo serve``: play, watch, explore and follow runs in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sepo.cli.terminal import INTERRUPTED, say
from sepo.errors import InputError


def command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes any that is free.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Any but a loopback address needs a token, which is printed.")
    ] = "127.0.0.1",
    run: Annotated[
        list[Path] | None, typer.Option("--run", metavar="FOLDER", help="A run to follow while it trains.")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option("--policy", metavar="POLICY", help="A policy to offer, beside the games' own.")
    ] = None,
) -> None:
    """Serve pages to play, watch and explore policies and to follow runs: on this machine alone unless told to."""
    try:
        from sepo.serve.listen import listen
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio"):
            raise
        raise InputError("the server needs starlette and uvicorn: pip install 'sepo[serve]'") from None

    try:
        listen(host, port, policy or [], run or [], lambda address: say(f"open {address} (ctrl-C ends)", err=True))
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
