"""The rest of a game from a point on: what each action is worth against a policy, if the best is done afterwards.

Exact, on the tree of what the policy may do (``solve.response``). Where that is the whole game's, well and good; a
repeated game whose whole tree is too large, or in which a model would have to be asked too often, still has a last
round, and often a few more, that can be held. Where an instance is drawn at first, it counts as known.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from sepo.audit.board import Subject
from sepo.audit.rule import written
from sepo.audit.units import Known
from sepo.errors import TooLargeError
from sepo.games.base import CHANCE, Decision, Game, State
from sepo.games.repeated import RepeatedGame, Stage
from sepo.play.session import Hand
from sepo.policies.base import Policy, checked
from sepo.solve.expand import remembered, walk
from sepo.solve.response import best_response
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import infoset_reach, node_values, reach

NODES, WALKED, MOVES = 400_000, 120_000, 300_000
"""Largest tree that is held: one that grows a round at a time, one that is walked state by state, and its moves."""
QUESTIONS = 128
"""Information states that a model is asked about for one tree."""


class Rest:
    """A game from one of its states on. In all other things it is that game."""

    def __init__(self, game: Game, start: State) -> None:
        self._game, self._start = game, start

    def __getattr__(self, name: str) -> Any:
        return getattr(self._game, name)

    def root(self) -> State:
        """Return the state from which on it is played."""
        return self._start

    def forgetful(self, memory: str) -> State:
        """Return the same: whoever made it chose what is forgotten."""
        return self._start


class Answers:
    """A policy as a strategy of one game that can be asked ahead; a model is asked about nothing twice.

    Parameters
    ----------
    questions
        The most that a model is asked about ahead, each time; scripts and tables answer as often as need be.
    """

    def __init__(self, policy: Policy, game: Game, questions: int = QUESTIONS) -> None:
        self.policy, self.game, self.questions = policy, game, questions
        self.cheap = isinstance(policy, Known)
        self._subject = Subject(game, policy)
        self.memory = self._subject.memory
        self._known: dict[str, Floats] = {}

    def __call__(self, decision: Decision) -> Floats:
        """Return the probability of each legal action."""
        if self.cheap:  # not kept: with a short memory one key stands for many a situation
            return self._subject(decision)
        self.learn([decision])
        return self._known[decision.key]

    def learn(self, decisions: Sequence[Decision]) -> None:
        """Ask about all decisions that are not known, in one batch."""
        new = {d.key: d for d in decisions if d.key not in self._known}
        if new:
            for key, p in zip(new, checked(self.policy, list(new.values())), strict=True):
                self._known[key] = p / p.sum()

    def ask_ahead(self, start: State, seat: int) -> None:
        """Ask about all that may come up for ``seat`` from a state on.

        Raises
        ------
        TooLargeError
            If that is too much; then nothing is asked.
        """
        found: dict[str, Decision] = {}
        layer = [start]
        while layer:
            after = []
            for state in layer:
                if state.actor == seat:
                    decision = self.game.decision(state)
                    if decision.key not in self._known:
                        found[decision.key] = decision
                labels = (
                    [label for label, _ in state.chance()]
                    if state.actor == CHANCE
                    else state.legal()
                    if state.actor in (0, 1)
                    else ()
                )
                after += [state.child(label) for label in labels]
                if len(found) > self.questions or len(after) > WALKED:
                    raise TooLargeError(
                        f"'{self.policy.name}' would have to be asked about more than {self.questions} situations"
                    )
            layer = after
        self.learn(list(found.values()))


@dataclass(frozen=True)
class Ahead:
    """What the seat that meets a policy can make of the rest of a game.

    Attributes
    ----------
    seat
        The one that answers the policy best.
    paths
        For each label of the hand that was played, from ``since`` on, the state it led from, as the tree knows it.
    """

    tree: Tree
    seat: int
    since: int
    paths: tuple[State, ...]
    by_view: bool

    @cached_property
    def _best(self) -> Floats:
        """The strategies: the policy's and the best response to it. (entries,)."""
        due = self.tree.feature("own", self.seat)
        answer = best_response(self.tree, self.tree.fixed, self.seat, due).strategy
        return np.where(self.tree.seat == self.seat, answer, self.tree.fixed)

    @cached_property
    def _values(self) -> Floats:
        """What is collected on each move and after it, by the best response. (moves,)."""
        return node_values(self.tree, self._best, self.tree.feature("own", self.seat))

    @cached_property
    def _belief(self) -> Floats:
        """How likely each node is if the seat tries every action alike. (nodes,)."""
        tree = self.tree
        return reach(tree, np.where(tree.seat == self.seat, 1.0 / tree.sizes[tree.owner], tree.fixed))

    @cached_property
    def _index(self) -> Mapping[Hashable, int]:
        infosets = enumerate(self.tree.infosets)
        return {(i.decision.view if self.by_view else i.key): which for which, i in infosets if i.seat == self.seat}

    @property
    def value(self) -> float:
        """What the best response collects from the start of the rest on, in expectation."""
        return float(self._values[0])

    def worth(self, place: int) -> Floats:
        """Return what each action is worth at the decision that label ``place`` answered: all that is still to come.

        (legal actions,), in points.
        """
        tree, state = self.tree, self.paths[place - self.since]
        view = state.view(self.seat)
        which = self._index[view if self.by_view else tree.game.key(view)]
        nodes = np.flatnonzero(tree.infoset == which)
        weight = self._belief[nodes]
        moves = tree.first[nodes][:, None] + np.arange(tree.sizes[which])
        out: Floats = weight @ self._values[moves] / weight.sum()
        return out

    @property
    def about(self) -> str:
        """The best response in words."""
        tree, strategy = self.tree, self._best
        reached = infoset_reach(tree, strategy)
        plays = [
            (info.decision, info.decision.legal[int(np.argmax(strategy[info.entries]))])
            for info, r in zip(tree.infosets, reached.tolist(), strict=True)
            if info.seat == self.seat and r > 0
        ]
        return written(plays, lambda d: d.legal[0]).about if plays else "moves never"


