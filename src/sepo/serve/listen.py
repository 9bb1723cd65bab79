"""Listening: the socket, the token where one is needed, and the address to open."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sepo.errors import InputError
from sepo.serve.app import application
from sepo.serve.guard import Door, is_loopback
from sepo.serve.house import House
from sepo.serve.menu import Menu


def listen(host: str, port: int, policies: Sequence[str], runs: Sequence[Path], tell: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    port
        0 takes any that is free.
    tell
        Hears the address to open, once.

    Raises
    ------
    InputError
        If a policy or run is not there, or the address cannot be listened at.
    """
    import uvicorn

    for folder in runs:
        if not folder.is_dir():
            raise InputError(f"no run folder at '{folder}'")
    door = Door(is_loopback(host), None if is_loopback(host) else secrets.token_urlsafe(24))
    app = application(House(Menu(policies), runs), door)
    bound = _bound(host, port)
    try:
        tell(address(host, bound.getsockname()[1], door))
        uvicorn.Server(uvicorn.Config(app, **settings())).run(sockets=[bound])
    finally:
        bound.close()


def settings() -> dict[str, Any]:
    """Return how uvicorn serves: quietly, as an address may hold the token, and nothing but HTTP.

    It leaves the process's logging as it is: to set that up anew closes the handlers of everyone else.
    """
    return {
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "ws": "none",
        "lifespan": "off",
        "timeout_graceful_shutdown": 2,
    }


def address(host: str, port: int, door: Door) -> str:
    """Return the address that a browser opens."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={door.token}" if door.token else "")


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        out = socket.socket(family, kind)
    except OSError as error:
        raise InputError(f"cannot listen at '{host}': {error.strerror or error}") from None
    try:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.bind(where)
        out.listen()  # from now on a browser waits instead of being refused
        return out
    except OSError as error:
        out.close()
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror or error}") from None
