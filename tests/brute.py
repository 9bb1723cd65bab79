"""Independent answers by brute force: every line of play, every pure strategy, by plain recursion."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

from sepo.games.base import CHANCE, TERMINAL, Game, State
from sepo.solve.tree import Floats, Tree

Profile = Mapping[tuple[int, str], Mapping[str, float]]


class Line(NamedTuple):
    """One line of play: its probability, the states it passes and the seats' moves (seat, key, action)."""

    probability: float
    states: tuple[State, ...]
    moves: tuple[tuple[int, str, str], ...]


def as_profile(tree: Tree, vector: Floats) -> Profile:
    """Spell a strategy vector out by seat, information state key and action."""
    return {
        (i.seat, i.key): dict(zip(i.decision.legal, map(float, vector[i.entries]), strict=True)) for i in tree.infosets
    }


def lines(game: Game, profile: Profile) -> list[Line]:
    """Enumerate every line of play, impossible ones included."""

    def walk(line: Line) -> list[Line]:
        state = line.states[-1]
        if state.actor == TERMINAL:
            return [line]
        if state.actor == CHANCE:
            steps = [(action, p, ()) for action, p in state.chance()]
        else:
            seat, key = state.actor, game.key(state.view(state.actor))
            steps = [(a, profile[seat, key][a], ((seat, key, a),)) for a in state.legal()]
        return [
            found
            for action, p, move in steps
            for found in walk(Line(line.probability * p, (*line.states, state.child(action)), line.moves + move))
        ]

    return walk(Line(1.0, (game.root(),), ()))


def due(game: Game, state: State, name: str, learner: int) -> float:
    """Return what one state pays under the name of a feature."""
    match name:
        case "own":
            return state.rewards()[learner]
        case "other":
            return state.rewards()[1 - learner]
        case "round":
            return float(game.rounds) if state.actor == TERMINAL else 0.0
    return state.features(learner)[game.features.index(name)]


def collected(game: Game, line: Line, name: str, learner: int) -> float:
    """Return what a line collects after the root."""
    return math.fsum(due(game, state, name, learner) for state in line.states[1:])


def expectation(game: Game, profile: Profile, name: str, learner: int) -> float:
    """Return the expected sum of a feature over an episode."""
    return math.fsum(line.probability * collected(game, line, name, learner) for line in lines(game, profile))


def best_value(game: Game, profile: Profile, seat: int, objective: Callable[[Line], float]) -> float:
    """Return the most that any pure strategy of ``seat`` expects, by trying all of them."""
    free = {(s, k): dict.fromkeys(row, 1.0) if s == seat else row for (s, k), row in profile.items()}
    weighted = [
        (line.probability * objective(line), [(k, a) for s, k, a in line.moves if s == seat])
        for line in lines(game, free)
    ]
    choices = {key: tuple(row) for (s, key), row in profile.items() if s == seat}
    best = -math.inf
    for picks in product(*choices.values()):
        plan = dict(zip(choices, picks, strict=True))
        best = max(best, math.fsum(w for w, moves in weighted if all(plan[k] == a for k, a in moves)))
    return best


def random_strategy(tree: Tree, seed: int, sharpness: float = 1.0) -> Floats:
    """Draw a strategy (entries,), uniform over each simplex unless ``sharpness`` differs from 1."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.full(len(i.decision.legal), sharpness)) for i in tree.infosets])
