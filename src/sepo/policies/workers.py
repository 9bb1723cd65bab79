"""Where units of work are run: here, one after the other, or by workers elsewhere, and what of it is kept on disk.

A unit is a function and its arguments; its answer is a JSON object that depends on them alone. So anyone may run it, in
any order, again after a failure, or not at all where its answer is on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from sepo.errors import InputError
from sepo.files import cache_folder, read_json, write_json

SCHEMA = "sepo.unit/1"
LIBRARIES = ("sepo", "numpy", "axelrod", "open_spiel")
"""Those that answers depend on beside their keys: games and opponents are theirs."""
Answer = Mapping[str, Any]


class Workers(Protocol):
    """What runs units."""

    def run(self, what: Callable[..., Answer], units: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Answer]]:
        """Run a function on each tuple of arguments; yield number and answer as they come, in any order."""


class Here:
    """Runs units in this process, in order."""

    def run(self, what: Callable[..., Answer], units: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Answer]]:
        """Run a function on each tuple of arguments."""
        for number, arguments in enumerate(units):
            yield number, what(*arguments)


def finished(
    workers: Workers,
    what: Callable[..., Answer],
    units: Sequence[tuple[Any, ...]],
    keys: Sequence[object | None],
    tell: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Return the answers of units in order: those on disk, and the others as soon as workers have them.

    Parameters
    ----------
    keys
        What each unit's answer depends on; one that is None is not kept.
    tell
        Hears how many units are finished, and how many there are.
    """
    files = [None if key is None else _file(what, key) for key in keys]
    out: dict[int, Answer] = {i: kept for i, file in enumerate(files) if (kept := _read(file)) is not None}
    left = [i for i in range(len(units)) if i not in out]
    for number, answer in workers.run(what, [units[i] for i in left]):
        i = left[number]
        out[i] = answer
        if (file := files[i]) is not None:
            write_json(file, {"schema": SCHEMA, "answer": answer})
        if tell is not None:
            tell(len(out), len(units))
    return [out[i] for i in range(len(units))]


def _file(what: Callable[..., Answer], key: object) -> Path:
    said = repr((*map(_version, LIBRARIES), what.__module__, what.__qualname__, key))
    return cache_folder() / "units" / f"{hashlib.sha256(said.encode()).hexdigest()[:40]}.json"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _read(file: Path | None) -> Answer | None:
    if file is None or not file.exists():
        return None
    try:
        document = read_json(file, "unit")
        answer = document["answer"]
        return answer if document["schema"] == SCHEMA and isinstance(answer, dict) else None
    except (InputError, KeyError, TypeError):
        return None  # not ours, or damaged: run anew and replaced
