"""Time to exploit: how long somebody who knows nothing of a policy needs to learn to take advantage of it.

Exploitability asks how much there is to be had; this asks how hard it is to find. The adversary is one and the same for
every policy, so that figures compare: a tabular Monte Carlo learner (R. Sutton and A. Barto, "Reinforcement Learning",
2nd edition, 2018, section 5.4) that starts from nothing and sees what it is paid.

- Its *row*, what it tells situations apart by: in repeated games the number of the round, the last pair of actions,
  what is public and its own private information; elsewhere its information state.
- The *return* of an action is the gain, own payoff minus the learner's, from there to the end of the episode. Its value
  Q is the mean of the returns so far (learning rate 1/n); an action that was never tried is worth 0.
- It explores: in a row with A actions that it has visited N times, any action with probability sqrt(A / (A + N)),
  else one of the greatest value, ties by lot.

It alternates over the learner's seats. Where the tree of the policy against anyone can be held, many adversaries learn
in lockstep on its arrays, and what their strategies gain, exploration included, is exact at every look: what the mean
over a window would be without luck. Elsewhere fewer of them step through the game itself for fewer rounds, and their
gain is the mean of what the last window paid, twice in a row.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from sepo.audit.board import Match, Subject, facing
from sepo.audit.encounter import Meeting, process, row_of, worth
from sepo.errors import TooLargeError
from sepo.games.base import State
from sepo.keys import generator
from sepo.solve.tree import Bools, Floats, Ints

SEEDS = 32
HORIZON = 20_000
"""Rounds after which an adversary gives up."""
WINDOW = 64
"""Rounds whose mean gain counts: the least that an adversary can need, and the first looks' distance."""
PAID = 256
"""The least window where it is what was paid that counts. There two in a row must do, as one may be luck."""
GROWTH = 1.1
"""Looks are this factor apart, later on: the figure's resolution."""
MAX_NODES = 140_000
"""Largest tree that is held; the whole ipd fits."""
STEPPING = 16
"""Most seeds where the tree is not held."""
STEPS = 32_000
"""Decisions of all of them together: sets the horizon there."""
TINY = 1e-9


