"""Meetings of a learner with known opponents in a repeated game, as small as what can still matter.

A learner that meets one of some known opponents, and does not know which, can forget whatever no longer bears on what
follows: its *belief*, how likely each opponent is in each condition, is enough (K. J. Astrom, "Optimal control of
Markov processes with incomplete state information", Journal of Mathematical Analysis and Applications 10, 1965). The
condition of an opponent is the round, what was dealt, and the answer that it will give; what came before is forgotten
with its memory. Histories of one belief are one information state here, so four rounds of bargaining with a hundred
demands each come to thousands of nodes rather than millions; and a policy that is best among those that know their
belief alone is best among all.

The trees are merged ones of ``solve.tree``, one per opponent. Their information states are shared, and the decision of
one is that of the first history met that leads there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sepo.errors import ContractError, TooLargeError
from sepo.games.base import CHANCE, TERMINAL, Decision, Memory
from sepo.games.repeated import Pair, RepeatedGame, Settled, Stage, View
from sepo.solve.stages import Answer, Level, lay
from sepo.solve.tree import Floats, Infoset, Ints, Tree

DIGITS = 12
"""Decimals to which the weights of equal beliefs agree."""
LEARNER, OTHER = 0, 1
MAX_MOVES = 4_000_000
MAX_STATES = 100_000


class Known(NamedTuple):
    """An opponent: the probability of each of its legal actions, and what it remembers."""

    answer: Answer
    memory: Memory


class Seen(NamedTuple):
    """What the learner sees of the end of a round: the other's action, and what it knows when the next one begins."""

    other: str
    public: Hashable
    private: Hashable


class Condition(NamedTuple):
    """An opponent in a condition: equal where all that follows is. ``tail`` is its answer, or all it remembers."""

    opponent: str
    number: int
    public: Hashable
    private: tuple[Hashable, Hashable]
    tail: Hashable


class _Mind(NamedTuple):
    """A condition's node, the decision of the opponent there, and its answer."""

    stage: Stage
    decision: Decision
    answer: Floats


class _Outcome(NamedTuple):
    """One way for a round to end: what the other did, how likely, what fell due, and what is dealt then."""

    other: str
    entry: int
    probability: float
    settled: Settled
    chance: bool
    then: tuple[tuple[float, Condition], ...]


@dataclass(frozen=True, eq=False)
class Belief:
    """An information state of the learner.

    Attributes
    ----------
    decision
        Of the first history met that leads here.
    weights
        How likely each opponent is in each condition; they sum to 1.
    after
        The belief that follows an own action and what is seen of the round's end; empty in the last round.
    then
        The same by own action and the other's alone, where nothing else is seen that does not follow from these.
    """

    decision: Decision
    weights: Mapping[Condition, float]
    after: dict[tuple[str, Seen], int]
    then: dict[tuple[str, str], int]


