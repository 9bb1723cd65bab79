"""Attention over a packed trie, block by block.

In a packed trie a token sees its ancestors, which are few, but a mask over the whole sequence makes every attention
layer compare it with all tokens. Tokens are packed in depth-first order, so neighbours share most ancestors: for a
block of them only the keys that one of the block sees are gathered and compared. The figures are those of the whole
mask; the cost falls from the square of the length to about its product with the depth.

In half precision the backward pass is our own: PyTorch's on a CPU works at a fraction of the speed of matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

NAME = "sepo_trie"
"""What the attention is called in a model's configuration."""
BLOCK = 128
"""Neighbouring tokens of a block: on a CPU, fewer mean many small products, more see keys that most do not."""


class Block(NamedTuple):
    """Some neighbouring tokens of a packed sequence, and what they see.

    Attributes
    ----------
    start, stop
        Which tokens, from and before.
    keys : (seen,)
        The tokens that at least one of them sees.
    mask : (stop - start, seen)
        Who sees whom: as booleans in a plan, as additive numbers in a model's forward pass.
    """

    start: int
    stop: int
    keys: torch.Tensor
    mask: torch.Tensor


def blocks_of(sees: torch.Tensor, size: int = BLOCK) -> tuple[Block, ...]:
    """Divide a packed sequence into blocks. ``sees`` is (length, length), boolean: row sees column."""
    out = []
    for start in range(0, len(sees), size):
        rows = sees[start : start + size]
        keys = rows.any(dim=0).nonzero()[:, 0]
        out.append(Block(start, start + len(rows), keys, rows[:, keys]))
    return tuple(out)


def additive(mask: torch.Tensor, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return a boolean mask as numbers to add to attention scores: 0 where a token is seen."""
    out = torch.zeros(mask.shape, dtype=dtype, device=device)
    return out.masked_fill_(~mask.to(device), torch.finfo(dtype).min)


def attends_by_block(model: Any) -> bool:
    """Whether a model was prepared by ``prepare``."""
    return _implementation(model) == NAME


def _implementation(model: Any) -> str | None:
    """Return how a model attends, as transformers calls it; None for what is no model of theirs."""
    return getattr(getattr(model, "config", None), "_attn_implementation", None)


def prepare(model: Any) -> None:
    """Let a model attend block by block where it is told to; without blocks it does what it did before.

    Done for models on a CPU that use PyTorch's attention. Elsewhere a dense mask costs little.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if torch.device(model.device).type != "cpu" or _implementation(model) != "sdpa":
        return
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    blocks: Sequence[Block] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers asks an attention function to: PyTorch's own where there are no blocks.

    ``query`` is (1, heads, length, size), ``key`` and ``value`` are (1, key heads, length, size); the result is (1,
    length, heads, size). ``blocks`` comes as an argument of the model's forward pass.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if blocks is None or kwargs.get("position_bias") is not None or key.shape[2] != blocks[-1].stop:
        whole: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return whole
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    learns = torch.is_grad_enabled() and query.dtype in (torch.bfloat16, torch.float16)
    one: Callable[..., torch.Tensor] = _Attended.apply if learns else _attended
    out = [
        one(
            query[:, :, block.start : block.stop],
            key.index_select(2, block.keys),
            value.index_select(2, block.keys),
            block.mask,
            scale,
        )
        for block in blocks
    ]
    return torch.cat(out, dim=2).transpose(1, 2).contiguous(), None


def _attended(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Attend with PyTorch's own attention. ``mask`` is (length, seen), additive."""
    from transformers.integrations.sdpa_attention import repeat_kv

    groups = query.shape[1] // key.shape[1]
    return torch.nn.functional.scaled_dot_product_attention(
        query, repeat_kv(key, groups), repeat_kv(value, groups), attn_mask=mask[None, None], scale=scale
    )


class _Attended(torch.autograd.Function):
    """``_attended`` with a backward pass of matrix products, which has the shares from the scores again, in float32.

    The query heads that share a key head stand below one another, so keys and values are not repeated.
    """

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value, mask)
        ctx.scale = scale
        return _attended(query, key, value, mask, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, mask = ctx.saved_tensors
        heads, length = query.shape[1:3]
        below = (key.shape[1], heads // key.shape[1] * length, -1)
        rows, keys, values, above = query.reshape(below), key[0], value[0], grad.reshape(below)
        wide = torch.promote_types(query.dtype, torch.float32)
        scores = torch.bmm(ctx.scale * rows.to(wide), keys.to(wide).mT).view(heads, *mask.shape).add_(mask)
        shares = torch.softmax(scores, dim=-1).view(*below[:2], -1)
        by_value = torch.bmm(shares.to(value.dtype).mT, above)
        by_share = torch.bmm(above, values.mT).to(wide)
        mean = torch.linalg.vecdot(by_share, shares)[..., None]
        by_score = by_share.sub_(mean).mul_(shares).to(query.dtype)
        by_query = torch.bmm(by_score, keys).mul_(ctx.scale).view(query.shape)
        by_key = torch.bmm(by_score.mT, rows).mul_(ctx.scale)
        return by_query, by_key[None], by_value[None], None, None
