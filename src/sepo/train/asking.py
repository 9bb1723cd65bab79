"""What training on J asks the model in a large game: a sample of decisions, drawn by how often they are met.

Before a new target is set the states met most are asked anew, so that what is known of the policy is what it is now; a
step then scores the decisions of some episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sepo.audit.arena import Arena, Meeting, passed
from sepo.audit.measures import Term
from sepo.audit.sweep import by_meeting, mass_of, weight
from sepo.solve.tree import Floats
from sepo.train.kept import Kept
from sepo.train.learner import Learner
from sepo.train.sample import Asked, Sample, counted, most, walked
from sepo.train.sections import TrainSection

FIRST_LOOKS = 4
"""Rounds of asking before the first target."""
NEGLIGIBLE = 1e-6


class Drawing(NamedTuple):
    """What the decisions of a step are drawn from.

    Attributes
    ----------
    found
        The terms of J.
    places
        The policies whose states are learnt.
    odds
        How much more often than by its terms' weight an opponent is met, if that is not 1.
    expected : (decisions,)
        How often each decision is met in an episode.
    """

    found: list[Term]
    places: list[Floats]
    odds: dict[Meeting, float] | None
    expected: Floats


class Asking:
    """Which questions a step asks.

    Parameters
    ----------
    terms
        Answers a policy, (entries,), with the terms of J there.
    stakes
        Answers a target and a policy, both (entries,), with how much each decision weighs in a projection of the one
        onto the other, (decisions,).
    standing
        Answers with what the terms depend on beside the policy, for ``train.kept``.
    key
        Of all draws.
    """

    def __init__(
        self,
        learner: Learner,
        section: TrainSection,
        terms: Callable[[Floats], list[Term]],
        stakes: Callable[[Floats, Floats], Floats],
        standing: Callable[[], tuple[object, ...]],
        key: tuple[object, ...],
    ) -> None:
        self.learner, self.section, self.key = learner, section, key
        self.terms, self.stakes, self.standing = terms, stakes, standing
        self._drawing: Kept[Drawing] = Kept()

    def renew(self, target: Floats | None, number: int) -> None:
        """Recall what updates saw and ask about the states met most: what is known of the policy is what it is now.

        What was never asked counts as uniform, and answers move what is met: the first time it is asked until nothing
        new is met.
        """
        self.learner.recall()
        asked: set[int] = set()
        for turn in range(FIRST_LOOKS if number == 0 else 1):
            wanted = self._most_met(target, (*self.key, number, "ask", turn))
            new = [i for i, chosen in enumerate(wanted.chosen.tolist()) if chosen not in asked]
            if not new:
                return
            self.learner.look(wanted.some(np.array(new)), gradient=False)
            asked.update(wanted.chosen.tolist())

    def draw(self, target: Floats | None, number: int) -> Sample:
        """Return the decisions of the episodes of a step."""
        episodes, known = self.section.episodes, self.learner.known

        def find() -> Drawing:
            found, places = self.terms(known), self._places(known, target)
            return Drawing(found, places, self._odds(found, places, self._wanting(target)), self._met(found, places))

        found, places, odds, expected = self._drawing(find, known, target, *self.standing())
        walk = walked(found, places, self.learner.layout, episodes, (*self.key, number, "batch"), odds)
        return counted(walk, episodes, expected)

    def share(self, policy: Floats, target: Floats | None) -> Floats:
        """Return how often each decision is met where states are learnt. (decisions,), sums to 1."""
        met = self._met(self.terms(policy), self._places(policy, target))
        total: Floats = met / met.sum()
        return total

    def _most_met(self, target: Floats | None, key: tuple[object, ...]) -> Asked:
        """Return the questions of the states that are met most.

        Where a state is a belief, which history leads there bears on the answer: it is one that a drawn episode takes.
        """
        learner, states = self.learner, self.section.states
        known, ground, wanting = learner.known, learner.ground, self._wanting(target)
        if not isinstance(ground, Arena) or ground.beliefs is None:
            share = self.share(known, target)
            return learner.everything.some(most(share if wanting is None else share * wanting, states, NEGLIGIBLE))
        found, places = self.terms(known), self._places(known, target)
        walk = walked(found, places, learner.layout, states, key, self._odds(found, places, wanting))
        counts = np.bincount(walk.asked.chosen, walk.counts)
        met, first = np.unique(walk.asked.chosen, return_index=True)
        worth = counts[met] if wanting is None else counts[met] * wanting[met]
        return walk.asked.some(first[np.argsort(-worth, kind="stable")[:states]])

    def _wanting(self, target: Floats | None) -> Floats | None:
        """Return how much there is to learn at each decision, (decisions,); None where that is not to matter."""
        if target is None or self.section.mirror.meets == "weights":
            return None
        return self.stakes(target, self.learner.known)

    def _odds(
        self, found: Sequence[Term], places: Sequence[Floats], wanting: Floats | None
    ) -> dict[Meeting, float] | None:
        """Return how much there is to learn against each opponent, on average over the decisions met."""
        if wanting is None:
            return None
        out = {}
        for meeting in by_meeting(found):
            met = np.mean([passed(meeting, p, self.learner.layout) for p in places], axis=0)
            out[meeting] = float(met @ wanting / met.sum())
        return out

    def _places(self, policy: Floats, target: Floats | None) -> list[Floats]:
        """Return the policies whose states are learnt: this one and the target's, with uniform play mixed in.

        Where the model was never asked it is taken to play the target, which it is about to learn: uniform play from
        there on would lead to states that it hardly meets.
        """
        layout, coverage = self.learner.layout, self.section.coverage
        if target is None:
            return [(1 - coverage) * policy + coverage * layout.uniform]
        likely = np.where(self.learner.seen[layout.owner], policy, target)
        return [(1 - coverage) * p + coverage * layout.uniform for p in (likely, target)]

    def _met(self, found: Sequence[Term], places: Sequence[Floats]) -> Floats:
        """Return how often each decision is met in an episode, opponents by the weight of their terms. (decisions,)."""
        mass: Floats = np.mean([mass_of(found, p, self.learner.layout) for p in places], axis=0) / weight(found)
        return mass
