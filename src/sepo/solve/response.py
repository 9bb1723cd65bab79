"""Best responses and exploitability, in sequence form.

With perfect recall a node's payoff, weighted by the reach of chance and the opponent, belongs to the
responder's last own entry. Working back through the responder's decisions, latest first, the best
action at an information state maximises what its entry collects plus the values of the information
states that follow it. B. von Stengel, "Efficient computation of behavior strategies", Games and
Economic Behavior 14, 1996; M. Johanson et al., "Accelerating best response calculation in large
extensive games", IJCAI 2011.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sepo.errors import ContractError
from sepo.solve.tree import Bools, Floats, Ints, Tree
from sepo.solve.value import counterfactual_reach, reach, transition

SMALL = 256
"""Up to this many information states a plain loop, and as many entries a dense payoff matrix, is the faster way."""


class Response(NamedTuple):
    """A best response: ``strategy`` (entries,) is pure at the responder's entries, as given elsewhere."""

    value: float
    strategy: Floats


def best_response(tree: Tree, profile: Floats, seat: int, due: Floats) -> Response:
    """Maximise the expected sum of ``due`` over all strategies of ``seat`` against the other seat of ``profile``.

    Parameters
    ----------
    profile : (entries,)
        Action probabilities; those of ``seat`` are ignored.
    due : (moves,)
        What the responder collects on each move, for instance
        ``tree.combine(seat, {"own": 1, "other": -1})`` for the payoff difference.

    Returns
    -------
    Response
        Ties go to the first action.

    Raises
    ------
    ContractError
        If states merge and the nodes of an information state are not equally deep.
    """
    if tree.merged:
        if (uneven := np.flatnonzero((tree.mover == seat) & (tree.depth < 0))).size:
            raise ContractError(
                f"game '{tree.game.name}': where states merge the nodes of an information state must be equally deep, "
                f"unlike those of '{tree.infosets[uneven[0]].key}'"
            )
        return _backwards(tree, profile, seat, due, np.ones(len(tree.infosets), dtype=bool))
    weighted = counterfactual_reach(tree, profile, seat) * due
    collected: Floats = np.zeros(len(tree.seat) + 1)  # slot 0: before any own move
    np.add.at(collected, tree.last[seat] + 1, weighted)
    value, chosen = _answer(tree, seat, collected)
    strategy = np.where(tree.seat == seat, 0.0, profile)
    strategy[chosen] = 1.0
    return Response(value, strategy)


def best_responses(tree: Tree, profiles: Floats, seat: int, due: Floats) -> Floats:
    """Return the strategy of ``best_response`` to each of many profiles. (profiles, entries)."""
    if tree.merged:
        return np.stack([best_response(tree, profile, seat, due).strategy for profile in profiles])
    weighted = counterfactual_reach(tree, profiles, seat) * due
    strategies = np.where(tree.seat == seat, 0.0, profiles)
    for strategy, falls in zip(strategies, weighted, strict=True):
        collected: Floats = np.bincount(tree.last[seat] + 1, falls, len(tree.seat) + 1).astype(float)
        _, chosen = _answer(tree, seat, collected)
        strategy[chosen] = 1.0
    return strategies


def _answer(tree: Tree, seat: int, collected: Floats) -> tuple[float, Ints]:
    """Return the value of the best answer and the entries it plays, from what each own entry collects by itself.

    ``collected`` is (entries + 1,); slot 0 is what is collected before any own move. On a small tree a plain
    loop is several times as fast as numpy calls on a few numbers each, and on a large one a hundred times slower.
    """
    if len(tree.infosets) <= SMALL:
        total = collected.tolist()
        played = []
        for start, stop, before in tree.decisions_backwards[seat]:
            options = total[start + 1 : stop + 1]
            best = max(options)
            played.append(start + options.index(best))
            total[before + 1] += best
        return total[0], np.array(played, dtype=np.int64)
    total, chosen = collected.copy(), []
    for entries in reversed(tree.recall_entries[seat]):
        options, owner = total[entries + 1], tree.owner[entries]
        top = np.full(len(tree.infosets), -np.inf)
        np.maximum.at(top, owner, options)
        first = np.full(len(tree.infosets), len(tree.seat))
        np.minimum.at(first, owner, np.where(options == top[owner], entries, len(tree.seat)))
        here = np.unique(owner)
        chosen.append(first[here])
        np.add.at(total, tree.previous[here] + 1, top[here])
    return float(total[0]), np.concatenate(chosen)


