"""The figures of the published system (arXiv 2605.30854 and its public result files), to stand beside ours."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

from sepo.files import read_json


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the whole file: ``protocols`` by name, ``measures`` by symbol, and ``rows``, one a model and game."""
    with as_file(files("sepo.audit") / "published.json") as path:
        return read_json(path, "published figures")


def published(game: str) -> list[dict[str, Any]]:
    """Return the published rows of a game."""
    return [row for row in document()["rows"] if row["game"] == game]


def protocols() -> dict[str, str]:
    """Return what each protocol named by the rows was."""
    return dict(document()["protocols"])
