"""Log-probabilities read at the head are those of the whole softmax, and so are their gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from sepo.games.registry import make
from sepo.lm import head
from sepo.lm.adapter import make_trainable
from sepo.lm.head import Head, fixed_head, opened, token_log_probs
from sepo.lm.load import load_model
from sepo.lm.trie import plans
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from tests.models import tiny_model

DECISIONS = [i.decision for i in expand(make("kuhn")).infosets]
POSITIONS, SIZE, VOCABULARY = 37, 16, 211


def drawn(dtype: torch.dtype, sharp: float = 1.0) -> tuple[torch.Tensor, ...]:
    """Return hidden states, a weight, and which log-probabilities are wanted: some positions often, some never."""
    generator = torch.Generator().manual_seed(5)
    hidden = (sharp * torch.randn(POSITIONS, SIZE, generator=generator, dtype=torch.float64)).to(dtype)
    weight = torch.randn(VOCABULARY, SIZE, generator=generator, dtype=torch.float64).to(dtype)
    source = torch.randint(0, POSITIONS - 3, (90,), generator=generator)
    target = torch.randint(0, VOCABULARY, (90,), generator=generator)
    target[:30] = (hidden @ weight.T).argmax(dim=-1)[source[:30]]  # what a taught model is asked about
    return hidden, weight, source, target


def whole(hidden: torch.Tensor, weight: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax((hidden @ weight.T).to(torch.promote_types(hidden.dtype, torch.float32)), -1)[
        source, target
    ]


@pytest.mark.parametrize("rows", [1, 5, POSITIONS, 1000])
@pytest.mark.parametrize("sharp", [0.1, 1.0, 6.0])
def test_values_and_gradients_are_those_of_the_whole_softmax(
    rows: int, sharp: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(head.LOGITS, "cpu", rows * VOCABULARY)
    hidden, weight, source, target = drawn(torch.float32, sharp)
    push = torch.randn(len(source), generator=torch.Generator().manual_seed(6))
    found, expected = [], []
    for function, into, dtype in ((token_log_probs, found, torch.float32), (whole, expected, torch.float64)):
        at = hidden.to(dtype).requires_grad_()
        out = function(at, weight.to(dtype), source, target)
        (grad,) = torch.autograd.grad(out, at, push.to(dtype))
        into.extend([out.detach().double(), grad.double()])
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-5)


def test_the_gradient_of_what_is_certain_is_not_drowned_by_rounding() -> None:
    """In bfloat16 a row of the weight is known to three digits; a gradient of 1e-4 of it has to be."""
    weight = torch.randn(VOCABULARY, SIZE, generator=torch.Generator().manual_seed(7)).bfloat16()
    at = weight[4].float()
    at = (at * 36 / (at @ weight.float().T).max()).bfloat16()[None]
    source, target = torch.tensor([0]), (at @ weight.T).argmax(dim=-1)
    gradients = []
    for function, dtype in ((token_log_probs, torch.bfloat16), (whole, torch.float64)):
        hidden = at.to(dtype).requires_grad_()
        (grad,) = torch.autograd.grad(function(hidden, weight.to(dtype), source, target).sum(), hidden)
        gradients.append(grad[0].double())
    assert 0 < float(gradients[1].norm()) < 0.02 * float(weight[4].float().norm())
    assert float((gradients[0] - gradients[1]).norm() / gradients[1].norm()) < 0.1


def test_a_trained_models_figures_and_gradients_stay_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = load_model(tiny_model(tmp_path))
    make_trainable(lm, "lora", rank=4)
    with torch.no_grad():
        for p in lm.model.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)).to(p))
    assert fixed_head(lm.model) is not None
    questions = [DirectPolicy(lm, "tiny").question(d) for d in DECISIONS]
    seen = []
    for known in (fixed_head, lambda model: None):
        monkeypatch.setattr("sepo.lm.trie.fixed_head", known)
        for packing in ("trie", "padded", "single"):
            lm.model.zero_grad()
            scores = [plan.log_probs(lm.model) for plan in plans(questions, packing, 100_000)]
            torch.stack([s.exp().sum() for s in scores]).sum().backward()
            grads = torch.cat([p.grad.flatten() for p in lm.model.parameters() if p.grad is not None])
            seen.append((torch.cat([s.detach() for s in scores]), grads))
    for (scores, grads), (plain, theirs) in zip(seen[:3], seen[3:], strict=True):
        torch.testing.assert_close(scores, plain, rtol=0, atol=2e-5)
        assert float((grads - theirs).norm() / theirs.norm()) < 2e-5


def test_a_head_that_is_trained_gets_its_gradient(tmp_path: Path) -> None:
    lm = load_model(tiny_model(tmp_path))
    make_trainable(lm, "full")
    assert fixed_head(lm.model) is None
    with torch.no_grad():
        assert fixed_head(lm.model) is not None
    (plan,) = plans([DirectPolicy(lm, "tiny").question(d) for d in DECISIONS], "trie", 100_000)
    plan.log_probs(lm.model).sum().backward()
    assert float(lm.model.get_output_embeddings().weight.grad.norm()) > 0


def tiny(kind: str, **changes: object) -> torch.nn.Module:
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **shape, eos_token_id=1, **changes)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {"tie_word_embeddings": True}),
        ("llama", {"tie_word_embeddings": False}),
        ("cohere", {"logit_scale": 0.25}),  # a scale is linear too
    ],
)
def test_a_linear_head_lets_through_what_reaches_it(kind: str, changes: dict[str, object]) -> None:
    model = tiny(kind, intermediate_size=16, **changes)
    asked = torch.arange(6)[None]
    before = model(input_ids=asked).logits
    head.prepare(model)
    prepared = fixed_head(model.requires_grad_(False))
    assert isinstance(prepared, Head)
    assert (prepared.weight is model.get_input_embeddings().weight) == model.config.tie_word_embeddings
    assert torch.equal(model(input_ids=asked).logits, before)
    with opened(prepared):
        hidden = model(input_ids=asked).logits
    assert hidden.shape == (1, 6, 16)
    assert torch.equal(prepared(hidden), before)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("gemma2", {"head_dim": 8, "num_key_value_heads": 1, "final_logit_softcapping": 5.0}),
        ("phi", {}),  # has a bias
    ],
)
def test_other_heads_are_left_as_they_are(kind: str, changes: dict[str, object]) -> None:
    model = tiny(kind, intermediate_size=16, **changes)
    kept = model.get_output_embeddings()
    head.prepare(model)
    assert model.get_output_embeddings() is kept
    assert fixed_head(model) is None
