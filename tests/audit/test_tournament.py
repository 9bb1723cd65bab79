"""Tournaments: matrices, ratings that fit them, and Nash averages that copies do not move."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sepo.audit.tournament import MatchOptions, nash_average, tournament
from sepo.errors import InputError, TooLargeError
from sepo.games.base import Game
from sepo.games.registry import make
from sepo.policies.function import FunctionPolicy
from sepo.policies.human import HumanPolicy
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.script import ScriptPolicy, UniformPolicy
from sepo.policies.table import PolicyTable
from sepo.solve.expand import expand
from tests.writers import TableWriter, random_table

ROCK = np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])


def scripts(*names: str) -> list[ScriptPolicy]:
    return [ScriptPolicy(f"script:{name}", name) for name in names]


def quiet(what: str, done: int, total: int) -> None:
    pass


def values(matrix: list[list[dict[str, float]]]) -> np.ndarray:
    return np.array([[m["value"] for m in row] for row in matrix])


def test_the_equilibrium_of_rock_paper_scissors_is_even():
    assert nash_average(ROCK) == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_a_copy_shares_the_weight_and_changes_nobodys_skill():
    copied = ROCK[np.ix_([0, 0, 1, 2], [0, 0, 1, 2])]
    weights = nash_average(copied)
    assert weights == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3], abs=1e-5)
    assert copied @ weights == pytest.approx([0.0] * 4, abs=1e-6)


def test_who_beats_everyone_has_all_the_weight_and_equals_share_it():
    order = np.subtract.outer([3.0, 2, 1], [3.0, 2, 1])
    assert nash_average(order).tolist() == [1.0, 0.0, 0.0]
    tied = np.array([[0.0, 0, 1], [0, 0, 2], [-1, -2, 0]])
    assert nash_average(tied) == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    assert nash_average(np.zeros((4, 4))).tolist() == [0.25] * 4


@pytest.mark.parametrize("seed", range(6))
def test_nobody_is_ahead_of_a_nash_average_in_any_unit(seed: int):
    rng = np.random.default_rng(seed)
    square = rng.normal(size=(9, 9)) * 10.0 ** rng.integers(-4, 5)
    game = square - square.T
    weights = nash_average(game)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert (game @ weights).max() < 1e-6 * np.abs(game).max()
    assert nash_average(game * 7) == pytest.approx(weights, abs=1e-5)


def test_the_document_of_an_exact_match(kuhn: Game):
    names = ("nash", "tight_passive", "loose_aggressive")
    found = tournament([*scripts(*names), UniformPolicy()], kuhn, MatchOptions(), quiet)
    payoffs, advantages = values(found["payoffs"]), values(found["advantages"])
    assert found["method"] == "exact"
    assert advantages == pytest.approx(payoffs - payoffs.T)
    assert advantages == pytest.approx(2 * payoffs)  # zero-sum
    ratings = np.array([m["value"] for m in found["ratings"]])
    fit, *_ = np.linalg.lstsq(*_differences(advantages), rcond=None)
    assert ratings == pytest.approx(fit - fit.mean(), abs=1e-9)
    assert found["nash_average"]["skills"][0] == pytest.approx(0, abs=1e-6)  # an equilibrium is behind nobody
    assert all(m["low"] == m["value"] == m["high"] and m["n"] is None for m in found["ratings"])


def _differences(advantages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least-squares problem of a rating: one row a pair."""
    pairs = [(i, j) for i in range(len(advantages)) for j in range(i)]
    design = np.zeros((len(pairs), len(advantages)))
    for row, (i, j) in enumerate(pairs):
        design[row, i], design[row, j] = 1, -1
    return design, np.array([advantages[i, j] for i, j in pairs])


def test_itself_everyone_meets_as_an_equal():
    game = make("ipd", {"rounds": 4})
    found = tournament([*scripts("tit_for_tat", "always_defect", "grim_trigger")], game, MatchOptions(), quiet)
    payoffs = values(found["payoffs"])
    assert payoffs.diagonal().tolist() == [3.0, 1.0, 3.0]
    assert values(found["advantages"]).diagonal().tolist() == [0.0] * 3
    assert payoffs[0, 2] == payoffs[2, 0] == 3.0


def test_sampled_figures_cover_the_exact_ones(kuhn: Game):
    players = [*scripts("nash", "loose_aggressive"), UniformPolicy()]
    want = tournament(players, kuhn, MatchOptions(), quiet)
    found = tournament(players, kuhn, MatchOptions(method="sampled", deals=600, seed=3), quiet)
    assert found["method"] == "sampled"
    for name in ("payoffs", "advantages"):
        low, high = (np.array([[m[end] for m in row] for row in found[name]]) for end in ("low", "high"))
        inside = (low - 1e-12 <= values(want[name])) & (values(want[name]) <= high + 1e-12)
        assert inside.mean() >= 7 / 9
    for m, exact in zip(found["ratings"], want["ratings"], strict=True):
        assert m["n"] == 600
        assert m["low"] - 0.02 < exact["value"] < m["high"] + 0.02
    again = tournament(players, kuhn, MatchOptions(method="sampled", deals=600, seed=3), quiet)
    assert again == found


