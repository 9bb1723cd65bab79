"""The gradient of J and its reach, each meeting swept once: what a step of a table costs in a large game.

``audit.measures.gradient`` sweeps once a term. Terms that share a meeting share its reach and its values, so here
what falls due is added up before the sweep; the gradient is the same. Shapes as there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sepo.audit.arena import Meeting, passed
from sepo.audit.measures import Play, Term, playing
from sepo.solve.tree import Floats, Layout
from sepo.solve.value import by_infoset


class Slope(NamedTuple):
    """What the terms of J say at a policy.

    Attributes
    ----------
    gradient : (entries,)
        The derivative of J with respect to each action probability: the sum over terms of weight * reach * Q.
    mass : (infosets,)
        The sum over meetings of reach times the absolute weights of the terms met there. The gradient over the mass
        is an average of action values, however rarely the state is met.
    """

    gradient: Floats
    mass: Floats


def slope(found: Sequence[Term], learner: Floats | Play, layout: Layout, *, immediate: bool = False) -> Slope:
    """Return the exact gradient of J and its mass from the terms of J at ``learner``."""
    play = playing(learner)
    gradient, mass = np.zeros(len(play.learner)), np.zeros(len(layout.infosets))
    for meeting, terms in by_meeting(found).items():
        tree, passage = meeting.tree, play.passage(meeting)
        owed: dict[str, float] = defaultdict(float)
        for term in terms:
            for name, due in term.due.items():
                owed[name] += term.weight * due
        values = passage.values(tree.combine(meeting.seat, owed), immediate=immediate)
        own, at = meeting.moves
        gradient += np.bincount(at, passage.nodes[tree.parent[own]] * values[own], len(gradient))
        mass += weight(terms) * meeting.by_state(by_infoset(tree, passage.nodes), layout)
    return Slope(gradient, mass)


def mass_of(found: Sequence[Term], learner: Floats, layout: Layout) -> Floats:
    """Return the mass alone, of terms whose weights may have been found at another policy. (infosets,)."""
    mass = np.zeros(len(layout.infosets))
    for meeting, terms in by_meeting(found).items():
        mass += weight(terms) * passed(meeting, learner, layout)
    return mass


def by_meeting(found: Sequence[Term]) -> dict[Meeting, list[Term]]:
    """Return the terms that have a gradient, those of one meeting together."""
    shared: dict[Meeting, list[Term]] = {}
    for term in found:
        if term.weight:
            shared.setdefault(term.meeting, []).append(term)
    return shared


def weight(found: Sequence[Term]) -> float:
    """Return the sum of the absolute weights of some terms."""
    return sum(abs(term.weight) for term in found)
