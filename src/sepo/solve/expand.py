"""Walking a game breadth first into the arrays of a ``Tree``, and holding it to its contract on the way."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sepo.errors import ContractError, ShortcutError, TooLargeError
from sepo.games.base import CHANCE, TERMINAL, Game, Memory, State
from sepo.games.held import divisors, hold_to_divisors, hold_to_figures
from sepo.games.repeated import RepeatedGame, Stage
from sepo.solve.rounds import Hidden
from sepo.solve.stages import Answer, grow
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
        If the game breaks its contract, or (TooLargeError) has more than ``max_nodes`` nodes.
    """
    return _expand(game, max_nodes)


@lru_cache(maxsize=16)
def _expand(game: Game, max_nodes: int) -> Tree:
    return walk(game, max_nodes=max_nodes)


def walk(
    game: Game,
    fixed: Mapping[int, Answer] | None = None,
    memory: Memory = "all",
    max_nodes: int = MAX_NODES,
) -> Tree:
    """Walk a game breadth first, only along moves that the seats in ``fixed`` make with positive probability.

    Parameters
    ----------
    fixed
        Strategies by seat; the tree's ``played`` keeps them.
    memory
        What the fixed seats remember: shorter than ``all``, histories that they do not tell apart are one node
        (see ``Game.forgetful``), and what a free seat collects at best is found in a far smaller tree. A game that
        knows no shorter form is walked as it is.

    Raises
    ------
    ContractError
        If the game breaks its contract.
    TooLargeError
        If more than ``max_nodes`` nodes are met.
    ShortcutError
        If one seat is free and would forget what tells of the other's private information, or what it sees then does
        not tell how far the game has come.
    """
    hold_to_figures(game)
    with _uncollected():
        if isinstance(game, RepeatedGame) and game.alike:
            tree = grow(game, dict(fixed or {}), memory, max_nodes)
        else:
            tree = plain_walk(game, fixed, memory, max_nodes)
    _hold_to_divisors(tree)
    return tree


def remembered(game: Game, memory: Memory) -> Memory:
    """Return what a walk of a game by that memory remembers: all where the game knows no shorter form."""
    return "all" if type(game).forgetful is Game.forgetful else memory


def _hold_to_divisors(tree: Tree) -> None:
    """Refuse a tree on a move of which something is negative that a measure divides by."""
    for name in divisors(tree.game):
        for seat in tree.game.seats:
            due = tree.features[seat, tree.names.index(name)]
            move = int(due.argmin())
            if due[move] < 0:
                which = int(tree.infoset[tree.parent[move]])
                where = f"after '{tree.infosets[which].decision.key}'" if which >= 0 else "after a move of chance"
                hold_to_divisors(tree.game, {name: float(due[move])}, f"for seat {seat} {where}")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from going over all that a walk makes again and again: up to half of a walk's time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def plain_walk(
    game: Game, fixed: Mapping[int, Answer] | None = None, memory: Memory = "all", max_nodes: int = MAX_NODES
) -> Tree:
    """Walk any game state by state; parameters and errors are those of ``walk``."""
    memory = remembered(game, memory)
    merge = game.merge or memory != "all"
    found = _Infosets(game, dict(fixed or {}), by_view=memory != "all")
    states: list[State] = [game.root() if memory == "all" else game.forgetful(memory)]
    nodes: dict[State, int] = {}
    entered = [states[0]]
    parent, child, entry, chance, depth = [-1], [0], [-1], [1.0], [0]
    deep = [0]
    actor: list[int] = []
    infoset: list[int] = []
    first: list[int] = []
    count: list[int] = []
    for node, state in enumerate(states):  # the list grows while it is read
        which, moves = found.moves(state)
        actor.append(state.actor)
        infoset.append(which)
        first.append(len(parent))
        count.append(len(moves))
        for move in moves:
            after = state.child(move.label)
            new = len(states)
            at = nodes.setdefault(after, new) if merge else new
            if at == new:
                states.append(after)
                deep.append(deep[node] + 1)
            elif deep[at] != deep[node] + 1:
                raise ContractError(
                    f"game '{game.name}': states that merge must be equally deep, unlike {after!r}, which comes back"
                )
            entered.append(after)
            parent.append(node)
            child.append(at)
            entry.append(move.entry)
            chance.append(move.chance)
            depth.append(deep[node] + 1)
        if len(states) > max_nodes:
            raise TooLargeError(f"game '{game.name}' has more than {max_nodes} nodes: too large to hold as a tree")
    bounds = np.searchsorted(np.array(depth), np.arange(depth[-1] + 2))
    merged = len(parent) > len(states)
    tree = Tree(
        game=game,
        parent=np.array(parent),
        child=np.array(child),
        actor=np.array(actor),
        infoset=np.array(infoset),
        entry=np.array(entry),
        round=np.array([s.round for s in entered]),
        chance=np.array(chance),
        first=np.array(first),
        count=np.array(count),
        features=_features(game, entered),
        names=("own", "other", "round", *game.features),
        levels=tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(bounds)),
        infosets=tuple(found.infosets),
        last=np.zeros((2, 0), dtype=np.int64) if merged else _last(parent, entry, actor),
        merged=merged,
        played=found.played() if fixed else None,
    )
    if memory != "all" and len(found.fixed) == 1:
        _hold_to_forgetting(tree, next(1 - seat for seat in found.fixed), states)
    return tree


