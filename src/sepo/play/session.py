"""A game that is played while somebody watches: by a person against a policy, or by two policies.

It steps from an explicit key: what chance and the policies draw depends on the key, the hand and the number of the
move alone, so the same answers make the same game. Knows no screen: ``sepo play`` and ``sepo serve`` show it, and
``audit.debrief`` judges it afterwards. What it ends with is the same record as any other episode's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sepo.errors import ContractError, InputError
from sepo.games.base import CHANCE, TERMINAL, Decision, Game, State
from sepo.games.repeated import Stage
from sepo.keys import generator
from sepo.play.episode import episode, pay, wrote
from sepo.play.lockstep import LONGEST, Lots, drawn
from sepo.policies.base import Estimated, Policy, Spoken, Written, checked
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.table import PolicyTable
from sepo.solve.tree import Floats

PERSON = "human"


class Move(NamedTuple):
    """A move of either side.

    Attributes
    ----------
    learner
        Whether the policy made it, rather than whoever plays against it.
    p
        The probability of each legal action, (legal actions,); None of a person, who does not say.
    written
        What a model wrote before it; None of whoever writes nothing.
    """

    learner: bool
    decision: Decision
    action: str
    p: Floats | None
    written: Written | None = None


class Round(NamedTuple):
    """A round that is over: its hand and number, both from 0, both sides' moves, and what it paid each."""

    hand: int
    number: int
    moves: tuple[Move, ...]
    learner: float
    opponent: float


@dataclass
class Hand:
    """One copy of the game's tree, as far as it was played.

    Attributes
    ----------
    seat
        The policy's.
    labels
        Every move from the root on, chance included: who follows them arrives at ``states[-1]``.
    moves
        Those of the two sides, each with its place among the labels.
    """

    seat: int
    states: list[State]
    labels: list[str] = field(default_factory=list)
    moves: list[tuple[int, Move]] = field(default_factory=list)

    @property
    def state(self) -> State:
        """Where the hand stands."""
        return self.states[-1]

    def paid(self, seat: int) -> float:
        """Return what a seat has been paid."""
        return float(sum(state.rewards()[seat] for state in self.states[1:]))

    def enter(self, label: str) -> None:
        """Follow a move."""
        if len(self.labels) >= LONGEST:
            raise ContractError(f"an episode has more than {LONGEST} moves, at {self.state!r}")
        self.labels.append(label)
        self.states.append(self.state.child(label))


