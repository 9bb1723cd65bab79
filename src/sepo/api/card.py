"""A scorecard as an object: its figures by name, a table in a notebook, and data frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sepo.audit.compare import elicited, load_card
from sepo.audit.meanings import MEANINGS
from sepo.display import figure, number, table
from sepo.errors import InputError
from sepo.files import PathLike, path_of, write_json
from sepo.frames import Columns, Kind, frame

FIGURE: Columns = {"value": float, "low": float, "high": float, "n": int}


class Figure(NamedTuple):
    """A figure with its interval.

    Attributes
    ----------
    value
        None where there is none within the audit's horizon.
    low, high
        Equal to the value where it is exact; without ``n``, bounds that hold for certain, None where there is none on
        that side; with ``n``, a 95 % interval.
    n
        Instances, clusters of episodes or answers that it rests on; None where it is exact or bounded.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int | None = None

    def __repr__(self) -> str:
        return f"Figure({figure(self._asdict())}{'' if self.n is None else f', n={self.n}'})"

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Figure:
        """Read one from a document."""
        return cls(found["value"], found["low"], found["high"], found.get("n"))


@dataclass(frozen=True)
class Scorecard:
    """Every measure of one policy in its games.

    Attributes
    ----------
    document
        As ``sepo audit --json`` prints it: schema ``sepo.scorecard/1``.

    Examples
    --------
    >>> import sepo
    >>> card = sepo.audit("script:nash", "kuhn")
    >>> card
    Scorecard('script:nash', kuhn: J 0.0139, exploitability 0.0000)
    >>> card.figure("kuhn", "sepo.J"), card.figure("kuhn", "robustness").value
    (Figure(0.0139), 0.02777777777777777)
    """

    document: Mapping[str, Any]

    @property
    def policy(self) -> str:
        """Its name."""
        return str(self.document["policy"])

    @property
    def games(self) -> Mapping[str, Mapping[str, Any]]:
        """What was found, by game: rules, method, measures, opponents and all else, as in the document."""
        games: Mapping[str, Mapping[str, Any]] = self.document["games"]
        return games

    def figure(self, game: str, name: str) -> Figure | None:
        """Return a figure.

        Parameters
        ----------
        name
            ``u``, ``e``, ``c``, ``x`` or ``J``, with the set of measures before it (``paper.e``) unless the main one is
            meant; or the name of any other figure, such as ``exploitability``.

        Returns
        -------
        Figure or None
            None where the figure does not apply.

        Raises
        ------
        InputError
            If the scorecard has no such game or figure.
        """
        part = self._part(game)
        known = {f"{of}.{key}": found for of, row in part["measures"].items() for key, found in row.items()}
        known |= dict(part["measures"][_main(part)])
        known |= {key: found for key, found in part.items() if _is_figure(key, found)}
        if name not in known:
            raise InputError(f"scorecard of '{self.policy}': game '{game}' has no figure '{name}': {', '.join(known)}")
        return None if known[name] is None else Figure.of(known[name])

    def frame(self, kind: Kind = "pandas") -> Any:
        """Return the figures as a data frame, one row per game, set of measures and figure that applies.

        Figures beside u, e, c, x and J go by the rules of the main set, ``sepo`` unless ``paper`` alone was asked for.

        Parameters
        ----------
        kind
            ``pandas`` or ``polars``.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            Columns ``policy``, ``game``, ``measures``, ``figure``, ``value``, ``low``, ``high``, ``n``, ``method``.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        rows = [
            (self.policy, game, of, name, *Figure.of(found), part["method"])
            for game, part in self.games.items()
            for of, name, found in _figures(part)
        ]
        columns: Columns = {"policy": str, "game": str, "measures": str, "figure": str, **FIGURE, "method": str}
        return frame(rows, columns, kind)

    def opponents(self, kind: Kind = "pandas") -> Any:
        """Return how it fared against each opponent, one row per game, pool, opponent and figure.

        Raises
        ------
        InputError
            If the library is not installed.
        """
        rows = [
            (self.policy, game, met["pool"], met["name"], name, *Figure.of(found), part["method"])
            for game, part in self.games.items()
            for met in part["opponents"]
            for name, found in met.items()
            if isinstance(found, Mapping)
        ]
        before: Columns = {"policy": str, "game": str, "pool": str, "opponent": str, "figure": str}
        return frame(rows, {**before, **FIGURE, "method": str}, kind)

    def save(self, path: PathLike) -> None:
        """Write the document to a file, whole or not at all; ``load_scorecard`` reads it."""
        write_json(path_of(path), dict(self.document))

    def _part(self, game: str) -> Mapping[str, Any]:
        if game not in self.games:
            raise InputError(f"scorecard of '{self.policy}' has no game '{game}': it has {', '.join(self.games)}")
        return self.games[game]

    def __repr__(self) -> str:
        return ", ".join([f"Scorecard({self.policy!r}", *(f"{game}: {said}" for game, said in self._heads())]) + ")"

    def __rich_repr__(self) -> Iterator[Any]:
        yield self.policy
        yield from self._heads()

    def _heads(self) -> Iterator[tuple[str, str]]:
        """Yield each game with its headline figures."""
        for game in self.games:
            heads = {name: self.figure(game, name) for name in ("J", "exploitability")}
            yield repr(game)[1:-1], ", ".join(f"{k} {number(f.value)}" for k, f in heads.items() if f is not None)

    def _repr_html_(self) -> str:
        said = elicited(self.document)
        return "".join(
            table(
                f"{self.policy} in {game}: {part['unit']}, {part['method']}",
                ["figure", "value", "meaning"],
                [
                    [f"{of} {name}" if name in part["measures"][of] else name, figure(found), _meaning(name)]
                    for of, name, found in _figures(part)
                ],
                said,
            )
            for game, part in self.games.items()
        )


def _main(part: Mapping[str, Any]) -> str:
    """Return the set of measures by whose rules the other figures are taken."""
    return str(list(part["measures"])[-1])


def _is_figure(key: str, found: object) -> bool:
    return key in MEANINGS if found is None else isinstance(found, Mapping) and "value" in found


def _figures(part: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the figures that apply: set of measures, name and figure."""
    for of, row in part["measures"].items():
        for name, found in row.items():
            if found is not None:
                yield of, name, found
    for name, found in part.items():
        if found is not None and _is_figure(name, found):
            yield _main(part), name, found


def _meaning(name: str) -> str:
    return MEANINGS[name].text if name in MEANINGS else ""


def load_scorecard(path: PathLike) -> Scorecard:
    """Read a scorecard file, as ``sepo audit --out FILE`` and ``Scorecard.save`` write it.

    Returns
    -------
    Scorecard
        With the same figures.

    Raises
    ------
    InputError
        If there is no such file, or it holds no scorecard.
    """
    return Scorecard(load_card(path_of(path)))
