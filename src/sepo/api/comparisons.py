"""What changed between scorecards or runs, and whether it matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sepo.api.card import Scorecard
from sepo.api.runs import Run
from sepo.display import Cell, figure, table
from sepo.files import PathLike, path_of, write_json
from sepo.frames import Columns, Kind, frame


@dataclass(frozen=True)
class Comparison:
    """What changed from a first side to a second, or to each of several others.

    Attributes
    ----------
    document
        What ``sepo compare --json`` prints.
    """

    document: Mapping[str, Any]

    @property
    def summary(self) -> str:
        """How many figures changed, and which way; a line for each of several others."""
        found = list(self._each())
        return "\n".join(one["summary"] if len(found) == 1 else f"{one['after']}: {one['summary']}" for one in found)

    @property
    def said(self) -> tuple[str, ...]:
        """What changed in plain words, a sentence a figure, the most important first."""
        return tuple(verdict["said"] for one in self._each() for verdict in one["verdicts"])

    @property
    def caveats(self) -> tuple[str, ...]:
        """What else the sides differ in, and what that means for their figures."""
        return tuple(dict.fromkeys(said for one in self._each() for said in one["caveats"]))

    def frame(self, kind: Kind = "pandas") -> Any:
        """Return a data frame: one row per second side, game and figure that both have.

        ``difference`` is second minus first, with its interval ``low``, ``high``, missing where one seed gives none;
        ``pairing`` says how that was found, and ``reading`` what it says: ``better``, ``worse``, ``differs``, ``same``,
        ``untold`` or ``not comparable``. ``small`` is 1 where a clear difference hardly matters.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        rows = [
            (
                *(one["before"], one["after"], game, row["figure"], row["before"]["value"], row["after"]["value"]),
                *(row["difference"], row["low"], row["high"], row["pairing"], row["reading"], int(row["small"])),
            )
            for one in self._each()
            for game, rows in one["games"].items()
            for row in rows
        ]
        names: Columns = {"from": str, "to": str, "game": str, "figure": str}
        numbers: Columns = dict.fromkeys(("before", "after", "difference", "low", "high"), float)
        return frame(rows, {**names, **numbers, "pairing": str, "reading": str, "small": int}, kind)

    def save(self, path: PathLike) -> None:
        """Write the document to a file, whole or not at all."""
        write_json(path_of(path), dict(self.document))

    def _each(self) -> Iterator[Mapping[str, Any]]:
        from sepo.report.comparison import each

        yield from each(self.document)

    def __repr__(self) -> str:
        found = list(self._each())
        ends = ", ".join(map(repr, [found[0]["before"], *(one["after"] for one in found)][:3]))
        said = found[0]["summary"] if len(found) == 1 else f"{len(found)} comparisons with the first"
        return f"Comparison({ends}{', ...' if len(found) > 2 else ''}: {said})"

    def _repr_html_(self) -> str:
        return "".join(_shown(one) for one in self._each())


def _shown(found: Mapping[str, Any]) -> str:
    """Return one comparison in HTML: every figure, then what there is to mind."""
    rows: list[list[Cell]] = [
        [game, row["figure"], figure(row["before"]), figure(row["after"]), _difference(row), _verdict(row)]
        for game, rows in found["games"].items()
        for row in rows
    ]
    headings = ["game", "figure", "before", "after", "difference", "change"]
    note = " ".join([found["summary"], *(f"Mind: {said}." for said in found["caveats"])])
    return table(f"from {found['before']} to {found['after']}", headings, rows, note)


def _difference(row: Mapping[str, Any]) -> Cell:
    if row["low"] is None or row["high"] - row["low"] < 1e-9:
        return float(row["difference"])
    return figure({"value": row["difference"], "low": row["low"], "high": row["high"]})


def _verdict(row: Mapping[str, Any]) -> str:
    reading = str(row["reading"])
    words = {"same": "", "untold": "cannot be told"}.get(reading, reading)
    return words + (", small" if row["small"] else "")


def compare(*sides: Scorecard | Run | PathLike) -> Comparison:
    """Return what changed between scorecards or runs, figure by figure, and whether it matters.

    Parameters
    ----------
    sides
        Scorecards, runs, or their files and folders; each is compared with the first. A run is its trained arm,
        ``"FOLDER@ARM"`` another one; a run alone is its arms. Arms are paired by seed.

    Returns
    -------
    Comparison
        Of each figure that both have: the difference with its interval, which way it goes, and a sentence that says so.

    Raises
    ------
    InputError
        If something is neither, there are fewer than two sides, or one shares no game with the first.

    Examples
    --------
    >>> import sepo
    >>> before, after = (sepo.audit(name, "kuhn", measures="sepo") for name in ("script:tight_passive", "script:nash"))
    >>> found = sepo.compare(before, after)
    >>> found
    Comparison('script:tight_passive', 'script:nash': Of 6 figures: better on 4, worse on 2.)
    >>> print(found.said[0])
    exploitability: script:nash is less exploitable than script:tight_passive, by 0.2500 chips per hand: exact.
    """
    from sepo.report.sides import read_sides
    from sepo.report.verdicts import comparisons

    given = [
        one.document if isinstance(one, Scorecard) else str(one.folder if isinstance(one, Run) else path_of(one))
        for one in sides
    ]
    return Comparison(comparisons(*read_sides(given)))
