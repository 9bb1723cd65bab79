"""How far a run is, read from the files that it is writing: each arm and seed's last step and figures.

Knows the run folder (``train.record``); a line that is not finished yet does not count, and neither does a file that is
not as it should be. Nothing outside the folder is read: names come from listing it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sepo.train.record import read_metrics

WARNINGS, POINTS = 3, 100
"""Latest warnings that are shown of a seed; points of its small chart."""
MOST = 64 * 2**20
"""Bytes of the largest metrics file that is read."""


@dataclass(frozen=True)
class Progress:
    """One arm and seed.

    Attributes
    ----------
    game
        Of a run of several games, which; empty where there is one.
    j
        The last step's J by set of measures.
    first
        J at the first step, by set of measures.
    series
        Number of the line and J, of ``sepo`` where there is that, thinned out.
    quiet
        Seconds since the file was last written.
    """

    game: str
    arm: str
    seed: str
    stage: str
    step: int | None
    lines: int
    first: Mapping[str, float | None]
    j: Mapping[str, float | None]
    exploitability: float | None
    series: tuple[tuple[int, float], ...]
    warnings: tuple[str, ...]
    quiet: float
    done: bool


class Watched:
    """A run folder that is looked at again and again; a file that has not changed is not read again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, tuple[tuple[int, int], list[dict[str, Any]]]] = {}

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    def places(self) -> dict[str, Path]:
        """Return the run's folders by game: itself under an empty name, or those of a run of several games."""
        if (self.folder / "arms").is_dir():
            return {"": self.folder}
        return {p.name: p for p in _folders(self.folder) if (p / "arms").is_dir() and not p.is_symlink()}

    def progress(self) -> list[Progress]:
        """Return every arm and seed that has begun."""
        out = []
        for game, place in self.places().items():
            for arm in _folders(place / "arms"):
                seeds = [s for s in _folders(arm) if s.name.startswith("seed-") and not s.is_symlink()]
                out += [self._of(game, arm.name, seed) for seed in seeds]
        return sorted(out, key=lambda p: (p.game, p.arm, len(p.seed), p.seed))

    def report(self, game: str) -> Path | None:
        """Return where the finished report of a game is, None where there is none."""
        place = self.places().get(game)
        path = None if place is None else place / "report.html"
        return path if path is not None and path.is_file() and not path.is_symlink() else None

    def reports(self) -> list[str]:
        """Return the games whose reports are there."""
        return [game for game in self.places() if self.report(game) is not None]

    def _of(self, game: str, arm: str, folder: Path) -> Progress:
        path = folder / "metrics.jsonl"
        lines = self._lines(path)
        last = lines[-1] if lines else {}
        warnings = [text for line in lines for text in _texts(line.get("warnings"))]
        try:
            quiet = max(0.0, time.time() - path.stat().st_mtime)
        except OSError:
            quiet = 0.0
        step = last.get("step")
        return Progress(
            game=game,
            arm=arm,
            seed=folder.name.removeprefix("seed-"),
            stage=str(last.get("stage", "")),
            step=step if isinstance(step, int) else None,
            lines=len(lines),
            first=_js(lines[0] if lines else {}),
            j=_js(last),
            exploitability=_number(last.get("exploitability")),
            series=_series(lines),
            warnings=tuple(dict.fromkeys(reversed(warnings)))[:WARNINGS],
            quiet=round(quiet, 1),
            done=(folder / "done.json").exists(),
        )

    def _lines(self, path: Path) -> list[dict[str, Any]]:
        try:
            found = path.stat()
            stamp = found.st_mtime_ns, found.st_size
            if path in self._read and self._read[path][0] == stamp:
                return self._read[path][1]
            if path.is_symlink() or found.st_size > MOST:
                return []
            lines = [line for line in read_metrics(path) if isinstance(line, dict)]
        except (OSError, ValueError):  # not there yet, or half a character at its end
            return self._read[path][1] if path in self._read else []
        self._read[path] = stamp, lines
        return lines


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []


def _js(line: Mapping[str, Any]) -> dict[str, float | None]:
    measures = line.get("measures")
    if not isinstance(measures, Mapping):
        return {}
    return {str(of): _number(found.get("J")) for of, found in measures.items() if isinstance(found, Mapping)}


def _series(lines: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, float], ...]:
    found = []
    for number, line in enumerate(lines):
        j = _js(line)
        value = j.get("sepo", next(iter(j.values()), None))
        if value is not None:
            found.append((number, value))
    every = max(1, len(found) // POINTS)
    return tuple(found[::every])


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []
