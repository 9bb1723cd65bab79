"""Which decisions a step scores, where a game has too many: those of some episodes.

A prompt of a late decision holds all earlier ones of its episode, so scoring an episode costs little more than scoring
its end. Episodes are drawn against every opponent by the weight of its terms in J; a decision counts as often as it was
met, which is unbiased for how often it is met. What was counted over what was expected is the Horvitz-Thompson factor
of sums over decisions (D. G. Horvitz and D. J. Thompson, "A generalization of sampling without replacement from a
finite universe", Journal of the American Statistical Association 47, 1952).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sepo.audit.measures import Term
from sepo.audit.sweep import by_meeting, weight
from sepo.play.rollout import generator, rollout
from sepo.solve.tree import Floats, Ints, Layout


class Sample(NamedTuple):
    """Decisions drawn, in order.

    Attributes
    ----------
    chosen : (drawn,)
        Which decisions.
    share : (drawn,)
        How often each was met; over all decisions this sums to 1, on average where they are a sample.
    factor : (drawn,)
        That over its expectation.
    """

    chosen: Ints
    share: Floats
    factor: Floats


def everything(share: Floats) -> Sample:
    """Return all decisions, weighed by how often they are met. (decisions,)."""
    return Sample(np.arange(len(share)), share, np.ones(len(share)))


def counted(counts: Floats, episodes: int, expected: Floats) -> Sample:
    """Return the decisions met in some episodes.

    Parameters
    ----------
    counts : (decisions,)
        How often each was met in all.
    expected : (decisions,)
        How often each is met in one episode, on average.
    """
    chosen = np.flatnonzero((counts > 0) & (expected > 0))
    share = counts[chosen] / (episodes * expected.sum())
    return Sample(chosen, share, share * expected.sum() / expected[chosen])


def walked(
    found: Sequence[Term], policies: Sequence[Floats], layout: Layout, episodes: int, key: tuple[object, ...]
) -> Floats:
    """Play episodes against every opponent of the terms of J; return how often each decision was met. (decisions,).

    Parameters
    ----------
    found
        Opponents are met by the sum of their terms' absolute weights.
    policies
        The learner plays each of them in as many episodes, up to one.
    """
    shared = by_meeting(found)
    meetings = list(shared)
    weights = np.repeat([weight(terms) for terms in shared.values()], len(policies))
    rng = generator(*key)
    ticks = (np.arange(episodes) + rng.random()) / episodes
    ends = np.cumsum(weights) / weights.sum()
    drawn = np.bincount(np.minimum(np.searchsorted(ends, ticks, side="right"), len(ends) - 1), minlength=len(ends))
    out = np.zeros(len(layout.infosets))
    for which, count in enumerate(drawn.tolist()):
        meeting = meetings[which // len(policies)]
        tree = meeting.tree
        profile = meeting.profile(policies[which % len(policies)])
        moves = rollout(tree, profile, rng.random((count, len(tree.levels) - 1))).moves
        entries = tree.entry[moves[moves >= 0]]
        at = meeting.at[entries[entries >= 0]]
        out += np.bincount(layout.owner[at[at >= 0]], minlength=len(out))
    return out


def most(share: Floats, size: int, least: float = 0.0) -> Ints:
    """Return the decisions of the largest shares, at most ``size`` and above ``least``, in order."""
    some = np.flatnonzero(share > least)
    if len(some) > size:
        some = some[np.argsort(-share[some], kind="stable")[:size]]
    return np.sort(some)
