"""The exact gradient against finite differences of the expected value."""

from __future__ import annotations

import numpy as np
import pytest

from sepo.solve.gradient import action_gradient, centred, logit_gradient
from sepo.solve.tree import Floats, Tree
from sepo.solve.value import expected
from tests.brute import random_strategy


def differences(tree: Tree, vector: Floats, due: Floats, step: float = 1e-3) -> Floats:
    """Return central differences by entry; exact up to rounding, since the value is linear in each one."""
    out = np.zeros_like(vector)
    for entry in range(len(vector)):
        up, down = vector.copy(), vector.copy()
        up[entry] += step
        down[entry] -= step
        out[entry] = (expected(tree, up, due) - expected(tree, down, due)) / (2 * step)
    return out


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("learner", [0, 1])
def test_every_entry_is_the_finite_difference_of_every_features_expectation(any_tree: Tree, learner: int, seed: int):
    vector = random_strategy(any_tree, seed)
    for name in any_tree.names:
        due = any_tree.feature(name, learner)
        got = action_gradient(any_tree, vector, due)
        np.testing.assert_allclose(got, differences(any_tree, vector, due), atol=1e-10)


def test_actions_that_are_never_played_have_their_value_too(any_tree: Tree):
    pure = np.zeros(len(any_tree.seat))
    pure[[i.start for i in any_tree.infosets]] = 1.0
    due = any_tree.feature("own", 0)
    got = action_gradient(any_tree, pure, due)
    np.testing.assert_allclose(got, differences(any_tree, pure, due), atol=1e-10)
    assert got[pure == 0].any()


def test_centred_gradients_average_to_zero_at_every_information_state(any_tree: Tree):
    vector = random_strategy(any_tree, 3)
    gradient = action_gradient(any_tree, vector, any_tree.feature("own", 1))
    got = centred(any_tree, vector, gradient)
    np.testing.assert_allclose(np.bincount(any_tree.owner, vector * got), 0, atol=1e-12)
    for infoset in any_tree.infosets:  # and differences between actions stay
        np.testing.assert_allclose(np.diff(got[infoset.entries]), np.diff(gradient[infoset.entries]), atol=1e-12)


def test_the_logit_gradient_is_the_finite_difference_through_a_softmax(any_tree: Tree):
    logits = np.random.default_rng(0).normal(size=len(any_tree.seat))
    due = any_tree.feature("own", 0)

    def softmax(values: Floats) -> Floats:
        raised = np.exp(values)
        return raised / np.bincount(any_tree.owner, raised)[any_tree.owner]

    vector = softmax(logits)
    got = logit_gradient(any_tree, vector, action_gradient(any_tree, vector, due))
    for entry in range(len(logits)):
        step = np.zeros_like(logits)
        step[entry] = 1e-5
        up, down = (expected(any_tree, softmax(logits + sign * step), due) for sign in (1, -1))
        assert got[entry] == pytest.approx((up - down) / 2e-5, abs=1e-8)
