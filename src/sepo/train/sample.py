"""Which decisions a step scores, where a game has too many: drawn so that what is learnt is right on average.

Systematic sampling with probability proportional to size: a decision is drawn with probability
``p_i = min(1, c * share_i)``, and what it contributes is divided by ``p_i``, so sums over the sample are unbiased for
sums over all (D. G. Horvitz and D. J. Thompson, "A generalization of sampling without replacement from a finite
universe", Journal of the American Statistical Association 47, 1952; W. G. Madow, "On the theory of systematic
sampling, II", Annals of Mathematical Statistics 20, 1949).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sepo.solve.tree import Floats, Ints


class Sample(NamedTuple):
    """Decisions drawn, in order, and the probability with which each was. (drawn,) both."""

    chosen: Ints
    inclusion: Floats


def draw(share: Floats, size: int, rng: np.random.Generator) -> Sample:
    """Draw about ``size`` decisions by their share, (decisions,); all that have any, if they are no more."""
    some = np.flatnonzero(share > 0)
    if len(some) <= size:
        return Sample(some, np.ones(len(some)))
    p = inclusion(share[some], size)
    order = rng.permutation(len(some))
    ends = np.cumsum(p[order])
    ticks = np.arange(size) + rng.random()
    hit = np.unique(np.searchsorted(ends, ticks[ticks < ends[-1]], side="right"))
    drawn = np.sort(order[hit])
    return Sample(some[drawn], p[drawn])


def inclusion(share: Floats, size: int) -> Floats:
    """Return ``min(1, c * share)`` with c such that they sum to ``size``; there are more than ``size`` positive."""
    sure = np.zeros(len(share), dtype=bool)
    while True:
        p = np.where(sure, 1.0, share * (size - sure.sum()) / share[~sure].sum())
        more = p > 1
        if not more.any():
            out: Floats = p
            return out
        sure |= more


def most(share: Floats, size: int, least: float = 0.0) -> Ints:
    """Return the decisions of the largest shares, at most ``size`` and above ``least``, in order."""
    some = np.flatnonzero(share > least)
    if len(some) > size:
        some = some[np.argsort(-share[some], kind="stable")[:size]]
    return np.sort(some)
