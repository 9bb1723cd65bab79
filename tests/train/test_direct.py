"""The update of a language model: the right gradient, whatever the packing and however decisions are merged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sepo.audit.measures import objective, terms
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable, trainable
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from sepo.train.direct import (
    Batch,
    Penalties,
    Scorer,
    clipped_loss,
    gather,
    imitation_loss,
    penalised,
    projection_loss,
    spread,
)
from sepo.train.mirror import softmax
from sepo.train.objective import CreditRules, signal
from tests.models import tiny_model

TREE = expand(make("kuhn"))
MEASURES = TREE.game.measures("sepo")
DECISIONS = list(TREE.questions)
SHARE = np.full(len(DECISIONS), 1 / len(DECISIONS))
REFERENCE = spread(TREE, softmax(TREE, np.random.default_rng(9).normal(size=len(TREE.seat))))
ALL = Penalties(kl=0.3, entropy=0.2, legal_mass=0.1)


@pytest.fixture
def policy(tmp_path):
    reference = tiny_model(tmp_path)
    lm = load_model(reference)
    make_trainable(lm, "lora", rank=4, alpha=8)
    with torch.no_grad():
        for parameter in trainable(lm).values():
            parameter.add_(
                0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)).to(parameter)
            )
    return DirectPolicy(lm, reference)


def gradient(policy, batch, loss, packing="trie") -> np.ndarray:
    parameters = trainable(policy.language_model).values()
    for parameter in parameters:
        parameter.grad = None
    Scorer(policy, batch.decisions, packing).backward(batch, loss)
    return torch.cat([p.grad.flatten() for p in parameters]).numpy()


def weighed(policy) -> Batch:
    rows, _ = Scorer(policy, DECISIONS).evaluate()
    at = gather(TREE, rows)
    weights = signal(TREE, at, terms(TREE, MEASURES, at), CreditRules(scale="none"), ()).weights
    return Batch(DECISIONS, spread(TREE, weights), rows, REFERENCE, SHARE)


LOSSES = {
    "clipped": penalised(clipped_loss(0.2), ALL),
    "projection": penalised(projection_loss, ALL),
    "imitation": imitation_loss,
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("packing", "budget"), [("padded", 10_000), ("padded", 200), ("trie", 150)])
def test_the_gradient_does_not_depend_on_packing_or_budget(policy, name, packing, budget):
    batch = weighed(policy)
    if name != "clipped":
        batch = Batch(DECISIONS, REFERENCE, batch.old, REFERENCE, SHARE)
    whole = gradient(policy, batch, LOSSES[name])
    policy.budget = budget
    np.testing.assert_allclose(gradient(policy, batch, LOSSES[name], packing), whole, atol=2e-5 * np.abs(whole).max())


def test_one_by_one_passes_give_the_same_gradient(policy):
    batch = weighed(policy)
    whole = gradient(policy, batch, LOSSES["clipped"])
    parts = np.zeros_like(whole)
    for i in range(len(DECISIONS)):
        alone = Batch(
            DECISIONS[i : i + 1],
            batch.weights[i : i + 1],
            batch.old[i : i + 1],
            REFERENCE[i : i + 1],
            SHARE[i : i + 1],
        )
        parts += gradient(policy, alone, LOSSES["clipped"], "padded")
    np.testing.assert_allclose(parts, whole, atol=2e-5 * np.abs(whole).max())


@pytest.mark.parametrize("packing", ["padded", "trie"])
def test_replies_of_no_weight_need_not_be_scored_to_be_imitated(policy, packing):
    rng = np.random.default_rng(8)
    played = [np.sort(rng.choice(len(r), rng.integers(1, len(r) + 1), replace=False)) for r in REFERENCE]
    assert {len(some) for some in played} == {1, 2}
    rows = [np.where(np.isin(np.arange(len(r)), some), r, 0) for r, some in zip(REFERENCE, played, strict=True)]
    targets = [r / r.sum() for r in rows]
    whole = gradient(policy, Batch(DECISIONS, targets, targets, None, SHARE), imitation_loss)
    few = Scorer(policy, DECISIONS, packing, played)
    assert sum(p.replies for p in few.plans) == sum(map(len, played)) < sum(map(len, REFERENCE))
    parameters = trainable(policy.language_model).values()
    for parameter in parameters:
        parameter.grad = None
    targets = [t[some] for t, some in zip(targets, played, strict=True)]
    few.backward(Batch(DECISIONS, targets, targets, None, SHARE), imitation_loss)
    found = torch.cat([p.grad.flatten() for p in parameters]).numpy()
    np.testing.assert_allclose(found, whole, atol=2e-5 * np.abs(whole).max())


def test_merged_and_unmerged_decisions_give_the_same_gradient(policy):
    batch = weighed(policy)
    whole = gradient(policy, batch, LOSSES["clipped"])
    rng = np.random.default_rng(3)
    cuts = rng.random(len(DECISIONS))
    halves = [
        Batch(
            DECISIONS * 2,
            [w * c for w, c in zip(batch.weights, cuts, strict=True)]
            + [w * (1 - c) for w, c in zip(batch.weights, cuts, strict=True)],
            [*batch.old, *batch.old],
            REFERENCE * 2,
            np.concatenate([SHARE * cuts, SHARE * (1 - cuts)]),
        )
    ]
    np.testing.assert_allclose(gradient(policy, halves[0], LOSSES["clipped"]), whole, atol=2e-5 * np.abs(whole).max())


def test_the_update_follows_the_gradient_of_j_through_the_language_model(policy):
    batch = weighed(policy)
    slope = -gradient(policy, batch, clipped_loss(0.2))
    parameters = list(trainable(policy.language_model).values())
    direction = torch.randn(len(slope), generator=torch.Generator().manual_seed(4)).numpy()
    direction /= np.linalg.norm(direction)
    direction = 0.5 * direction + 0.5 * slope / np.linalg.norm(slope)

    def j(step: float) -> float:
        at = 0
        with torch.no_grad():
            for p in parameters:
                p.add_(step * torch.from_numpy(direction[at : at + p.numel()]).float().view_as(p))
                at += p.numel()
        rows, _ = Scorer(policy, DECISIONS).evaluate()
        at = 0
        with torch.no_grad():
            for p in parameters:
                p.sub_(step * torch.from_numpy(direction[at : at + p.numel()]).float().view_as(p))
                at += p.numel()
        return objective(terms(TREE, MEASURES, gather(TREE, rows)))

    measured = (j(2e-3) - j(-2e-3)) / 4e-3
    assert measured == pytest.approx(float(slope @ direction), rel=0.02)


def test_the_clip_stops_a_ratio_that_has_gone_far_enough(policy):
    rows, _ = Scorer(policy, DECISIONS).evaluate()
    far = [np.array([1 - p[1] / 2, p[1] / 2]) for p in rows]  # the ratio of action 1 is 2
    up = [np.array([0.0, 1.0]) for _ in rows]
    down = [np.array([0.0, -1.0]) for _ in rows]
    assert np.abs(gradient(policy, Batch(DECISIONS, up, far, None, SHARE), clipped_loss(0.2))).max() == 0
    assert np.abs(gradient(policy, Batch(DECISIONS, down, far, None, SHARE), clipped_loss(0.2))).max() > 0


def test_penalties_are_the_quantities_they_name(policy):
    (scores,) = [Scorer(policy, DECISIONS).scores(p) for p in Scorer(policy, DECISIONS).plans]
    rows, mass = Scorer(policy, DECISIONS).probabilities([scores])
    batch = Batch(DECISIONS, [np.zeros(2)] * len(rows), rows, REFERENCE, SHARE)

    def value(penalties):
        return float(penalised(clipped_loss(0.2), penalties)(scores, batch).detach())

    kl = np.mean([(p * np.log(p / q)).sum() for p, q in zip(rows, REFERENCE, strict=True)])
    entropy = np.mean([-(p * np.log(p)).sum() for p in rows])
    assert value(Penalties(kl=1.0)) == pytest.approx(kl, rel=1e-4)
    assert value(Penalties(entropy=1.0)) == pytest.approx(-entropy, rel=1e-4)
    assert value(Penalties(legal_mass=1.0)) == pytest.approx(-np.log(mass).mean(), rel=1e-4)


@pytest.mark.no_cover
def test_imitation_raises_the_legal_mass_and_reaches_its_target(tmp_path):
    reference = tiny_model(tmp_path)
    lm = load_model(reference)
    make_trainable(lm, "full")
    policy = DirectPolicy(lm, reference)
    batch = Batch(DECISIONS, REFERENCE, REFERENCE, None, SHARE)
    scorer = Scorer(policy, DECISIONS)
    _, before = scorer.evaluate()
    optimiser = torch.optim.Adam(trainable(policy.language_model).values(), lr=0.002)
    for _ in range(300):
        scorer.backward(batch, imitation_loss)
        optimiser.step()
        optimiser.zero_grad()
    rows, after = scorer.evaluate()
    assert before.mean() < 0.1 < 0.9 < after.min()
    assert max(np.abs(p - q).max() for p, q in zip(rows, REFERENCE, strict=True)) < 0.15


@pytest.mark.no_cover
@pytest.mark.weights
def test_the_bundled_models_gradient_is_the_same_from_trie_padded_and_one_by_one_passes():
    lm = load_model("bundled:smollm2")
    make_trainable(lm, "lora", rank=2, alpha=4, targets="attention")
    policy = DirectPolicy(lm, "bundled:smollm2")
    few = [d for d in DECISIONS if d.key in ("J:", "J:pb", "K:b")]
    rows, _ = Scorer(policy, few).evaluate()
    weights = [np.array([0.3, -0.2]), np.array([-0.1, 0.4]), np.array([0.2, 0.1])]
    batch = Batch(few, weights, rows, None, np.full(3, 1 / 3))
    loss = penalised(clipped_loss(0.2), Penalties(entropy=0.1, legal_mass=0.1))
    whole = gradient(policy, batch, loss, "trie")
    np.testing.assert_allclose(gradient(policy, batch, loss, "padded"), whole, atol=1e-3 * np.abs(whole).max())
    parts = sum(
        gradient(
            policy,
            Batch(few[i : i + 1], weights[i : i + 1], rows[i : i + 1], None, batch.share[i : i + 1]),
            loss,
            "padded",
        )
        for i in range(3)
    )
    np.testing.assert_allclose(parts, whole, atol=1e-3 * np.abs(whole).max())
