"""Where a learner meets its opponents while it trains: one tree a meeting, one vector for the learner.

A game that is small enough is one ``Tree``, whole, and the learner is a vector over its entries. In a larger one an
``Arena`` holds a tree per opponent, pruned to what that opponent may do, and the learner is a vector over the distinct
information states of all of them. Where instances are drawn, or rounds are many, even these are too large, and an
information state is what the learner believes of whom it meets (``solve.belief``). Everything that knows terms takes
any of them.

Shapes: a learner's vector is (entries,) of the tree or of the arena's ``space``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from sepo.errors import InputError, TooLargeError
from sepo.games.base import Decision, Game, MeasureName, MeasureSet, PoolName
from sepo.games.repeated import RepeatedGame
from sepo.policies.base import strategy
from sepo.policies.script import ScriptPolicy, opponent, played
from sepo.solve.belief import Beliefs, Known
from sepo.solve.expand import expand, walk
from sepo.solve.response import best_response
from sepo.solve.space import Space
from sepo.solve.tree import Floats, Ints, Layout, Tree
from sepo.solve.value import by_infoset, counterfactual_reach, infoset_reach

BEST_RESPONSE = "best_response"
SETS: tuple[MeasureName, ...] = ("paper", "sepo")
TRAINED: tuple[PoolName, ...] = ("train", "exploiter", "collusive")
"""The pools whose opponents J is about."""
SMALL = 20_000
MOST_STATES = 1000
"""Nodes and information states up to which a game is held whole."""
WHOLE = 400_000
"""Largest whole game that is walked for a best response."""


class Adversary(NamedTuple):
    """An opponent as a vector over the entries of the whole game's tree, both seats, and its weight among others."""

    name: str
    strategy: Floats
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Meeting:
    """The learner in one seat of a tree, an opponent in the other.

    Attributes
    ----------
    other : (entries,)
        The opponent's strategy; the learner's entries do not count.
    at : (entries,)
        Where the learner's entries stand in its vector, -1 at the opponent's.
    """

    opponent: str
    seat: int
    tree: Tree
    other: Floats
    at: Ints

    @cached_property
    def moves(self) -> tuple[Ints, Ints]:
        """The learner's moves in the tree, and where each stands in its vector."""
        entry = self.tree.entry
        own = np.flatnonzero((entry >= 0) & (self.at[entry] >= 0))
        return own, self.at[entry[own]]

    def profile(self, learner: Floats) -> Floats:
        """Let the learner play its seat. (entries,)."""
        return np.where(self.at >= 0, learner[self.at], self.other)

    def gathered(self, vector: Floats, size: int) -> Floats:
        """Add what stands at the learner's entries of the tree up in the learner's vector. (size,)."""
        own = self.at >= 0
        out: Floats = np.bincount(self.at[own], vector[own], size).astype(float)
        return out

    def by_state(self, values: Floats, layout: Layout) -> Floats:
        """Add values at the tree's information states up at those of the learner's layout. (infosets,)."""
        at = self.at[self.tree.starts]
        own = at >= 0
        out: Floats = np.bincount(layout.owner[at[own]], values[own], len(layout.infosets)).astype(float)
        return out


@lru_cache(maxsize=16)
def scripted(tree: Tree) -> Mapping[str, Floats]:
    """Return every scripted opponent of the tree's game as a vector over its entries."""
    return {name: strategy(ScriptPolicy(f"script:{name}", name), tree) for name in tree.game.opponents}


def pool(tree: Tree, measures: MeasureSet, name: PoolName) -> list[Adversary]:
    """Return the opponents of a pool on a whole tree."""
    return [Adversary(o, scripted(tree)[o]) for o in measures.pools[name]]


class Arena:
    """A learner's meetings with the opponents of a game's pools, each on the smallest tree that shows it.

    Parameters
    ----------
    opponents
        The scripts that are met.
    forgets
        Whether information states are beliefs; unless given, where the game draws an instance.

    Attributes
    ----------
    beliefs
        The learner's information states where they are beliefs; else None.

    Raises
    ------
    TooLargeError
        If a meeting in which the learner may do anything is too large to hold.
    """

    def __init__(self, game: Game, opponents: Sequence[str], *, forgets: bool | None = None) -> None:
        self.game = game
        self.beliefs: Beliefs | None = None
        if isinstance(game, RepeatedGame) and (game.sampled_chance if forgets is None else forgets):
            self.beliefs = Beliefs(game, {o: _known(game, o) for o in opponents})
        grown = self.beliefs
        trees = {(o, s): grown.tree(o) if grown else _tree(game, o, s) for o in opponents for s in game.seats}
        self.space = Space.over((tree, seat) for (_, seat), tree in trees.items())
        self.met = {
            o: [
                Meeting(o, s, trees[o, s], np.nan_to_num(trees[o, s].fixed), self.space.at(trees[o, s], s))
                for s in game.seats
            ]
            for o in opponents
        }

    def state_of(self, decision: Decision) -> int | None:
        """Return where the information state of a decision stands in the space; None if no opponent leads there."""
        if self.beliefs is None:
            return self.space.index.get(decision.key)
        at = self.beliefs.locate(decision.view)
        return None if at is None else self.space.index[self.beliefs.states[at].decision.key]

    @cached_property
    def whole(self) -> Tree:
        """The whole game's tree, for a best response to the learner.

        Raises
        ------
        InputError
            If it is too large.
        """
        try:
            return expand(self.game, WHOLE)
        except TooLargeError:
            raise InputError(
                f"game '{self.game.name}' is too large for an exact best response: train against exploiter 'pool'"
            ) from None

    @cached_property
    def whole_at(self) -> Mapping[int, Ints]:
        """Where each seat's entries of the whole tree stand in the space, by seat of the learner."""
        return {seat: self.space.at(self.whole, seat) for seat in self.game.seats}

    def on_whole(self, learner: Floats) -> Floats:
        """Return the learner as both seats of the whole tree; uniform where it meets no opponent of the arena."""
        out = self.whole.uniform
        for at in self.whole_at.values():
            out[at >= 0] = learner[at[at >= 0]]
        return out


