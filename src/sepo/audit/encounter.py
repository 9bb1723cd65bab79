"""The game as somebody meets a policy in it: from one own decision to the next, with all other moves drawn at once.

Two forms of the same. A ``Process`` holds the tree of a policy against anyone as arrays, and knows the worth of every
strategy exactly. A ``Meeting`` steps through the game itself where that tree is too large, and remembers the policy's
answers. Gains are the payoffs of whoever meets the policy minus the policy's.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sepo.audit.board import Match, Subject, longer
from sepo.games.base import CHANCE, TERMINAL, Game, State
from sepo.games.repeated import RepeatedGame
from sepo.solve.tree import Floats, Ints
from sepo.solve.value import transition

GAIN: Mapping[str, float] = {"own": 1.0, "other": -1.0}
"""Weights of one's own and of the policy's payoff: what is gained on it."""


def row_of(game: Game, seat: int, view: Any) -> Hashable:
    """Return what an adversary with a short memory tells situations apart by: its row.

    In repeated games the number of the round, the last pair of actions, what is public and its own private
    information; elsewhere its information state.
    """
    return (seat, view._replace(rounds=view.rounds[-1:])) if isinstance(game, RepeatedGame) else (seat, game.key(view))


@dataclass(frozen=True)
class Process:
    """A tree as one seat lives it: from each of its decisions to the next, with all other moves drawn at once.

    A *source* is what leads on: source 0 is the beginning, then one for each action at each node, and last one that
    leads from the end to the end. Its *outcomes* are ``first[k] .. first[k + 1]``.

    Attributes
    ----------
    row, start : (nodes + 1,)
        Of each node where the seat moves, its row and the source of its first action. The last node is the end: row -1.
    first : (sources + 1,)
    gain, after : (outcomes,)
        What is gained on the way, and the next node.
    cumulative : (outcomes + 1,)
        Running sum of the outcomes' probabilities.
    levels
        Nodes by depth, last first: their slice, that of their sources, and the probabilities (sources, nodes + 1).
    mean : (sources,)
        Expected gain on the way.
    """

    row: Ints
    start: Ints
    first: Ints
    gain: Floats
    after: Ints
    cumulative: Floats
    levels: tuple[tuple[slice, slice, Any], ...]
    opening: Any
    mean: Floats

    @property
    def never(self) -> int:
        """The source that leads from the end to the end."""
        return len(self.first) - 2


def process(m: Match, rows: Ints) -> Process:
    """Draw all moves between the adversary's decisions together. ``rows`` (infosets,) are the adversary's."""
    from scipy.sparse import csr_array  # a tenth of a second to import

    tree, seat = m.tree, 1 - m.seat
    step, due = transition(tree, m.profile), tree.combine(seat, GAIN)
    nodes = np.flatnonzero(tree.actor == seat)
    number = np.where(tree.actor == TERMINAL, len(nodes), -1)
    number[nodes] = np.arange(len(nodes))
    moves = np.concatenate([[0], each(tree.first[nodes], tree.count[nodes])[0]])
    source, at, chance, gain = np.arange(len(moves)), tree.child[moves], np.ones(len(moves)), due[moves]
    found = [(np.array([len(moves)]), np.array([len(nodes)]), np.ones(1), np.zeros(1))]
    while source.size:
        here = number[at] >= 0
        found.append((source[here], number[at[here]], chance[here], gain[here]))
        taken, of = each(tree.first[at[~here]], tree.count[at[~here]])
        source, chance, gain = source[~here][of], chance[~here][of] * step[taken], gain[~here][of] + due[taken]
        at = tree.child[taken]
    source, after, chance, gain = (np.concatenate(x) for x in zip(*found, strict=True))
    order = np.argsort(source, kind="stable")
    source, after, chance, gain = source[order], after[order], chance[order], gain[order]
    first = np.searchsorted(source, np.arange(len(moves) + 2))
    follow = csr_array((chance, after, first), shape=(len(moves) + 1, len(nodes) + 1))
    start = np.concatenate([[1], 1 + np.cumsum(tree.count[nodes])])
    depths = np.searchsorted(nodes, [0, *(int(tree.child[level].max()) + 1 for level in tree.levels)])
    levels = [(slice(a, b), slice(start[a], start[b])) for a, b in itertools.pairwise(depths.tolist()) if b > a]
    return Process(
        row=np.append(rows[tree.infoset[nodes]], -1),
        start=start,
        first=first,
        gain=gain,
        after=after,
        cumulative=np.concatenate([[0.0], np.cumsum(chance)]),
        levels=tuple((here, sources, follow[sources]) for here, sources in reversed(levels)),
        opening=follow[:1],
        mean=np.bincount(source, chance * gain).astype(np.float64),
    )


def each(first: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Return the members of ranges ``first .. first + count``, end to end, and which range each is of."""
    of = np.repeat(np.arange(len(first)), count)
    return first[of] + np.arange(len(of)) - (np.cumsum(count) - count)[of], of