class Session:
    """A game between a policy, the *learner* of the record, and a person or a second policy, its *opponent*.

    Parameters
    ----------
    opponent
        None for a person, who answers by ``act``.
    seat
        The opponent's in the first hand. Unless given the policy takes the seat in which it is audited. In games
        whose learner changes seats the two do so hand by hand.
    hands
        How many are played; as many as make up an episode unless given.
    key
        Of the randomness.

    Raises
    ------
    InputError
        If the seat or the number of hands is none.
    """

    def __init__(
        self,
        game: Game,
        learner: Policy,
        opponent: Policy | None = None,
        *,
        seat: int | None = None,
        hands: int | None = None,
        key: tuple[object, ...] = (0,),
    ) -> None:
        if seat not in (None, 0, 1):
            raise InputError(f"a seat is 0 or 1, not {seat}")
        count = game.hands if hands is None else hands
        if count < 1:
            raise InputError(f"at least one hand is played, not {count}")
        self.game, self.learner, self.opponent, self.key = game, learner, opponent, key
        order = game.seats if seat is None or game.seats[0] != seat else tuple(1 - s for s in game.seats)
        self.seats = tuple(order[number % len(order)] for number in range(count))
        self.hands = [Hand(self.seats[0], [game.root()])]
        self._lots = [self._draws(0)]

    @property
    def number(self) -> int:
        """Index of the hand that is played."""
        return len(self.hands) - 1

    @property
    def hand(self) -> Hand:
        """The hand that is played."""
        return self.hands[-1]

    @property
    def over(self) -> bool:
        """Whether the last hand has ended."""
        return len(self.hands) == len(self.seats) and self.hand.state.actor == TERMINAL

    @property
    def decision(self) -> Decision | None:
        """What the person is asked; None while it is not the person's turn."""
        if self.opponent is not None or self.hand.state.actor != 1 - self.hand.seat:
            return None
        return self.game.decision(self.hand.state)

    @property
    def count(self) -> int:
        """Moves of both sides so far, over all hands."""
        return sum(len(hand.moves) for hand in self.hands)

    def step(self) -> bool:
        """Let chance or a policy move, or begin the next hand; whether anything was left to do without a person."""
        if self.over or self.decision is not None:
            return False
        hand = self.hand
        if hand.state.actor == TERMINAL:
            self.hands.append(Hand(self.seats[len(self.hands)], [self.game.root()]))
            self._lots.append(self._draws(self.number))
        elif hand.state.actor == CHANCE:
            outcomes = hand.state.chance()
            which = drawn(np.array([p for _, p in outcomes]), self._lot("chance"))
            hand.enter(outcomes[which][0])
        else:
            self._policy_moves()
        return True

    def advance(self) -> None:
        """Go on until the person is asked, or the end."""
        while self.step():
            pass

    def act(self, action: str) -> None:
        """Let the person move.

        Raises
        ------
        InputError
            If the person is not asked, or the action is not legal.
        """
        decision = self.decision
        if decision is None:
            raise InputError("it is not your turn")
        if action not in decision.legal:
            raise InputError(f"'{action}' is no legal action: they are {', '.join(decision.legal)}")
        self.note(Move(False, decision, action, None))

    @property
    def rounds(self) -> list[Round]:
        """The rounds that are over: nothing in them is hidden from either side any more."""
        out = []
        for number, hand in enumerate(self.hands):
            ended = hand.state.actor == TERMINAL
            found: dict[int, tuple[list[Move], list[float]]] = {}
            moves = dict(hand.moves)
            for place, state in enumerate(hand.states[1:]):
                if not ended and not (isinstance(hand.state, Stage) and state.round < hand.state.number):
                    break
                made, paid = found.setdefault(state.round, ([], [0.0, 0.0]))
                made += [moves[place]] if place in moves else []
                for seat, payoff in enumerate(state.rewards()):
                    paid[seat] += payoff
            out += [
                Round(number, r, tuple(made), paid[hand.seat], paid[1 - hand.seat])
                for r, (made, paid) in found.items()
                if made or any(paid)
            ]
        return out

    def totals(self) -> tuple[float, float]:
        """Return what the policy and its opponent have been paid, over all hands."""
        return (
            sum(hand.paid(hand.seat) for hand in self.hands),
            sum(hand.paid(1 - hand.seat) for hand in self.hands),
        )

    def episode(self) -> dict[str, Any]:
        """Return the record of the game so far, as ``play.episode`` writes it; see ``docs/play.md``.

        A policy's move carries all its probabilities, and what a model wrote; a person's has none: null.
        """
        hands = [
            {
                "seat": hand.seat,
                "moves": _written(hand),
                "own": hand.paid(hand.seat),
                "other": hand.paid(1 - hand.seat),
            }
            for hand in self.hands
        ]
        name = PERSON if self.opponent is None else self.opponent.name
        return episode(self.game, name, 0, hands) | {
            "rules": dict(self.game.rules),
            "policy": self.learner.name,
            "complete": self.over,
        }

    def _policy_moves(self) -> None:
        decision = self.game.decision(self.hand.state)
        learner = decision.seat == self.hand.seat
        policy = self.learner if learner or self.opponent is None else self.opponent
        party = "learner" if learner else "opponent"
        if isinstance(policy, Estimated):
            cluster = int(generator(*self.key, "cluster").integers(2**31))
            answer = policy.replies([decision], [(cluster, self.number, len(self.hand.labels))])[0]
        else:
            answer = Spoken(checked(policy, [decision])[0])
        p = answer.p / answer.p.sum()
        self.note(Move(learner, decision, decision.legal[drawn(p, self._lot(party))], p, answer.written))

    def note(self, move: Move) -> None:
        """Let a side make a move that was decided."""
        self.hand.moves.append((len(self.hand.labels), move))
        self.hand.enter(move.action)

    def _draws(self, number: int) -> Lots:
        return Lots(generator(*self.key, "session", self.game.name, number), ("chance", "learner", "opponent"))

    def _lot(self, party: str) -> float:
        return self._lots[-1](party, len(self.hand.labels))


def _written(hand: Hand) -> list[dict[str, Any]]:
    """Return a hand's moves as ``play.episode`` records them; both policies' are whole."""
    made, out = dict(hand.moves), list[dict[str, Any]]()
    for place, state in enumerate(hand.states[1:]):
        if place in made:
            out.append(_move(made[place], state.round))
        due = state.rewards()
        pay(out, due[hand.seat], due[1 - hand.seat])
    return out


def _move(move: Move, number: int) -> dict[str, Any]:
    decision, p = move.decision, move.p
    out: dict[str, Any] = {
        "by": "learner" if move.learner else "opponent",
        "round": number,
        "state": decision.key,
        "action": move.action,
        "probability": None,
        "paid": [0.0, 0.0],
    }
    if p is not None:
        out["probability"] = float(p[decision.legal.index(move.action)])
        out["policy"] = {a: q for a, q in zip(decision.legal, p.tolist(), strict=True) if q > 0}
    return out | wrote(move.written)


def rehearse(session: Session) -> None:
    """Ask the models of a session about the last decisions of some line of the game.

    Whether a model's prompts may be packed is checked again whenever they grow, which takes several passes. So it is
    checked once, before the first move, and not at every one.
    """
    game = session.game
    state, last = game.root(), {}
    while state.actor != TERMINAL:
        if state.actor == CHANCE:
            state = state.child(state.chance()[0][0])
        else:
            last[state.actor] = game.decision(state)
            state = state.child(state.legal()[0])
    for policy, seats in ((session.learner, session.seats), (session.opponent, [1 - s for s in session.seats])):
        known = isinstance(policy, ScriptPolicy | UniformPolicy | PolicyTable | Estimated)
        if policy is not None and not known and (asked := [last[s] for s in sorted(set(seats)) if s in last]):
            checked(policy, asked)
