"""Expectations from sampled episodes: duplicate deals, control variates, and stopping at a wanted precision.

A *cluster* is an instance, or a set of deals and coins, that every opponent, seat and compared policy plays. Where the
tree of a meeting can be held, episodes are played on it, vectorised, with the control variates of AIVAT: each move's
effect on the value of a baseline is replaced by its expectation over the known probabilities of that move, so luck of
chance, of the opponent and of the policy's own draws cancels as far as the baseline sees it. N. Burch et al., "AIVAT: A
new variance reduction technique for agent evaluation in imperfect information games", AAAI 2018. Elsewhere the baseline
sees one round: what a round collects is replaced by its expectation over both sides' actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sepo.audit.board import Match
from sepo.audit.exact import Expectations, best_values, dues
from sepo.errors import InputError
from sepo.games.base import Game
from sepo.games.held import PLAY, hold_to_figures
from sepo.keys import generator
from sepo.play.lockstep import Tell, play
from sepo.play.rollout import rollout
from sepo.policies.base import Policy
from sepo.policies.script import opponent
from sepo.solve.tree import Floats
from sepo.solve.value import move_reach, node_values, transition

FIRST = 100
"""Clusters before the first look at a half-width."""


class Sampled(NamedTuple):
    """Rows of clusters, with control variates and without."""

    values: Expectations
    plain: Expectations


def on_trees(
    matches: dict[str, list[Match]], clusters: Sequence[int], key: tuple[object, ...], baseline: Baseline | None = None
) -> Sampled:
    """Play one episode per cluster, opponent and seat on the trees of the meetings.

    Parameters
    ----------
    baseline
        Gives the profile whose values the control variates use; the meeting's own profile unless given.
    """
    reduced, plain = Expectations(), Expectations()
    start, stop = min(clusters), max(clusters) + 1
    for name, ms in matches.items():
        with_, without = [], []
        certain: tuple[list[set[str]], list[set[str]]] = ([], [])
        for m in ms:
            game = m.tree.game
            lots = _lots((*key, game.name), len(m.tree.levels) - 1, stop)[start:]
            if game.sampled_chance:  # cluster k plays instance k
                instances = int(m.tree.count[0])
                lots[:, 0] = (np.arange(start, stop) % instances + 0.5) / instances
            found = episodes(m, lots, baseline)
            with_.append(found[0])
            without.append(found[1])
            drawn = drawn_instances(game) > 0
            certain[0].append(set() if drawn or baseline is not None else set(found[0]))
            certain[1].append(set() if drawn else unmoved(m))
        for out, parts, sure in ((reduced, with_, certain[0]), (plain, without, certain[1])):
            for quantity in dict.fromkeys(q for p in parts for q in p):
                rows = np.mean([p.get(quantity, np.zeros(len(lots))) for p in parts], axis=0)
                settled = all(quantity in known for p, known in zip(parts, sure, strict=True) if quantity in p)
                out.add(name, quantity, rows, settled=settled)
    return Sampled(reduced, plain)


Baseline = Callable[[Match], Floats]


def _lots(key: tuple[object, ...], moves: int, stop: int) -> Floats:
    """Return a uniform number per cluster before ``stop`` and move; how many moves a tree has changes none of them."""
    return np.column_stack([generator(*key, move).random(stop) for move in range(moves)])


def episodes(m: Match, lots: Floats, baseline: Baseline | None = None) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Play a meeting once per row of uniform numbers; return every quantity per round, reduced and plain.

    For a due d and baseline values V, an episode h with moves m_1 .. m_k gives
    ``sum_i d(m_i) + sum_i (E[d(m) + V(m)] - d(m_i) - V(m_i))``, the expectation over the moves m out of the node of
    m_i. Each bracket has mean 0 whatever V is, so the estimate is unbiased; where V is the policy's own value it is the
    exact value itself. The draw of an instance has no bracket: instances are what an interval is over, as they are
    where each of them is exact.
    """
    tree, rounds = m.tree, m.tree.game.rounds
    moves = rollout(tree, m.profile, lots).moves
    made = np.where(moves >= 0, moves, 0)
    taken = moves >= 0
    step = transition(tree, m.profile)
    guide = m.profile if baseline is None else baseline(m)
    reduced, plain = {}, {}
    for name, due in dues(m).items():
        value = node_values(tree, guide, due)  # what falls due on each move, and after it, under the baseline
        mean = np.zeros(tree.nodes)
        np.add.at(mean, tree.parent[1:], step[1:] * value[1:])
        surprise = np.zeros(tree.moves)
        surprise[1:] = mean[tree.parent[1:]] - value[1:]
        if tree.game.sampled_chance:
            surprise[tree.levels[1]] = 0.0
        total = np.where(taken, due[made], 0.0).sum(axis=1)
        plain[name] = total / rounds
        reduced[name] = (total + np.where(taken, surprise[made], 0.0).sum(axis=1)) / rounds
    return reduced, plain


