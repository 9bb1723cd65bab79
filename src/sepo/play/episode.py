"""The neutral record of an episode, one JSON object a line: who met whom, what each did, how likely, for what pay.

A move says who made it (``by``), at which information state (``state``), in which ``round``, which ``action`` it was
and with what ``probability``, and what was ``paid`` before the next move, learner first. The learner's moves have its
whole ``policy`` there, less what it hardly ever plays.

A move of a model that writes has the reply that counted (``text``; none where no reply was legal) and, where replies
before it were no answer, how many (``illegal``) and what each said and why it did not count (``refused``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from sepo.games.base import CHANCE, TERMINAL, Decision, Game, Opponent, State
from sepo.games.held import hold_to_figures
from sepo.keys import generator
from sepo.play.rollout import rollout
from sepo.policies.base import Policy, Spoken, Written, spoken
from sepo.policies.script import played
from sepo.solve.tree import Floats, Tree

SCHEMA = "sepo.episode/1"
HARDLY = 5e-4
"""Actions that are less likely than this are left out of a recorded policy."""


def episodes(
    tree: Tree, learner: Floats, opponent: str, other: Floats, count: int, key: tuple[object, ...]
) -> list[dict[str, Any]]:
    """Play ``count`` episodes against an opponent and record them; the learner's seats alternate hand by hand.

    Parameters
    ----------
    learner, other : (entries,)
        Strategies over the tree.
    key
        Of the randomness: run seed, game, opponent.
    """
    game = tree.game
    rng = generator(*key)
    out = []
    for number in range(count):
        hands = []
        for hand in range(game.hands):
            seat = game.seats[hand % len(game.seats)]
            profile = tree.join(seat, learner, other)
            made = rollout(tree, profile, rng.random((1, len(tree.levels) - 1))).moves[0]
            hands.append(_hand(tree, profile, seat, made[made >= 0]))
        out.append(episode(game, opponent, number, hands))
    return out


def stepped(
    policy: Policy, game: Game, opponent: Opponent | Policy, count: int, key: tuple[object, ...]
) -> list[dict[str, Any]]:
    """Play and record episodes as ``episodes`` does, decision by decision: in games too large for a tree.

    Where an instance is drawn at first, episode k plays instance k. All episodes ask the policy at once, and likewise
    an opponent that is a policy.

    Raises
    ------
    ContractError
        If the instances are not equally likely.
    """
    hold_to_figures(game)
    rng = generator(*key)
    seats = [game.seats[hand % len(game.seats)] for hand in range(game.hands)]
    running = [_Running(game.root(), seat) for _ in range(count) for seat in seats]
    while any(r.state.actor != TERMINAL for r in running):
        asking = [r for r in running if r.state.actor == r.seat]
        answers = iter(spoken(policy, [game.decision(r.state) for r in asking]) if asking else [])
        facing = [] if isinstance(opponent, Opponent) else [r for r in running if r.state.actor == 1 - r.seat]
        replies = iter(_replies(opponent, [game.decision(r.state) for r in facing]))
        for number, r in enumerate(running):
            if r.state.actor == CHANCE:
                outcomes = r.state.chance()
                drawn = int(rng.choice(len(outcomes), p=[p for _, p in outcomes]))
                if game.sampled_chance and r.fresh:
                    drawn = number // len(seats) % len(outcomes)
                r.enter(outcomes[drawn][0])
            elif r.state.actor != TERMINAL:
                decision = game.decision(r.state)
                if decision.seat == r.seat:
                    said = next(answers)
                elif isinstance(opponent, Opponent):
                    said = Spoken(played(opponent, decision))
                else:
                    said = next(replies)
                r.act(decision, said, rng)
    hands = [r.record() for r in running]
    return [
        episode(game, opponent.name, number, hands[number * len(seats) : (number + 1) * len(seats)])
        for number in range(count)
    ]


def _replies(opponent: Opponent | Policy, decisions: list[Decision]) -> list[Spoken]:
    return [] if isinstance(opponent, Opponent) or not decisions else spoken(opponent, decisions)


class _Running:
    """A hand that is being played."""

    def __init__(self, state: State, seat: int) -> None:
        self.state, self.seat, self.fresh = state, seat, True
        self.moves: list[dict[str, Any]] = []
        self.paid = [0.0, 0.0]

    def enter(self, action: str) -> None:
        self.state, self.fresh = self.state.child(action), False
        due = self.state.rewards()
        self.paid = [a + b for a, b in zip(self.paid, due, strict=True)]
        pay(self.moves, due[self.seat], due[1 - self.seat])

    def act(self, decision: Decision, said: Spoken, rng: np.random.Generator) -> None:
        p = said.p / said.p.sum()
        which = int(rng.choice(len(p), p=p))
        after = self.state.child(decision.legal[which]).round
        self.moves.append(move(decision, p, which, after, learner=decision.seat == self.seat) | wrote(said.written))
        self.enter(decision.legal[which])

    def record(self) -> dict[str, Any]:
        return {
            "seat": self.seat,
            "moves": self.moves,
            "own": self.paid[self.seat],
            "other": self.paid[1 - self.seat],
        }


def episode(game: Game, opponent: str, number: int, hands: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the record of one episode from those of its hands."""
    return {
        "schema": SCHEMA,
        "game": game.name,
        "opponent": opponent,
        "episode": number,
        "own": sum(h["own"] for h in hands),
        "other": sum(h["other"] for h in hands),
        "hands": hands,
    }


def _hand(tree: Tree, profile: Floats, seat: int, made: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    moves: list[dict[str, Any]] = []
    own, other = (tree.feature(name, seat) for name in ("own", "other"))
    for before, after in itertools.pairwise(made):
        which = int(tree.infoset[tree.child[before]])
        if which >= 0:
            info = tree.infosets[which]
            taken, number = int(tree.entry[after]) - info.start, int(tree.round[after])
            moves.append(move(info.decision, profile[info.entries], taken, number, learner=info.seat == seat))
        pay(moves, float(own[after]), float(other[after]))
    return {"seat": seat, "moves": moves, "own": float(own[made].sum()), "other": float(other[made].sum())}


def move(decision: Decision, p: Floats, which: int, number: int, *, learner: bool) -> dict[str, Any]:
    """Record a move: the action at ``which`` of a decision answered with ``p``, in round ``number``."""
    out: dict[str, Any] = {
        "by": "learner" if learner else "opponent",
        "round": number,
        "state": decision.key,
        "action": decision.legal[which],
        "probability": float(p[which]),
        "paid": [0.0, 0.0],
    }
    if learner:
        out["policy"] = {a: round(float(q), 4) for a, q in zip(decision.legal, p, strict=True) if q >= HARDLY}
    return out


def wrote(written: Written | None) -> dict[str, Any]:
    """Return what a move's record says of what was written for it."""
    if written is None:
        return {}
    out: dict[str, Any] = {} if written.text is None else {"text": written.text}
    if written.refused:
        out |= {"illegal": len(written.refused), "refused": [one._asdict() for one in written.refused]}
    return out


def pay(moves: Sequence[dict[str, Any]], own: float, other: float) -> None:
    """Add what falls due to the last move made; nothing is paid before the first."""
    if moves:
        moves[-1]["paid"] = [moves[-1]["paid"][0] + own, moves[-1]["paid"][1] + other]