def _hold_to_forgetting(tree: Tree, free: int, states: list[State]) -> None:
    """Refuse a tree of short memories if the free seat forgets how far the game is or what the other has in private."""
    game = tree.game
    if tree.merged and (tree.depth[tree.mover == free] < 0).any():
        raise ShortcutError(f"game '{game.name}': what is seen does not tell how far it is: it takes the whole tree")
    if isinstance(game, RepeatedGame):
        hidden = Hidden(game, free)
        for state in states:
            if isinstance(state, Stage) and state.settled is not None:
                hidden.hold(state.number - 1, state.public, state.private)


def _last(parent: list[int], entry: list[int], actor: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return each seat's last own entry on the way to each node. (2, nodes)."""
    last: list[tuple[int, int]] = [(-1, -1)]
    for above, move in zip(parent[1:], entry[1:], strict=True):
        a, b = last[above]
        last.append((a, b) if move < 0 else ((move, b) if actor[above] == 0 else (a, move)))
    return np.array(last, dtype=np.int64).T.copy()


class _Infosets:
    """The information states met so far, and the moves out of a node.

    They are told apart by key; with ``by_view`` by what the seat has seen, where keys of whole histories say less.
    """

    def __init__(self, game: Game, fixed: dict[int, Answer], *, by_view: bool) -> None:
        self.game = game
        self.fixed = fixed
        self.by_view = by_view
        self.infosets: list[Infoset] = []
        self.entries = 0
        self._index: dict[tuple[int, str], int] = {}
        self._seen: dict[tuple[int, Hashable], int] = {}
        self._legal: dict[str, tuple[str, ...]] = {}
        self._moves: list[list[Move]] = []
        self._answers: list[Floats] = []

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
        return which, self._moves[which]

    def played(self) -> Floats:
        """Return the strategies of the fixed seats, NaN elsewhere. (entries,)."""
        return np.concatenate(self._answers) if self._answers else np.zeros(0)

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
        seen = state.actor, state.view(state.actor)
        which = self._seen.get(seen)
        if which is None:
            which = self._new(state)
            self._seen[seen] = which
        decision = self.infosets[which].decision
        if state.legal() != decision.legal:
            raise ContractError(f"game '{self.game.name}': legal actions differ within '{decision.key}'")
        return which

    def _new(self, state: State) -> int:
        decision = self.game.decision(state)
        which = len(self.infosets)
        if not self.by_view:
            which = self._index.setdefault((state.actor, decision.key), which)
        if which == len(self.infosets):
            if not decision.legal or len(set(decision.legal)) < len(decision.legal):
                raise ContractError(
                    f"game '{self.game.name}': no legal action, or one twice, at information state '{decision.key}'"
                )
            self.infosets.append(Infoset(state.actor, decision, self.entries))
            answer = self.fixed.get(state.actor)
            p = np.full(len(decision.legal), np.nan) if answer is None else answer(decision)
            self._answers.append(p)
            self._moves.append(
                [
                    Move(action, self.entries + i, 1.0)
                    for i, action in enumerate(decision.legal)
                    if answer is None or p[i] > 0
                ]
            )
            self.entries += len(decision.legal)
        if not self.by_view and self._legal.setdefault(decision.key, decision.legal) != decision.legal:
            raise ContractError(f"game '{self.game.name}': legal actions differ within '{decision.key}'")
        return which


def _features(game: Game, entered: list[State]) -> Floats:
    """Return what falls due on each move, from both seats. (2, features, moves)."""
    out = np.zeros((2, 3 + len(game.features), len(entered)))
    for move, state in enumerate(entered[1:], start=1):
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
            out[seat, :, move] = (rewards[seat], rewards[1 - seat], over, *own)
    return out
