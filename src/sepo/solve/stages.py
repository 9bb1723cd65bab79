"""Growing the tree of a repeated game a round at a time, with numpy: what ``solve.expand`` would find, much faster.

For games in which every round is dealt alike and what was dealt is forgotten once the round is settled. Then a round
looks the same from every history that has the same things public, and one small table says what follows from each deal
and pair of actions. Shapes: ``n`` histories at the start of a round, ``D`` deals, ``A`` actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

import numpy as np

from sepo.errors import ContractError, TooLargeError
from sepo.games.base import CHANCE, TERMINAL, Decision, Memory
from sepo.games.repeated import KEPT, Pair, RepeatedGame, View
from sepo.solve.tree import Floats, Infoset, Ints, Tree

Answer = Callable[[Decision], Floats]
"""A seat's strategy as a function: the probability of each legal action."""


class Level(NamedTuple):
    """The nodes of one depth and the moves into them: see the attributes of ``solve.tree.Tree``.

    ``parent`` and ``child`` count within the level before and this one; ``moves`` is how many lead out of each node.
    """

    actor: Ints
    infoset: Ints
    moves: Ints
    parent: Ints
    child: Ints
    entry: Ints
    chance: Floats
    features: Floats
    round: int


class _Histories(NamedTuple):
    """What the nodes at the start of a round know: the rounds before it from both seats, and what is public (n,)."""

    rounds: list[tuple[tuple[Pair, ...], tuple[Pair, ...]]]
    public: Ints


def grow(game: RepeatedGame, fixed: Mapping[int, Answer], memory: Memory, max_nodes: int) -> Tree:
    """Return the tree of a game whose rounds are ``alike``; parameters and errors are those of ``expand.walk``."""
    return _Grower(game, fixed, memory, max_nodes).tree()


