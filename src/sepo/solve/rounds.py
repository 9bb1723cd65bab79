"""Best replies in repeated games to a policy with a short memory, by dynamic programming over rounds.

What such a policy will do depends on the round, on what is public, on its own private information and at most on the
last pair of actions. So the best the other seat can do from there on is one number for all histories that agree in
these, and no tree is needed. Each instance of a game that draws one at the start is solved by itself: the responder
knows whom it faces and which instance it is in, but of each later deal only its own part.

Where private information outlives its round all this fails: the responder does not know it, and learns of it from what
the policy did. Such games are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sepo.errors import ShortcutError
from sepo.games.base import Memory
from sepo.games.repeated import RepeatedGame, Settled, Stage
from sepo.solve.stages import Answer


class Reply(NamedTuple):
    """What the responder collects per episode, by outcome of the first deal if instances are drawn there, else one.

    ``plays`` are its actions where it moves, by what it sees (see ``games.repeated.View``).
    """

    values: tuple[float, ...]
    plays: Mapping[object, str]


def work(game: RepeatedGame, memory: Memory, answer: Answer) -> int:
    """Return about how many rounds must be settled for a best reply to a policy with this memory.

    The policy's first answer tells between how many actions it chooses.
    """
    first = game.deals(0, game.start, (None, None))
    instances = len(first) if game.sampled_chance else 1
    one = first[0] if first else None
    public, private = (one.public, one.private) if one else (game.start, (None, None))
    later = len(game.deals(1, public, private)) or 1
    actions = max(len(game.actions(d.public)) for d in first) if first else len(game.actions(public))
    start = game.root()
    first_move = start.child(start.chance()[0][0]) if not start.dealt else start
    taken = int((answer(game.decision(first_move)) > 0).sum())
    return instances * game.rounds * later * actions * taken * (actions * taken if memory == "last" else 1)


def best_reply(game: RepeatedGame, answer: Answer, memory: Memory, seat: int, objective: Mapping[str, float]) -> Reply:
    """Maximise a weighted sum of both payoffs over all strategies of ``seat`` against a policy in the other seat.

    Parameters
    ----------
    answer
        The policy's probabilities; its ``memory`` is ``round`` or ``last``.
    objective
        Weights of the responder's ``own`` and of the ``other``'s payoff.

    Raises
    ------
    ShortcutError
        If the policy's private information outlives its round.
    """
    solver = _Solver(game, answer, seat, objective.get("own", 0.0), objective.get("other", 0.0))
    root = game.forgetful(memory)
    starts = [root.child(label) for label, _ in root.chance()] if game.sampled_chance else [root]
    return Reply(tuple(solver.value(start) for start in starts), solver.plays)


class Hidden:
    """Holds a game to it that between rounds ``seat`` knows all that matters: what the other knows follows from it.

    In a game of instances it knows the instance.
    """

    def __init__(self, game: RepeatedGame, seat: int) -> None:
        self.game, self.seat = game, seat
        self._others: dict[object, object] = {}

    def hold(self, number: int, public: object, private: tuple[object, object]) -> None:
        """Note what is public and private after a round.

        Raises
        ------
        ShortcutError
            If the other side's private information may be one thing or another for all that ``seat`` knows.
        """
        if self.game.sampled_chance or number + 1 == self.game.rounds:
            return
        other = private[1 - self.seat]
        if self._others.setdefault((number, public, private[self.seat]), other) != other:
            raise ShortcutError(f"game '{self.game.name}': what is private outlives its round: it takes the whole tree")


class _Solver:
    def __init__(self, game: RepeatedGame, answer: Answer, seat: int, own: float, other: float) -> None:
        self.game, self.answer, self.seat, self.own, self.other = game, answer, seat, own, other
        self.known: dict[Stage, float] = {}
        self.later: dict[object, float] = {}
        self.answers: dict[object, list[tuple[str, float]]] = {}
        self.plays: dict[object, str] = {}
        self.hidden = Hidden(game, seat)

    def value(self, stage: Stage) -> float:
        """Return what the responder collects from the start of a round on."""
        if stage.number == self.game.rounds:
            return 0.0
        if stage not in self.known:
            dealt = [(1.0, stage)] if stage.dealt else [(p, stage.child(label)) for label, p in stage.chance()]
            groups: dict[object, list[tuple[float, Stage]]] = {}
            for p, node in dealt:
                groups.setdefault(node.view(self.seat), []).append((p, node))
            self.known[stage] = sum(self._best(view, nodes) for view, nodes in groups.items())
        return self.known[stage]

    def _best(self, view: object, nodes: list[tuple[float, Stage]]) -> float:
        """Answer what the responder sees: the nodes it cannot tell apart, with their probabilities."""
        replies = [(p * q, node, b) for p, node in nodes for b, q in self._answer(node)]
        best = float("-inf")
        for a in self.game.actions(nodes[0][1].public):
            collected = 0.0
            for p, node, b in replies:
                first, second = (a, b) if self.seat == 0 else (b, a)
                end = self.game.settled(node.public, node.private, first, second)
                gain = self.own * end.rewards[self.seat] + self.other * end.rewards[1 - self.seat]
                collected += p * (gain + self._later(node, first, second, end))
            if collected > best:
                best, self.plays[view] = collected, a
        return best

    def _later(self, node: Stage, first: str, second: str, end: Settled) -> float:
        """Return what is collected after a round, which histories that end alike have in common."""
        pair = (first, second) if node.kept else None
        key = node.number, end.public, end.private, pair
        if key not in self.later:
            self.hidden.hold(node.number, end.public, end.private)
            self.later[key] = self.value(node.child(first).child(second))
        return self.later[key]

    def _answer(self, node: Stage) -> list[tuple[str, float]]:
        """Return the actions that the policy takes at a node, with their probabilities."""
        asked = node if self.seat == 1 else node.child(self.game.actions(node.public)[0])  # seat 1 has not seen it
        view = asked.view(1 - self.seat)
        if view not in self.answers:
            p = self.answer(self.game.decision(asked))
            self.answers[view] = [(b, q) for b, q in zip(asked.legal(), p.tolist(), strict=True) if q > 0]
        return self.answers[view]
