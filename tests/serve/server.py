"""A server for tests, as ``sepo serve`` runs it, in a thread of this process and at any free port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn

from sepo.serve.app import application
from sepo.serve.guard import Door
from sepo.serve.house import House
from sepo.serve.listen import address, settings
from sepo.serve.menu import Menu


class Running(NamedTuple):
    """Where a server is, and what it holds."""

    url: str
    house: House


@contextmanager
def serving(policies: Sequence[str] = (), runs: Sequence[Path] = (), token: str | None = None) -> Iterator[Running]:
    """Serve until the end of the block."""
    house = House(Menu(policies), runs)
    door = Door(True, token)
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application(house, door), **settings()))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield Running(address("127.0.0.1", bound.getsockname()[1], door._replace(token=None)), house)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        bound.close()