class _Grower:
    def __init__(self, game: RepeatedGame, fixed: Mapping[int, Answer], memory: Memory, max_nodes: int) -> None:
        self.game, self.fixed, self.memory, self.max_nodes = game, fixed, memory, max_nodes
        self.actions = game.actions(game.start)
        self.deals = game.deals(0, game.start, (None, None))
        dealt = [(d.probability, d.private) for d in self.deals] or [(1.0, (None, None))]
        self.chances = np.array([p for p, _ in dealt])
        self.privates = [private for _, private in dealt]
        self.held = [list(dict.fromkeys(private[seat] for private in self.privates)) for seat in (0, 1)]
        self.drawn = np.array([[self.held[s].index(private[s]) for private in self.privates] for s in (0, 1)])
        self.infosets: list[Infoset] = []
        self.entries = 0
        self.answers: list[Floats] = []
        self.names = ("own", "other", "round", *game.features)
        self.publics: dict[Any, int] = {game.start: 0}
        self.dues: list[Floats] = []  # by what is public: (D, A, A, 2, features)
        self.after: list[Ints] = []  # by what is public: what is public after each pair of actions, (A, A)
        self.nodes = 1  # the root

    def tree(self) -> Tree:
        """Grow all rounds and lay the levels end to end."""
        game = self.game
        histories = _Histories([((), ())], np.zeros(1, dtype=np.int64))
        one = np.zeros(1, dtype=np.int64)
        root = (one - 1, one, one - 1, np.ones(1), np.zeros((2, len(self.names), 1)), 0)
        levels: list[Level] = []
        into = root
        for number in range(game.rounds):
            histories, into = self._round(levels, histories, into, number)
        n = len(histories.public)
        levels.append(Level(np.full(n, TERMINAL), np.full(n, -1), np.zeros(n, dtype=np.int64), *into))
        played = np.concatenate(self.answers) if self.fixed else None
        return lay(game, levels, self.infosets, played, self.names)

    def _round(self, levels: list[Level], histories: _Histories, into: Any, number: int) -> tuple[_Histories, Any]:
        n, D, A = len(histories.public), len(self.chances), len(self.actions)
        F = len(self.names)
        at = np.arange(n)
        self._hold_to_alike(number)
        if self.deals:
            levels.append(Level(np.full(n, CHANCE), np.full(n, -1), np.full(n, D), *into))
            self._count(n * D)
            parent, deal = np.repeat(at, D), np.tile(np.arange(D), n)
            into = (parent, np.arange(n * D), np.full(n * D, -1), self.chances[deal], np.zeros((2, F, n * D)), number)
        self._refuse_early(n * D)
        history = np.repeat(at, D)
        deal = np.tile(np.arange(D), n)
        action: list[Ints] = []
        for seat in (0, 1):
            first = len(self.infosets)
            starts, played = self._ask(histories, number, seat)
            infoset = history * len(self.held[seat]) + self.drawn[seat][deal]
            allowed = np.ones((len(infoset), A), dtype=bool) if played is None else played[infoset] > 0
            parent, act = np.nonzero(allowed)
            levels.append(Level(np.full(len(infoset), seat), first + infoset, allowed.sum(axis=1), *into))
            entry = starts[infoset[parent]] + act
            history, deal = history[parent], deal[parent]
            action = [a[parent] for a in action] + [act]
            moves = len(parent)
            self._count(moves if seat == 0 or not self._merges else 0)
            into = (parent, np.arange(moves), entry, np.ones(moves), np.zeros((2, F, moves)), number)
        return self._settle(histories, history, deal, action[0], action[1], into, number)

    @property
    def _merges(self) -> bool:
        return bool(self.deals) or self.memory != "all"

    def _ask(self, histories: _Histories, number: int, seat: int) -> tuple[Ints, Floats | None]:
        """Add the seat's information states of a round; return where each one's entries start, and its answers."""
        game, A = self.game, len(self.actions)
        answer = self.fixed.get(seat)
        count = len(histories.public) * len(self.held[seat])
        starts = self.entries + A * np.arange(count)
        rows = np.full((count, A), np.nan)
        which = 0
        publics = list(self.publics)
        for both, public in zip(histories.rounds, histories.public.tolist(), strict=True):
            for private in self.held[seat]:
                view = View(number, both[seat], publics[public], private)
                decision = Decision(game, seat, game.key(view), self.actions, view)
                self.infosets.append(Infoset(seat, decision, self.entries))
                self.entries += A
                if answer is not None:
                    rows[which] = answer(decision)
                which += 1
        self.answers.append(rows.ravel())
        return starts, None if answer is None else rows

    def _settle(
        self, histories: _Histories, history: Ints, deal: Ints, first: Ints, second: Ints, into: Any, number: int
    ) -> tuple[_Histories, Any]:
        """Find what falls due on the last moves of a round, and the histories that they lead to."""
        A, kept = len(self.actions), KEPT[self.memory]
        self._tabulate()
        due = np.stack(self.dues)[histories.public[history], deal, first, second].transpose(1, 2, 0).copy()
        if number + 1 == self.game.rounds:
            due[:, 2] = self.game.rounds
        public = np.stack(self.after)[histories.public[history], first, second]
        target = history if kept is None else public
        if kept != 0:
            target = (target * A + first) * A + second
        _, index, child = np.unique(target, return_index=True, return_inverse=True)
        rank = np.empty(len(index), dtype=np.int64)
        rank[np.argsort(index)] = np.arange(len(index))  # new nodes are numbered in the order in which they are met
        met = np.sort(index)
        rounds = []
        for h, a, b in zip(history[met].tolist(), first[met].tolist(), second[met].tolist(), strict=True):
            x, y = self.actions[a], self.actions[b]
            both = (*histories.rounds[h][0], Pair(x, y)), (*histories.rounds[h][1], Pair(y, x))
            rounds.append(both if kept is None else (both[0][len(both[0]) - kept :], both[1][len(both[1]) - kept :]))
        if self._merges:
            self._count(len(met))
        parent, _, entry, chance, _, _ = into
        return _Histories(rounds, public[met]), (parent, rank[child], entry, chance, due, number)

    def _tabulate(self) -> None:
        """Settle a round of every deal and pair of actions, for each thing that may be public only since now.

        What is public then may be new, such as a count of the rounds: it is settled when its round has come.
        """
        A, D = len(self.actions), len(self.chances)
        for public in list(self.publics)[len(self.dues) :]:
            due, after = np.zeros((D, A, A, 2, len(self.names))), np.zeros((A, A), dtype=np.int64)
            for d, private in enumerate(self.privates):
                for a, x in enumerate(self.actions):
                    for b, y in enumerate(self.actions):
                        end = self.game.settled(public, private, x, y)
                        if end.private != (None, None):
                            self._refuse(f"{end.private!r} is still private once a round is settled")
                        after[a, b] = self.publics.setdefault(end.public, len(self.publics))
                        for seat in (0, 1):
                            paid = (end.rewards[seat], end.rewards[1 - seat], 0.0)
                            due[d, a, b, seat] = (*paid, *end.features[seat])
            self.dues.append(due)
            self.after.append(after)

    def _hold_to_alike(self, number: int) -> None:
        """Refuse a round whose deals or actions are others than the first one's."""
        usual = [(d.label, d.probability, d.private) for d in self.deals]
        for public in self.publics:
            deals = self.game.deals(number, public, (None, None))
            if [(d.label, d.probability, d.private) for d in deals] != usual or any(d.public != public for d in deals):
                self._refuse(f"round {number + 1} is dealt otherwise than round 1")
            if self.game.actions(public) != self.actions:
                self._refuse(f"round {number + 1} has other actions than round 1")

    def _refuse(self, why: str) -> NoReturn:
        raise ContractError(f"game '{self.game.name}': its rounds are not alike, so set alike = False: {why}")

    def _refuse_early(self, asked: int) -> None:
        """Refuse before anyone is asked what a round must come to: a free seat makes every move, a fixed one some."""
        one, other = (1 if seat in self.fixed else len(self.actions) for seat in (0, 1))
        self._hold(self.nodes + asked * one * (1 if self._merges else 1 + other))

    def _count(self, more: int) -> None:
        self.nodes += more
        self._hold(self.nodes)

    def _hold(self, nodes: int) -> None:
        if nodes > self.max_nodes:
            raise TooLargeError(
                f"game '{self.game.name}' has more than {self.max_nodes} nodes: too large to hold as a tree"
            )


