"""Sampled play on a tree: many episodes in lockstep, a few numpy calls a move.

Randomness is a uniform number per episode and move, so who shares a number shares the draw: a group of
rollouts with *common random numbers* meets the same cards and the same coins of the opponent, while the
learner's own draws differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sepo.games.base import TERMINAL
from sepo.keys import generator
from sepo.solve.tree import Floats, Ints, Tree
from sepo.solve.value import transition


class Paths(NamedTuple):
    """Episodes as the moves they make: ``moves`` (episodes, depth), the one into the root first, -1 after the end."""

    moves: Ints


def rollout(tree: Tree, profile: Floats, shared: Floats, private: Floats | None = None, learner: int = 0) -> Paths:
    """Play one episode per row, in lockstep.

    Parameters
    ----------
    profile : (entries,)
        Action probabilities of both seats.
    shared : (episodes, depth - 1)
        The uniform number that decides each move.
    private : (episodes, depth - 1), optional
        Decides the moves of the seat ``learner`` instead.
    """
    episodes = len(shared)
    cumulative = np.cumsum(transition(tree, profile))
    moves = np.full((episodes, len(tree.levels)), -1, dtype=np.int64)
    moves[:, 0] = 0
    for move in range(len(tree.levels) - 1):
        made = moves[:, move]
        at = tree.child[made]
        alive = np.flatnonzero((made >= 0) & (tree.actor[at] != TERMINAL))
        if not alive.size:
            break
        at = at[alive]
        draw = shared[alive, move]
        if private is not None:
            draw = np.where(tree.actor[at] == learner, private[alive, move], draw)
        first = tree.first[at]
        last = first + tree.count[at] - 1
        low = cumulative[first - 1]
        # rounding may carry a draw just below 1 to the very end, past the last move that is possible
        wanted = np.minimum(low + draw * (cumulative[last] - low), np.nextafter(cumulative[last], -np.inf))
        moves[alive, move + 1] = np.clip(np.searchsorted(cumulative, wanted, side="right"), first, last)
    return Paths(moves)


def grouped_rollout(
    tree: Tree, profile: Floats, learner: int, groups: int, size: int, key: tuple[object, ...]
) -> Paths:
    """Play ``groups`` groups of ``size`` rollouts with common random numbers; episodes of a group are contiguous."""
    return grouped_rollouts(tree, profile, learner, groups, size, [key])


def grouped_rollouts(
    tree: Tree, profile: Floats, learner: int, groups: int, size: int, keys: Sequence[tuple[object, ...]]
) -> Paths:
    """Play a ``grouped_rollout`` for each key, all at once; the episodes of a key are contiguous."""
    moves = len(tree.levels) - 1
    shared, private = [], []
    for key in keys:
        rng = generator(*key)
        shared.append(np.repeat(rng.random((groups, moves)), size, axis=0))
        private.append(rng.random((groups * size, moves)))
    return rollout(tree, profile, np.concatenate(shared), np.concatenate(private), learner)
