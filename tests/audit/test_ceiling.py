"""The ceiling: known optima, a proof of optimality, and that nothing exceeds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sepo.audit.arena import Arena, Meeting, ground_of, layout
from sepo.audit.capped import capped
from sepo.audit.ceiling import ceiling
from sepo.audit.linear import best_policy
from sepo.audit.measures import Term, objective, terms
from sepo.audit.methods import Options
from sepo.audit.scorecard import audit
from sepo.audit.solved import solved
from sepo.errors import ContractError, InputError
from sepo.games.base import MeasureName, Weights
from sepo.games.registry import make
from sepo.policies.script import played
from sepo.solve.expand import expand
from sepo.solve.response import best_response, exploitability
from sepo.solve.tree import Tree
from sepo.solve.value import expected
from sepo.train.mirror import softmax
from tests.small_games import Drawn, Late, MergedLate, Node, chooses, draws, leaf, paid_in


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


@pytest.mark.parametrize("unit", [1e-12, 1e-7, 1e9])
@pytest.mark.parametrize(
    ("name", "rules", "measures", "weights"),
    [
        ("kuhn", {}, "sepo", None),
        ("kuhn", {}, "sepo", Weights(0.1, 0, 0)),
        ("ipd", {"rounds": 2}, "paper", Weights(20, 0, 0)),
        ("ipd", {"rounds": 3}, "sepo", None),
    ],
)
def test_a_ceiling_is_the_same_however_small_or_large_payoffs_are(
    name: str, rules: dict[str, int], measures: MeasureName, weights: Weights | None, unit: float
) -> None:
    game = make(name, rules)
    tree = ground_of(game)
    assert isinstance(tree, Tree)
    want = ceiling(tree, game.measures(measures), weights)
    found = ceiling(paid_in(tree, unit), game.measures(measures), weights)
    assert (found.j, found.bound) == pytest.approx((want.j, want.bound), abs=1e-9)


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


@pytest.mark.parametrize("margin", [0.25, 1.0])
def test_with_a_margin_exploiters_count_from_behind(margin: float) -> None:
    """Two programmes agree on the best there is, which pays to keep the one who can be kept behind behind."""
    game = make("ipd", {"rounds": 4})
    tree, chosen = ground_of(game), game.measures("paper")
    price, many = chosen.weights.e * game.scale, len(chosen.pools["exploiter"])

    def worth(strategy: np.ndarray) -> float:
        found = terms(tree, chosen, strategy)
        rest = sum(t.coefficient * t.share * t.value for t in found if t.kind != "e")
        return rest - price / many * sum(max(0.0, t.unclipped + margin) for t in found if t.kind == "e")

    plain, found = ceiling(tree, chosen), ceiling(tree, chosen, margin=margin)
    assert found.j == pytest.approx(worth(found.strategy), abs=1e-9)
    assert 0 <= found.bound - found.j < 1e-8
    assert found.j == pytest.approx(capped(tree, chosen, 9.0, margin=margin).j, abs=1e-8)
    assert found.j > worth(plain.strategy) + 0.1
    assert objective(terms(tree, chosen, found.strategy)) < plain.j
    rng = np.random.default_rng(0)
    for spread in (0.3, 3.0):
        near = softmax(tree, np.log(np.maximum(found.strategy, 1e-3)) + spread * rng.normal(size=len(tree.owner)))
        assert worth(near) <= found.j + 1e-9


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


@pytest.mark.parametrize("measures", ["paper", "sepo"])
def test_an_information_state_at_two_depths_is_answered_once(measures: MeasureName) -> None:
    """A earns 1 half of the time and B 0.7: 0.5 a game, three times which is u's part of J; the other's 0.5 is c."""
    game, chosen = Late(), Late().measures(measures)
    tree, arena = ground_of(game), Arena(game, tuple(game.opponents))
    for found in (ceiling(tree, chosen), ceiling(arena, chosen), capped(tree, chosen, 9), capped(arena, chosen, 9)):
        assert (found.j, found.bound) == pytest.approx((1.0, 1.0))
    assert solved(game, measures).table.table["s"] == {"A": 1.0, "B": 0.0}


def grown(rng: np.random.Generator, left: int, past: tuple[str, str] = ("", "")) -> Node:
    """Draw a game in which a seat sees how often it moved, its own moves and half of what else happened."""
    kind = rng.integers(4) if left else 3
    if kind == 3 and left < 5:
        return leaf(float(rng.normal()))
    if kind == 2 or left == 6:
        return draws(*((label, 0.5, grown(rng, left - 1, past)) for label in "hl"))
    seat = int(kind) % 2
    seen = f"{seat}{past[seat]}{rng.integers(2)}"
    new = {a: (past[0], seen + a) if seat else (seen + a, past[1]) for a in "lr"}
    return chooses(seat, seen, **{a: grown(rng, left - 1, new[a]) for a in "lr"})


def test_in_games_drawn_at_random_the_best_policy_is_the_best_of_all_pure_ones() -> None:
    uneven = 0
    for seed in range(30):
        tree = expand(Drawn(grown(np.random.default_rng(seed), 6)))
        for seat in (0, 1):
            own = np.where(tree.seat == seat, np.arange(len(tree.seat)), -1)
            meeting = Meeting("uniform", seat, tree, tree.uniform, own)
            pure = best_policy([Term("u", meeting, 2.0, 0.5, 0.0, {"own": 1.0})], tree)
            np.testing.assert_array_equal(np.bincount(tree.owner, pure, len(tree.infosets)), 1.0)
            want = best_response(tree, tree.uniform, seat, tree.feature("own", seat)).value
            got = expected(tree, meeting.profile(pure), tree.feature("own", seat))
            assert got == pytest.approx(want, abs=1e-12)
        uneven += bool((tree.depth < 0).any())
    assert uneven > 10


def test_where_states_merge_an_information_state_at_two_depths_is_refused() -> None:
    tree = expand(MergedLate())
    meeting = Meeting("even", 0, tree, tree.uniform, np.where(tree.seat == 0, np.arange(len(tree.seat)), -1))
    with pytest.raises(ContractError, match="where states merge"):
        best_policy([Term("u", meeting, 1.0, 1.0, 0.0, {"own": 1.0})], tree)


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