def lay(
    game: RepeatedGame,
    levels: Sequence[Level],
    infosets: Sequence[Infoset],
    played: Floats | None,
    names: Sequence[str],
    *,
    forgets: bool = False,
) -> Tree:
    """Lay levels end to end, first one first; ``forgets`` where information states have several pasts."""
    sizes = [len(level.actor) for level in levels]
    base = np.cumsum([0, *sizes])
    moves = np.cumsum([0, *(len(level.parent) for level in levels)])
    parent = [level.parent + base[k - 1] for k, level in enumerate(levels) if k]
    count = np.concatenate([level.moves for level in levels])
    merged = forgets or moves[-1] > base[-1]
    return Tree(
        game=game,
        parent=np.concatenate([levels[0].parent, *parent]),
        child=np.concatenate([level.child + base[k] for k, level in enumerate(levels)]),
        actor=np.concatenate([level.actor for level in levels]),
        infoset=np.concatenate([level.infoset for level in levels]),
        entry=np.concatenate([level.entry for level in levels]),
        round=np.concatenate([np.full(len(level.parent), level.round) for level in levels]),
        chance=np.concatenate([level.chance for level in levels]),
        first=1 + np.concatenate([[0], np.cumsum(count)[:-1]]),
        count=count,
        features=np.concatenate([level.features for level in levels], axis=2),
        names=tuple(names),
        levels=tuple(slice(int(a), int(b)) for a, b in pairwise(moves)),
        infosets=tuple(infosets),
        last=np.zeros((2, 0), dtype=np.int64) if merged else _last(levels),
        merged=bool(merged),
        played=played,
    )


def _last(levels: Sequence[Level]) -> Ints:
    """Return each seat's last own entry on the way to each node. (2, nodes)."""
    out = [np.full((2, 1), -1)]
    for before, level in pairwise(levels):
        last = out[-1][:, level.parent].copy()
        for seat in (0, 1):
            mine = before.actor[level.parent] == seat
            last[seat, mine] = level.entry[mine]
        out.append(last)
    return np.concatenate(out, axis=1)
