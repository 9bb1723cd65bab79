"""Demonstrations: decisions of a game's demonstrators, sampled by episode and merged.

One demonstrator and one opponent of the train pool are drawn per episode; the demonstrator's decisions are the
examples. Examples are split by episode, so no episode stands on both sides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sepo.audit.arena import Arena, pool
from sepo.data.episodes import demonstrate
from sepo.games.base import MeasureSet
from sepo.play.rollout import generator, rollout
from sepo.policies.script import played
from sepo.solve.tree import Floats, Ints, Tree

VALIDATION = 0.2


class Demonstrations(NamedTuple):
    """How often each action was shown: counts (entries,), in training and in validation episodes.

    ``episodes`` are the information states of each training episode, where they are kept.
    """

    train: Floats
    validation: Floats
    episodes: tuple[Ints, ...] = ()


def of_arena(arena: Arena, examples: int, seed: int) -> Demonstrations:
    """Take about so many examples of ``sepo.data``, whose demonstrators meet every pool that is trained on."""
    space = arena.space
    counts = np.zeros((2, len(space.owner)))
    shown = demonstrate(arena.game, examples, seed)
    episodes: dict[int, list[int]] = {}
    for example in shown.examples:
        which = space.index[example.decision.key]
        at = space.starts[which] + example.decision.legal.index(example.action)
        tested = example.episode in shown.tested
        counts[int(tested), at] += 1.0
        if not tested:
            episodes.setdefault(example.episode, []).append(which)
    return Demonstrations(counts[0], counts[1], tuple(map(np.array, episodes.values())))


def demonstrations(tree: Tree, measures: MeasureSet, examples: int, seed: int) -> Demonstrations:
    """Sample about ``examples`` demonstrated decisions (the last episode is completed)."""
    game = tree.game
    shares = np.array([share for share, _ in game.demonstrators])
    styles = [np.concatenate([played(o, info.decision) for info in tree.infosets]) for _, o in game.demonstrators]
    opponents = pool(tree, measures, "train")
    rng = generator("demonstrations", game.name, seed)
    counts = np.zeros((2, len(tree.seat)))
    moves = len(tree.levels) - 1
    while counts.sum() < examples:
        style = styles[rng.choice(len(styles), p=shares / shares.sum())]
        opponent = opponents[rng.integers(len(opponents))]
        split = int(rng.random() < VALIDATION)
        for hand in range(game.hands):
            seat = game.seats[hand % len(game.seats)]
            made = rollout(tree, tree.join(seat, style, opponent.strategy), rng.random((1, moves))).moves[0]
            entries = tree.entry[made[made >= 0]]
            entries = entries[entries >= 0]
            np.add.at(counts[split], entries[tree.seat[entries] == seat], 1.0)
    return Demonstrations(*counts)
