"""Demonstrated episodes: a demonstrator drawn by its share meets a drawn opponent; its decisions are the examples.

Opponents come from the pools that training may meet, each name with the same chance, and never from ``held_out``.
Episodes are played on the states themselves, so no tree is needed and any game will do. An episode depends on the
game with its rules, the seed and its own number: a larger set begins with the episodes of a smaller one.

``sepo.train.data`` draws for the direct update instead: on the tree, from the train pool, merged into counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sepo.errors import ContractError
from sepo.games.base import CHANCE, TERMINAL, Decision, Game, Opponent, PoolName
from sepo.games.registry import make
from sepo.keys import generator
from sepo.policies.script import played
from sepo.solve.tree import Floats

POOLS: tuple[PoolName, ...] = ("train", "exploiter", "collusive")
TESTED = 0.2  # of the episodes
TOLERANCE = 1e-6
EXAMPLES = 8_000
FEWER: Mapping[str, int] = {"kuhn": 7_000, "items": 4_000}  # as published
FRESH: Mapping[str, Mapping[str, Any]] = {"items": {"instances": 1_000, "instance_seed": 1}}


class Example(NamedTuple):
    """A decision of a demonstrator and what it did.

    Attributes
    ----------
    episode
        Its number, from 0.
    round
        The round of the episode, from 1; in Kuhn poker the hand.
    """

    episode: int
    round: int
    decision: Decision
    action: str
    demonstrator: Opponent
    opponent: str


class Demonstrations(NamedTuple):
    """The examples of a game in the order of play, and the numbers of the episodes that are kept for testing."""

    game: Game
    examples: tuple[Example, ...]
    tested: frozenset[int]

    def split(self, name: str) -> list[Example]:
        """Return the examples of ``train`` or of ``test``."""
        return [e for e in self.examples if (e.episode in self.tested) == (name == "test")]


def shown(name: str, rules: Mapping[str, Any]) -> Game:
    """Make the game that is demonstrated: by the rules given, and on other instances than the audit's.

    Raises
    ------
    InputError
        If there is no such game or rule.
    """
    return make(name, {**FRESH.get(name, {}), **rules})


def demonstrate(game: Game, examples: int | None = None, seed: int = 42) -> Demonstrations:
    """Play whole episodes until there are as many examples as asked for; every fifth episode, drawn, is for testing.

    Parameters
    ----------
    examples
        About as many; the published number unless given. At least two episodes are played.
    """
    wanted = examples or FEWER.get(game.name, EXAMPLES)
    out: list[Example] = []
    episodes = 0
    while len(out) < wanted or episodes < 2:
        out += _episode(game, seed, episodes)
        episodes += 1
    order = generator("data split", game.name, seed).permutation(episodes)
    return Demonstrations(game, tuple(out), frozenset(order[: max(1, round(TESTED * episodes))].tolist()))


def met(game: Game) -> tuple[str, ...]:
    """Return the opponents that demonstrators meet."""
    pools = game.measures("sepo").pools
    return tuple(dict.fromkeys(name for pool in POOLS for name in pools[pool]))


def _episode(game: Game, seed: int, number: int) -> Iterator[Example]:
    """Play one episode: as many hands as the game has, in the learner's seats in turn."""
    rng = generator("data", game.name, seed, number)

    def draw(weights: Sequence[float] | Floats, of: str) -> int:
        sums = np.cumsum(weights)
        if not abs(sums[-1] - 1) <= TOLERANCE or min(weights) < 0:
            raise ContractError(f"game '{game.name}': the probabilities of {of} sum to {sums[-1]:g} or are negative")
        drawn = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
        return min(drawn, int(np.flatnonzero(weights)[-1]))  # one without weight is never drawn

    demonstrator = game.demonstrators[draw([share for share, _ in game.demonstrators], "its demonstrators")][1]
    names = met(game)
    name = names[rng.integers(len(names))]
    for hand in range(game.hands):
        seat = game.seats[(number * game.hands + hand) % len(game.seats)]
        state = game.root()
        while state.actor != TERMINAL:
            if state.actor == CHANCE:
                outcomes = state.chance()
                state = state.child(outcomes[draw([p for _, p in outcomes], "chance")][0])
                continue
            decision, own = game.decision(state), state.actor == seat
            policy = demonstrator if own else game.opponents[name]
            action = decision.legal[draw(played(policy, decision), f"script '{policy.name}' at '{decision.key}'")]
            state = state.child(action)
            if own:
                yield Example(number, hand * game.rounds + state.round + 1, decision, action, demonstrator, name)