Ground = Tree | Arena
"""Where the learner meets its opponents."""


def trained_on(game: Game) -> tuple[str, ...]:
    """Return the opponents that J is about in any set of measures, each once."""
    return tuple(dict.fromkeys(o for of in SETS for pool in TRAINED for o in game.measures(of).pools[pool]))


def small(game: Game) -> Tree | None:
    """Return the whole game's tree where it is small; None elsewhere."""
    try:
        tree = expand(game, SMALL)
    except TooLargeError:
        return None
    return tree if len(tree.questions) <= MOST_STATES else None


def ground_of(game: Game) -> Ground:
    """Return the whole game's tree where it is small, else an arena of every opponent that is trained on.

    Its information states are histories if they can be held, and else beliefs.

    Raises
    ------
    InputError
        If neither can be held.
    """
    if (tree := small(game)) is not None:
        return tree
    opponents = trained_on(game)
    try:
        return Arena(game, opponents)
    except TooLargeError as error:
        if (found := _believing(game, opponents)) is not None:
            return found
        raise InputError(f"{error}: no policy can be improved there") from None


def _believing(game: Game, opponents: Sequence[str]) -> Arena | None:
    """Return an arena whose information states are beliefs, if there is one that can be held and histories lead to."""
    if not isinstance(game, RepeatedGame) or game.sampled_chance or tuple(game.seats) != (0,):
        return None
    try:
        found = Arena(game, opponents, forgets=True)
    except TooLargeError:
        return None
    return found if found.beliefs is not None and found.beliefs.locates else None


def layout(ground: Ground) -> Layout:
    """Return how the learner's vector is laid out."""
    return ground if isinstance(ground, Tree) else ground.space


def whole_of(ground: Ground) -> Tree:
    """Return the whole game's tree.

    Raises
    ------
    InputError
        If it is too large.
    """
    return ground if isinstance(ground, Tree) else ground.whole


def met(ground: Ground, by: str | Adversary) -> list[Meeting]:
    """Return the learner's meetings with an opponent, one a seat in which the learner plays."""
    if isinstance(ground, Arena):
        if isinstance(by, str):
            return ground.met[by]
        return [_against(ground, by, seat) for seat in ground.game.seats]
    return _on_tree(ground, by) if isinstance(by, str) else _meetings(ground, by)


@lru_cache(maxsize=256)
def _on_tree(tree: Tree, name: str) -> list[Meeting]:
    return _meetings(tree, Adversary(name, scripted(tree)[name]))


def _meetings(tree: Tree, by: Adversary) -> list[Meeting]:
    here = np.arange(len(tree.seat))
    return [Meeting(by.name, s, tree, by.strategy, np.where(tree.seat == s, here, -1)) for s in tree.game.seats]


def _against(arena: Arena, by: Adversary, seat: int) -> Meeting:
    """Let the learner meet an adversary on the whole tree, uniform where it meets no opponent of the arena."""
    tree = arena.whole
    at = arena.whole_at[seat]
    unmet = (tree.seat == seat) & (at < 0)
    return Meeting(by.name, seat, tree, np.where(unmet, tree.uniform, by.strategy), at)


def respond(ground: Ground, learner: Floats, objective: Mapping[str, float]) -> Adversary:
    """Return the opponent that best responds to ``learner`` in both seats.

    ``objective`` is what the responder collects, by feature, from its own seat: ``{"own": 1}`` its payoff,
    ``{"own": 1, "other": -1}`` the payoff difference, ``{"other": -1}`` the harm done.
    """
    tree = whole_of(ground)
    profile = learner if isinstance(ground, Tree) else ground.on_whole(learner)
    answers = [best_response(tree, profile, s, tree.combine(s, objective)).strategy for s in (0, 1)]
    return Adversary(BEST_RESPONSE, np.where(tree.seat == 0, answers[0], answers[1]))


@lru_cache(maxsize=256)
def best_value(meeting: Meeting) -> float:
    """Return what a best response to a meeting's opponent earns in an episode."""
    tree = meeting.tree
    return best_response(tree, meeting.other, meeting.seat, tree.feature("own", meeting.seat)).value


def passed(meeting: Meeting, learner: Floats, layout: Layout) -> Floats:
    """Return how likely the learner passes each of its information states in a meeting. (infosets,)."""
    return meeting.by_state(infoset_reach(meeting.tree, meeting.profile(learner)), layout)


def passable(meeting: Meeting, learner: Floats, layout: Layout) -> Floats:
    """Return how likely it would pass each if it played towards it. (infosets,)."""
    nodes = counterfactual_reach(meeting.tree, meeting.profile(learner), meeting.seat)
    return meeting.by_state(by_infoset(meeting.tree, nodes), layout)


def _known(game: Game, name: str) -> Known:
    other = opponent(game, name)
    return Known(lambda d: played(other, d), other.memory)


def _tree(game: Game, name: str, seat: int) -> Tree:
    other = opponent(game, name)
    return walk(game, {1 - seat: lambda d: played(other, d)})
