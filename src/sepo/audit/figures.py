"""Every figure of a scorecard as a function of expectations: one formula each, however the expectations were found.

A *quantity* is the expected value per round of something that falls due in the learner's episodes against one
opponent, averaged over the learner's seats: its ``own`` payoff, the ``other``'s, a feature of the game, a count of an
action (``play SEAT ACTION``); or ``best``, the payoff of a best response to that opponent. A figure asks for weighted
sums of them and combines those by the definitions of the measures. Exact values, bounds where a policy is only
partly known, and resampled means all answer the same question, so no method has formulas of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sepo.games.base import Game, MeasureSet, PoolName, Ratio
from sepo.solve.tree import Floats

ANYONE = "*"
"""The opponent of the quantities that are extremes over all opponents: ``worst``, ``least``, ``exploitability``."""
SHARE, LOSS = (0.0, 1.0), (0.0, math.inf)
"""What a figure can be, at least and at most."""


class Range(NamedTuple):
    """A value with rigorous bounds, each (draws,); all three agree where nothing is unknown."""

    value: Floats
    low: Floats
    high: Floats

    def plus(self, other: Range) -> Range:
        """Add."""
        return Range(self.value + other.value, self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Range:
        """Scale; a negative factor swaps the bounds."""
        low, high = (self.low, self.high) if factor >= 0 else (self.high, self.low)
        return Range(self.value * factor, low * factor, high * factor)

    def clipped(self) -> Range:
        """Return max(0, .)."""
        return Range(*(np.maximum(x, 0.0) for x in self))

    def over(self, other: Range) -> Range:
        """Divide by one that is not negative; 0 where it is divided by 0.

        Where what it is divided by may be 0 or next to it, there is no end on a side that it may lie on.
        """
        least = _quotient(self.low, np.where(self.low < 0, other.low, other.high))
        most = _quotient(self.high, np.where(self.high < 0, other.high, other.low))
        small = (other.low <= 0) & (other.high > 0)
        low = np.where(small, np.where(self.low < 0, -np.inf, 0.0), least)
        high = np.where(small, np.where(self.high > 0, np.inf, 0.0), most)
        return Range(_quotient(self.value, other.value), low, high)


Get = Callable[[str, Mapping[str, float]], Range]
Figure = Callable[[Get], Range]


def exactly(value: Floats) -> Range:
    """Return a value that is its own bounds."""
    return Range(value, value, value)


def mean(ranges: Sequence[Range]) -> Range:
    """Average."""
    total = ranges[0]
    for other in ranges[1:]:
        total = total.plus(other)
    return total.times(1 / len(ranges))


def of(opponents: Sequence[str], due: Mapping[str, float]) -> Figure:
    """Return the mean over opponents of a weighted sum of quantities."""
    return lambda get: mean([get(o, due) for o in opponents])


def clip(opponents: Sequence[str], due: Mapping[str, float]) -> Figure:
    """Return the mean over opponents of max(0, weighted sum): the clip is on the expectation, never per episode."""
    return lambda get: mean([get(o, due).clipped() for o in opponents])


def quotient(opponents: Sequence[str], numerator: str, denominator: str) -> Figure:
    """Return the mean over opponents of a ratio of two expectations."""
    return lambda get: mean([get(o, {numerator: 1.0}).over(get(o, {denominator: 1.0})) for o in opponents])


def exploitation(measures: MeasureSet) -> Figure:
    """Return e."""
    if measures.e == "exploitability":
        return of([ANYONE], {"exploitability": 1.0})
    gain = {"best": 1.0, "own": -1.0} if measures.e == "regret" else {"other": 1.0, "own": -1.0}
    return clip(measures.pools["exploiter"], gain)


def share(measures: MeasureSet, ratio: Ratio) -> Figure:
    """Return c or x."""
    return quotient([o for name in ratio.pools for o in measures.pools[name]], ratio.numerator, ratio.denominator)


def measured(game: Game, measures: MeasureSet) -> dict[str, Figure | None]:
    """Return u, e, c, x and J under a measure set; None where one does not apply."""
    u, e = of(measures.pools["train"], {"own": 1.0}), exploitation(measures)
    c = None if measures.c is None else share(measures, measures.c)
    x = None if measures.x is None else share(measures, measures.x)
    s, weights = game.scale, measures.weights

    def j(get: Get) -> Range:
        out = u(get).times(s)
        if weights.e:
            out = out.plus(e(get).times(-weights.e * s))
        for part, weight in ((c, weights.c), (x, weights.x)):
            if part is not None and weight:
                out = out.plus(part(get).times(-weight))
        return out

    return {"u": u, "e": e, "c": c, "x": x, "J": j}


def span(key: str, measures: MeasureSet) -> tuple[float, float]:
    """Return what a figure can be at least and at most, by its name in the scorecard.

    Features are counts or shares of what they are divided by (``games.base.Ratio``); a payoff may be anything. Sampled
    intervals are cut to it.
    """
    if key in ("e", "regret"):
        return LOSS
    ratio = {"c": measures.c, "x": measures.x}.get(key)
    counted = ratio is not None and not {ratio.numerator, ratio.denominator} & {"own", "other"}
    return SHARE if counted or key in ("cooperation_rate", "pool_coverage") else (-math.inf, math.inf)


def relative_advantage(opponents: Sequence[str]) -> Figure:
    """Return the normalised relative advantage, over the opponents against which the payoffs' sum is positive.

    NaN where there is none. Where a sum may but need not be positive, bounds are the extremes over all that may count;
    they are infinite if payoffs may be negative there, else at most 1 apart from 0.
    """

    def nra(get: Get) -> Range:
        found = [_advantage(get, o) for o in opponents]
        surely = np.array([r.sum.low > 0 for r in found])
        sure = np.all([(r.sum.low > 0) | (r.sum.high <= 0) for r in found], axis=0)  # who counts is known
        counted, may = (
            np.array([x > 0 for x in y]) for y in ([r.sum.value for r in found], [r.sum.high for r in found])
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.sum(np.where(counted, [r.ratio.value for r in found], 0.0), axis=0) / counted.sum(axis=0)
        low, high = [r.ratio.low for r in found], [r.ratio.high for r in found]
        with np.errstate(invalid="ignore", divide="ignore"):
            least, most = (np.sum(np.where(surely, x, 0.0), axis=0) / surely.sum(axis=0) for x in (low, high))
        return Range(
            value,
            np.where(sure, least, np.min(np.where(may, low, np.inf), axis=0)),
            np.where(sure, most, np.max(np.where(may, high, -np.inf), axis=0)),
        )

    return nra


class _Advantage(NamedTuple):
    """What two payoffs sum to, and their difference as a share of that; the share matters where the sum is positive."""

    sum: Range
    ratio: Range


def _advantage(get: Get, opponent: str) -> _Advantage:
    gap, total = get(opponent, {"own": 1.0, "other": -1.0}), get(opponent, {"own": 1.0, "other": 1.0})
    gains = np.minimum(get(opponent, {"own": 1.0}).low, get(opponent, {"other": 1.0}).low) >= 0
    widest = np.where(gains, 1.0, np.inf)  # of payoffs that are not negative, the difference is at most the sum

    def ratio(above: Floats, below: Floats, otherwise: Floats) -> Floats:
        return np.where(below > 0, above / np.where(below > 0, below, 1.0), otherwise)

    low = ratio(gap.low, np.where(gap.low < 0, total.low, total.high), -widest)
    high = ratio(gap.high, np.where(gap.high < 0, total.high, total.low), widest)
    return _Advantage(
        total,
        Range(ratio(gap.value, total.value, np.zeros(1)), np.maximum(low, -widest), np.minimum(high, widest)),
    )


def frequency(opponents: Sequence[str], action: str, actions: Sequence[str]) -> Figure:
    """Return the share of own decisions in which an action is played; both are names of counts."""

    def share_of(get: Get) -> Range:
        counts = {a: mean([get(o, {a: 1.0}) for o in opponents]) for a in actions}
        rest = [counts[a] for a in actions if a != action]
        total = np.sum([c.value for c in counts.values()], axis=0)
        mine = counts[action]
        least = mine.low + np.sum([r.high for r in rest], axis=0)
        most = mine.high + np.sum([r.low for r in rest], axis=0)
        return Range(_quotient(mine.value, total), _quotient(mine.low, least), _quotient(mine.high, most))

    return share_of


def reported(game: Game, measures: MeasureSet, extremes: Collection[str]) -> dict[str, Figure | None]:
    """Return the figures that stand beside the measures; None where one does not apply.

    ``extremes`` are those of the quantities ``worst``, ``gap`` and ``exploitability`` of ``ANYONE`` that are known.
    """
    train, exploiters = measures.pools["train"], measures.pools["exploiter"]
    cooperation = game.cooperation

    def coverage(get: Get) -> Range:
        worst = get(ANYONE, {"worst": 1.0})
        pooled = clip(exploiters, {"other": 1.0, "own": -1.0})(get)
        positive = Range(*(np.where(x > 1e-12, x, np.nan) for x in worst))
        value, least = (np.minimum(x, 1.0) for x in (pooled.value / positive.value, pooled.low / positive.high))
        most = np.fmin(pooled.high / positive.low, 1.0)  # 1 where the worst case may be nothing
        return Range(value, least, most)  # no pool finds more than there is, whatever sampled episodes say

    return {
        "exploitability": of([ANYONE], {"exploitability": 1.0}) if "exploitability" in extremes else None,
        "worst_case_advantage": of([ANYONE], {"worst": 1.0}) if "worst" in extremes else None,
        "security_gap": of([ANYONE], {"gap": 1.0}) if "gap" in extremes else None,
        "pool_coverage": coverage if "worst" in extremes else None,
        "robustness": of(exploiters, {"own": 1.0}),
        "held_out": of(measures.pools["held_out"], {"own": 1.0}),
        "nra": None if game.zero_sum else relative_advantage(train),
        "welfare": None if game.zero_sum else of(train, {"own": 1.0, "other": 1.0}),
        "cooperation_rate": None if cooperation is None else of(train, {cooperation: 1.0}),
    }


def met(name: str, regret: bool) -> dict[str, Figure | None]:
    """Return the figures of one opponent."""
    return {
        "own": of([name], {"own": 1.0}),
        "other": of([name], {"other": 1.0}),
        "advantage": of([name], {"other": 1.0, "own": -1.0}),
        "regret": clip([name], {"best": 1.0, "own": -1.0}) if regret else None,
    }


def listed(pools: Mapping[PoolName, tuple[str, ...]]) -> list[tuple[PoolName, str]]:
    """Return every opponent of every pool with the pool's name."""
    return [(pool, o) for pool, names in pools.items() for o in names]


def _quotient(above: Floats, below: Floats) -> Floats:
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)
