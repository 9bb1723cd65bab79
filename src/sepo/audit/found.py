"""What an audit found of a policy in one game, and how its quantities become the scorecard's figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sepo.audit.estimate import ANYTHING, Interval, Statistic, clustered, influence
from sepo.audit.exact import Expectations
from sepo.audit.figures import ANYONE, SHARE, Figure, Range, frequency, measured
from sepo.games.base import Game, MeasureName, MeasureSet
from sepo.games.held import PLAY
from sepo.keys import generator
from sepo.solve.tree import Floats

LEVEL = 0.95
ROUNDING = 1e-12
"""Bounds closer than this differ by rounding alone."""


def exact(value: float) -> dict[str, float | int | None]:
    """Return an exact figure."""
    return {"value": value, "low": value, "high": value, "n": None}


def lone(value: float) -> dict[str, float | int | None]:
    """Return a figure from a single draw, which does not tell how far off it is."""
    return {"value": value, "low": None, "high": None, "n": 1}


class Stopped(NamedTuple):
    """Where sampling stopped: clusters played, the half-width of J's confidence sequence then, and of which J."""

    at: int
    half_width: float
    of: MeasureName


@dataclass
class Found:
    """What is known of a policy in one game.

    Attributes
    ----------
    method
        How, as the scorecard says it.
    values
        The quantities.
    extra
        Further parts of the scorecard.
    plain
        The same quantities without control variates, where they were sampled.
    stopped
        Where sampling stopped, if it was for a half-width.
    """

    game: Game
    method: str
    values: Expectations
    extra: dict[str, Any]
    plain: Expectations | None = None
    stopped: Stopped | None = None

    @property
    def uncertain(self) -> bool:
        """Whether the policy itself is known from samples only."""
        return False

    def posterior(self, formula: Figure) -> Range:
        """Return a figure of every policy that it may be, (draws,); of the one that it is."""
        return formula(self.values.get(self.values.rows.mean(axis=0, keepdims=True)))

    def measures(self, measures: MeasureSet) -> dict[str, Figure | None]:
        """Return u, e, c, x and J; e, and a J that weighs it, are None where what a best response earns is unknown."""
        out = measured(self.game, measures)
        asked = {
            "exploitability": [(ANYONE, "exploitability")],
            "regret": [(o, "best") for o in measures.pools["exploiter"]],
            "advantage": [],
        }
        if not all(self.values.has(*quantity) for quantity in asked[measures.e]):
            out["e"] = None
            if measures.weights.e:
                out["J"] = None
        return out

    def figure(
        self,
        formula: Figure | None,
        key: tuple[object, ...],
        span: tuple[float, float] = ANYTHING,
    ) -> dict[str, float | int | None] | None:
        """Return a figure of the scorecard; None where it does not apply or is not defined.

        ``span`` is the least and the most that it can be, to which an interval is cut; see ``estimate.clustered``.
        """
        if formula is None:
            return None
        rows = self.values.rows
        asked: set[int] = set()
        drawn: set[int] = set()
        middle = formula(self.values.get(rows.mean(axis=0, keepdims=True), asked, drawn))
        if not np.isfinite(middle.value).all():
            return None
        value, low, high = (float(x[0]) for x in middle)
        if high - low < ROUNDING:
            low = high = value
        if asked and self.values.episodes == len(rows) == 1:
            return lone(value)
        if len(rows) == 1 or not asked:
            n = min(drawn, default=None)
            return {"value": value, "low": number(min(low, value)), "high": number(max(high, value)), "n": n}
        columns = sorted(asked)

        def on_columns(means: Floats) -> Range:
            return formula(self.values.get(self.completed(means, columns)))

        found = resampled(rows[:, columns], on_columns, ("interval", *key), span, self.values.sure[columns])
        return found | {"n": self.values.episodes} | self._effective(formula, rows)

    def completed(self, means: Floats, columns: Sequence[int]) -> Floats:
        """Put means of some quantities, (draws, columns), among those of all others as found. (draws, quantities)."""
        full = self.values.rows.mean(axis=0)
        every = np.broadcast_to(full, (len(means), len(full))).copy()
        every[:, columns] = means
        return every

    def _effective(self, formula: Figure, rows: Floats) -> dict[str, float | None]:
        """Return how many plain episodes the sample is worth; None where control variates left no variance at all."""
        if self.plain is None:
            return {}
        spread = [float(influence(e.rows, statistic(formula, e)).var(ddof=1)) for e in (self.plain, self.values)]
        if spread[1] <= 1e-18:
            return {"effective": None}
        return {"effective": (self.values.episodes or len(rows)) * spread[0] / spread[1]}

    def frequencies(self, opponents: Sequence[str], seat: int, key: tuple[object, ...]) -> dict[str, Any]:
        """Return the share of own decisions, in one seat, at which each action is played."""
        begin = f"{PLAY}{seat} "
        counts = list(dict.fromkeys(q for o, q in self.values.columns if o in opponents and q.startswith(begin)))
        for o in opponents:
            for q in counts:
                self.values.absent(o, q)
                if self.plain is not None:
                    self.plain.absent(o, q)
        return {
            q.removeprefix(begin): self.figure(frequency(opponents, q, counts), (*key, "frequency", q), span=SHARE)
            for q in counts
        }


