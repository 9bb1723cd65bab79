"""Expectations without sampling: of each meeting from its tree, and extremes over all opponents by best response.

Where chance draws one of a seeded set of instances, each instance is exact and makes a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sepo.audit.board import Match, Subject, against, facing, match
from sepo.audit.bounds import at_most
from sepo.audit.figures import ANYONE, Get, Range, exactly
from sepo.audit.measures import seat_value
from sepo.errors import ShortcutError, TooLargeError
from sepo.games.base import CHANCE, Game, Memory
from sepo.games.held import PLAY
from sepo.games.repeated import RepeatedGame
from sepo.policies.script import opponent, played
from sepo.solve.expand import MAX_NODES, expand
from sepo.solve.response import best_response, completed
from sepo.solve.rounds import best_reply, work
from sepo.solve.stages import Answer
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import infoset_reach, move_reach, node_values

REPLY_NODES = 400_000
"""Largest tree walked for a best response to an opponent or to the audited policy, or for the game's value."""
REPLY_WORK = 400_000
"""Most rounds settled for a best reply without a tree."""


@dataclass
class Expectations:
    """Quantities, each known per independent row, (rows,): one row where it is exact.

    Attributes
    ----------
    columns
        Where the quantity of an opponent stands among ``values``.
    fixed
        Quantities that are not resampled, with their bounds.
    matches
        The meetings behind the quantities, by opponent; empty where they were sampled.
    unknown
        Whether some of the policy is not known, so values have bounds.
    episodes
        What the rows rest on, for the scorecard's ``n``; None if exact.
    settled
        Quantities that are known to be the same in every row that could be drawn.
    drawn
        What those of the fixed quantities that were sampled rest on.
    """

    columns: dict[tuple[str, str], int] = field(default_factory=dict)
    values: list[Floats] = field(default_factory=list)
    fixed: dict[tuple[str, str], Range] = field(default_factory=dict)
    matches: dict[str, list[Match]] = field(default_factory=dict)
    unknown: bool = False
    episodes: int | None = None
    settled: set[tuple[str, str]] = field(default_factory=lambda: set[tuple[str, str]]())
    drawn: dict[tuple[str, str], int] = field(default_factory=lambda: dict[tuple[str, str], int]())
    _bounds: dict[tuple[str, tuple[tuple[str, float], ...]], tuple[float, float]] = field(default_factory=dict)

    def add(self, opponent: str, quantity: str, rows: Floats, *, settled: bool = False) -> None:
        """Add a quantity, (rows,); the count of rounds is settled anyway."""
        self.columns[opponent, quantity] = len(self.values)
        self.values.append(rows)
        if settled or quantity == "round":
            self.settled.add((opponent, quantity))

    def absent(self, opponent: str, quantity: str) -> None:
        """Let a quantity that is not known be 0: an action that is never played."""
        if not self.has(opponent, quantity):
            walked = all(column in self.settled for column in self.columns if column[0] == opponent)
            self.add(opponent, quantity, np.zeros_like(self.values[0]), settled=walked)

    def fix(self, opponent: str, quantity: str, value: float, low: float, high: float, *, n: int | None = None) -> None:
        """Add a quantity that is not resampled, with its bounds; ``n`` is what they rest on where they were sampled."""
        self.fixed[opponent, quantity] = Range(*(np.array([x]) for x in (value, low, high)))
        if n is not None:
            self.drawn[opponent, quantity] = n

    def has(self, opponent: str, quantity: str) -> bool:
        """Whether a quantity is known."""
        return (opponent, quantity) in self.columns or (opponent, quantity) in self.fixed

    @property
    def rows(self) -> Floats:
        """All quantities that rows are known of. (rows, quantities)."""
        return np.column_stack(self.values)

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Which of them are settled. (quantities,)."""
        return np.array([column in self.settled for column in self.columns], dtype=bool)

    def get(self, means: Floats, asked: set[int] | None = None, drawn: set[int] | None = None) -> Get:
        """Answer questions from means of the quantities, (draws, quantities).

        Notes the columns asked for, and what fixed quantities that were sampled rest on.
        """

        def quantity(opponent: str, name: str) -> Range:
            if (opponent, name) in self.fixed:
                if drawn is not None and (opponent, name) in self.drawn:
                    drawn.add(self.drawn[opponent, name])
                return self.fixed[opponent, name]
            column = self.columns[opponent, name]
            if asked is not None:
                asked.add(column)
            return exactly(means[:, column])

        def ask(opponent: str, due: Mapping[str, float]) -> Range:
            found = [quantity(opponent, q).times(w) for q, w in due.items()]
            total = found[0]
            for other in found[1:]:
                total = total.plus(other)
            if self.unknown and opponent in self.matches:
                low, high = self._extremes(opponent, due)
                return Range(total.value, np.full_like(total.value, low), np.full_like(total.value, high))
            return total

        return ask

    def _extremes(self, opponent: str, due: Mapping[str, float]) -> tuple[float, float]:
        """Return the least and the most that a sum can be, whatever the policy does where it is not known."""
        key = opponent, tuple(sorted(due.items()))
        if key not in self._bounds:
            rest = {q: w for q, w in due.items() if q != "best"}
            best = float(self.values[self.columns[opponent, "best"]].mean()) if "best" in due else 0.0
            constant = due.get("best", 0.0) * best
            lows, highs = [], []
            for m in self.matches[opponent]:
                falls = weighted(m, rest)
                highs.append(completed(m.tree, m.profile, m.seat, falls, m.open).value)
                lows.append(-completed(m.tree, m.profile, m.seat, -falls, m.open).value)
            rounds = self.matches[opponent][0].tree.game.rounds
            self._bounds[key] = constant + float(np.mean(lows)) / rounds, constant + float(np.mean(highs)) / rounds
        return self._bounds[key]


def weighted(m: Match, due: Mapping[str, float]) -> Floats:
    """Return what falls due on each move for a weighted sum of quantities. (moves,)."""
    out = np.zeros(m.tree.moves)
    for name, weight in due.items():
        if name.startswith(PLAY):
            _, seat, bucket = name.split(" ", 2)
            if int(seat) == m.seat:
                out += weight * (np.array(_labels(m)) == bucket) * m.tree.game.rounds
        else:
            out += weight * m.tree.feature(name, m.seat)
    return out


def _labels(m: Match) -> list[str]:
    """Return the bucket of the learner's action at each move, empty elsewhere."""
    tree = m.tree
    names = [tree.game.bucket(a) if i.seat == m.seat else "" for i in tree.infosets for a in i.decision.legal]
    return [names[e] if e >= 0 else "" for e in tree.entry.tolist()]


