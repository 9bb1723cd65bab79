"""Which decisions a step scores, where a game has too many: those of some episodes.

A prompt of a late decision holds all earlier ones of its episode, so scoring an episode costs little more than scoring
its end. Episodes are drawn against every opponent by the weight of its terms in J; a decision counts as often as it was
met, which is unbiased for how often it is met. What was counted over what was expected is the Horvitz-Thompson factor
of sums over decisions (D. G. Horvitz and D. J. Thompson, "A generalization of sampling without replacement from a
finite universe", Journal of the American Statistical Association 47, 1952).

Where an information state is what the learner believes, several histories lead to it, and the model is asked about
those that were met: then a state may stand in a sample more than once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sepo.audit.arena import Meeting
from sepo.audit.measures import Term
from sepo.audit.sweep import by_meeting, weight
from sepo.games.base import Decision
from sepo.games.repeated import Pair, RepeatedGame
from sepo.keys import generator
from sepo.play.rollout import rollout
from sepo.solve.tree import Floats, Ints, Layout


class Asked(NamedTuple):
    """Questions to a model.

    Attributes
    ----------
    chosen : (asked,)
        The information state that each one is about.
    decisions
        The question: a history that leads there.
    replies
        Which of its legal actions are scored, in ascending order, where that is not all of them: then what comes back
        is no policy.
    """

    chosen: Ints
    decisions: Sequence[Decision]
    replies: Sequence[Ints] | None = None

    def some(self, which: Ints) -> Asked:
        """Return some of the questions, by where they stand here."""
        places = which.tolist()
        replies = None if self.replies is None else [self.replies[i] for i in places]
        return Asked(self.chosen[which], [self.decisions[i] for i in places], replies)

    def scored(self, rows: Sequence[Floats]) -> list[Floats]:
        """Return of arrays over the legal actions, one a question, the part that is of the replies scored."""
        if self.replies is None:
            return list(rows)
        return [row[some] for row, some in zip(rows, self.replies, strict=True)]


class Sample(NamedTuple):
    """Decisions drawn, in order.

    Attributes
    ----------
    asked
        Which decisions, (drawn,).
    share : (drawn,)
        How often each was met; over all decisions this sums to 1, on average where they are a sample.
    factor : (drawn,)
        That over the expectation of its information state.
    """

    asked: Asked
    share: Floats
    factor: Floats


class Walk(NamedTuple):
    """Questions met in some episodes, and how often each was. ``counts`` is (asked,)."""

    asked: Asked
    counts: Floats


def everything(decisions: Sequence[Decision], share: Floats) -> Sample:
    """Return all decisions, weighed by how often they are met. (decisions,)."""
    return Sample(Asked(np.arange(len(share)), decisions), share, np.ones(len(share)))


def counted(walk: Walk, episodes: int, expected: Floats) -> Sample:
    """Return the decisions met in some episodes.

    Parameters
    ----------
    expected : (states,)
        How often each information state is met in one episode, on average.
    """
    kept = np.flatnonzero((walk.counts > 0) & (expected[walk.asked.chosen] > 0))
    asked = walk.asked.some(kept)
    share = walk.counts[kept] / (episodes * expected.sum())
    return Sample(asked, share, share * expected.sum() / expected[asked.chosen])


def walked(
    found: Sequence[Term],
    policies: Sequence[Floats],
    layout: Layout,
    episodes: int,
    key: tuple[object, ...],
    odds: Mapping[Meeting, float] | None = None,
) -> Walk:
    """Play episodes against every opponent of the terms of J; return the decisions that were met.

    Parameters
    ----------
    found
        Opponents are met by the sum of their terms' absolute weights.
    policies
        The learner plays each of them in as many episodes, up to one.
    odds
        An opponent is met so many times as often, and counts as much less: on average the counts are the same.
    """
    shared = by_meeting(found)
    meetings = list(shared)
    plain = np.array([weight(terms) for terms in shared.values()])
    favour = np.array([1.0 if odds is None else odds[m] for m in meetings])
    counts_as = np.ones(len(plain)) if odds is None else (plain @ favour) / plain.sum() / favour
    weights = np.repeat(plain * favour, len(policies))
    rng = generator(*key)
    ticks = (np.arange(episodes) + rng.random()) / episodes
    ends = np.cumsum(weights) / weights.sum()
    drawn = np.bincount(np.minimum(np.searchsorted(ends, ticks, side="right"), len(ends) - 1), minlength=len(ends))
    met: dict[str, tuple[int, Decision]] = {}
    counts: dict[str, float] = {}
    for which, count in enumerate(drawn.tolist()):
        meeting, each = meetings[which // len(policies)], float(counts_as[which // len(policies)])
        profile = meeting.profile(policies[which % len(policies)])
        lots = rng.random((count, len(meeting.tree.levels) - 1))
        for made in rollout(meeting.tree, profile, lots).moves:
            for state, decision in _decisions(meeting, layout, made[made >= 0]):
                met.setdefault(decision.key, (state, decision))
                counts[decision.key] = counts.get(decision.key, 0.0) + each
    keys = sorted(met, key=lambda k: met[k][0])  # stable: histories of one state as they were met
    chosen = np.array([met[k][0] for k in keys], dtype=np.int64)
    return Walk(Asked(chosen, [met[k][1] for k in keys]), np.array([counts[k] for k in keys]))


def _decisions(meeting: Meeting, layout: Layout, made: Ints) -> Iterator[tuple[int, Decision]]:
    """Return the learner's information states on the way of an episode, and the decision that it faced in each.

    In a merged tree a state has many histories, and the decision is that of the history that was played.
    """
    tree = meeting.tree
    replayed = tree.merged and isinstance(tree.game, RepeatedGame)
    rounds: tuple[Pair, ...] = ()
    own = ""
    for entry in tree.entry[made].tolist():
        if entry < 0:
            continue
        info = tree.infosets[tree.owner[entry]]
        action = info.decision.legal[entry - info.start]
        if meeting.at[entry] < 0:
            rounds = (*rounds, Pair(own, action))
            continue
        own, decision = action, info.decision
        if replayed and decision.view.rounds != rounds:
            view = decision.view._replace(rounds=rounds)
            decision = replace(decision, key=tree.game.key(view), view=view)
        yield int(layout.owner[meeting.at[entry]]), decision


def most(share: Floats, size: int, least: float = 0.0) -> Ints:
    """Return the decisions of the largest shares, at most ``size`` and above ``least``, in order."""
    some = np.flatnonzero(share > least)
    if len(some) > size:
        some = some[np.argsort(-share[some], kind="stable")[:size]]
    return np.sort(some)
