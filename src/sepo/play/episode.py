"""The neutral record of an episode, one JSON object a line: who met whom, what each did, how likely, for what pay."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from sepo.games.base import CHANCE, TERMINAL, Decision, Game, Opponent, State
from sepo.keys import generator
from sepo.play.rollout import rollout
from sepo.policies.base import Policy, checked
from sepo.policies.script import played
from sepo.solve.tree import Floats, Tree

SCHEMA = "sepo.episode/1"


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
    policy: Policy, game: Game, opponent: Opponent, count: int, key: tuple[object, ...]
) -> list[dict[str, Any]]:
    """Play and record episodes as ``episodes`` does, decision by decision: in games too large for a tree.

    Where an instance is drawn at first, episode k plays instance k. All episodes ask the policy at once.
    """
    rng = generator(*key)
    seats = [game.seats[hand % len(game.seats)] for hand in range(game.hands)]
    running = [_Running(game.root(), seat) for _ in range(count) for seat in seats]
    while any(r.state.actor != TERMINAL for r in running):
        asking = [r for r in running if r.state.actor == r.seat]
        answers = iter(checked(policy, [game.decision(r.state) for r in asking]) if asking else [])
        for number, r in enumerate(running):
            if r.state.actor == CHANCE:
                outcomes = r.state.chance()
                drawn = int(rng.choice(len(outcomes), p=[p for _, p in outcomes]))
                if game.sampled_chance and r.fresh:
                    drawn = number // len(seats) % len(outcomes)
                r.enter(outcomes[drawn][0])
            elif r.state.actor != TERMINAL:
                decision = game.decision(r.state)
                p = next(answers) if decision.seat == r.seat else played(opponent, decision)
                r.act(decision, p / p.sum(), rng)
    hands = [r.record() for r in running]
    return [
        episode(game, opponent.name, number, hands[number * len(seats) : (number + 1) * len(seats)])
        for number in range(count)
    ]


class _Running:
    """A hand that is being played."""

    def __init__(self, state: State, seat: int) -> None:
        self.state, self.seat, self.fresh = state, seat, True
        self.moves: list[dict[str, Any]] = []
        self.paid = [0.0, 0.0]

    def enter(self, action: str) -> None:
        self.state, self.fresh = self.state.child(action), False
        self.paid = [a + b for a, b in zip(self.paid, self.state.rewards(), strict=True)]

    def act(self, decision: Decision, p: Floats, rng: np.random.Generator) -> None:
        which = int(rng.choice(len(p), p=p))
        by = "learner" if decision.seat == self.seat else "opponent"
        action = decision.legal[which]
        self.moves.append({"by": by, "state": decision.key, "action": action, "probability": float(p[which])})
        self.enter(action)

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
    moves = []
    for before, after in itertools.pairwise(made):
        which = int(tree.infoset[tree.child[before]])
        if which < 0:
            continue
        info = tree.infosets[which]
        entry = int(tree.entry[after])
        moves.append(
            {
                "by": "learner" if info.seat == seat else "opponent",
                "state": info.key,
                "action": info.decision.legal[entry - info.start],
                "probability": float(profile[entry]),
            }
        )
    own, other = (float(tree.feature(name, seat)[made].sum()) for name in ("own", "other"))
    return {"seat": seat, "moves": moves, "own": own, "other": other}
