"""An arena of one tree per opponent gives every figure that the whole game's tree gives."""

from __future__ import annotations

import numpy as np
import pytest

from sepo.audit.arena import Arena, ground_of, met, passable, passed, respond
from sepo.audit.measures import gradient, objective, terms, values
from sepo.audit.sweep import mass_of, slope
from sepo.games.registry import make
from sepo.solve.expand import expand
from sepo.solve.tree import Floats, Tree
from sepo.train.mirror import softmax

GAMES = [("ipd", {"rounds": 4}), ("split", {"rounds": 2}), ("commons", {"rounds": 3}), ("auction", {"rounds": 2})]


def arena_of(name: str, rules: dict[str, int]) -> tuple[Arena, Tree]:
    game = make(name, rules)
    pools = [game.measures(s).pools[p] for s in ("paper", "sepo") for p in ("train", "exploiter", "collusive")]
    return Arena(game, tuple(dict.fromkeys(o for names in pools for o in names))), expand(game)


def policy(arena: Arena, seed: int) -> Floats:
    return softmax(arena.space, np.random.default_rng(seed).normal(size=len(arena.space.owner)))


@pytest.mark.parametrize(("name", "rules"), GAMES)
@pytest.mark.parametrize("measures", ["paper", "sepo"])
def test_terms_and_gradient_are_those_of_the_whole_tree(name: str, rules: dict[str, int], measures: str) -> None:
    arena, tree = arena_of(name, rules)
    chosen = arena.game.measures(measures)
    learner = policy(arena, 1)
    whole = arena.on_whole(learner)
    ours, theirs = terms(arena, chosen, learner), terms(tree, chosen, whole)
    assert [(t.kind, t.opponent) for t in ours] == [(t.kind, t.opponent) for t in theirs]
    np.testing.assert_allclose([t.value for t in ours], [t.value for t in theirs], atol=1e-12)
    assert values(arena, chosen, learner)["J"] == pytest.approx(objective(theirs), abs=1e-12)
    at = arena.space.at(tree, 0)
    there = gradient(whole, theirs)
    expected = np.bincount(at[at >= 0], there[at >= 0], len(learner))
    np.testing.assert_allclose(gradient(learner, ours), expected, atol=1e-12)
    for immediate in (False, True):
        swept = slope(ours, learner, arena.space, immediate=immediate)
        np.testing.assert_allclose(swept.gradient, gradient(learner, ours, immediate=immediate), atol=1e-12)
        np.testing.assert_allclose(swept.mass, mass_of(ours, learner, arena.space), atol=1e-12)


@pytest.mark.parametrize(("name", "rules"), GAMES)
def test_the_gradient_is_that_of_j_by_differences(name: str, rules: dict[str, int]) -> None:
    arena, _ = arena_of(name, rules)
    chosen = arena.game.measures("paper")
    learner, step = policy(arena, 2), 1e-6
    slopes = gradient(learner, terms(arena, chosen, learner))
    rng = np.random.default_rng(3)
    for _ in range(3):
        direction = rng.normal(size=len(learner))
        up, down = (objective(terms(arena, chosen, learner + s * direction)) for s in (step, -step))
        assert (up - down) / (2 * step) == pytest.approx(float(slopes @ direction), rel=1e-5, abs=1e-8)


def test_reach_is_what_the_learner_and_the_others_play() -> None:
    arena, _ = arena_of("ipd", {"rounds": 3})
    space, learner = arena.space, policy(arena, 4)
    for opponent in ("tit_for_tat", "mixed"):
        meeting = met(arena, opponent)[0]
        reached, possible = passed(meeting, learner, space), passable(meeting, learner, space)
        for info in space.infosets:
            which, key = space.index[info.key], info.key.split(",") if info.key else []
            own = 1.0
            for number, pair in enumerate(key):
                before = space.infosets[space.index[",".join(key[:number])]]
                own *= learner[before.start + (0 if pair[0] == "C" else 1)]
            assert reached[which] == pytest.approx(own * possible[which], abs=1e-12)


def test_the_best_response_is_found_on_the_whole_tree_and_met_there() -> None:
    arena, tree = arena_of("ipd", {"rounds": 4})
    learner = policy(arena, 5)
    found = respond(arena, learner, {"own": 1.0, "other": -1.0})
    assert np.array_equal(found.strategy, respond(tree, arena.on_whole(learner), {"own": 1.0, "other": -1.0}).strategy)
    advantage = terms(arena, arena.game.measures("paper"), learner, exploiters=[found])
    pool = terms(arena, arena.game.measures("paper"), learner)
    best, worst = (max(t.value for t in ts if t.kind == "e") for ts in (advantage, pool))
    assert best >= worst - 1e-12


def test_a_small_game_is_held_whole_and_a_large_one_is_an_arena() -> None:
    assert isinstance(ground_of(make("kuhn")), Tree)
    assert isinstance(ground_of(make("ipd")), Arena)