def evaluate(
    subject: Subject,
    opponents: Sequence[str],
    matches: Mapping[str, Sequence[Match]] | None = None,
    max_nodes: int = MAX_NODES,
) -> Expectations:
    """Return the exact expectations of the learner's meetings with scripted opponents.

    Parameters
    ----------
    matches
        The meetings by opponent, where they are known already.

    Raises
    ------
    TooLargeError
        If a meeting has more than ``max_nodes`` nodes.
    """
    game = subject.game
    out = Expectations()
    for name in opponents:
        met = matches[name] if matches else [match(subject, name, seat, max_nodes) for seat in game.seats]
        met = out.matches[name] = [_reached(m) for m in met]
        found = [quantities(m) for m in met]
        for quantity in dict.fromkeys(q for f in found for q in f):
            rows = [f[quantity] if quantity in f else np.zeros(1) for f in found]
            out.add(name, quantity, np.mean(np.broadcast_arrays(*rows), axis=0))
        if (best := best_values(game, name)) is not None:
            out.add(name, "best", np.broadcast_to(best, out.values[0].shape).copy())
    out.unknown = any(m.open.any() for ms in out.matches.values() for m in ms)
    return out


def _reached(m: Match) -> Match:
    """Return a meeting in which only those decisions are open that may be met."""
    if not m.open.any():
        return m
    anyhow = np.where(np.isnan(m.profile), 1.0 / m.tree.sizes[m.tree.owner], m.profile)
    return m._replace(open=m.open & (infoset_reach(m.tree, anyhow) > 0))


def quantities(m: Match) -> dict[str, Floats]:
    """Return every quantity of a meeting, per round: one value, or one per instance."""
    rounds = m.tree.game.rounds
    return {name: value / rounds for name, value in _totals(m.tree, m.profile, dues(m)).items()}


def dues(m: Match) -> dict[str, Floats]:
    """Return what falls due on each move, (moves,), for every quantity of a meeting."""
    tree = m.tree
    labels = np.array(_labels(m))
    names = dict.fromkeys(tree.game.bucket(a) for i in tree.infosets if i.seat == m.seat for a in i.decision.legal)
    counts = {f"{PLAY}{m.seat} {x}": (labels == x) * float(tree.game.rounds) for x in names}
    return {name: tree.feature(name, m.seat) for name in tree.names} | counts


