"""What a person's game against a policy came to: each move beside what the best response would have done.

It is exact, on the tree of what the policy may do (``audit.ahead``): what every action was worth at every
decision, hence what each move cost. What was paid splits into three parts that sum up,

    paid = best response's expectation - cost of the moves + luck,

where luck is what cards, coins and the policy's draws did; its expectation is 0 whatever the person plays (the
martingale control of N. Burch et al., "AIVAT", AAAI 2018, with values against a known policy). What cannot be computed
is said in words. How exploitable the person was is another question: see ``audit.exposure``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sepo.audit.ahead import QUESTIONS, Answers, ahead, starts
from sepo.audit.exposure import Exposure, exposure
from sepo.errors import InputError
from sepo.games.base import CHANCE, Decision, State
from sepo.games.repeated import RepeatedGame, Stage
from sepo.play.session import Hand, Move, Session
from sepo.policies.base import Estimated
from sepo.solve.tree import Floats

TINY = 1e-9
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Judged:
    """A decision of the person.

    Attributes
    ----------
    worth
        What each action was worth, all that was still to come, if the best had been done afterwards; None if that
        cannot be computed.
    now
        What each action paid in this round alone, in expectation; None if that has no meaning.
    """

    hand: int
    decision: Decision
    action: str
    worth: Mapping[str, float] | None
    now: Mapping[str, float] | None

    @property
    def best(self) -> str | None:
        """The best action: the one that was taken if none was better."""
        if self.worth is None:
            return None
        most = max(self.worth.values())
        good = [a for a, value in self.worth.items() if value >= most - TINY]
        return self.action if self.action in good else good[0]

    @property
    def cost(self) -> float | None:
        """What the move gave away, in points: 0 if it was as good as any."""
        if self.worth is None or self.best is None:
            return None
        return max(0.0, self.worth[self.best] - self.worth[self.action])


@dataclass(frozen=True)
class Reviewed:
    """A hand, from the person's side.

    Attributes
    ----------
    paid, other
        What the person and the policy got.
    best
        What the best response gets in expectation, from the first decision that is judged on; None if none is.
    whole
        Whether that is from the hand's beginning.
    cost, luck
        What the person's moves gave away from there on, and what chance made of the rest.
    response
        The best response in words; empty where it is none of the whole hand.
    """

    seat: int
    paid: float
    other: float
    judged: tuple[Judged, ...]
    best: float | None
    whole: bool
    cost: float | None
    luck: float | None
    response: str
    why: str


@dataclass(frozen=True)
class Debrief:
    """All of it; ``unknown`` says why the policy itself cannot be computed with, and is empty where it can."""

    hands: tuple[Reviewed, ...]
    exposure: Exposure
    unknown: str

    @property
    def best(self) -> float | None:
        """What the best response gets in all hands together, None unless it is known of each whole hand."""
        return _total(hand.best if hand.whole else None for hand in self.hands)

    @property
    def cost(self) -> float | None:
        """What the person's moves gave away, as far as they could be judged; None if none could."""
        known = [hand.cost for hand in self.hands if hand.cost is not None]
        return sum(known) if known else None

    @property
    def luck(self) -> float | None:
        """What chance did, None unless the best is known."""
        return None if self.best is None else _total(hand.luck for hand in self.hands)


def debrief(session: Session, questions: int = QUESTIONS, tell: Tell = lambda done, total: None) -> Debrief:
    """Look back at a game, or at what was played of it.

    Parameters
    ----------
    questions
        The most that a model is asked about for each hand, to know what it would have done.
    tell
        Hears how many hands are done.

    Raises
    ------
    InputError
        If the policy breaks its contract.
    """
    exposed = exposure(session)
    policy = session.learner
    if isinstance(policy, Estimated):
        unknown = "This policy writes freely: it is known from its replies alone, so no best response can be computed."
        return Debrief(tuple(_bare(session, n) for n in range(len(session.hands))), exposed, unknown)
    answers = Answers(policy, session.game, questions)
    out = []
    for number in range(len(session.hands)):
        if not answers.cheap:
            tell(number, len(session.hands))
        out.append(_reviewed(session, number, answers))
    return Debrief(tuple(out), exposed, "")


