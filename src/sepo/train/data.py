"""Demonstrations: decisions of a game's demonstrators, sampled by episode and merged.

One demonstrator and one opponent of the train pool are drawn per episode; the demonstrator's decisions are the
examples. Examples are split by episode, so no episode stands on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sepo.audit.arena import Arena, pool
from sepo.data.episodes import demonstrate
from sepo.games.base import Decision, MeasureSet
from sepo.keys import generator
from sepo.play.rollout import rollout
from sepo.policies.script import played
from sepo.solve.tree import Floats, Ints, Tree
from sepo.train.direct import spread
from sepo.train.sample import Asked

VALIDATION = 0.2


class Demonstrations(NamedTuple):
    """What was shown, question by question.

    Attributes
    ----------
    asked
        The distinct decisions that were shown, and the information state of each; in a small game all there are.
    train, validation
        How often each action was shown: counts, one (legal actions,) array per decision.
    episodes
        The decisions of each training episode, as indices, where they are kept.
    """

    asked: Asked
    train: Sequence[Floats]
    validation: Sequence[Floats]
    episodes: tuple[Ints, ...] = ()


def of_arena(arena: Arena, examples: int, seed: int) -> Demonstrations:
    """Take about so many examples of ``sepo.data``, whose demonstrators meet every pool that is trained on."""
    shown = demonstrate(arena.game, examples, seed)
    place: dict[str, int] = {}
    decisions: list[Decision] = []
    states: list[int] = []
    train: list[Floats] = []
    validation: list[Floats] = []
    episodes: dict[int, list[int]] = {}
    for example in shown.examples:
        decision = example.decision
        which = place.setdefault(decision.key, len(decisions))
        if which == len(decisions):
            state = arena.state_of(decision)
            assert state is not None  # every opponent that is shown is one of the arena's
            decisions.append(decision)
            states.append(state)
            for part in (train, validation):
                part.append(np.zeros(len(decision.legal)))
        tested = example.episode in shown.tested
        (validation if tested else train)[which][decision.legal.index(example.action)] += 1.0
        if not tested:
            episodes.setdefault(example.episode, []).append(which)
    return Demonstrations(
        Asked(np.array(states), decisions), train, validation, tuple(map(np.array, episodes.values()))
    )


def demonstrations(tree: Tree, measures: MeasureSet, examples: int, seed: int) -> Demonstrations:
    """Sample about ``examples`` demonstrated decisions: the last episode is completed, and both parts have one."""
    game = tree.game
    shares = np.array([share for share, _ in game.demonstrators])
    styles = [np.concatenate([played(o, info.decision) for info in tree.infosets]) for _, o in game.demonstrators]
    opponents = pool(tree, measures, "train")
    moves = len(tree.levels) - 1
    rng = generator("demonstrations", game.name, seed)
    counts = np.zeros((2, len(tree.seat)))
    while (left := examples - counts.sum()) > 0 or not counts.sum(axis=1).all():
        # No episode shows more than every move of every hand, so these are never more than are wanted: they may be
        # played at once, those of the same two players in lockstep, without a draw falling otherwise than one by one.
        drawn: dict[tuple[int, int, int, int], list[Floats]] = {}
        for _ in range(max(1, math.ceil(left / (game.hands * moves)))):
            style = int(rng.choice(len(styles), p=shares / shares.sum()))
            opponent = int(rng.integers(len(opponents)))
            split = int(rng.random() < VALIDATION)
            for hand in range(game.hands):
                seat = game.seats[hand % len(game.seats)]
                drawn.setdefault((split, seat, style, opponent), []).append(rng.random(moves))
        for (split, seat, style, opponent), draws in drawn.items():
            profile = tree.join(seat, styles[style], opponents[opponent].strategy)
            made = rollout(tree, profile, np.array(draws)).moves
            entries = tree.entry[made[made >= 0]]
            entries = entries[entries >= 0]
            np.add.at(counts[split], entries[tree.seat[entries] == seat], 1.0)
    asked = Asked(np.arange(len(tree.questions)), tree.questions)
    train, validation = (spread(tree, c) for c in counts)
    return Demonstrations(asked, train, validation)