def _totals(tree: Tree, profile: Floats, dues: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the expected sums of several dues over an episode: one value each, or one per instance."""
    if tree.game.sampled_chance and tree.actor[0] == CHANCE:
        return {name: node_values(tree, profile, due)[tree.levels[1]] for name, due in dues.items()}
    passed = move_reach(tree, profile)
    return {name: np.array([float(passed @ due)]) for name, due in dues.items()}


@lru_cache(maxsize=256)
def best_values(game: Game, name: str) -> tuple[float, ...] | None:
    """Return what a best response to a scripted opponent earns per round, None where that is too much work.

    One value, or one per instance, averaged over the learner's seats.
    """
    other = opponent(game, name)
    try:
        replies = _over_rounds(game, lambda d: played(other, d), other.memory, game.seats, {"own": 1.0})
        if replies is None:
            replies = [_tree_reply(against(game, name, seat, REPLY_NODES)) for seat in game.seats]
    except TooLargeError:
        return None
    return tuple((np.mean(replies, axis=0) / game.rounds).tolist())


def _over_rounds(
    game: Game, answer: Answer, memory: Memory, seats: Sequence[int], objective: Mapping[str, float]
) -> list[tuple[float, ...]] | None:
    """Return what best replies from some seats collect, found without a tree; None where it takes one.

    Raises
    ------
    TooLargeError
        If that is too much work.
    """
    if memory == "all" or not isinstance(game, RepeatedGame):
        return None
    if work(game, memory, answer) > REPLY_WORK:
        raise TooLargeError(f"game '{game.name}': a best reply takes more than {REPLY_WORK} rounds to be settled")
    try:
        return [best_reply(game, answer, memory, seat, objective).values for seat in seats]
    except ShortcutError:
        return None


def _tree_reply(m: Match) -> tuple[float, ...]:
    due = m.tree.feature("own", m.seat)
    answer = best_response(m.tree, m.profile, m.seat, due).strategy
    return tuple(_totals(m.tree, np.where(m.tree.seat == m.seat, answer, m.profile), {"own": due})["own"].tolist())


def pursued(game: Game) -> dict[str, dict[str, float]]:
    """Return what an opponent goes after, by the extreme that is its gain."""
    out = {"worst": {"own": 1.0, "other": -1.0}, "gap": {"other": -1.0}}
    if game.zero_sum:
        out["exploitability"] = {"own": 1.0}
    return out


def beyond(game: Game, quantity: str) -> float | None:
    """Return what is added to an opponent's gain per round for an extreme; None where nobody can say.

    The worst case is the gain itself. The others are counted from the game's value, the opponent's being minus the
    learner's in exploitability; where the learner plays both seats of a zero-sum game their values cancel in the mean.
    """
    if quantity == "worst" or (quantity == "exploitability" and set(game.seats) == {0, 1}):
        return 0.0
    return game_value(game)


def extremes(
    subject: Subject, values: Expectations, met: Sequence[Match] | None = None, max_nodes: int = REPLY_NODES
) -> None:
    """Add worst-case advantage, security gap and exploitability, where the tree of all opponents can be held.

    There is no security gap where nobody can say what the game's value is, nor exploitability if the learner plays one
    seat.

    Where some of the policy is not known they have bounds: what the opponent found earns at least, and what none can
    exceed.
    """
    game = subject.game
    objectives = pursued(game)
    others = [1 - s for s in game.seats]
    try:
        replies = {
            q: _over_rounds(game, subject, subject.memory, others, objective) for q, objective in objectives.items()
        }
        if met is None and None in replies.values():
            met = [facing(subject, seat, max_nodes=max_nodes) for seat in game.seats]
    except TooLargeError:
        return
    met = [_reached(m) for m in met or ()]
    for quantity, objective in objectives.items():
        plus = beyond(game, quantity)
        if plus is None:
            continue
        found = replies[quantity]
        if found is None:
            _add_most(values, met, quantity, objective, plus)
        else:
            values.add(ANYONE, quantity, _as_rows(np.mean(found, axis=0) / game.rounds + plus, values))


@lru_cache(maxsize=16)
def game_value(game: Game) -> float | None:
    """Return the game's maximin value per round, averaged over the learner's seats; None where nobody can say.

    In closed form where that is known, else by linear programme, which takes the whole tree and one past of each state.
    """
    if game.maximin is not None:
        return float(np.mean([game.maximin[s] for s in game.seats]))
    try:
        tree = expand(game, REPLY_NODES)
    except TooLargeError:
        return None
    return None if tree.merged else float(np.mean([seat_value(tree, s) for s in game.seats]))


def _add_most(
    values: Expectations, matches: Sequence[Match], quantity: str, objective: Mapping[str, float], plus: float
) -> None:
    """Add what the best opponent collects per round, averaged over seats."""
    rows, lows, highs = [], [], []
    for m in matches:
        other = 1 - m.seat
        due = m.tree.combine(other, objective)
        answer = best_response(m.tree, m.profile, other, due)
        profile = np.where(m.tree.seat == other, answer.strategy, m.profile)
        rows.append(_totals(m.tree, profile, {"due": due})["due"] / m.tree.game.rounds)
        low = high = float(rows[-1].mean())
        if m.open.any():
            low = -completed(m.tree, profile, m.seat, -due, m.open).value / m.tree.game.rounds
            high = at_most(m, due) / m.tree.game.rounds
        lows.append(low)
        highs.append(high)
    found = np.mean(rows, axis=0) + plus
    if any(m.open.any() for m in matches):
        values.fix(ANYONE, quantity, float(found.mean()), float(np.mean(lows)) + plus, float(np.mean(highs)) + plus)
    else:
        values.add(ANYONE, quantity, _as_rows(found, values))


def _as_rows(found: Floats, values: Expectations) -> Floats:
    """Return one value for each row of what is known, or one per instance where that is of no instances yet."""
    return found if len(found) > 1 else np.broadcast_to(found, values.values[0].shape).copy()
