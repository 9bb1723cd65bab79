"""Walking a game breadth first into the arrays of a ``Tree``, and holding it to its contract on the way."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sepo.errors import ContractError
from sepo.games.base import CHANCE, TERMINAL, Game, State
from sepo.solve.tree import Floats, Infoset, Tree

MAX_NODES = 2_000_000
TOLERANCE = 1e-9


class Move(NamedTuple):
    """A move out of a node: its label, its entry (-1 for chance) and chance's probability (1 for a seat)."""

    label: str
    entry: int
    chance: float


def expand(game: Game, max_nodes: int = MAX_NODES) -> Tree:
    """Walk the whole game breadth first and return its arrays; a game is walked once per process.

    Raises
    ------
    ContractError
        If the game breaks its contract or has more than ``max_nodes`` nodes.
    """
    return _expand(game, max_nodes)


@lru_cache(maxsize=16)
def _expand(game: Game, max_nodes: int) -> Tree:
    found = _Infosets(game)
    states: list[State] = [game.root()]
    parent, entry, chance, depth = [-1], [-1], [1.0], [0]
    last: list[tuple[int, int]] = [(-1, -1)]
    actor: list[int] = []
    infoset: list[int] = []
    first: list[int] = []
    count: list[int] = []
    for node, state in enumerate(states):  # the list grows while it is read
        which, moves = found.moves(state)
        actor.append(state.actor)
        infoset.append(which)
        first.append(len(states))
        count.append(len(moves))
        for move in moves:
            states.append(state.child(move.label))
            parent.append(node)
            entry.append(move.entry)
            chance.append(move.chance)
            depth.append(depth[node] + 1)
            a, b = last[node]
            last.append((a, b) if move.entry < 0 else ((move.entry, b) if state.actor == 0 else (a, move.entry)))
        if len(states) > max_nodes:
            raise ContractError(f"game '{game.name}' has more than {max_nodes} nodes: too large to hold as a tree")
    bounds = np.searchsorted(np.array(depth), np.arange(depth[-1] + 2))
    return Tree(
        game=game,
        parent=np.array(parent),
        actor=np.array(actor),
        infoset=np.array(infoset),
        entry=np.array(entry),
        round=np.array([s.round for s in states]),
        chance=np.array(chance),
        first=np.array(first),
        count=np.array(count),
        features=_features(game, states),
        names=("own", "other", "round", *game.features),
        levels=tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(bounds)),
        infosets=tuple(found.infosets),
        last=np.array(last).T.copy(),
    )


class _Infosets:
    """The information states met so far, and the moves out of a node."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.infosets: list[Infoset] = []
        self.entries = 0
        self._index: dict[tuple[int, str], int] = {}
        self._legal: dict[str, tuple[str, ...]] = {}

    def moves(self, state: State) -> tuple[int, list[Move]]:
        """Return the information state of a node (-1 where no seat moves) and its moves."""
        if state.actor == TERMINAL:
            return -1, []
        if state.actor == CHANCE:
            return -1, self._chance(state)
        if state.actor not in (0, 1):
            raise ContractError(
                f"game '{self.game.name}': actor {state.actor} at {state!r} is no seat, CHANCE or TERMINAL"
            )
        which = self._infoset(state)
        info = self.infosets[which]
        return which, [Move(action, info.start + i, 1.0) for i, action in enumerate(info.decision.legal)]

    def _chance(self, state: State) -> list[Move]:
        outcomes = state.chance()
        total = math.fsum(p for _, p in outcomes)
        if not (abs(total - 1) <= TOLERANCE and all(p > 0 for _, p in outcomes)):
            raise ContractError(
                f"game '{self.game.name}': chance probabilities at {state!r} must be positive and sum to 1, "
                f"not {[p for _, p in outcomes]} with sum {total}"
            )
        return [Move(label, -1, p) for label, p in outcomes]

    def _infoset(self, state: State) -> int:
        decision = self.game.decision(state)
        which = self._index.setdefault((state.actor, decision.key), len(self.infosets))
        if which == len(self.infosets):
            if not decision.legal or len(set(decision.legal)) < len(decision.legal):
                raise ContractError(
                    f"game '{self.game.name}': no legal action, or one twice, at information state '{decision.key}'"
                )
            self.infosets.append(Infoset(state.actor, decision, self.entries))
            self.entries += len(decision.legal)
        if self._legal.setdefault(decision.key, decision.legal) != decision.legal:
            raise ContractError(f"game '{self.game.name}': legal actions differ within '{decision.key}'")
        return which


def _features(game: Game, states: list[State]) -> Floats:
    """Return what falls due on entering each node, from both seats. (2, features, nodes)."""
    out = np.zeros((2, 3 + len(game.features), len(states)))
    for node, state in enumerate(states[1:], start=1):
        rewards = state.rewards()
        if game.zero_sum and abs(rewards[0] + rewards[1]) > TOLERANCE:
            raise ContractError(f"game '{game.name}' calls itself zero-sum, but pays {rewards} at {state!r}")
        over = float(game.rounds) if state.actor == TERMINAL else 0.0
        for seat in (0, 1):
            own = state.features(seat)
            if len(own) != len(game.features):
                raise ContractError(
                    f"game '{game.name}': {len(own)} features at {state!r}, not the {len(game.features)} it names"
                )
            out[seat, :, node] = (rewards[seat], rewards[1 - seat], over, *own)
    return out