def test_what_a_pair_earned_in_all_deals_is_proven_of_a_zero_sum_game_with_oneself_alone(kuhn: Game):
    same = tournament(scripts("always_pass", "always_bet"), kuhn, MatchOptions(method="sampled", deals=20), quiet)
    assert [same["payoffs"][i][i][end] for i in range(2) for end in ("low", "high")] == [0] * 4
    ipd = make("ipd", {"rounds": 2})
    rarely = FunctionPolicy("rarely", lambda d: {"COOPERATE": 1e-6, "DEFECT": 1 - 1e-6})
    found = tournament([rarely, *scripts("tit_for_tat")], ipd, MatchOptions(method="sampled", deals=20), quiet)
    assert [found["advantages"][0][0][end] for end in ("low", "high")] == [0, 0]
    assert found["payoffs"][0][1] == {"value": 3.0, "low": None, "high": None, "n": 20}


def test_where_nothing_random_bears_on_a_meeting_its_payoffs_are_proven():
    ipd = make("ipd", {"rounds": 2})
    players = [*scripts("always_defect", "tit_for_tat"), UniformPolicy()]
    options = MatchOptions(method="sampled", deals=20)
    want, found = tournament(players[:2], ipd, MatchOptions(), quiet), tournament(players, ipd, options, quiet)
    for i, j in itertools.product(range(2), repeat=2):
        m = found["payoffs"][i][j]
        assert m["low"] == m["value"] == m["high"] == want["payoffs"][i][j]["value"]
    m = found["payoffs"][0][2]
    assert m["low"] < m["value"] < m["high"]
    defects = {d.key: {"COOPERATE": 0.0, "DEFECT": 1.0} for d in expand(ipd).questions}
    writer = ReasonedPolicy(TableWriter(ipd, defects), "model", ReplyRules(samples=4, tokens=2))
    found = tournament([writer, *scripts("tit_for_tat")], ipd, options, quiet)
    assert found["payoffs"][0][1] == {"value": 3.0, "low": None, "high": None, "n": 20}


def test_a_model_that_writes_plays_episodes(kuhn: Game):
    table = random_table(kuhn, 1)
    model = ReasonedPolicy(TableWriter(kuhn, table), "model", ReplyRules(samples=32, tokens=2))
    known = PolicyTable("known", "kuhn", kuhn.rules, table)
    found = tournament([model, known, *scripts("nash")], kuhn, MatchOptions(deals=400), quiet)
    assert found["method"] == "sampled"
    m = found["advantages"][0][1]
    assert m["low"] < 0 < m["high"]
    with pytest.raises(InputError, match="known from samples only"):
        tournament([model, known], kuhn, MatchOptions(method="exact"), quiet)


def test_instances_make_the_intervals():
    game = make("items", {"instances": 40})
    found = tournament(scripts("half_up", "greedy"), game, MatchOptions(), quiet)
    assert found["method"] == "exact in each of 40 instances"
    m = found["payoffs"][0][1]
    assert m["n"] == 40
    assert m["low"] < m["value"] < m["high"]


def test_deals_of_the_same_instance_are_one_draw():
    game = make("items", {"instances": 8})
    players = [*scripts("tit_for_tat"), UniformPolicy()]
    once, often = (
        tournament(players, game, MatchOptions(method="sampled", deals=n), quiet)["payoffs"][0][1] for n in (8, 400)
    )
    assert once["n"] == often["n"] == 8
    assert often["high"] - often["low"] > 0.4 * (once["high"] - once["low"])  # 400 draws: 0.14 of it at most
    pure = scripts("fair", "greedy")
    want = tournament(pure, game, MatchOptions(method="exact"), quiet)
    found = tournament(pure, game, MatchOptions(method="sampled", deals=24), quiet)
    for name in ("payoffs", "advantages"):
        assert found[name][0][1] == pytest.approx(want[name][0][1])


def test_who_cannot_meet_is_said(kuhn: Game):
    for players, said in (
        (scripts("nash"), "at least two policies"),
        (scripts("nash", "nash"), "'script:nash' stands twice"),
        ([UniformPolicy(), HumanPolicy()], "a person plays one game at a time"),
    ):
        with pytest.raises(InputError, match=said):
            tournament(players, kuhn, MatchOptions(), quiet)
    with pytest.raises(TooLargeError, match="more than 2 decisions"):
        tournament([UniformPolicy(), *scripts("nash")], kuhn, MatchOptions(method="exact", budget=2), quiet)