class Beliefs:
    """The information states of a learner in seat 0 that meets one of some opponents.

    Parameters
    ----------
    opponents
        By name; each is as likely as any other at first.

    Attributes
    ----------
    locates
        Whether what both sides did in a game, and what it says at the end of that, tell which belief it has come to.

    Raises
    ------
    ContractError
        If the learner has another seat too.
    TooLargeError
        If there may be more than ``max_moves`` ends of a round, by how long the opponents' memory is, or if there are
        more than ``max_states`` beliefs: opponents that draw lots leave ever more.
    """

    def __init__(
        self,
        game: RepeatedGame,
        opponents: Mapping[str, Known],
        max_moves: int = MAX_MOVES,
        max_states: int = MAX_STATES,
    ) -> None:
        if tuple(game.seats) != (LEARNER,):
            raise ContractError(f"game '{game.name}': beliefs are those of seat {LEARNER}, not of seats {game.seats}")
        self.game, self.opponents = game, opponents
        self._refuse_early(max_moves)
        self._most = max_states
        self.states: list[Belief] = []
        self._dealt_later = self._seen_changes = False
        self._index: dict[Hashable, int] = {}
        self._minds: dict[Condition, _Mind] = {}
        self._conditions: dict[tuple[str, Stage], Condition] = {}
        self._outcomes: dict[tuple[Condition, str], list[_Outcome]] = {}
        self._opening = {name: self._deal(name, game.forgetful(known.memory)) for name, known in opponents.items()}
        groups: dict[tuple[Hashable, Hashable], dict[Condition, float]] = {}
        for dealt in self._opening.values():
            for p, condition in dealt:
                group = groups.setdefault((condition.public, condition.private[LEARNER]), {})
                group[condition] = group.get(condition, 0.0) + p
        self.first = {
            (public, private): self._believe(weights, View(0, (), public, private))
            for (public, private), weights in groups.items()
        }
        level = list(self.first.values())
        for _ in range(game.rounds):
            level = list(dict.fromkeys(new for b in level for new in self._follow(self.states[b])))
        self.locates = not self._dealt_later and (len(self.first) == 1 or not self._seen_changes)

    def _refuse_early(self, max_moves: int) -> None:
        """Hold the number of conditions times actions to a limit, as far as it shows before anyone is asked."""
        game = self.game
        dealt = [(d.public, d.private) for d in game.deals(0, game.start, (None, None))]
        moves = 0
        for public, private in dealt or [(game.start, (None, None))]:
            actions, later = len(game.actions(public)), len(game.deals(1, public, private)) or 1
            told_apart = {"round": [1] * game.rounds, "last": [1] + [actions] * (game.rounds - 1)}
            told_apart["all"] = [actions**number for number in range(game.rounds)]
            for known in self.opponents.values():
                first, *others = told_apart[known.memory]
                moves += actions * (first + later * sum(others))
        if moves > max_moves:
            raise TooLargeError(f"game '{game.name}' may have {moves} moves even by beliefs, more than {max_moves}")

    def locate(self, view: View) -> int | None:
        """Return the belief of a learner that has seen ``view``; None if no opponent leads there.

        Raises
        ------
        ContractError
            If views do not tell; see ``locates``.
        """
        if not self.locates:
            raise ContractError(f"game '{self.game.name}': what is dealt after a round is not told by a later view")
        at = self.first.get((view.public, view.private))
        if self._seen_changes:  # a later view does not have what the first one had, which was the same for all
            [at] = self.first.values()
        for pair in view.rounds:
            if at is None:
                return None
            at = self.states[at].then.get((pair.own, pair.other))
        return at

    def following(self, decision: Decision, action: str, seen: Seen) -> Decision:
        """Return the learner's next decision in a history that goes on from ``decision``."""
        return self._decide(_next(decision.view, action, seen))

    def tree(self, opponent: str) -> Tree:
        """Return the learner's meeting with an opponent, pruned to what that opponent may do."""
        return _Meeting(self, opponent).tree()

    def answer(self, condition: Condition) -> tuple[Decision, Floats]:
        """Return what an opponent decides in a condition, and its probability of each legal action."""
        mind = self._minds[condition]
        return mind.decision, mind.answer

    def opening(self, opponent: str) -> Sequence[tuple[float, Condition]]:
        """Return the conditions in which an opponent may be met at first, and how likely."""
        return self._opening[opponent]

    def outcomes(self, condition: Condition, action: str) -> Sequence[_Outcome]:
        """Return how a round may end in which the learner takes an action."""
        key = condition, action
        if key not in self._outcomes:
            self._outcomes[key] = self._end(*key)
        return self._outcomes[key]

    def _end(self, condition: Condition, action: str) -> list[_Outcome]:
        mind = self._minds[condition]
        moved = mind.stage.child(action)
        out = []
        for entry in np.flatnonzero(mind.answer).tolist():
            b = mind.decision.legal[entry]
            after = moved.child(b)
            assert after.settled is not None
            over = after.actor == TERMINAL
            then = () if over else self._deal(condition.opponent, after)
            chance = not over and not after.dealt
            out.append(_Outcome(b, entry, float(mind.answer[entry]), after.settled, chance, then))
        return out

    def _deal(self, name: str, stage: Stage) -> tuple[tuple[float, Condition], ...]:
        """Return the conditions of an opponent once what is dealt at the start of a round is dealt."""
        if stage.dealt:
            return ((1.0, self._condition(name, stage)),)
        return tuple((p, self._condition(name, stage.child(label))) for label, p in stage.chance())

    def _condition(self, name: str, stage: Stage) -> Condition:
        known = self._conditions.get((name, stage))
        if known is not None:
            return known
        answer, memory = self.opponents[name]
        asked = self.game.decision(stage.child(stage.legal()[0]))  # it does not see what the learner does
        p = answer(asked)
        tail = stage.rounds if memory == "all" else p.tobytes()
        condition = Condition(name, stage.number, stage.public, stage.private, tail)
        self._minds.setdefault(condition, _Mind(stage, asked, p))
        self._conditions[name, stage] = condition
        return condition

    def _believe(self, weights: Mapping[Condition, float], view: View) -> int:
        """Return the number of a belief, new or not; ``view`` is a history that leads there."""
        total = sum(weights.values())
        scaled = {c: w / total for c, w in weights.items()}
        key = frozenset((c, round(w, DIGITS)) for c, w in scaled.items())
        at = self._index.setdefault(key, len(self.states))
        if at == len(self.states):
            if at == self._most:
                raise TooLargeError(f"game '{self.game.name}' has more than {self._most} beliefs")
            self.states.append(Belief(self._decide(view), scaled, {}, {}))
        return at

    def _decide(self, view: View) -> Decision:
        return Decision(self.game, LEARNER, self.game.key(view), self.game.actions(view.public), view)

    def _follow(self, belief: Belief) -> list[int]:
        """Find the beliefs that follow every own action and whatever may be seen after it."""
        for action in belief.decision.legal:
            groups: dict[Seen, dict[Condition, float]] = {}
            for condition, weight in belief.weights.items():
                for end in self.outcomes(condition, action):
                    for p, then in end.then:
                        group = groups.setdefault(Seen(end.other, then.public, then.private[LEARNER]), {})
                        group[then] = group.get(then, 0.0) + weight * end.probability * p
            view = belief.decision.view
            for seen, weights in groups.items():
                new = self._believe(weights, _next(view, action, seen))
                self._seen_changes |= (seen.public, seen.private) != (view.public, view.private)
                self._dealt_later |= (action, seen.other) in belief.then
                belief.after[action, seen] = belief.then[action, seen.other] = new
        return list(belief.after.values())


