"""A repeated game against a known policy as a graph that grows where opponents go: values them exactly, improves them.

A *history* is a node at which the values of a round are yet to be dealt; a *round node* has them dealt and nobody has
acted. Each answer to it and each action of the policy make an *edge* to the next history. Histories that neither side
tells apart are one. What one opponent has made known serves the next one, who mostly goes the same ways.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepo.audit.board import Subject, longer
from sepo.audit.encounter import Meeting, each, row_of
from sepo.errors import TooLargeError
from sepo.games.base import Decision
from sepo.games.repeated import RepeatedGame, Stage
from sepo.solve.tree import Floats, Ints

UNKNOWN, OVER = -2, -1
SLIGHT = 1e-9
"""Improvements below this are rounding."""
ROOM = 20
"""Edges there is room for, as a multiple of those that are met."""
Choose = Callable[[Decision], str]
"""A deterministic opponent; in repeated games it looks no further back than the last round."""


class _Vector:
    """Numbers that grow in number."""

    def __init__(self, empty: float, kind: type) -> None:
        self.empty, self.count = empty, 0
        self.all: NDArray[Any] = np.full(1024, empty, dtype=kind)

    def add(self, *values: float, blank: int = 0) -> int:
        """Add numbers, and so many empty ones; return the place of the first."""
        start, self.count = self.count, self.count + len(values) + blank
        if self.count > len(self.all):
            self.all = np.pad(self.all, (0, self.count), constant_values=self.empty)
        self.all[start : start + len(values)] = values
        return start


class Growing:
    """The graph of what one seat may meet.

    Parameters
    ----------
    seat
        The opponent's.
    objective
        Weights of its ``own`` payoff and of the ``other``'s.
    edges
        Most edges: beyond, ``TooLargeError`` is raised, and what was known stays known. May be raised as ``most``.
    """

    def __init__(self, subject: Subject, seat: int, objective: Mapping[str, float], edges: int) -> None:
        assert isinstance(subject.game, RepeatedGame)
        self.game, self.seat, self.most = subject.game, seat, edges
        self._weights = objective.get("own", 0.0), objective.get("other", 0.0)
        self._meeting = Meeting(subject)
        self._first, self._count = _Vector(UNKNOWN, int), _Vector(0, int)  # round nodes of a history
        self._chance, self._key = _Vector(0.0, float), _Vector(0, int)  # of a round node
        self._answer, self._answers, self._edge = _Vector(0, int), _Vector(0, int), _Vector(0, int)
        self._likely = _Vector(0.0, float)  # probability of each answer of the policy
        self._after, self._gain = _Vector(UNKNOWN, int), _Vector(0.0, float)  # of an edge
        self._filled = self.valued = 0
        self._places: dict[Stage, int] = {}
        self._histories: list[Stage] = []
        self._nodes: list[tuple[Stage, tuple[str, ...], list[str]]] = []
        self._keys: dict[Hashable, int] = {}
        self.decisions: list[Decision] = []
        self._played = np.zeros(0, dtype=np.int64)
        self._choose: Choose = lambda decision: decision.legal[0]
        self._root = np.array([self._place(self.game.forgetful(longer(subject.memory, "last")))])

    def use(self, choose: Choose) -> None:
        """Let the opponent be this one."""
        self._played, self._choose = np.full(len(self.decisions), UNKNOWN), choose

    def value(self) -> float:
        """Return what the opponent collects in an episode."""
        self.valued += 1
        return float(self._worth(self._root)[0])

    def improve(self, number: int) -> bool:
        """Choose the best actions of one round, given those of all others; say whether that is any better."""
        nodes, weight = self._reached(number)
        key = self._key.all[nodes]
        now = self._acts(key)
        sizes = np.array([len(d.legal) for d in self.decisions])[key]
        self.valued += int(sizes.max())
        value = np.full((len(self.decisions), sizes.max()), -np.inf)
        for action in range(sizes.max()):
            may = np.flatnonzero(sizes > action)
            worth = self._collected(nodes[may], np.full(len(may), action)) * weight[may]
            value[np.unique(key[may]), action] = 0.0
            np.add.at(value[:, action], key[may], worth)
        best = value.argmax(axis=1)[key]
        better = value[key, best] > value[key, now] + SLIGHT
        self._played[key[better]] = best[better]
        return bool(better.any())

    def rule(self) -> list[tuple[Decision, str]]:
        """Return the opponent's action at each decision that it comes to."""
        found = []
        for number in range(self.game.rounds):
            here = np.unique(self._key.all[self._reached(number)[0]])
            for decision, action in zip(here.tolist(), self._acts(here).tolist(), strict=True):
                found.append((self.decisions[decision], self.decisions[decision].legal[action]))
        return found

    def _worth(self, histories: Ints) -> Floats:
        """Return what the opponent collects from each history on."""
        nodes, of = self._dealt(histories)
        collected = self._collected(nodes, self._acts(self._key.all[nodes]))
        out: Floats = np.bincount(of, self._chance.all[nodes] * collected, len(histories)).astype(np.float64)
        return out

    def _collected(self, nodes: Ints, actions: Ints) -> Floats:
        """Return what it collects from round nodes on if it acts like this there."""
        edges, of, likely = self._taken(nodes, actions)
        value, after = self._gain.all[edges], self._after.all[edges]
        goes_on = after >= 0
        if goes_on.any():
            histories, which = np.unique(after[goes_on], return_inverse=True)
            value[goes_on] += self._worth(histories)[which]
        out: Floats = np.bincount(of, likely * value, len(nodes)).astype(np.float64)
        return out

    def _reached(self, number: int) -> tuple[Ints, Floats]:
        """Return the nodes of a round that the opponent can come to, and their probabilities."""
        histories = self._root
        weight: Floats = np.ones(1)
        for _ in range(number):
            nodes, of = self._dealt(histories)
            edges, source, likely = self._taken(nodes, self._acts(self._key.all[nodes]))
            passed = (weight[of] * self._chance.all[nodes])[source] * likely
            histories, which = np.unique(self._after.all[edges], return_inverse=True)
            weight = np.bincount(which, passed).astype(np.float64)
        nodes, of = self._dealt(histories)
        return nodes, weight[of] * self._chance.all[nodes]

    def _acts(self, keys: Ints) -> Ints:
        """Return the opponent's actions at some decisions."""
        self._played = np.pad(self._played, (0, len(self.decisions) - len(self._played)), constant_values=UNKNOWN)
        for key in np.unique(keys[self._played[keys] == UNKNOWN]).tolist():
            decision = self.decisions[key]
            self._played[key] = decision.legal.index(self._choose(decision))
        return self._played[keys]

    def _dealt(self, histories: Ints) -> tuple[Ints, Ints]:
        """Return the round nodes of histories, and which history each is of."""
        for history in histories[self._first.all[histories] == UNKNOWN].tolist():
            self._deal(history)
        return each(self._first.all[histories], self._count.all[histories])

    def _taken(self, nodes: Ints, actions: Ints) -> tuple[Ints, Ints, Floats]:
        """Return the edges out of round nodes by some actions, which node each is of, and its probability."""
        many = self._answers.all[nodes]
        answers, of = each(self._answer.all[nodes], many)
        edges = each(self._edge.all[nodes] + actions * many, many)[0]
        for i in np.flatnonzero(self._after.all[edges] == UNKNOWN).tolist():
            self._settle(int(edges[i]), int(nodes[of[i]]), int(actions[of[i]]), int(answers[i]))
        return edges, of, self._likely.all[answers]

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"game '{self.game.name}': more than {self.most} outcomes of rounds met in the search")

    def _place(self, stage: Stage) -> int:
        place = self._places.setdefault(stage, len(self._histories))
        if place == len(self._histories):
            self._histories.append(stage)
            self._first.add(UNKNOWN)
            self._count.add(0)
        return place

    def _deal(self, history: int) -> None:
        if self._after.count > ROOM * self.most:
            raise self._too_large()
        stage = self._histories[history]
        dealt = [(stage, 1.0)] if stage.dealt else [(stage.child(label), p) for label, p in stage.chance()]
        self._first.all[history], self._count.all[history] = len(self._nodes), len(dealt)
        for node, p in dealt:
            later = node.child(node.legal()[0])  # seat 1 moves second, but has not seen the first move
            asked = (node, later)
            answers = self._meeting.answer(asked[1 - self.seat])
            row = row_of(self.game, self.seat, node.view(self.seat))
            key = self._keys.setdefault(row, len(self.decisions))
            if key == len(self.decisions):
                self.decisions.append(self.game.decision(asked[self.seat]))
            legal = node.legal()
            self._nodes.append((node, legal, [a for a, _ in answers]))
            self._chance.add(p)
            self._key.add(key)
            self._answer.add(self._likely.add(*(q for _, q in answers)))
            self._answers.add(len(answers))
            self._edge.add(self._after.add(blank=len(legal) * len(answers)))
            self._gain.add(blank=len(legal) * len(answers))

    def _settle(self, edge: int, node: int, action: int, answer: int) -> None:
        self._filled += 1
        if self._filled > self.most:
            raise self._too_large()
        stage, legal, answers = self._nodes[node]
        moves = legal[action], answers[answer - int(self._answer.all[node])]
        first, second = moves if self.seat == 0 else moves[::-1]
        if stage.number + 1 == self.game.rounds:
            paid, place = self.game.settled(stage.public, stage.private, first, second).rewards, OVER
        else:
            after = stage.child(first).child(second)
            paid, place = after.rewards(), self._place(after)
        self._after.all[edge] = place
        self._gain.all[edge] = self._weights[0] * paid[self.seat] + self._weights[1] * paid[1 - self.seat]