def unmoved(m: Match) -> set[str]:
    """Return the quantities of a meeting that nothing random bears on: all its plays end with the same sum.

    So it is where no move that may be made changes what is to be expected.
    """
    tree = m.tree
    step, made = transition(tree, m.profile), move_reach(tree, m.profile)[1:] > 0
    out = set()
    for name, due in dues(m).items():
        value = node_values(tree, m.profile, due)[1:]
        mean = np.bincount(tree.parent[1:], step[1:] * value, tree.nodes)
        if np.all(np.abs(mean[tree.parent[1:]] - value)[made] <= 1e-9 * max(1.0, float(np.abs(value).max()))):
            out.add(name)
    return out


def without_tree(
    policy: Policy, game: Game, opponents: Sequence[str], clusters: Sequence[int], key: tuple[object, ...], tell: Tell
) -> Sampled:
    """Play one episode per cluster, opponent and seat state by state, model questions in batches."""
    met = [opponent(game, o) for o in opponents]
    played = play(policy, game, met, clusters, (*key, game.name), tell)
    reduced, plain = Expectations(), Expectations()
    place = {k: i for i, k in enumerate(clusters)}
    for o in met:
        mine = [e for e in played if e.opponent is o]
        for out, of in ((reduced, "expected"), (plain, "plain")):
            names = ["own", "other", "round", *game.features]
            names += sorted({q for e in mine for q in getattr(e, of)} - set(names))
            for name in names:
                rows = np.zeros(len(clusters))
                rounds = 1 if name.startswith(PLAY) else game.rounds  # actions are counted by episode, as on trees
                for e in mine:
                    found = getattr(e, of)
                    if name not in found and of == "expected" and name in ("own", "other", *game.features):
                        found = e.plain  # the round's expectation is not to be had: what fell due itself
                    rows[place[e.cluster]] += found.get(name, 0.0) / (len(game.seats) * rounds)
                out.add(o.name, name, np.ones(len(clusters)) if name == "round" else rows)
    return Sampled(reduced, plain)


def with_best(values: Expectations, game: Game, opponents: Sequence[str], clusters: Sequence[int]) -> None:
    """Add what best responses to the opponents earn; exact, and per instance where instances are drawn."""
    for name in opponents:
        best = best_values(game, name)
        if best is not None:
            rows = np.array(best)[np.array(clusters) % len(best)]
            values.add(name, "best", rows, settled=len(best) == 1)


def joined(parts: Sequence[Expectations]) -> Expectations:
    """Put rows of the same quantities under one another; a quantity absent from a part is 0 there."""
    out = Expectations()
    sizes = [len(p.values[0]) for p in parts]
    for opponent_, quantity in dict.fromkeys(c for p in parts for c in p.columns):
        rows = [
            p.values[p.columns[opponent_, quantity]] if (opponent_, quantity) in p.columns else np.zeros(n)
            for p, n in zip(parts, sizes, strict=True)
        ]
        settled = all((opponent_, quantity) in p.settled for p in parts)
        out.add(opponent_, quantity, np.concatenate(rows), settled=settled)
    return out


def hold_to_independent(game: Game) -> None:
    """Refuse a game whose instances are no independent draws that count alike: every interval over them takes them so.

    Raises
    ------
    InputError
        If they are not, or a feature has another quantity's name.
    """
    hold_to_figures(game)
    if game.grouped:
        raise InputError(
            f"game '{game.name}': instances that share a hand are not independent, so no interval over them would "
            "hold: opponent_values above 1 is for a recipe's practice"
        )


def drawn_instances(game: Game) -> int:
    """Return how many instances a game draws; 0 if none, or a single one, which is no draw: its episodes are."""
    instances = len(game.root().chance()) if game.sampled_chance else 0
    return instances if instances > 1 else 0


def by_instance(rows: Floats, instances: int) -> Floats:
    """Average the rows that played the same instance, row k instance k modulo their number: they are one cluster."""
    if len(rows) <= instances:
        return rows
    of = np.arange(len(rows)) % instances
    return np.bincount(of, rows) / np.bincount(of)