def hints(session: Session, answers: Answers) -> Mapping[str, float] | None:
    """Return what each action is worth at the decision that the person faces; None where that cannot be computed."""
    decision = session.decision
    if decision is None or isinstance(session.learner, Estimated):
        return None
    try:
        found, _ = ahead(answers, session.hand, latest=True)
    except InputError:
        return None
    place = len(session.hand.labels)
    if found is None or place < found.since:
        return None
    return _by_action(decision, found.worth(place))


def _bare(session: Session, number: int) -> Reviewed:
    hand = session.hands[number]
    judged = tuple(Judged(number, m.decision, m.action, None, None) for _, m in hand.moves if not m.learner)
    seat = 1 - hand.seat
    return Reviewed(seat, hand.paid(seat), hand.paid(hand.seat), judged, None, False, None, None, "", "")


def _reviewed(session: Session, number: int, answers: Answers) -> Reviewed:
    hand, plain = session.hands[number], _bare(session, number)
    try:
        found, why = ahead(answers, hand)
    except InputError as error:  # a table may lack what was never met
        found, why = None, str(error)
    judged = tuple(
        Judged(
            number,
            move.decision,
            move.action,
            _by_action(move.decision, found.worth(place)) if found is not None and place >= found.since else None,
            _now(answers, hand, place, move) if found is None or place < found.since else None,
        )
        for place, move in hand.moves
        if not move.learner
    )
    if found is None:
        return Reviewed(plain.seat, plain.paid, plain.other, judged, None, False, None, None, "", why)
    paid = float(sum(state.rewards()[plain.seat] for state in hand.states[found.since + 1 :]))
    cost = sum(j.cost for j in judged if j.cost is not None)
    whole = found.since == starts(session.game, hand)[0]
    return Reviewed(
        seat=plain.seat,
        paid=plain.paid,
        other=plain.other,
        judged=judged,
        best=found.value,
        whole=whole,
        cost=cost,
        luck=paid - (found.value - cost) if session.over or number < session.number else None,
        response=found.about if whole else "",
        why=why,
    )


def _now(answers: Answers, hand: Hand, place: int, move: Move) -> Mapping[str, float] | None:
    """Return what each action pays in its round in expectation, given what the person saw."""
    game, person = answers.game, 1 - hand.seat
    begins = [k for k in starts(game, hand) if k <= place]
    if not isinstance(game, RepeatedGame) or not begins:
        return None
    start, view = hand.states[begins[-1]], hand.states[place].view(person)
    dealt = [(start.child(label), p) for label, p in start.chance()] if start.actor == CHANCE else [(start, 1.0)]
    alike = [(state, p) for state, p in dealt if state.view(person) == view]
    if not alike:
        return None
    total = np.zeros(len(move.decision.legal))
    try:
        for state, p in alike:
            assert isinstance(state, Stage)
            total += p * _paying(game, answers, state, hand.seat, move.decision.legal)
    except InputError:
        return None
    return _by_action(move.decision, total / sum(p for _, p in alike))


def _paying(game: RepeatedGame, answers: Answers, state: Stage, seat: int, actions: Sequence[str]) -> Floats:
    asked: State = state if seat == 0 else state.child(actions[0])  # seat 1 has not seen it
    replies = list(zip(asked.legal(), answers(game.decision(asked)).tolist(), strict=True))
    out = np.zeros(len(actions))
    for i, own in enumerate(actions):
        for other, q in replies:
            if q > 0:
                first, second = (other, own) if seat == 0 else (own, other)
                out[i] += q * game.settled(state.public, state.private, first, second).rewards[1 - seat]
    return out


def _by_action(decision: Decision, values: Floats) -> Mapping[str, float]:
    return dict(zip(decision.legal, (float(v) + 0.0 for v in values), strict=True))


def _total(parts: Iterable[float | None]) -> float | None:
    """Return a sum, None unless all of it is known."""
    total = 0.0
    for part in parts:
        if part is None:
            return None
        total += part
    return total