class Adaptive(NamedTuple):
    """How many rounds (hands) adversaries needed.

    Attributes
    ----------
    median, low, high
        Median over seeds and the central 95 % of seeds, in rounds. None means *not within* ``horizon`` rounds: that
        many seeds had not got there yet. It is a censored figure, never a number made up.
    reached
        Share of seeds that got there.
    horizon
        Rounds after which they gave up.
    exact
        Whether gains were exact at each look, or what the last window paid.
    seeds
        How many adversaries learnt.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: float
    horizon: int
    exact: bool
    seeds: int


class Learned(NamedTuple):
    """What an adversary plays once it has learnt: the best action it knows in each row it met.

    ``gain`` is what that earns per round, exactly; None where the tree is not held.
    """

    rule: Mapping[Hashable, str]
    gain: float | None


def time_to_exploit(
    subject: Subject,
    worst: float,
    key: tuple[object, ...],
    *,
    share: float = 0.5,
    seeds: int = SEEDS,
    horizon: int = HORIZON,
    window: int = WINDOW,
    max_nodes: int = MAX_NODES,
) -> Adaptive | None:
    """Return how many rounds adaptive adversaries need until they gain ``share`` of the most that can be gained.

    Parameters
    ----------
    worst
        The exact worst-case advantage, per round.
    key
        Of the randomness: run seed, game.
    seeds
        How many adversaries learn, each by itself; at most ``STEPPING`` where the tree is not held.

    Returns
    -------
    Adaptive or None
        None where there is nothing to gain: it does not apply.
    """
    if worst <= TINY:
        return None
    board = _board(subject, max_nodes, seeds)
    rounds, seeds, episodes = board.rounds, board.seeds, _episodes(board, horizon)
    held = isinstance(board, _Held)
    long = min(-(-(window if held else max(window, PAID)) // rounds), episodes)
    looks = _looks(long, episodes)
    rng = generator(*key, "adversary")
    alive, times, first = np.arange(seeds), np.full(seeds, np.inf), np.full(seeds, np.inf)
    paid = np.zeros((episodes, seeds))
    for episode in range(episodes):
        paid[episode, alive] = _play(board, alive, episode, rng)
        if episode + 1 in looks:
            gain = board.gain(alive)
            if gain is None:
                gain = paid[episode + 1 - long : episode + 1, alive].mean(axis=0) / rounds
            there = gain >= share * worst - TINY
            first[alive] = np.where(there, np.minimum(first[alive], (episode + 1) * rounds), np.inf)
            if not held:
                there &= first[alive] < (episode + 1) * rounds  # at the look before, too
            times[alive[there]] = first[alive[there]]
            alive = alive[~there]
            if not alive.size:
                break
    low, median, high = (
        None if np.isinf(t) else float(t) for t in np.quantile(times, [0.025, 0.5, 0.975], method="inverted_cdf")
    )
    return Adaptive(median, low, high, float(np.isfinite(times).mean()), episodes * rounds, held, seeds)


def learn(
    subject: Subject,
    key: tuple[object, ...],
    *,
    seeds: int = SEEDS,
    horizon: int = HORIZON,
    max_nodes: int = MAX_NODES,
) -> list[Learned]:
    """Let adversaries learn for ``horizon`` rounds, and return what each plays in the end."""
    board = _board(subject, max_nodes, seeds)
    rng = generator(*key, "adversary")
    alive = np.arange(board.seeds)
    for episode in range(_episodes(board, horizon)):
        _play(board, alive, episode, rng)
    gains = board.gain(alive, greedy=True)
    best = board.table.greedy().argmax(axis=1)
    rules: list[dict[Hashable, str]] = [{} for _ in range(board.seeds)]
    for seed, row, number in board.numbered():
        if board.table.visits[number]:
            rules[seed][row] = board.legal[row][int(best[number])]
    return [Learned(rule, None if gains is None else float(gains[seed])) for seed, rule in enumerate(rules)]


class _Table:
    """What the adversaries know: row by row, the mean return of each action and how often it was tried. (rows, A)."""

    def __init__(self) -> None:
        self.q, self.tried = np.zeros((0, 0)), np.zeros((0, 0), dtype=np.int32)
        self.sizes = self.visits = np.zeros(0, dtype=np.int64)
        self.count = 0

    def add(self, sizes: Sequence[int]) -> None:
        """Add rows with so many actions."""
        need, wide = self.count + len(sizes), max(self.q.shape[1], *sizes)
        if need > len(self.q) or wide > self.q.shape[1]:
            more = (0, max(need, len(self.q) * 3 // 2) - len(self.q)), (0, wide - self.q.shape[1])
            self.q = np.pad(self.q, more)
            self.tried = np.pad(self.tried, more)
            self.sizes, self.visits = np.pad(self.sizes, more[0]), np.pad(self.visits, more[0])
        self.sizes[self.count : need] = sizes
        self.count = need

    def choose(self, rows: Ints, draws: Floats) -> Ints:
        """Choose an action in each row. ``draws`` (2, rows): whether to explore, and which of the eligible."""
        sizes = self.sizes[rows]
        explores = draws[0] ** 2 * (sizes + self.visits[rows]) < sizes
        eligible = self._best(rows, sizes) | (explores[:, None] & (np.arange(self.q.shape[1]) < sizes[:, None]))
        rank = np.cumsum(eligible, axis=1)
        chosen: Ints = (rank > (draws[1] * rank[:, -1]).astype(np.int64)[:, None]).argmax(axis=1)
        return chosen

    def learn(self, rows: Ints, actions: Ints, returns: Floats) -> None:
        """Average the returns of actions; no row twice."""
        self.visits[rows] += 1
        self.tried[rows, actions] += 1
        self.q[rows, actions] += (returns - self.q[rows, actions]) / self.tried[rows, actions]

    def strategy(self) -> Floats:
        """Return what the adversaries do now, exploration included. (rows, A)."""
        sizes = self.sizes[: self.count, None]
        best = self._best(np.arange(self.count), sizes[:, 0])
        explores = np.sqrt(sizes / (sizes + self.visits[: self.count, None]))
        legal = np.arange(self.q.shape[1]) < sizes
        out: Floats = (1 - explores) * best / best.sum(axis=1, keepdims=True) + explores * legal / sizes
        return out

    def greedy(self) -> Floats:
        """Return the best action known in each row, the first of several, as a strategy. (rows, A)."""
        best = self._best(np.arange(self.count), self.sizes[: self.count])
        out: Floats = np.eye(self.q.shape[1])[best.argmax(axis=1)]
        return out

    def _best(self, rows: Ints, sizes: Ints) -> Bools:
        q = np.where(np.arange(self.q.shape[1]) < sizes[:, None], self.q[rows], -np.inf)
        out: Bools = q == q.max(axis=1, keepdims=True)
        return out


class Met(NamedTuple):
    """Where adversaries stand, (seeds,): the number of the row each faces, -1 if its episode is over, and its gain.

    The gain is what came on the way there.
    """

    rows: Ints
    gain: Floats


class _Board(Protocol):
    """Where adversaries play, an episode of each in lockstep."""

    table: _Table
    legal: dict[Hashable, tuple[str, ...]]
    rounds: int
    seeds: int

    def begin(self, seeds: Ints, episode: int, draw: Floats) -> Met:
        """Start an episode of some adversaries. ``draw`` (seeds,) decides what others do until they must act."""

    def step(self, actions: Ints, draw: Floats) -> Met:
        """Let them act; where the episode is over, nothing happens."""

    def numbered(self) -> list[tuple[int, Hashable, int]]:
        """Return every seed and row, and its number in the table."""

    def gain(self, seeds: Ints, *, greedy: bool = False) -> Floats | None:
        """Return what some adversaries' strategies, or their best actions, gain per round, exactly; None: unknown."""


