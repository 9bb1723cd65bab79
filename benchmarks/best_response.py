"""A best response to a table on the full tree of the eight-round Iterated Prisoner's Dilemma, against OpenSpiel's."""

from __future__ import annotations

import numpy as np

from sepo.errors import InputError
from sepo.games.ipd import Ipd
from sepo.keys import generator
from sepo.solve.expand import walk
from sepo.solve.response import best_response
from sepo.solve.tree import Floats, Tree

from .timing import Comparison, Say, Way

SHORT = 4
"""Rounds of the tree on which OpenSpiel is timed; its time is scaled by the number of nodes."""


def prepare(say: Say) -> Comparison:
    """Draw a random table, and hold both values against each other on the shorter game.

    Raises
    ------
    InputError
        If OpenSpiel is not installed, or the two values differ by more than 1e-9.
    """
    try:
        from open_spiel.python.algorithms.best_response import BestResponsePolicy
        from open_spiel.python.policy import TabularPolicy

        from sepo.games.to_openspiel import to_openspiel
    except ImportError as error:
        raise InputError(
            f"benchmark 'best_response' needs OpenSpiel: pip install 'sepo[openspiel]' ({error})"
        ) from None
    game, short = Ipd(), Ipd(SHORT)
    tree, small = walk(game), walk(short)
    profile = _table(tree)
    handed = to_openspiel(short)
    policy = TabularPolicy(handed)
    said = {(i.seat, i.key): _table(small)[i.entries] for i in small.infosets}
    for key, row in policy.state_lookup.items():
        seat, _, state = key.partition(": ")
        policy.action_probability_array[row] = said[int(seat.removeprefix("P")), state]

    def theirs() -> float:
        return float(BestResponsePolicy(handed, 1, policy).value(handed.new_initial_state()))

    ours = best_response(small, _table(small), 1, small.feature("own", 1)).value
    if abs(ours - theirs()) > 1e-9:
        raise InputError(f"benchmark 'best_response': values differ, {ours} and {theirs()}")

    def respond(grown: Tree) -> None:
        best_response(grown, profile, 1, grown.feature("own", 1))

    work = {"nodes": tree.nodes, "information states": len(tree.infosets)}
    return Comparison(
        about=f"best response to a random table of ipd on the whole tree of {tree.nodes:,} nodes",
        ways=[
            Way(
                "OpenSpiel",
                lambda: _done(theirs()),
                {"nodes": small.nodes},
                f"{SHORT} rounds in Python, scaled by the nodes",
                scale=tree.nodes / small.nodes,
            ),
            Way("sepo, tree held", lambda: respond(tree), work),
            Way("sepo, tree grown", lambda: respond(walk(game)), work, "the tree is grown anew each time"),
        ],
        ratios={
            "tree held vs OpenSpiel": ("OpenSpiel", "sepo, tree held"),
            "tree grown vs OpenSpiel": ("OpenSpiel", "sepo, tree grown"),
        },
        repeats=5,
    )


def _table(tree: Tree) -> Floats:
    """Draw a behavioural strategy of both seats, the same for the same state. (entries,)."""
    rows = [generator("bench", "table", i.seat, i.key).dirichlet(np.ones(2)) for i in tree.infosets]
    return np.concatenate(rows)


def _done(value: float) -> None:
    """Return nothing: the whole call is what is timed."""
