"""The neutral record of an episode, one JSON object a line: who met whom, what each did, how likely, for what pay."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from sepo.play.rollout import generator, rollout
from sepo.solve.tree import Floats, Tree

SCHEMA = "sepo.episode/1"


def episodes(
    tree: Tree, learner: Floats, opponent: str, other: Floats, count: int, key: tuple[object, ...]
) -> list[dict[str, Any]]:
    """Play ``count`` episodes against an opponent and record them; the learner's seats alternate hand by hand.

    Parameters
    ----------
    learner, other : (entries,)
        Strategies over the tree.
    key
        Of the randomness: run seed, game, opponent.
    """
    game = tree.game
    rng = generator(*key)
    out = []
    for number in range(count):
        hands = []
        for hand in range(game.hands):
            seat = game.seats[hand % len(game.seats)]
            profile = tree.join(seat, learner, other)
            made = rollout(tree, profile, rng.random((1, len(tree.levels) - 1))).moves[0]
            hands.append(_hand(tree, profile, seat, made[made >= 0]))
        out.append(
            {
                "schema": SCHEMA,
                "game": game.name,
                "opponent": opponent,
                "episode": number,
                "own": sum(h["own"] for h in hands),
                "other": sum(h["other"] for h in hands),
                "hands": hands,
            }
        )
    return out


def _hand(tree: Tree, profile: Floats, seat: int, made: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    moves = []
    for before, after in itertools.pairwise(made):
        which = int(tree.infoset[tree.child[before]])
        if which < 0:
            continue
        info = tree.infosets[which]
        entry = int(tree.entry[after])
        moves.append(
            {
                "by": "learner" if info.seat == seat else "opponent",
                "state": info.key,
                "action": info.decision.legal[entry - info.start],
                "probability": float(profile[entry]),
            }
        )
    own, other = (float(tree.feature(name, seat)[made].sum()) for name in ("own", "other"))
    return {"seat": seat, "moves": moves, "own": own, "other": other}
