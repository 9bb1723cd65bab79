"""Attention block by block gives what the whole mask gives, forwards and backwards, and compares far less."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from sepo.games.registry import make
from sepo.lm.attention import BLOCK, NAME, _Attended, _attended, additive, attend, attends_by_block, blocks_of, prepare
from sepo.lm.load import load_model
from sepo.lm.trie import plans
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from tests.models import tiny_model

DECISIONS = [i.decision for i in expand(make("ipd", {"rounds": 4})).infosets]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> DirectPolicy:
    reference = tiny_model(tmp_path_factory.mktemp("tiny"))
    return DirectPolicy(load_model(reference), reference)


def forest(length: int, seed: int) -> torch.Tensor:
    """Return who sees whom in a random trie: each token continues one of the last few, or begins anew."""
    rng = np.random.default_rng(seed)
    sees = torch.eye(length, dtype=torch.bool)
    for node in range(1, length):
        parent = node - int(rng.integers(1, 9))
        if parent >= 0:
            sees[node] |= sees[parent]
    return sees


@pytest.mark.parametrize("length", [1, 40, 128, 129, 300])
@pytest.mark.parametrize("size", [1, 32, BLOCK])
def test_blocks_give_what_the_whole_mask_gives(length: int, size: int) -> None:
    generator = torch.Generator().manual_seed(length)
    query, key, value = (
        torch.randn(1, heads, length, 8, generator=generator, dtype=torch.float64).requires_grad_()
        for heads in (6, 2, 2)
    )
    sees = forest(length, seed=size)
    mask = additive(sees[None, None], torch.float64, torch.device("cpu"))
    whole = scaled_dot_product_attention(
        query, key.repeat_interleave(3, 1), value.repeat_interleave(3, 1), attn_mask=mask, scale=0.3
    ).transpose(1, 2)
    cut = [b._replace(mask=additive(b.mask, torch.float64, torch.device("cpu"))) for b in blocks_of(sees, size)]
    found, _ = attend(torch.nn.Module(), query, key, value, mask, scaling=0.3, blocks=cut)
    torch.testing.assert_close(found, whole, rtol=1e-10, atol=1e-12)
    push = torch.randn(whole.shape, generator=generator, dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad((found * push).sum(), (query, key, value)),
        torch.autograd.grad((whole * push).sum(), (query, key, value)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def drawn(dtype: torch.dtype, *, sharp: float = 1.0) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return queries, keys and values of a few tokens that see others or themselves only; and the mask."""
    generator = torch.Generator().manual_seed(2)
    shapes = ((1, 6, 9, 4), (1, 2, 13, 4), (1, 2, 13, 4))
    given = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    sees = torch.rand(9, 13, generator=generator) < 0.6
    sees[torch.arange(9), torch.arange(9)] = True
    sees[4] = torch.arange(13) == 4
    return [(sharp * given[0]).requires_grad_(), *(g.requires_grad_() for g in given[1:])], sees


def test_the_backward_pass_is_that_of_finite_differences() -> None:
    given, sees = drawn(torch.float64)
    mask = additive(sees, torch.float64, torch.device("cpu"))
    assert torch.autograd.gradcheck(lambda *three: _Attended.apply(*three, mask, 0.4), given)


@pytest.mark.parametrize("sharp", [1.0, 8.0])
def test_in_half_precision_gradients_are_no_worse_than_pytorchs(sharp: float) -> None:
    given, sees = drawn(torch.bfloat16, sharp=sharp)
    exact = [g.detach().double().requires_grad_() for g in given]
    push = torch.randn(1, 6, 9, 4, generator=torch.Generator().manual_seed(3))
    found = []
    for one, three in ((_attended, exact), (_attended, given), (_Attended.apply, given)):
        mask = additive(sees, three[0].dtype, torch.device("cpu"))
        out = one(*three, mask, 0.4)
        found.append((out, torch.autograd.grad(out, three, push.to(out.dtype))))
    (_, right), (theirs, plain), (ours, own) = found
    assert torch.equal(ours, theirs)
    for best, usual, mine in zip(right, plain, own, strict=True):
        assert mine.dtype == torch.bfloat16
        off, usually_off = (float((g.double() - best).norm() / best.norm()) for g in (mine, usual))
        assert off < max(1.2 * usually_off, 0.005)


def test_a_model_in_half_precision_learns_by_it(policy: DirectPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[torch.dtype] = []
    original = _Attended.backward

    def watched(ctx: object, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        calls.append(grad.dtype)
        return original(ctx, grad)

    monkeypatch.setattr(_Attended, "backward", staticmethod(watched))
    (plan,) = plans([policy.question(d) for d in DECISIONS[:40]], "trie", 100_000)
    exact, half = policy.language_model.model, copy.deepcopy(policy.language_model.model).bfloat16()
    gradients = []
    for model in (exact, half):
        plan.log_probs(model).sum().backward()
        gradients.append(torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None]))
        model.zero_grad()
    assert set(calls) == {torch.bfloat16}
    assert len(calls) == 2 * len(plan.blocks)  # of two layers
    assert float((gradients[0] - gradients[1]).norm() / gradients[0].norm()) < 0.03


def test_blocks_hold_every_pair_that_sees_another_once() -> None:
    sees = forest(300, seed=4)
    again = torch.zeros_like(sees, dtype=torch.int64)
    for block in blocks_of(sees):
        again[block.start : block.stop, block.keys] += block.mask.long()
        assert block.mask.any(dim=0).all()
    assert torch.equal(again, sees.long())


def test_a_models_log_probabilities_and_gradients_are_the_same(policy: DirectPolicy) -> None:
    model = policy.language_model.model
    assert attends_by_block(model)
    (plan,) = plans([policy.question(d) for d in DECISIONS], "trie", 100_000)
    assert len(plan.blocks) > 4
    gradients = []
    scores = []
    for one in (plan, replace(plan, blocks=())):
        found = one.log_probs(model)
        model.zero_grad()
        found.exp().sum().backward()
        scores.append(found.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    model.zero_grad()
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=2e-5)
    assert float((gradients[0] - gradients[1]).norm() / gradients[1].norm()) < 2e-5


def test_a_game_compares_a_fraction_of_all_pairs(policy: DirectPolicy) -> None:
    (plan,) = plans([policy.question(d) for d in DECISIONS], "trie", 100_000)
    assert sum(b.mask.numel() for b in plan.blocks) < 0.5 * plan.computed**2


def test_other_attention_is_left_as_it_is(tmp_path: Path) -> None:
    lm = load_model(tiny_model(tmp_path))
    assert lm.model.config._attn_implementation == NAME
    lm.model.set_attn_implementation("eager")
    prepare(lm.model)
    assert lm.model.config._attn_implementation == "eager"
    policy = DirectPolicy(lm, "tiny")
    eager = policy.probabilities(DECISIONS[:9])
    lm.model.set_attn_implementation("sdpa")
    prepare(lm.model)
    for ours, theirs in zip(policy.probabilities(DECISIONS[:9]), eager, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