def ahead(answers: Answers, hand: Hand, *, latest: bool = False) -> tuple[Ahead | None, str]:
    """Return the rest of a hand from as early on as it can be held, and why it is not from the beginning.

    Parameters
    ----------
    latest
        Only from as late on as it can be judged by itself: what the decision that is due takes, and no more.

    Raises
    ------
    InputError
        If the policy breaks its contract.
    """
    game, seat = answers.game, hand.seat
    why = ""
    states = _forgetting(game, hand, answers)
    places = starts(game, hand)
    for since in places[-1:] if latest else places:
        try:
            if not answers.cheap:
                answers.ask_ahead(hand.states[since], seat)
            whole = since == 0
            rest = game if whole else cast(Game, Rest(game, states[since]))
            quick = whole and isinstance(game, RepeatedGame) and game.alike
            if not quick:
                _refuse_early(answers, states[since], seat)
            tree = walk(rest, {seat: answers}, answers.memory, NODES if quick else WALKED)
        except TooLargeError as error:
            why = why or str(error)
            continue
        by_view = remembered(rest, answers.memory) != "all"
        return Ahead(tree, 1 - seat, since, tuple(states[since:]), by_view), why
    return None, why


def _refuse_early(answers: Answers, start: State, seat: int) -> None:
    """Refuse to walk what is left of a repeated game if its moves come to too many, before a minute is spent on it."""
    game = answers.game
    if not isinstance(game, RepeatedGame) or not isinstance(start, Stage) or not start.dealt:
        return
    own = len(game.actions(start.public))
    asked: State = start if seat == 0 else start.child(start.legal()[0])
    taken = int((answers(game.decision(asked)) > 0).sum())
    least = {"round": 1, "last": own * own, "all": (own * taken) ** game.rounds}[answers.memory]
    moves = sum(own * taken * min((own * taken) ** k, least) for k in range(game.rounds - start.number))
    if moves > MOVES:
        raise TooLargeError(f"what is left of the game has about {moves:,} moves: too large to hold as a tree")


def starts(game: Game, hand: Hand) -> list[int]:
    """Return from which of a hand's states on it can be judged by itself: where nothing is hidden from anyone.

    The beginning; in repeated games each round's, as long as no side keeps something private from earlier ones. Where
    an instance is drawn at first the rounds of that instance, not the beginning.
    """
    if not isinstance(game, RepeatedGame):
        return [0]
    out: list[int] = [] if game.sampled_chance else [0]
    for place, state in enumerate(hand.states):
        assert isinstance(state, Stage)
        begins = not state.pending and (place == 0 or state.number > 0 or game.sampled_chance)
        begins &= place == 0 or _number(hand.states[place - 1]) < state.number or (place == 1 and game.sampled_chance)
        open_ = game.sampled_chance or state.private == (None, None) or state.private[hand.seat] is None
        if place > 0 and begins and open_ and state.number < game.rounds:
            out.append(place)
    return out


def _number(state: State) -> int:
    assert isinstance(state, Stage)
    return state.number


def _forgetting(game: Game, hand: Hand, answers: Answers) -> list[State]:
    """Return the hand's states as they matter to a policy with that memory."""
    if answers.memory == "all":
        return hand.states
    out = [game.forgetful(answers.memory)]
    for label in hand.labels:
        out.append(out[-1].child(label))
    return out