def completed(tree: Tree, profile: Floats, seat: int, due: Floats, free: Bools) -> Response:
    """Maximise the expected sum of ``due`` over what ``seat`` does at the ``free`` information states alone.

    Elsewhere it plays as in ``profile``. With ``due`` negated, the least: together they bound the value of a
    policy of which only the rest is known. The bound is exact where the nodes of an information state are equally
    deep, as they are in every game of rounds; elsewhere each node is answered by itself, which bounds it too.

    Parameters
    ----------
    free : (infosets,)
        Which information states are open; those of the other seat do not count.
    """
    return _backwards(tree, profile, seat, due, free)


def _backwards(tree: Tree, profile: Floats, seat: int, due: Floats, free: Bools) -> Response:
    """Answer by backward induction over nodes.

    At an information state the nodes are weighed by their reach when the responder tries every action alike. That
    is its belief whatever it did before, as long as what its state forgot tells nothing about what will happen.
    """
    opened = (tree.mover == seat) & free
    own = opened[tree.owner]
    tried = np.where(own, 1.0 / tree.sizes[tree.owner], profile)
    weight, step = reach(tree, tried), transition(tree, profile)
    after = np.zeros(tree.nodes)
    strategy = np.where(own, 0.0, profile)
    strategy[tree.starts[opened]] = 1.0
    opening = np.append(opened, False)  # the last one stands for no information state
    for level in reversed(tree.levels[1:]):
        value = due[level] + after[tree.child[level]]
        parent, entry = tree.parent[level], tree.entry[level]
        mine = opening[tree.infoset[parent]]
        if mine.any():
            here = np.unique(tree.infoset[parent[mine]])
            options = np.bincount(entry[mine], weight[parent[mine]] * value[mine], len(tree.seat))
            starts, sizes = tree.starts[here], tree.sizes[here]
            grid = starts[:, None] + np.minimum(np.arange(sizes.max()), sizes[:, None] - 1)
            best = starts + np.argmax(options[grid], axis=1)
            strategy[starts] = 0.0
            strategy[best] = 1.0
        taken = np.where(mine, strategy[entry], step[level])
        np.add.at(after, parent, taken * value)
    return Response(float(after[0] + due[0]), strategy)


def exploitability(tree: Tree, strategy: Floats) -> float:
    """Return how much a best-responding opponent wins, averaged over the seats: NashConv / 2. Zero-sum games.

    ``strategy`` (entries,) plays both seats. The unit is the game's payoff per episode of the tree. The
    game's values for the two seats cancel in the mean, so none is needed.
    """
    if tree.merged or len(tree.seat) > SMALL:
        gains = [best_response(tree, strategy, s, tree.feature("own", s)).value for s in (0, 1)]
    else:
        gains = [_answer(tree, s, tree.payoffs[s] @ realisation(tree, strategy, 1 - s))[0] for s in (0, 1)]
    return (gains[0] + gains[1]) / 2


def realisation(tree: Tree, strategy: Floats, seat: int) -> Floats:
    """Return how likely ``seat`` plays towards and at each of its entries; slot 0 is 1. (entries + 1,)."""
    plan = np.zeros(len(strategy) + 1)
    plan[0] = 1.0
    for entries, before in tree.recall_steps[seat]:
        plan[entries + 1] = strategy[entries] * plan[before + 1]
    return plan
