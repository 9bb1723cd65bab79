"""A policy's behaviour in a game as a table: all of it where that can be asked, else what matters most."""

from __future__ import annotations

from dataclasses import replace

from sepo.audit.elicitation import Inquiry
from sepo.audit.methods import SMALL, Tell, quiet
from sepo.errors import TooLargeError
from sepo.games.base import Game
from sepo.policies.base import Policy
from sepo.policies.table import PolicyTable, elicit, noted
from sepo.solve.expand import MAX_NODES, expand


def behaviour(policy: Policy, game: Game, budget: int | None = None, tell: Tell = quiet) -> PolicyTable:
    """Ask a policy about a game and write its answers out.

    In a game too large to walk whole, or with a budget, that is its behaviour against the game's own opponents: the
    table is uniform elsewhere, and notes in how many information states it was asked, unless that is all that it meets.

    Parameters
    ----------
    budget
        Information states to ask about, most reached ones first; None for all.
    """
    try:
        tree = expand(game, SMALL) if budget is None else None
    except TooLargeError:
        tree = None
    if tree is not None:
        return elicit(policy, game, tree)
    pools = game.measures("sepo").pools.values()
    opponents = tuple(dict.fromkeys(o for names in pools for o in names))
    inquiry = Inquiry(policy, game, opponents, budget, tell, MAX_NODES)
    inquiry.ask()
    table = inquiry.table()
    found = table.notes if inquiry.complete else noted(table.notes, len(inquiry.rows), inquiry.states)
    return replace(table, default="uniform", notes=found)
