"""How ways of doing the same thing are timed: warmed up, in turns, by the median. Knows no benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

Say = Callable[[str], None]
"""Tells people how far the run is."""


@dataclass(frozen=True)
class Way:
    """One way of doing what a benchmark does.

    Attributes
    ----------
    name
        As in the table.
    run
        Does it once. It may return the seconds that it took, where only a part of the call counts.
    work
        What it does, in numbers: tokens, decisions, policies.
    note
        What a reader of the figure must know.
    scale
        Factor of the measured seconds, for work that is measured on a part; the note says so.
    """

    name: str
    run: Callable[[], float | None]
    work: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class Profile:
    """Where the time of one way goes.

    Attributes
    ----------
    about
        One line: of what, over how much of it.
    groups
        Group -> part -> seconds. All parts together are the whole.
    """

    about: str
    groups: Mapping[str, Mapping[str, float]]

    def document(self) -> dict[str, Any]:
        """Return the profile with the sum of its parts and each group's share of it."""
        sums = {group: sum(parts.values()) for group, parts in self.groups.items()}
        total = sum(sums.values())
        return {
            "about": self.about,
            "seconds": total,
            "groups": {group: dict(parts) for group, parts in self.groups.items()},
            "shares": {group: seconds / total for group, seconds in sums.items()},
        }


@dataclass(frozen=True)
class Comparison:
    """The ways of a benchmark, and which of them are set against each other.

    Attributes
    ----------
    about
        One line: what is done.
    ratios
        Name -> (the way it is measured against, the way it is about): how many times faster the latter is.
    repeats
        Turns of each way unless asked otherwise.
    profile
        Says, once all turns are over, where the time of one of the ways went.
    """

    about: str
    ways: Sequence[Way]
    ratios: Mapping[str, tuple[str, str]]
    repeats: int = 5
    profile: Callable[[], Profile] | None = None


def measure(name: str, comparison: Comparison, repeats: int | None, say: Say) -> dict[str, Any]:
    """Time a comparison and return its part of the document: rows in seconds, ratios of medians, and a profile."""
    turns = repeats or comparison.repeats
    seconds: dict[str, list[float]] = {way.name: [] for way in comparison.ways}
    for turn in range(turns + 1):
        for way in comparison.ways:
            start = perf_counter()
            own = way.run()
            took = perf_counter() - start if own is None else own
            if took > 0.5 or not turn:
                say(f"{name}: {way.name}: {f'turn {turn} of {turns}' if turn else 'warm-up'}: {took:.4g} s")
            if turn:
                seconds[way.name].append(took * way.scale)
    middle = {way: median(taken) for way, taken in seconds.items()}
    rows = [
        {
            "way": way.name,
            "seconds": middle[way.name],
            "min": min(seconds[way.name]),
            "max": max(seconds[way.name]),
            "work": dict(way.work),
            "note": way.note,
        }
        for way in comparison.ways
    ]
    ratios = {label: middle[slow] / middle[fast] for label, (slow, fast) in comparison.ratios.items()}
    part = {"name": name, "about": comparison.about, "repeats": turns, "rows": rows, "ratios": ratios}
    return part if comparison.profile is None else part | {"profile": comparison.profile().document()}