def _next(view: View, action: str, seen: Seen) -> View:
    """Return what the learner has seen once a round is over."""
    return View(view.number + 1, (*view.rounds, Pair(action, seen.other)), seen.public, seen.private)


class _Meeting:
    """Lays the meeting with one opponent out, a round at a time.

    A node before the learner moves is a belief and a condition.
    """

    def __init__(self, beliefs: Beliefs, opponent: str) -> None:
        self.beliefs, self.opponent, self.game = beliefs, opponent, beliefs.game
        self.names = ("own", "other", "round", *self.game.features)
        self.infosets: list[Infoset] = []
        self.answers: list[Floats] = []
        self.entries = 0
        self._of: dict[Hashable, int] = {}
        self._dues: dict[tuple[int, bool], int] = {}
        self._table: list[Floats] = []

    def tree(self) -> Tree:
        game, beliefs = self.game, self.beliefs
        opening = beliefs.opening(self.opponent)
        nodes = [(beliefs.first[c.public, c.private[LEARNER]], c) for _, c in opening]
        levels: list[Level] = []
        into = self._into([-1], [0], [-1], 0)
        if len(nodes) > 1 or not game.forgetful("all").dealt:
            levels.append(self._level([CHANCE], [-1], [len(nodes)], into))
            into = self._into([0] * len(nodes), range(len(nodes)), [-1] * len(nodes), 0, [p for p, _ in opening])
        for number in range(game.rounds):
            nodes, into = self._round(levels, nodes, into, number)
        n = len(into[1])
        levels.append(self._level([TERMINAL] * n, [-1] * n, [0] * n, into))
        return lay(game, levels, self.infosets, np.concatenate(self.answers), self.names, forgets=True)

    def _round(
        self, levels: list[Level], nodes: Sequence[tuple[int, Condition]], into: Any, number: int
    ) -> tuple[list[tuple[int, Condition]], Any]:
        states, last = self.beliefs.states, number + 1 == self.game.rounds
        own = [self._infoset(b, states[b].decision, LEARNER, None) for b, _ in nodes]
        sizes = [len(states[b].decision.legal) for b, _ in nodes]
        levels.append(self._level([LEARNER] * len(nodes), own, sizes, into))
        starts = [self.infosets[i].start for i in own]
        parent = np.repeat(np.arange(len(nodes)), sizes)
        entry = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, sizes, strict=True)])
        into = self._into(parent, np.arange(len(parent)), entry, number)

        acts = [(b, c, action) for b, c in nodes for action in states[b].decision.legal]
        minds = [self._other(c) for _, c, _ in acts]
        found = [self.beliefs.outcomes(c, action) for _, c, action in acts]
        counts = [len(ends) for ends in found]
        levels.append(self._level([OTHER] * len(acts), minds, counts, into))
        parent = np.repeat(np.arange(len(acts)), counts)
        entry = np.array(
            [self.infosets[mind].start + e.entry for mind, ends in zip(minds, found, strict=True) for e in ends]
        )
        due = np.array([self._due(end.settled, last=last) for ends in found for end in ends])
        dues = np.stack(self._table)[due].transpose(1, 2, 0)
        if last:
            return [], self._into(parent, np.arange(len(parent)), entry, number, due=dues)
        index: dict[tuple[int, Condition], int] = {}
        targets, odds, many = [], [], []
        for (b, _, action), ends in zip(acts, found, strict=True):
            for end in ends:
                many.append(len(end.then))
                for p, then in end.then:
                    seen = Seen(end.other, then.public, then.private[LEARNER])
                    targets.append(index.setdefault((states[b].after[action, seen], then), len(index)))
                    odds.append(p)
        dealt = {end.chance for ends in found for end in ends}
        if dealt == {False}:
            return list(index), self._into(parent, targets, entry, number, due=dues)
        if dealt != {True}:
            raise ContractError(f"game '{self.game.name}': chance deals after some rounds' ends and not after others")
        n = len(many)
        into = self._into(parent, np.arange(n), entry, number, due=dues)
        levels.append(self._level([CHANCE] * n, [-1] * n, many, into))
        parent = np.repeat(np.arange(n), many)
        return list(index), self._into(parent, targets, np.full(len(parent), -1), number + 1, odds)

    def _other(self, condition: Condition) -> int:
        decision, answer = self.beliefs.answer(condition)
        return self._infoset(condition, decision, OTHER, answer)

    def _infoset(self, of: Hashable, decision: Decision, seat: int, answer: Floats | None) -> int:
        which = self._of.setdefault(of, len(self.infosets))
        if which == len(self.infosets):
            self.infosets.append(Infoset(seat, decision, self.entries))
            size = len(decision.legal)
            self.entries += size
            self.answers.append(np.full(size, np.nan) if answer is None else answer)
        return which

    def _due(self, end: Settled, *, last: bool) -> int:
        """Return where what falls due at the end of a round stands in the table. Equal ends are one object."""
        which = self._dues.setdefault((id(end), last), len(self._table))
        if which == len(self._table):
            over = float(self.game.rounds) if last else 0.0
            self._table.append(np.array([(end.rewards[s], end.rewards[1 - s], over, *end.features[s]) for s in (0, 1)]))
        return which

    def _level(self, actor: Sequence[int], infoset: Sequence[int], moves: Sequence[int], into: Any) -> Level:
        return Level(np.array(actor), np.array(infoset), np.array(moves), *into)

    def _into(
        self,
        parent: Any,
        child: Any,
        entry: Any,
        number: int,
        chance: Sequence[float] | None = None,
        due: Floats | None = None,
    ) -> tuple[Ints, Ints, Ints, Floats, Floats, int]:
        n = len(parent)
        odds = np.ones(n) if chance is None else np.array(chance)
        zero = np.zeros((2, len(self.names), n))
        return np.array(parent), np.array(child), np.array(entry), odds, zero if due is None else due, number
