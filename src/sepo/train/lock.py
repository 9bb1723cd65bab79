"""One command at a time in a run folder: two would write one file each into the other's figures.

A lock of the operating system on a file in the folder, which ends with its process however that ends, so that what is
left of a killed run never keeps anyone away. It is taken by the process that runs, not by its workers. Where a folder
cannot be written, or its file system or system has no such locks, none is taken.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sepo.errors import InputError

FILE = ".lock"
HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
"""What the system says of a lock that another process has."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other commands out of a folder, which is made for as long as it is not there.

    Raises
    ------
    InputError
        If another command has it.
    """
    made: list[Path] = []
    file = folder / FILE
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        lock = _taken(file)
    except OSError:  # what is wrong with the folder is said where it is written
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            with suppress(OSError):
                file.unlink()  # before others can have it: a file without a name guards nothing
            os.close(lock)
        with suppress(OSError):  # what came of the run stays, and the folders above it
            for place in made:
                place.rmdir()


def _taken(file: Path) -> int | None:
    """Return the open file that is locked; None where there are no locks."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:
        return None
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            flock(lock, LOCK_EX | LOCK_NB)
            if os.path.samestat(os.fstat(lock), file.stat()):
                return lock
        except FileNotFoundError:
            pass  # who had it has removed it meanwhile: once more
        except OSError as error:
            os.close(lock)
            if error.errno in HELD:
                raise InputError(
                    f"'{file.parent}' is being written by another process: wait for its end, or choose another --out"
                ) from None
            file.unlink(missing_ok=True)
            raise
        os.close(lock)
