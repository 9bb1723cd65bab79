"""Games made for the tests: trees drawn by hand, matrix games, and two rounds that use the whole contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sepo.games.base import (
    CHANCE,
    TERMINAL,
    Decision,
    Game,
    MeasureName,
    MeasureSet,
    Opponent,
    Ratio,
    Script,
    State,
    Turn,
    Weights,
)
from sepo.games.kuhn import Hand, Kuhn
from sepo.solve.tree import Tree


@dataclass(frozen=True)
class Node:
    """A node of a tree drawn by hand; each move is (name, child, probability if chance moves here)."""

    actor: int = TERMINAL
    seen: str = ""
    moves: tuple[tuple[str, Node, float], ...] = ()
    due: tuple[float, float] = (0.0, 0.0)
    round: int = 0

    def chance(self) -> Sequence[tuple[str, float]]:
        return [(name, p) for name, _, p in self.moves]

    def legal(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.moves)

    def child(self, action: str) -> Node:
        return next(node for name, node, _ in self.moves if name == action)

    def view(self, seat: int) -> str:
        return self.seen

    def rewards(self) -> tuple[float, float]:
        return self.due

    def features(self, learner: int) -> tuple[float, ...]:
        return ()


def leaf(first: float, second: float | None = None) -> Node:
    """End the game; zero-sum unless both payoffs are given."""
    return Node(due=(first, -first if second is None else second))


def chooses(seat: int, seen: str, **moves: Node) -> Node:
    """Let a seat choose."""
    return Node(seat, seen, tuple((name, node, 1.0) for name, node in moves.items()))


def draws(*moves: tuple[str, float, Node]) -> Node:
    """Let chance choose."""
    return Node(CHANCE, "", tuple((name, node, p) for name, p, node in moves))


class Drawn(Game):
    """A game given as its tree."""

    name: ClassVar[str] = "drawn"
    title: ClassVar[str] = "A tree drawn by hand"
    features: ClassVar[tuple[str, ...]] = ()
    max_payoff: ClassVar[float] = 1.0
    zero_sum: ClassVar[bool] = True
    rounds = 1
    seats: ClassVar[tuple[int, ...]] = (0, 1)

    def __init__(self, root: Node) -> None:
        self.start = root

    @property
    def rules(self) -> Mapping[str, Any]:
        return {}

    def root(self) -> State:
        return self.start

    def key(self, view: Any) -> str:
        return str(view)

    def chat(self, view: Any) -> tuple[Turn, ...]:
        return Turn("system", "Choose."), Turn("user", str(view))

    def word(self, action: str) -> str:
        return action

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        return {}

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        return ()

    def measures(self, name: MeasureName) -> MeasureSet:
        raise NotImplementedError


def matrix_game(payoffs: Sequence[Sequence[float]]) -> Drawn:
    """Make the one-shot zero-sum game in which seat 0 picks the row and seat 1, unseeing, the column."""
    rows = {
        f"r{i}": chooses(1, "column", **{f"c{j}": leaf(value) for j, value in enumerate(row)})
        for i, row in enumerate(payoffs)
    }
    return Drawn(chooses(0, "row", **rows))


def _both_choose(first: Mapping[str, float], second: Mapping[str, float]) -> Node:
    """Let both seats choose unseen; each action pays its own seat alone."""
    ends = {a: {b: leaf(x, y) for b, y in second.items()} for a, x in first.items()}
    return chooses(0, "s", **{a: chooses(1, "o", **end) for a, end in ends.items()})


class Late(Drawn):
    """Both choose without seeing whether A and X pay 1, not 0.1, or B and Y 0.7, not 0; the latter a move later.

    A coin that nobody sees is tossed before, and the two states after it are equal.
    """

    name: ClassVar[str] = "late"
    zero_sum: ClassVar[bool] = False
    seats: ClassVar[tuple[int, ...]] = (0,)

    def __init__(self) -> None:
        later = _both_choose({"A": 0.0, "B": 0.7}, {"X": 0.0, "Y": 0.7})
        now = _both_choose({"A": 1.0, "B": 0.1}, {"X": 1.0, "Y": 0.1})
        super().__init__(draws(("now", 0.5, now), ("later", 0.5, draws(("heads", 0.5, later), ("tails", 0.5, later)))))

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        first = Opponent("first", lambda d: {d.legal[0]: 1.0}, "the first action", "round")
        last = Opponent("last", lambda d: {d.legal[-1]: 1.0}, "the last action", "round")
        even = Opponent("even", lambda d: dict.fromkeys(d.legal, 0.5), "either action alike", "round")
        return {"first": first, "last": last, "even": even}

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        return [(1.0, self.opponents["even"])]

    def measures(self, name: MeasureName) -> MeasureSet:
        pools = {"train": ("first", "even"), "exploiter": ("even",), "collusive": ("first",), "held_out": ("last",)}
        c = Ratio("other", "round", ("collusive",))
        return MeasureSet(name, Weights(1.0, 1.0, 0.0), "advantage" if name == "paper" else "regret", c, None, pools)


class MergedLate(Late):
    """The same, its states merging."""

    merge: ClassVar[bool] = True


class Asked(Drawn):
    """Seat 1 may leave, which ends the game before seat 0, the learner, has moved."""

    name: ClassVar[str] = "asked"
    seats: ClassVar[tuple[int, ...]] = (0,)

    def __init__(self) -> None:
        super().__init__(chooses(1, "o", OUT=leaf(0.5), IN=chooses(0, "s", A=leaf(1), B=leaf(-1))))

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        out = Opponent("out", lambda d: {d.legal[0]: 1.0}, "leaves")
        even = Opponent("even", lambda d: dict.fromkeys(d.legal, 0.5), "either action alike")
        return {"out": out, "even": even}

    def measures(self, name: MeasureName) -> MeasureSet:
        pools = {"train": ("out", "even"), "exploiter": ("out", "even"), "collusive": (), "held_out": ()}
        return MeasureSet(name, Weights(1.0, 0.0, 0.0), "regret", None, None, pools)


def paid_in(tree: Tree, unit: float) -> Tree:
    """Return the tree of the same game with all payoffs so many times as large."""
    game = copy(tree.game)
    game.max_payoff *= unit
    game.maximin = game.maximin and (game.maximin[0] * unit, game.maximin[1] * unit)
    features = tree.features.copy()
    features[:, :2] *= unit  # own and other
    return replace(tree, game=game, features=features)


STAKES = {"1": 0.75, "3": 0.25}
PAYOFFS = {
    ("L", "L"): (2.0, 1.0),
    ("L", "R"): (0.0, 3.0),
    ("R", "L"): (3.0, -1.0),
    ("R", "R"): (1.0, 0.5),
    ("L", "OUT"): (0.5, 0.25),
    ("R", "OUT"): (0.25, -0.5),
}


@dataclass(frozen=True)
class Stage:
    """A node of ``Stakes``: what happened so far, in order: stake, both moves, both moves, stake."""

    past: tuple[str, ...] = ()

    @property
    def actor(self) -> int:
        return (CHANCE, 0, 1, 0, 1, CHANCE, TERMINAL)[len(self.past)]

    @property
    def round(self) -> int:
        return 0 if len(self.past) <= 3 else 1

    def chance(self) -> Sequence[tuple[str, float]]:
        return list(STAKES.items())

    def legal(self) -> tuple[str, ...]:
        if len(self.past) == 2:
            return "L", "R", "OUT"
        return ("L",) if "OUT" in self.past else ("L", "R")

    def child(self, action: str) -> Stage:
        return Stage((*self.past, action))

    def view(self, seat: int) -> tuple[Any, ...]:
        return (seat, *(self.past[:3] if len(self.past) >= 3 else self.past[: 1 - seat]))

    def rewards(self) -> tuple[float, float]:
        match self.past:
            case (stake, a, b) | (_, _, _, a, b, stake):
                first, second = PAYOFFS[a, b]
                return float(stake) * first, float(stake) * second
        return 0.0, 0.0

    def features(self, learner: int) -> tuple[float, ...]:
        if len(self.past) not in (3, 5):
            return 0.0, 0.0
        moves = self.past[-2:]
        return float(moves[0] == moves[1]), float(moves[learner] == "R")


def _fixed(action: str) -> Any:
    return lambda d: {action if action in d.legal else "L": 1.0}


def _copycat(d: Decision) -> Mapping[str, float]:
    _, *seen = d.view
    last = seen[2 - d.seat] if len(seen) == 3 else "L"
    return {last if last in d.legal else "L": 1.0}


def _by_stake(d: Decision) -> Mapping[str, float]:
    p = 0.6 if "3" in d.view else 0.3
    return {"L": 1 - p, "R": p} if "R" in d.legal else {"L": 1.0}


class Stakes(Game):
    """Two rounds of a 2x2 game whose stakes chance draws: not zero-sum, simultaneous, paid per round.

    Round 1: seat 0 alone sees the stake; seat 1 may also leave (OUT), which forces L on both in round 2.
    Round 2: both know round 1; its stake is drawn after the moves.
    """

    name: ClassVar[str] = "stakes"
    title: ClassVar[str] = "Two rounds for stakes"
    features: ClassVar[tuple[str, ...]] = ("match", "right")
    max_payoff: ClassVar[float] = 3.0
    zero_sum: ClassVar[bool] = False
    rounds = 2
    seats: ClassVar[tuple[int, ...]] = (0, 1)

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"stakes": 3}

    def root(self) -> State:
        return Stage()

    def key(self, view: Any) -> str:
        return f"{view[0]}:" + "".join(view[1:])

    def chat(self, view: Any) -> tuple[Turn, ...]:
        seat, *seen = view
        rules = Turn("system", "Two rounds: left or right.")
        first = Turn("user", f"The stake is {seen[0]}." if seat == 0 else "Choose.")
        if len(seen) < 3:
            return rules, first
        own, other = seen[1 + seat], seen[2 - seat]
        return (
            rules,
            first,
            Turn("assistant", self.word(own)),
            Turn("user", f"Stake {seen[0]}, they chose {other}."),
        )

    def word(self, action: str) -> str:
        return {"L": "left", "R": "right", "OUT": "out"}[action]

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        scripts = {
            "left": _fixed("L"),
            "right": _fixed("R"),
            "out": _fixed("OUT"),
            "copycat": _copycat,
            "by_stake": _by_stake,
        }
        return {name: Opponent(name, script, name) for name, script in scripts.items()}

    @property
    def demonstrators(self) -> Sequence[tuple[float, Opponent]]:
        return [(1.0, self.opponents["copycat"])]

    def measures(self, name: MeasureName) -> MeasureSet:
        pools = {
            "train": ("left", "copycat"),
            "exploiter": ("right", "by_stake"),
            "collusive": ("copycat",),
            "held_out": ("out",),
        }
        if name == "paper":
            c, x = Ratio("right", "round", ("collusive",)), Ratio("match", "round", ("train", "exploiter"))
            return MeasureSet(name, Weights(2.0, 1.0, 0.5), "advantage", c, x, pools)
        c = Ratio("match", "right", ("collusive", "held_out"))
        return MeasureSet(name, Weights(1.5, 0.7, 0.0), "regret", c, None, pools)


@dataclass(frozen=True)
class Backwards:
    """A state whose legal actions and chance outcomes are listed in reverse."""

    inner: Any

    @property
    def actor(self) -> int:
        return self.inner.actor

    @property
    def round(self) -> int:
        return self.inner.round

    def chance(self) -> Sequence[tuple[str, float]]:
        return list(self.inner.chance())[::-1]

    def legal(self) -> tuple[str, ...]:
        return self.inner.legal()[::-1]

    def child(self, action: str) -> Backwards:
        return Backwards(self.inner.child(action))

    def view(self, seat: int) -> Any:
        return self.inner.view(seat)

    def rewards(self) -> tuple[float, float]:
        return self.inner.rewards()

    def features(self, learner: int) -> tuple[float, ...]:
        return self.inner.features(learner)


class BackwardsKuhn(Kuhn):
    """Kuhn poker, listed in reverse."""

    def root(self) -> State:
        return Backwards(Hand())

    @property
    def opponents(self) -> Mapping[str, Opponent]:
        """Kuhn's scripts, which tell a bet by the order of the legal actions, asked in that order."""

        def forwards(script: Script) -> Script:
            return lambda d: script(replace(d, legal=d.legal[::-1]))

        return {name: replace(o, script=forwards(o.script)) for name, o in super().opponents.items()}


class BackwardsStakes(Stakes):
    """``Stakes``, listed in reverse."""

    def root(self) -> State:
        return Backwards(Stage())
