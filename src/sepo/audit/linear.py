"""The policy that is best for a sum of terms, over all meetings of a learner at once, where no term is clipped.

Such a sum is linear in what the learner does, so a pure policy attains its maximum: by backward induction where an
information state stands equally deep in every meeting, else by recursion in sequence form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sepo.audit.arena import Meeting
from sepo.audit.measures import Term
from sepo.audit.sweep import by_meeting
from sepo.errors import ContractError
from sepo.solve.tree import Floats, Layout
from sepo.solve.value import reach, transition

UNMET = -2
"""Past of an information state that is not met."""


def best_policy(found: Sequence[Term], space: Layout) -> Floats:
    """Maximise a sum of terms over all meetings at once; the answer is pure. (entries,).

    Raises
    ------
    ContractError
        If an information state has several pasts of its own, or states merge and its nodes are not equally deep.
    """
    shared = by_meeting(found)
    out = _by_depth(shared, space) if _even(shared, space) else _by_sequence(shared, space)
    unmet = np.bincount(space.owner, out, len(space.infosets)) == 0
    out[space.starts[unmet]] = 1.0
    return out


def _even(shared: Mapping[Meeting, Sequence[Term]], space: Layout) -> bool:
    """Return whether each of the learner's information states is equally deep wherever it is met."""
    depth = np.full(len(space.infosets), -1)
    for meeting in shared:
        at = meeting.at[meeting.tree.starts]
        here, deep = space.owner[at[at >= 0]], meeting.tree.depth[at >= 0]
        known = depth[here] >= 0
        if (deep < 0).any() or (depth[here][known] != deep[known]).any():
            return False
        depth[here] = deep
    return True


def _by_depth(shared: Mapping[Meeting, Sequence[Term]], space: Layout) -> Floats:
    """Answer by backward induction over all meetings at once; 0 at information states that are not met.

    At an information state the nodes of every meeting are weighed by their reach when the learner tries every action
    alike, which is its belief whatever it did before. Information states stand equally deep in every meeting.
    """
    plays = [_Induction(meeting, terms, space) for meeting, terms in shared.items()]
    out = np.zeros(len(space.owner))
    for depth in reversed(range(1, max((len(p.meeting.tree.levels) for p in plays), default=0))):
        options = np.zeros(len(space.owner))
        decided = np.zeros(len(space.infosets), dtype=bool)
        for play in plays:
            play.offer(depth, options, decided)
        here = np.flatnonzero(decided)
        if here.size:
            starts, sizes = space.starts[here], space.sizes[here]
            grid = starts[:, None] + np.minimum(np.arange(sizes.max()), sizes[:, None] - 1)
            out[starts + np.argmax(options[grid], axis=1)] = 1.0
        for play in plays:
            play.settle(depth, out)
    return out


def _by_sequence(shared: Mapping[Meeting, Sequence[Term]], space: Layout) -> Floats:
    """Answer in sequence form, as ``solve.response`` does; 0 at information states that are not met.

    What falls due belongs to the learner's last own entry before it, whatever the depth, and is added up over the
    meetings. Information states are met first before those that follow them, so the last one is answered first.
    """
    collected = np.zeros(len(space.owner) + 1)  # slot 0: before any own move
    before = np.full(len(space.infosets), UNMET)
    for meeting, found in shared.items():
        tree = meeting.tree
        if tree.merged:
            raise ContractError(
                f"game '{tree.game.name}': where states merge the nodes of an information state must be equally deep"
            )
        at = np.where(tree.entry >= 0, meeting.at[tree.entry], -1)
        last = np.full(tree.nodes, -1)
        for level in tree.levels[1:]:
            last[level] = np.where(at[level] >= 0, at[level], last[tree.parent[level]])
        due = np.sum([t.weight * tree.combine(t.seat, t.due) for t in found], axis=0)
        np.add.at(collected, last + 1, reach(tree, meeting.profile(np.ones(len(space.owner)))) * due)
        own = np.flatnonzero(at >= 0)
        which, past = space.owner[at[own]], last[tree.parent[own]]
        new = before[which] == UNMET
        before[which[new]] = past[new]
        if (before[which] != past).any():
            raise ContractError(f"game '{tree.game.name}': an information state has several pasts of its own")
    out = np.zeros(len(space.owner))
    for which in np.flatnonzero(before != UNMET)[::-1].tolist():
        options = collected[1:][space.infosets[which].entries]
        out[space.starts[which] + int(np.argmax(options))] = 1.0
        collected[before[which] + 1] += options.max()
    return out


class _Induction:
    """One meeting on the way back through its levels."""

    def __init__(self, meeting: Meeting, found: Sequence[Term], space: Layout) -> None:
        self.meeting, self.space, tree = meeting, space, meeting.tree
        self.due = np.sum([t.weight * tree.combine(t.seat, t.due) for t in found], axis=0)
        tried = meeting.profile(space.uniform)
        self.weight, self.step = reach(tree, tried), transition(tree, tried)
        self.at = np.where(tree.entry >= 0, meeting.at[tree.entry], -1)
        self.after = np.zeros(tree.nodes)
        self.values = np.zeros(0)

    def offer(self, depth: int, options: Floats, decided: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
        """Add what the learner's moves into this depth are worth to its options there."""
        tree = self.meeting.tree
        if depth >= len(tree.levels):
            return
        level = tree.levels[depth]
        self.values = self.due[level] + self.after[tree.child[level]]
        own = np.flatnonzero(self.at[level] >= 0)
        at = self.at[level][own]
        options += np.bincount(at, self.weight[tree.parent[level][own]] * self.values[own], len(options))
        decided[self.space.owner[at]] = True

    def settle(self, depth: int, chosen: Floats) -> None:
        """Carry values back over this depth, the learner playing what was chosen."""
        tree = self.meeting.tree
        if depth >= len(tree.levels):
            return
        level = tree.levels[depth]
        at = self.at[level]
        taken = np.where(at >= 0, chosen[at], self.step[level])
        np.add.at(self.after, tree.parent[level], taken * self.values)
