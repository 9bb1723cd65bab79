"""LoRA layers in few passes: the figures and gradients are those of peft's own layers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear
from torch.autograd import forward_ad

from sepo.lm import lora
from sepo.lm.adapter import make_trainable, trainable
from sepo.lm.load import LanguageModel, load_model
from tests.models import tiny_model

TOKENS = torch.arange(24).reshape(2, 12)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(tiny_model(tmp_path_factory.mktemp("tiny")))


def pair(
    loaded: LanguageModel, dtype: torch.dtype = torch.float32, **settings: Any
) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Return a model adapted by peft, whose adapter is no longer the identity, and a copy of it that ours computes."""
    base = copy.deepcopy(loaded.model).to(dtype).requires_grad_(False)
    config = LoraConfig(r=4, lora_alpha=12, target_modules=["q_proj", "v_proj", "down_proj"], **settings)
    theirs = get_peft_model(base, config)
    generator = torch.Generator().manual_seed(1)
    for parameter in theirs.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    ours = copy.deepcopy(theirs)
    lora.prepare(ours)
    return theirs, ours


def found(model: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return log-probabilities and the gradients of a figure made of them."""
    out = torch.log_softmax(model(input_ids=TOKENS, use_cache=False).logits.float(), dim=-1)
    out[..., 7].sin().sum().backward()
    return out.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def fused(model: torch.nn.Module) -> int:
    return sum("forward" in vars(m) for m in model.modules() if isinstance(m, Linear))


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ours compute in float32 too, where it can be told from peft's to the last digits."""
    monkeypatch.setattr(lora, "DTYPES", (torch.float32,))


@pytest.mark.usefixtures("everywhere")
def test_figures_and_gradients_are_those_of_peft(loaded: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = pair(loaded)
    calls: list[int] = []
    original = lora._Adapted.backward
    monkeypatch.setattr(lora._Adapted, "backward", staticmethod(lambda *a: (calls.append(1), original(*a))[1]))
    (expected, expected_grads), (seen, grads) = found(theirs), found(ours)
    assert fused(ours) == len(calls) == 6  # three layers of two blocks
    torch.testing.assert_close(seen, expected, rtol=0, atol=1e-5)
    assert grads.keys() == expected_grads.keys()
    assert len(grads) == 12
    for name, grad in grads.items():
        torch.testing.assert_close(grad, expected_grads[name], rtol=1e-4, atol=1e-6, msg=name)
        assert float(grad.abs().max()) > 1e-4


def test_in_half_precision_they_are_as_near_as_it_allows(loaded: LanguageModel) -> None:
    exact, exact_grads = found(pair(loaded)[0])
    theirs, ours = pair(loaded, torch.bfloat16)
    (peft, peft_grads), (seen, grads) = found(theirs), found(ours)
    assert fused(ours) == 6
    assert float((seen - exact).abs().mean()) < 1.5 * float((peft - exact).abs().mean())
    for name, grad in grads.items():
        assert grad.dtype == torch.float32
        off, theirs_off = ((g - exact_grads[name]).norm() / exact_grads[name].norm() for g in (grad, peft_grads[name]))
        assert off < max(2 * theirs_off, 0.02), name


def test_without_gradient_the_figures_are_the_same(loaded: LanguageModel) -> None:
    _, ours = pair(loaded, torch.bfloat16)
    with torch.no_grad():
        without = ours(input_ids=TOKENS).logits
    torch.testing.assert_close(without, ours(input_ids=TOKENS).logits.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_derivatives_in_forward_mode_pass(loaded: LanguageModel, dtype: torch.dtype) -> None:
    seen = []
    for model in pair(loaded, dtype):
        layer = next(m for m in model.modules() if isinstance(m, Linear))
        x = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(4)).to(dtype)
        with torch.no_grad(), forward_ad.dual_level():
            dual = forward_ad.make_dual(x, torch.ones_like(x))  # type: ignore[no-untyped-call]
            seen.append(forward_ad.unpack_dual(layer(dual)).tangent)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(seen[1], seen[0], rtol=0.02, atol=0.02)
    assert float(seen[1].abs().max()) > 0.1


def test_in_single_precision_peft_computes(loaded: LanguageModel) -> None:
    theirs, ours = pair(loaded)
    assert torch.equal(found(ours)[0], found(theirs)[0])


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, down, up = (draw(*shape).requires_grad_() for shape in ((2, 3, 5), (2, 5), (4, 2)))
    weight, bias = draw(4, 5), draw(4)

    def adapted(x: torch.Tensor, down: torch.Tensor, up: torch.Tensor) -> Any:
        return lora._Adapted.apply(x, weight, bias, down, up, 0.7)  # type: ignore[no-untyped-call]

    assert torch.autograd.gradcheck(adapted, (x, down, up))


@pytest.mark.usefixtures("everywhere")
def test_an_adapter_that_is_off_or_merged_is_left_to_peft(loaded: LanguageModel) -> None:
    _, ours = pair(loaded)
    with torch.no_grad():
        on = ours(input_ids=TOKENS).logits
        with ours.disable_adapter():  # type: ignore[operator]
            off = ours(input_ids=TOKENS).logits
        torch.testing.assert_close(off, loaded.model(input_ids=TOKENS).logits)
        assert not torch.allclose(on, off, atol=1e-3)
        ours.merge_adapter()  # type: ignore[operator]
        torch.testing.assert_close(ours(input_ids=TOKENS).logits, on, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("everywhere")
def test_another_adapter_plays_when_it_is_told_to(loaded: LanguageModel) -> None:
    theirs, ours = pair(loaded)
    with torch.no_grad():
        first = ours(input_ids=TOKENS).logits
        seen = []
        for model in (theirs, ours):
            torch.manual_seed(3)
            model.add_adapter("ref", LoraConfig(r=4, init_lora_weights=False, target_modules=["q_proj", "v_proj"]))
            model.set_adapter("ref")  # as TRL asks for its reference policy
            seen.append(model(input_ids=TOKENS).logits)
        torch.testing.assert_close(seen[1], seen[0], rtol=0, atol=0)
        assert not torch.allclose(seen[1], first, atol=1e-3)
        ours.set_adapter("default")  # type: ignore[operator]
        torch.testing.assert_close(ours(input_ids=TOKENS).logits, first, rtol=0, atol=0)


@pytest.mark.parametrize("settings", [{"lora_dropout": 0.5}, {"use_dora": True}, {"lora_bias": True}])
def test_other_adapters_are_left_as_they_are(loaded: LanguageModel, settings: dict[str, Any]) -> None:
    assert fused(pair(loaded, **settings)[1]) == 0


@pytest.mark.usefixtures("everywhere")
def test_a_copy_computes_with_its_own_weights(loaded: LanguageModel) -> None:
    ours = pair(loaded)[1]
    other = copy.deepcopy(ours)
    with torch.no_grad():
        before = ours(input_ids=TOKENS).logits
        for name, parameter in other.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
        torch.testing.assert_close(ours(input_ids=TOKENS).logits, before, rtol=0, atol=0)
        torch.testing.assert_close(other(input_ids=TOKENS).logits, loaded.model(input_ids=TOKENS).logits)


def test_peft_computes_again_where_ours_is_removed(loaded: LanguageModel) -> None:
    theirs, ours = pair(loaded, torch.bfloat16)
    lora.remove(ours)
    assert fused(ours) == 0
    assert torch.equal(found(ours)[0], found(theirs)[0])


def test_a_model_in_training_computes_so(tmp_path: Path) -> None:
    lm = load_model(tiny_model(tmp_path))
    make_trainable(lm, "lora", rank=4, layers=1)
    assert fused(lm.model) == len(trainable(lm)) / 2 > 0


@pytest.mark.usefixtures("everywhere")
def test_under_autocast_peft_decides_the_precision(loaded: LanguageModel) -> None:
    theirs, ours = pair(loaded)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ours(input_ids=TOKENS).logits, theirs(input_ids=TOKENS).logits, rtol=0, atol=0)
