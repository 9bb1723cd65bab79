"""A space holds each question of a learner once, wherever it is asked."""

from __future__ import annotations

import numpy as np

from sepo.games.registry import make
from sepo.policies.script import opponent, played
from sepo.solve.expand import expand, walk
from sepo.solve.space import Space
from sepo.solve.tree import Tree


def against(name: str) -> Tree:
    game = make("ipd", {"rounds": 3})
    return walk(game, {1: lambda d: played(opponent(game, name), d)})


def test_a_question_stands_once_and_every_tree_finds_it() -> None:
    trees = [against("tit_for_tat"), against("always_defect"), against("mixed")]
    space = Space.over((tree, 0) for tree in trees)
    keys = [i.key for i in space.infosets]
    assert len(keys) == len(set(keys)) == 1 + 4 + 16
    vector = np.random.default_rng(0).random(len(space.owner))
    for tree in trees:
        at = space.at(tree, 0)
        assert ((at >= 0) == (tree.seat == 0)).all()
        for info in tree.infosets:
            if info.seat == 0:
                there = space.infosets[space.index[info.key]]
                np.testing.assert_array_equal(vector[at[info.entries]], vector[there.entries])


def test_what_is_not_of_the_space_has_no_place_in_it() -> None:
    space = Space.over([(against("always_defect"), 0)])
    whole = expand(make("ipd", {"rounds": 3}))
    at = space.at(whole, 0)
    for info in whole.infosets:
        known = info.seat == 0 and "C" not in [pair.other[0] for pair in info.decision.view.rounds]
        assert (at[info.entries] >= 0).all() == known == (at[info.entries] >= 0).any()
