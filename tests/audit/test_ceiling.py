"""The ceiling: known optima, a proof of optimality, and that nothing exceeds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sepo.audit.arena import Arena, ground_of, layout
from sepo.audit.ceiling import best_policy, ceiling
from sepo.audit.measures import objective, terms
from sepo.audit.methods import Options
from sepo.audit.scorecard import audit
from sepo.audit.solved import solved
from sepo.errors import InputError
from sepo.games.base import MeasureName, Weights
from sepo.games.registry import make
from sepo.policies.script import played
from sepo.solve.response import best_response, exploitability
from sepo.solve.tree import Tree
from sepo.solve.value import expected
from sepo.train.mirror import softmax


def test_the_auctions_ceiling_is_the_one_found_by_backward_induction() -> None:
    game = make("auction", {}, "paper")
    found = ceiling(ground_of(game), game.measures("paper"))
    assert found.j == pytest.approx(0.0072, abs=5e-5)
    assert found.bound - found.j < 1e-8


def test_kuhns_ceiling_is_an_equilibrium_that_earns_an_eighteenth() -> None:
    game = make("kuhn")
    tree = ground_of(game)
    assert isinstance(tree, Tree)
    found = ceiling(tree, game.measures("sepo"))
    assert found.j == pytest.approx(1 / 18, abs=1e-9)
    assert found.bound == pytest.approx(found.j, abs=1e-9)
    assert exploitability(tree, found.strategy) == pytest.approx(0, abs=1e-9)


def test_with_the_penalty_off_kuhns_ceiling_beats_the_pool_and_is_exploitable() -> None:
    game = make("kuhn")
    tree = ground_of(game)
    assert isinstance(tree, Tree)
    found = ceiling(tree, game.measures("sepo"), Weights(0, 0, 0))
    train = game.measures("sepo").pools["train"]
    free = objective(terms(tree, game.measures("sepo"), found.strategy, Weights(0, 0, 0)))
    assert found.j == pytest.approx(free, abs=1e-9)
    assert found.j > 3 / game.max_payoff * len(train) * 0.02
    assert exploitability(tree, found.strategy) > 0.05


@pytest.mark.parametrize("measures", ["paper", "sepo"])
@pytest.mark.parametrize(("name", "rules"), [("ipd", {"rounds": 5}), ("split", {}), ("commons", {"rounds": 5})])
def test_no_script_and_no_random_policy_exceeds_a_ceiling_that_is_proved(
    name: str, rules: dict[str, int], measures: str
) -> None:
    game = make(name, rules, measures)
    arena, chosen = ground_of(game), game.measures(measures)
    found = ceiling(arena, chosen)
    assert 0 <= found.bound - found.j < 1e-8
    space = layout(arena)
    np.testing.assert_allclose(np.bincount(space.owner, found.strategy), 1, atol=1e-9)
    for script in game.opponents.values():
        learner = np.concatenate([played(script, i.decision) for i in space.infosets])
        assert objective(terms(arena, chosen, learner)) <= found.j + 1e-9
    rng = np.random.default_rng(0)
    for spread in (0.3, 3.0):
        near = softmax(space, np.log(np.maximum(found.strategy, 1e-3)) + spread * rng.normal(size=len(space.owner)))
        assert objective(terms(arena, chosen, near)) <= found.j + 1e-9


def test_a_clip_is_worth_a_mixture() -> None:
    """Where the clip binds, no pure policy is as good as the ceiling's mixture."""
    game = make("ipd", {"rounds": 2})
    arena, chosen = ground_of(game), game.measures("paper")
    found = ceiling(arena, chosen, Weights(20, 0, 0))
    space = layout(arena)
    choices = [np.eye(n) for n in space.sizes.tolist()]
    best = -np.inf
    for number in range(2 ** len(choices)):
        pure = np.concatenate([c[(number >> i) & 1] for i, c in enumerate(choices)])
        best = max(best, objective(terms(arena, chosen, pure, Weights(20, 0, 0))))
    assert found.j >= best - 1e-9


def test_against_one_opponent_the_best_policy_is_a_best_response() -> None:
    game = make("auction", {"rounds": 3})
    arena = Arena(game, ("truthful",))
    meeting = arena.met["truthful"][0]
    ground = ground_of(game)
    only = [t for t in terms(ground, game.measures("paper"), layout(ground).uniform) if t.opponent == "truthful"][:1]
    free = [replace(only[0], meeting=meeting)]
    pure = best_policy(free, arena.space)
    tree = meeting.tree
    answer = best_response(tree, meeting.other, 0, tree.feature("own", 0))
    earned = objective_of(meeting, pure)
    assert earned == pytest.approx(answer.value / game.rounds, abs=1e-12)


def test_measures_that_divide_by_the_policys_own_choices_are_refused() -> None:
    game = make("kuhn")
    with pytest.raises(InputError, match="divides by what a policy itself decides"):
        ceiling(ground_of(game), game.measures("paper"))


def objective_of(meeting, pure) -> float:
    tree = meeting.tree
    return expected(tree, meeting.profile(pure), tree.feature("own", 0)) / tree.game.rounds


@pytest.mark.parametrize("measures", ["paper", "sepo"])
@pytest.mark.parametrize(("name", "rounds"), [("ipd", 2), ("ipd", 4), ("auction", 2), ("commons", 2), ("split", 1)])
def test_in_a_game_scored_whole_the_table_is_of_the_learners_seat(
    name: str, rounds: int, measures: MeasureName
) -> None:
    game = make(name, {"rounds": rounds}, measures)
    assert isinstance(ground_of(game), Tree)
    found = solved(game, measures)
    card = audit(found.table, {measures: game}, Options(sets=measures, method="exact", adversaries=False))
    for figure, there in card["measures"][measures].items():
        claimed = found.document[figure]
        assert (there is None) == (claimed is None)
        assert there is None or there["value"] == pytest.approx(claimed, abs=1e-9)