def resampled(
    rows: Floats,
    formula: Callable[[Floats], Range],
    key: tuple[object, ...],
    span: tuple[float, float] = ANYTHING,
    settled: ArrayLike = False,
) -> dict[str, float | int | None]:
    """Return a formula of the means of rows, (clusters, quantities), with its bootstrap interval.

    Where something in it is not resampled and known within bounds alone, the interval goes from the low end of the
    least that the formula may be to the high end of the most.
    """
    middle = formula(rows.mean(axis=0, keepdims=True))
    value, low, high = (float(x[0]) for x in middle)

    def interval(of: Callable[[Range], Floats]) -> Interval:
        return clustered(
            rows,
            lambda means: np.broadcast_to(of(formula(means)), (len(means),)),
            generator(*key),
            bounds=span,
            settled=settled,
        )

    found = interval(lambda drawn: drawn.value)
    least, most = found.low, found.high
    if value - low > ROUNDING:
        least = interval(lambda drawn: drawn.low).low if np.isfinite(low) else -np.inf
    if high - value > ROUNDING:
        most = interval(lambda drawn: drawn.high).high if np.isfinite(high) else np.inf
    return {"value": found.value, "low": number(min(least, found.low)), "high": number(max(most, found.high))}


def number(value: float) -> float | None:
    """Return a number that JSON has; None for an infinite one."""
    return value if np.isfinite(value) else None


def difference(
    first: Found,
    second: Found,
    one: Figure | None,
    two: Figure | None,
    key: tuple[object, ...],
    span: tuple[float, float] = ANYTHING,
) -> dict[str, Any] | None:
    """Return a figure of ``second`` minus the same of ``first``; paired where both are sampled.

    Row k of both is the same cluster, so where one stopped earlier than the other the first rows are paired, which both
    have; ``n`` is their number. None where it does not apply to one of them or is not defined, or where one is sampled
    and the other is not. ``span`` is the least and the most that either figure can be.
    """
    if one is None or two is None:
        return None
    if first.uncertain or second.uncertain:
        return _apart(first, second, one, two)
    asked: tuple[set[int], set[int]] = set(), set()

    def apart(before: Floats, after: Floats) -> Range:
        a, b = one(first.values.get(before, asked[0])), two(second.values.get(after, asked[1]))
        return Range(b.value - a.value, b.low - a.high, b.high - a.low)

    middle = apart(*(found.values.rows.mean(axis=0, keepdims=True) for found in (first, second)))
    if not np.isfinite(middle.value).all():
        return None
    sizes = [len(of.values.rows) for of, columns in zip((first, second), asked, strict=True) if columns]
    if all(size == 1 for size in sizes):
        value, low, high = (float(x[0]) for x in middle)
        if high - low < ROUNDING:
            low = high = value
        if sizes and 1 in (first.values.episodes, second.values.episodes):
            return lone(value)
        return {"value": value, "low": number(low), "high": number(high), "n": None}
    if 1 in sizes:
        return None
    n = min(sizes)
    ours, theirs = (sorted(columns) for columns in asked)
    taken = ((first, ours), (second, theirs))
    rows = np.hstack([of.values.rows[:n, columns] if columns else np.zeros((n, 0)) for of, columns in taken])

    def on_columns(means: Floats) -> Range:
        split = len(ours)
        return apart(first.completed(means[:, :split], ours), second.completed(means[:, split:], theirs))

    if not np.isfinite(on_columns(rows.mean(axis=0, keepdims=True)).value).all():
        return None
    width = span[1] - span[0]
    settled = np.concatenate([of.values.sure[columns] for of, columns in taken])
    return resampled(rows, on_columns, key, span=(-width, width), settled=settled) | {"n": n}


def _apart(first: Found, second: Found, one: Figure, two: Figure) -> dict[str, Any] | None:
    """Return a difference of figures of which one at least is drawn, over all pairs of a draw of each.

    Draw k of both comes of the same random numbers: to pair those alone would take the two for dependent.
    """
    if max(len(found.values.rows) for found in (first, second)) > 1:
        return None
    values = []
    for found, formula in ((first, one), (second, two)):
        values.append(float(formula(found.values.get(found.values.rows.mean(axis=0, keepdims=True))).value[0]))
    if not np.isfinite(values).all():
        return None
    before, after = first.posterior(one), second.posterior(two)
    pairs = (after.value, before.value), (after.low, before.high), (after.high, before.low)
    low, high = ends(Range(*(np.subtract.outer(theirs, ours).ravel() for theirs, ours in pairs)))
    value = values[1] - values[0]
    return {"value": value, "low": number(min(low, value)), "high": number(max(high, value)), "n": None}


def ends(drawn: Range, level: float = LEVEL) -> tuple[float, float]:
    """Return the ends of an interval of figures drawn; infinite where a figure is undefined in more draws than that."""
    tail = (1 - level) / 2
    low = np.where(np.isnan(drawn.low), -np.inf, drawn.low)
    high = np.where(np.isnan(drawn.high), np.inf, drawn.high)
    return float(np.quantile(low, tail, method="lower")), float(np.quantile(high, 1 - tail, method="higher"))


def statistic(formula: Figure, values: Expectations) -> Statistic:
    """Return a figure as a function of the means of quantities, (draws, quantities) to (draws,)."""
    return lambda means: np.broadcast_to(formula(values.get(means)).value, (len(means),))
