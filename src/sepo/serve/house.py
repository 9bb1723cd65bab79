"""What the server remembers: the games that are played in it, bounded in number, and how long work is done for them.

Everything is in memory and gone when the server stops. Whatever asks a policy or computes runs in one worker thread,
one thing at a time, so that pages are served meanwhile and two models never run at once.
"""

from __future__ import annotations

import functools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from sepo.audit.debrief import Debrief
from sepo.play.session import Session
from sepo.serve.explore import Explored
from sepo.serve.menu import Menu
from sepo.serve.progress import Watched

ROOMS = 64
"""Games that are remembered; the one that was not looked at for longest goes first."""
TABLES = 16
"""Explored policies that are remembered."""
Kind = Literal["play", "watch"]
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Room:
    """A game that is played in the browser.

    ``said`` is what happened last, as it is read out, and ``told`` how many rounds were read out so far.
    """

    name: str
    kind: Kind
    slug: str
    session: Session
    seed: int
    said: str = ""
    told: int = 0
    debrief: tuple[int, Debrief] | None = None
    lock: anyio.Lock = field(default_factory=anyio.Lock)


class House:
    """The menu, the runs that are watched, and the rooms."""

    def __init__(self, menu: Menu, runs: Sequence[Path] = ()) -> None:
        self.menu = menu
        self.runs = [Watched(folder) for folder in runs]
        self.tables: OrderedDict[tuple[str, str], Explored] = OrderedDict()
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._worker: anyio.CapacityLimiter | None = None

    def open(self, kind: Kind, slug: str, session: Session, seed: int) -> Room:
        """Add a room under a name that nobody can guess."""
        room = Room(secrets.token_urlsafe(12), kind, slug, session, seed)
        self._rooms[room.name] = room
        while len(self._rooms) > ROOMS:
            self._rooms.popitem(last=False)
        return room

    def room(self, name: str, kind: Kind) -> Room | None:
        """Return a room; None where there is none, or no longer."""
        found = self._rooms.get(name)
        if found is None or found.kind != kind:
            return None
        self._rooms.move_to_end(name)
        return found

    def remember(self, slug: str, name: str, found: Explored) -> None:
        """Keep what was explored."""
        self.tables[slug, name] = found
        while len(self.tables) > TABLES:
            self.tables.popitem(last=False)

    async def work(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something in the worker thread, after whatever is being done there."""
        if self._worker is None:
            self._worker = anyio.CapacityLimiter(1)
        return await anyio.to_thread.run_sync(functools.partial(task, *args, **kwargs), limiter=self._worker)
