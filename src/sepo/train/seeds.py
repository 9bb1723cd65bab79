"""A figure over seeds: its mean, its interval, and how two arms differ seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
ROUNDING = 1e-9
"""What is no further from zero than this is zero: seeds that agree to the last digit have no interval to tell."""


def interval(values: Sequence[float]) -> dict[str, Any]:
    """Return the mean over seeds with its 95 % Student t interval; with one seed the interval is the value."""
    mean = float(np.mean(values))
    half = 0.0
    if len(values) > 1:
        error = float(np.std(values, ddof=1)) / np.sqrt(len(values))
        half = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * error
    return {"value": mean, "low": mean - half, "high": mean + half, "n": len(values), "seeds": list(values)}


def widened(found: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """Return ``interval`` of each seed's (value, low, high), widened by what the audits themselves leave open."""
    out = interval([float(value) for value, _, _ in found])
    out["low"] -= float(np.mean([value - low for value, low, _ in found]))
    out["high"] += float(np.mean([high - value for value, _, high in found]))
    return out


class Figure(NamedTuple):
    """A figure of one seed, with the bounds that its audit gives; all three agree where it is exact."""

    value: float
    low: float
    high: float


BySeed = Mapping[str, Mapping[int, Figure]]
"""Figures by name and seed."""


class Spread(NamedTuple):
    """A mean over seeds with its 95 % Student t interval, widened by what the audits leave open.

    The interval of one seed is what its audit leaves open, and None where that is nothing. It says nothing of luck, so
    one seed has no sign and is within no margin.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: Mapping[int, float]

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies above or below zero, else 0."""
        if self.low is None or self.high is None or len(self.seeds) < 2:
            return 0
        return int(self.low > ROUNDING) - int(self.high < -ROUNDING)

    def within(self, margin: float) -> bool:
        """Whether the whole interval is nearer to zero than ``margin``."""
        if self.low is None or self.high is None or len(self.seeds) < 2:
            return False
        return -margin < self.low and self.high < margin

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object; ``interval`` is null where there is none."""
        interval = None if self.low is None else [self.low, self.high]
        seeds = {str(seed): value for seed, value in self.seeds.items()}
        return {"mean": self.mean, "interval": interval, "n": len(seeds), "seeds": seeds}


def ends(whole: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the interval of a figure over seeds, as ``widened`` has it; None of one seed that is exact."""
    told = whole["n"] > 1 or whole["high"] - whole["low"] > ROUNDING
    return (whole["low"], whole["high"]) if told else None


def spread(found: Mapping[int, Figure]) -> Spread | None:
    """Return the mean of a figure over seeds with its interval; None where no seed has it."""
    if not found:
        return None
    whole = widened(list(found.values()))
    low, high = ends(whole) or (None, None)
    return Spread(whole["value"], low, high, {seed: f.value for seed, f in found.items()})


def paired(ours: Mapping[int, Figure], theirs: Mapping[int, Figure]) -> dict[int, Figure]:
    """Return ours minus theirs, seed by seed, over the seeds that both have."""
    return {
        seed: Figure(a.value - theirs[seed].value, a.low - theirs[seed].high, a.high - theirs[seed].low)
        for seed, a in ours.items()
        if seed in theirs
    }
