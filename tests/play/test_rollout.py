"""Sampled play: reproducible by key, with common random numbers, and true to the exact values."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from sepo.audit.measures import scripted
from sepo.games.base import TERMINAL
from sepo.keys import generator
from sepo.play.rollout import Paths, grouped_rollout, grouped_rollouts, rollout
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected, transition
from tests.brute import random_strategy
from tests.conftest import SOURCE


@pytest.fixture(params=["kuhn", "stakes"])
def any_tree(request: pytest.FixtureRequest, tree: Tree, stakes_tree: Tree) -> Tree:
    return tree if request.param == "kuhn" else stakes_tree


def sums(paths: Paths, due: Floats) -> Floats:
    """Return what each episode collected. (episodes,)."""
    return np.append(due, 0.0)[paths.moves].sum(axis=1)  # -1, after the end, reads the appended 0


def drawn(tree: Tree, profile: Floats, episodes: int, *key: object) -> Paths:
    return rollout(tree, profile, generator(*key).random((episodes, len(tree.levels) - 1)))


def test_an_episode_is_a_path_of_possible_moves_from_the_root_to_an_end(any_tree: Tree):
    profile = random_strategy(any_tree, 1)
    nodes = drawn(any_tree, profile, 500, "paths").moves
    assert (nodes[:, 0] == 0).all()
    for path in nodes:
        passed = path[path >= 0]
        assert (any_tree.parent[passed[1:]] == passed[:-1]).all()
        assert any_tree.actor[passed[-1]] == TERMINAL
        assert (path[len(passed) :] == -1).all()
    assert len(np.unique(nodes, axis=0)) > 20


@pytest.mark.parametrize("seed", range(2))
def test_sampled_means_agree_with_exact_values_within_four_standard_errors(any_tree: Tree, seed: int):
    profile = random_strategy(any_tree, seed)
    paths = drawn(any_tree, profile, 100_000, "means", seed)
    for name in any_tree.names:
        for seat in (0, 1):
            due = any_tree.feature(name, seat)
            got = sums(paths, due)
            error = got.std(ddof=1) / np.sqrt(len(got))
            assert abs(got.mean() - expected(any_tree, profile, due)) <= 4 * error + 1e-12


def test_every_move_is_played_as_often_as_its_probability(tree: Tree):
    profile = random_strategy(tree, 3)
    nodes = drawn(tree, profile, 100_000, "moves").moves
    met = np.bincount(nodes[nodes >= 0], minlength=tree.nodes)
    want = transition(tree, profile)
    for node in range(1, tree.nodes):
        of = met[tree.parent[node]]
        assert abs(met[node] - of * want[node]) <= 5 * np.sqrt(of * want[node] * (1 - want[node])) + 1e-9


@pytest.mark.parametrize("draw", [0.0, 0.5, np.nextafter(1.0, 0.0)])
@pytest.mark.parametrize("action", [0, 1])
def test_an_action_of_probability_zero_is_never_played_whatever_the_draw(tree: Tree, action: int, draw: float):
    pure = np.tile([1.0, 0.0] if action == 0 else [0.0, 1.0], 12)
    nodes = rollout(tree, pure, np.full((1, len(tree.levels) - 1), draw)).moves
    passed = nodes[nodes >= 0]
    assert (transition(tree, pure)[passed[1:]] > 0).all()


def test_the_lowest_and_the_highest_draw_take_the_first_and_the_last_possible_move(tree: Tree):
    even = np.full(24, 0.5)
    depth = len(tree.levels) - 1
    low = rollout(tree, even, np.zeros((1, depth))).moves[0]
    high = rollout(tree, even, np.full((1, depth), np.nextafter(1.0, 0.0))).moves[0]
    assert low[1] == 1
    assert high[1] == 6  # the sixth deal
    assert [tree.entry[n] % 2 for n in low[2:] if n >= 0] == [0, 0]
    assert [tree.entry[n] % 2 for n in high[2:] if n >= 0] == [1, 1]


@pytest.mark.parametrize("learner", [0, 1])
def test_a_group_shares_its_deal_and_its_opponents_coins_but_not_the_learners_draws(tree: Tree, learner: int):
    groups, size = 200, 8
    profile = tree.join(learner, random_strategy(tree, 4), scripted(tree)["uniform"])
    nodes = grouped_rollout(tree, profile, learner, groups, size, ("crn", learner)).moves.reshape(groups, size, -1)
    assert (nodes[:, :, 1] == nodes[:, :1, 1]).all()  # one deal a group
    assert len(np.unique(nodes[:, 0, 1])) == 6  # and all deals over the groups
    differ = 0
    for group in nodes:
        coins: dict[int, int] = {}
        choices: dict[int, set[int]] = {}
        for path in group:
            for node, after in itertools.pairwise(path):
                if after >= 0 and tree.actor[node] == 1 - learner:
                    assert coins.setdefault(int(node), int(after)) == after
                elif after >= 0 and tree.actor[node] == learner:
                    choices.setdefault(int(node), set()).add(int(after))
        differ += any(len(found) > 1 for found in choices.values())
    assert differ > groups / 2


def test_grouped_rollouts_have_the_exact_mean_within_four_standard_errors_between_groups(any_tree: Tree):
    profile = random_strategy(any_tree, 5)
    for learner in (0, 1):
        paths = grouped_rollout(any_tree, profile, learner, 10_000, 4, ("mean", learner))
        means = sums(paths, any_tree.feature("own", learner)).reshape(-1, 4).mean(axis=1)
        error = means.std(ddof=1) / np.sqrt(len(means))
        assert abs(means.mean() - expected(any_tree, profile, any_tree.feature("own", learner))) <= 4 * error


def test_common_random_numbers_leave_less_noise_within_a_group_than_between_groups(tree: Tree):
    profile = random_strategy(tree, 6)
    won = sums(grouped_rollout(tree, profile, 0, 4_000, 8, ("noise",)), tree.feature("own", 0)).reshape(-1, 8)
    assert won.var(axis=1, ddof=1).mean() < 0.8 * won.var(ddof=1)


def test_the_same_key_gives_the_same_episodes_and_another_key_others(tree: Tree):
    profile = random_strategy(tree, 7)
    first, again, other = (
        grouped_rollout(tree, profile, 0, 20, 4, key).moves for key in ((1, "a"), (1, "a"), (2, "a"))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    together = grouped_rollouts(tree, profile, 0, 20, 4, [(2, "a"), (1, "a")]).moves
    np.testing.assert_array_equal(together, np.concatenate([other, first]))


def test_the_parts_of_a_key_do_not_run_into_each_other():
    draws = [generator(*key).random() for key in (("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"))]
    assert len(set(draws)) == 4


def test_a_keys_numbers_do_not_depend_on_the_process(tree: Tree):
    code = "from sepo.play.rollout import generator; print(generator(3, 'kuhn', 'nash').random())"
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert float(done.stdout) == generator(3, "kuhn", "nash").random()