def worth(side: Process, strategy: Floats) -> Floats:
    """Return what strategies (rows, A, seeds) gain in an episode. (seeds,)."""
    after = np.zeros((len(side.row), strategy.shape[2]))
    for here, sources, follow in side.levels:
        begins = side.start[here]
        counts = side.start[here.start + 1 : here.stop + 1] - begins
        action, of = each(np.zeros_like(counts), counts)
        value = side.mean[sources, None] + follow @ after
        value *= strategy[side.row[here][of], action]
        if (counts == counts[0]).all():
            after[here] = value.reshape(len(counts), counts[0], -1).sum(axis=1)  # five times as fast
        else:
            after[here] = np.add.reduceat(value, begins - begins[0])
    out: Floats = side.mean[0] + (side.opening @ after)[0]
    return out


class Meeting:
    """The policy meets somebody, node by node; its answers are remembered."""

    def __init__(self, subject: Subject, objective: Mapping[str, float] = GAIN) -> None:
        self.game = subject.game
        self._weights = objective.get("own", 0.0), objective.get("other", 0.0)
        self._subject = subject
        self._root = subject.game.forgetful(longer(subject.memory, "last"))
        self._answers: dict[Hashable, list[tuple[str, float]]] = {}

    def begin(self, seat: int, draw: float) -> tuple[State | None, float]:
        """Start an episode with somebody in ``seat``: as ``act``."""
        return self._on(seat, self._root, 0.0, draw)

    def act(self, seat: int, state: State, action: str, draw: float) -> tuple[State | None, float]:
        """Let ``seat`` act; return the next node where it must, None at the end, and its gain on the way.

        ``draw``, from 0 to 1, decides what chance and the policy do until then.
        """
        after = state.child(action)
        return self._on(seat, after, self._due(seat, after), draw)

    def answer(self, state: State) -> list[tuple[str, float]]:
        """Return what the policy may do where it moves, with the probabilities."""
        seen = state.actor, state.view(state.actor)
        if seen not in self._answers:
            p = self._subject(self.game.decision(state))
            self._answers[seen] = [(a, q) for a, q in zip(state.legal(), p.tolist(), strict=True) if q > 0]
        return self._answers[seen]

    def _on(self, seat: int, state: State, gain: float, draw: float) -> tuple[State | None, float]:
        while (actor := state.actor) != seat:
            if actor == TERMINAL:
                return None, gain
            label, draw = drawn(state.chance() if actor == CHANCE else self.answer(state), draw)
            state = state.child(label)
            gain += self._due(seat, state)
        return state, gain

    def _due(self, seat: int, state: State) -> float:
        paid: tuple[float, float] = state.rewards()
        return self._weights[0] * paid[seat] + self._weights[1] * paid[1 - seat]


def drawn(options: Sequence[tuple[str, float]], draw: float) -> tuple[str, float]:
    """Return the option that a number from 0 to 1 falls on, and where in it: again a number from 0 to 1."""
    for label, p in options:
        if draw < p:
            return label, draw / p
        draw -= p
    return options[-1][0], 0.5  # rounding
