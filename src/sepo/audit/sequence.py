"""When enough has been played: a confidence sequence, valid at every sample size at once.

An ordinary 95 % interval holds at one sample size, fixed beforehand. Who looks again after each batch, and stops
once the interval is narrow, picks the moments at which the spread happens to look small. A confidence sequence
covers the truth at *all* sizes n simultaneously with the stated probability, so it may be stopped at any time and
for any reason. The price is width: at its tightest it is 1.55 times as wide as the 95 % interval of a fixed n, a bit
more elsewhere.

This is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform
central limit theory and asymptotic confidence sequences, Annals of Statistics 52. For independent values with mean mu
and running standard deviation sigma_n, the intervals ``mean_n -+ w_n`` with

    w_n = sigma_n sqrt(2 (n rho^2 + 1) / (n^2 rho^2) log(sqrt(n rho^2 + 1) / alpha))

contain mu for all n with probability 1 - alpha. ``rho`` must not depend on the values; it decides where the sequence
is tightest. "Asymptotic" stands for the central limit theorem: hence no look before a minimum number of clusters.

Values are per cluster, see ``audit.estimate``; this file knows neither games nor episodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sepo.audit.estimate import Floats, Statistic, influence, unvarying
from sepo.errors import InputError

EXPECTED = 400
"""Clusters at which the sequence is tightest, unless told better."""

REACH = 3.0
"""How far, in standard errors, the linearisation of a statistic looks: about the reach of the sequence itself."""


class Look(NamedTuple):
    """One look at the values so far: their number ``n``, the ``half_width`` reached, whether that is enough."""

    n: int
    half_width: float
    stop: bool


@dataclass(frozen=True)
class Stopping:
    """Stop as soon as the confidence sequence is narrow enough.

    Attributes
    ----------
    target
        The half-width wanted, in the measure's unit.
    level
        Probability with which the sequence covers at all sizes.
    minimum
        Clusters before the first look. Until then the central limit theorem is no help, and a rare payoff may be
        unseen: one of probability p is missing from all with probability ``(1 - p)^minimum``. With 100 a payoff met in
        one of 20 clusters is still covered as promised; with 50 it is not.
    expected
        About how many clusters it will take, see ``expected_clusters``: the sequence is tightest there. Fix it before
        the first value is seen. A factor of 4 off costs less than a tenth of the width.
    """

    target: float
    level: float = 0.95
    minimum: int = 100
    expected: int = EXPECTED

    def __post_init__(self) -> None:
        if not self.target > 0:
            raise InputError(f"the half-width to stop at is above 0, not {self.target}")
        if self.minimum < 2:
            raise InputError(f"a spread takes at least 2 clusters before the first look, not {self.minimum}")
        tightest(self.expected, self.level)

    def look(self, values: ArrayLike, *, settled: bool = False) -> Look:
        """Say whether all the values so far are enough.

        Parameters
        ----------
        values : (clusters,) or (clusters, measures)
            Everything since the start, not the last batch. The widest of several measures decides; all of them cover
            *together* at 1 - alpha if each has the level 1 - alpha / measures.
        settled
            Whether values that do not vary are known never to. Else they are not enough, however many there are: what
            has not been met yet says nothing of the spread.
        """
        values = np.asarray(values, dtype=np.float64)
        n = len(values)
        if n < self.minimum:
            return Look(n, math.inf, stop=False)
        if not settled and bool(np.any(np.ptp(values, axis=0) == 0)):
            return Look(n, math.inf, stop=False)
        reached = float(np.max(half_width(values, self.level, self.expected)))
        return Look(n, reached, reached <= self.target)

    def look_at(self, sample: ArrayLike, statistic: Statistic, settled: ArrayLike = False) -> Look:
        """Say whether a sample is enough for a statistic of its means, by ``linearised`` values.

        ``settled`` says which quantities never vary, as in ``estimate.clustered``.
        """
        rows = np.asarray(sample, dtype=np.float64)
        if len(rows) < self.minimum or unvarying(rows, statistic, settled):
            return Look(len(rows), math.inf, stop=False)
        return self.look(linearised(rows, statistic), settled=True)


def half_width(values: ArrayLike, level: float = 0.95, expected: int = EXPECTED) -> Floats:
    """Return the half-width w_n of the confidence sequence after the n values given.

    Parameters
    ----------
    values : (clusters,) or (clusters, measures)
        Independent values, or the ``linearised`` values of a statistic.
    level
        1 - alpha.
    expected
        The n at which the sequence is tightest, chosen before any value was seen.

    Returns
    -------
    () or (measures,)
        Half-widths, in the unit of the values; infinite for a single value, and for a statistic not yet defined.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.inf)
    deviation = np.asarray(values.std(axis=0, ddof=1))
    return np.where(np.isnan(deviation), np.inf, deviation * boundary(n, tightest(expected, level), level))


def boundary(n: ArrayLike, rho: float, level: float = 0.95) -> Floats:
    """Return the half-width for values of standard deviation 1 at each of the sizes ``n``: w_n / sigma_n."""
    n = np.asarray(n, dtype=np.float64)
    spread = n * rho**2
    return np.asarray(np.sqrt(2 * (spread + 1) / (n * spread) * np.log(np.sqrt(spread + 1) / (1 - level))))


def tightest(expected: int, level: float = 0.95) -> float:
    """Return the rho for which ``boundary`` at n = ``expected`` is smallest.

    With u = n rho^2 the squared boundary is (u + 1) / u log((u + 1) / alpha^2) / n. Its derivative is 0 where
    u = log((u + 1) / alpha^2), that is ``u = -W(-alpha^2 / e) - 1`` with W the lower branch of Lambert's function. The
    boundary is then ``sqrt((u + 1) / n)``, 3.04 / sqrt(n) at 95 %.
    """
    if not 0 < level < 1:
        raise InputError(f"the level of a confidence sequence is between 0 and 1, such as 0.95, not {level}")
    if expected < 1:
        raise InputError(f"the number of clusters expected is at least 1, not {expected}")
    return math.sqrt(_optimum(level) / expected)


def expected_clusters(deviation: float, target: float, level: float = 0.95) -> int:
    """Return how many clusters it takes to reach a half-width: ``(u + 1) (deviation / target)^2``, u of ``tightest``.

    ``deviation`` is a guess at the standard deviation of a cluster's value that was made without the values to come:
    half the range of the payoffs at most, or that of an earlier audit.
    """
    return max(1, math.ceil((_optimum(level) + 1) * (deviation / target) ** 2))


def linearised(sample: ArrayLike, statistic: Statistic) -> Floats:
    """Return the values whose mean a smooth statistic of means follows, for ``half_width``.

    They are influence values: of the jackknife, or over a step of three standard errors where those spread more. A
    clip ``max(0, .)`` that is at work is flat to a small step, which would end the play at the first look. The longer
    step sees past its kink; far below it the statistic *is* flat, and the half-width 0.

    Parameters
    ----------
    sample : (clusters, quantities)
        Means per cluster.
    """
    near, far = influence(sample, statistic), influence(sample, statistic, REACH)
    return far if far.std() > near.std() else near


def _optimum(level: float) -> float:
    from scipy.special import lambertw  # a tenth of a second to import

    return float(-lambertw(-((1 - level) ** 2) / math.e, -1).real - 1)
