"""LoRA layers that pass over memory less often.

peft adds an adapter's output to its layer's: the input is converted to the adapter's float32, goes through two thin
products, is scaled, added and converted back, and the backward pass does all that again. Each of these reads and writes
activations whole, which on a CPU costs more than the products. Here the products themselves add what they find to the
layer's output, in the model's precision, and one copy of the input is kept for the backward pass.

The adapter's weights stay in float32 and so do their gradients; the products round them to the model's precision, as
autocast would. Done in half precision: in float32 there is nothing to convert, little is gained, and peft computes.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch.autograd.function import once_differentiable

ADAPTER = "default"
"""The adapter's name, as peft gives it to the only one."""
DTYPES = (torch.bfloat16, torch.float16)
"""Of the models that this is for."""


def prepare(model: Any) -> None:
    """Let a model's LoRA layers over plain linear ones compute in few passes; others are left as they are."""
    from peft.tuners.lora import Linear

    for module in model.modules():
        if type(module) is Linear and _is_plain(module):
            module.forward = MethodType(_forward, module)


def remove(model: Any) -> None:
    """Let peft compute a model's LoRA layers again from now on."""
    for module in model.modules():
        if getattr(vars(module).get("forward"), "__func__", None) is _forward:
            del module.forward


def _is_plain(module: Any) -> bool:
    """Return whether a layer is a linear one and the product of two matrices beside it, and nothing else."""
    return (
        type(module.base_layer) is torch.nn.Linear
        and list(module.lora_A) == [ADAPTER]
        and not module.lora_variant
        and module.lora_A[ADAPTER].bias is None
        and module.lora_B[ADAPTER].bias is None
        and isinstance(module.lora_dropout[ADAPTER], torch.nn.Identity)
    )


def _forward(module: Any, x: torch.Tensor, *arguments: Any, **named: Any) -> Any:
    """Do what peft's layer does, in few passes where just that adapter plays and its weights are here in full."""
    from peft.tuners.lora import Linear

    base = module.base_layer
    alone = module.active_adapters == [ADAPTER] and not (module.disable_adapters or module.merged)
    if arguments or named or not alone or torch.is_autocast_enabled(x.device.type):
        return Linear.forward(module, x, *arguments, **named)
    down, up = module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight
    whole = base.weight.ndim == down.ndim == up.ndim == 2  # a sharded weight comes together in its own layer's call
    if not whole or base.weight.requires_grad or not base.weight.dtype == x.dtype in DTYPES:
        return Linear.forward(module, x)
    one: Callable[..., Any] = _Adapted.apply if torch.is_grad_enabled() else _adapted
    return one(x, base.weight, base.bias, down, up, module.scaling[ADAPTER])


def _adapted(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    down: torch.Tensor,
    up: torch.Tensor,
    scaling: float,
) -> torch.Tensor:
    """Return x W' + b + scaling (x A') B'. Plain operations: derivatives in forward mode pass them."""
    out, _ = _products(x, weight, bias, down.to(x.dtype), up.to(x.dtype), scaling)
    return out


def _products(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, a: torch.Tensor, b: torch.Tensor, scaling: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the layer's output and x A', (rows, rank), from A and B in the precision of x."""
    rows = x.reshape(-1, x.shape[-1])
    low = rows @ a.T
    out = torch.nn.functional.linear(rows, weight, bias).addmm_(low, b.T, alpha=scaling)
    return out.view(*x.shape[:-1], -1), low


class _Adapted(torch.autograd.Function):
    """``_adapted`` with gradients of x, A and B."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        a, b = down.to(x.dtype), up.to(x.dtype)
        out, low = _products(x, weight, bias, a, b, scaling)
        ctx.save_for_backward(x, weight, a, b, low)
        ctx.scaling, ctx.kept = scaling, down.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, a, b, low = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])
        thin = (grad @ b).mul_(ctx.scaling)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).addmm_(thin, a).view(x.shape)
        grad_down = (thin.T @ x.reshape(-1, x.shape[-1])).to(ctx.kept)
        grad_up = (grad.T @ low).to(ctx.kept).mul_(ctx.scaling)
        return grad_x, None, None, grad_down, grad_up, None