def _board(subject: Subject, max_nodes: int, seeds: int) -> _Board:
    """Return the tree of the policy against anyone, or the game itself where that is too large."""
    game = subject.game
    if not game.sampled_chance:  # there rows are each instance's own, and far too many
        try:
            return _Held([facing(subject, s, "last", max_nodes) for s in game.seats], seeds)
        except TooLargeError:
            pass
    return _Stepped(subject, min(seeds, STEPPING))


def _episodes(board: _Board, horizon: int) -> int:
    held = isinstance(board, _Held)
    return max(1, (horizon if held else min(horizon, STEPS // board.seeds)) // board.rounds)


def _looks(first: int, episodes: int) -> set[int]:
    """Return after how many episodes to look at the gain."""
    out, at = {episodes}, first
    while at < episodes:
        out.add(at)
        at = max(at + first, int(at * GROWTH))
    return out


def _play(board: _Board, seeds: Ints, episode: int, rng: np.random.Generator) -> Floats:
    """Play one episode of each and learn from it; return the gains. (seeds,)."""
    rows, total = board.begin(seeds, episode, rng.random(len(seeds)))
    trail = []
    while (rows >= 0).any():
        draws = rng.random((3, len(seeds)))
        actions = board.table.choose(np.maximum(rows, 0), draws[:2])
        trail.append((rows, actions, total))
        rows, gain = board.step(actions, draws[2])
        total = total + gain
    if trail:
        acted, chosen, before = (np.array(x) for x in zip(*trail, strict=True))
        real = acted >= 0
        board.table.learn(acted[real], chosen[real], (total - before)[real])
    return total


class _Held:
    """Adversaries on the tree of the policy against anyone."""

    def __init__(self, matches: Sequence[Match], seeds: int) -> None:
        self.table = _Table()
        self.legal: dict[Hashable, tuple[str, ...]] = {}
        self.rounds, self.seeds = matches[0].tree.game.rounds, seeds
        self._numbers: dict[Hashable, int] = {}
        self._sides = [process(m, self._rows(m)) for m in matches]
        self.table.add([len(self.legal[row]) for row in self._numbers] * seeds)
        self._base = np.arange(seeds) * len(self._numbers)

    def _rows(self, m: Match) -> Ints:
        """Return the adversary's row of each of its information states, -1 at the others. (infosets,)."""
        rows = np.full(len(m.tree.infosets), -1, dtype=np.int64)
        for which, info in enumerate(m.tree.infosets):
            if info.seat != m.seat:
                row = row_of(m.tree.game, info.seat, info.decision.view)
                self.legal.setdefault(row, info.decision.legal)
                rows[which] = self._numbers.setdefault(row, len(self._numbers))
        return rows

    def begin(self, seeds: Ints, episode: int, draw: Floats) -> Met:
        """Start an episode."""
        self._side = self._sides[episode % len(self._sides)]
        self._offset = self._base[seeds]
        return self._after(np.zeros(len(seeds), dtype=np.int64), draw)

    def step(self, actions: Ints, draw: Floats) -> Met:
        """Let them act."""
        side = self._side
        sources = np.where(self._at < len(side.row) - 1, side.start[self._at] + actions, side.never)
        return self._after(sources, draw)

    def _after(self, sources: Ints, draw: Floats) -> Met:
        side = self._side
        low, high = side.cumulative[side.first[sources]], side.cumulative[side.first[sources + 1]]
        drawn = np.searchsorted(side.cumulative, low + draw * (high - low), side="right") - 1
        outcome = np.clip(drawn, side.first[sources], side.first[sources + 1] - 1)  # a draw near 1 may be rounded past
        self._at = side.after[outcome]
        row = side.row[self._at]
        return Met(np.where(row >= 0, self._offset + row, -1), side.gain[outcome])

    def numbered(self) -> list[tuple[int, Hashable, int]]:
        """Return every seed and row, and its number in the table."""
        return [(s, row, int(b) + at) for s, b in enumerate(self._base) for row, at in self._numbers.items()]

    def gain(self, seeds: Ints, *, greedy: bool = False) -> Floats:
        """Return what some adversaries' strategies, or their best actions, gain per round, exactly. (seeds,)."""
        strategy = self.table.greedy() if greedy else self.table.strategy()
        by_seed = strategy.reshape(self.seeds, len(self._numbers), -1)[seeds].transpose(1, 2, 0)
        out: Floats = np.mean([worth(side, by_seed) for side in self._sides], axis=0) / self.rounds
        return out


class _Stepped:
    """Adversaries in the game itself, node by node."""

    def __init__(self, subject: Subject, seeds: int) -> None:
        self.table, self.rounds, self.seeds = _Table(), subject.game.rounds, seeds
        self.legal: dict[Hashable, tuple[str, ...]] = {}
        self._meeting = Meeting(subject)
        self._numbers: dict[tuple[int, Hashable], int] = {}

    def begin(self, seeds: Ints, episode: int, draw: Floats) -> Met:
        """Start an episode."""
        game = self._meeting.game
        self._seat = 1 - game.seats[episode % len(game.seats)]
        self._playing = seeds.tolist()
        return self._met([self._meeting.begin(self._seat, u) for u in draw.tolist()])

    def step(self, actions: Ints, draw: Floats) -> Met:
        """Let them act."""
        asked = zip(self._states, actions.tolist(), draw.tolist(), strict=True)
        return self._met([self._meeting.act(self._seat, s, s.legal()[a], u) if s else (None, 0.0) for s, a, u in asked])

    def _met(self, found: list[tuple[State | None, float]]) -> Met:
        self._states = [state for state, _ in found]
        rows = [self._number(seed, s) if s else -1 for seed, s in zip(self._playing, self._states, strict=True)]
        return Met(np.array(rows), np.array([gain for _, gain in found]))

    def _number(self, seed: int, state: State) -> int:
        row = row_of(self._meeting.game, self._seat, state.view(self._seat))
        number = self._numbers.setdefault((seed, row), len(self._numbers))
        if number == self.table.count:
            self.legal.setdefault(row, state.legal())
            self.table.add([len(state.legal())])
        return number

    def numbered(self) -> list[tuple[int, Hashable, int]]:
        """Return every seed and row, and its number in the table."""
        return [(seed, row, number) for (seed, row), number in self._numbers.items()]

    def gain(self, seeds: Ints, *, greedy: bool = False) -> None:
        """Nobody can say."""
