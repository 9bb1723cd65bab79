"""Log-probabilities of a few tokens, without keeping the logits of all.

A trie is read at hundreds of positions, and at each one the language model's head gives a number for every token of the
vocabulary, of which a few are wanted: the log-probability is the token's logit minus the log of the sum over all. Kept
for the backward pass, in float32 and more than once, they are much of its memory where decisions have many replies.
Here the head is applied to some positions at a time and only what is wanted is kept. Where the head is not trained, the
gradient of token t's log-probability with respect to what reaches the head is W_t - sum_v p_v W_v, and that mean can be
taken on the way forward too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

LOGITS = {"cpu": 2**22, "cuda": 2**27}
"""Logits that are held at a time, by device. On a GPU few large parts are faster: half a gigabyte of float32 each."""


class Head(torch.nn.Linear):
    """A model's head that can be told to let through what reaches it. Its weight is the one it was made from."""

    def __init__(self, weight: torch.nn.Parameter) -> None:
        super().__init__(1, 1, bias=False, device="meta")
        self.out_features, self.in_features = weight.shape
        self.weight = weight
        self.open = False

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the logits, or the input where the head is open."""
        return input if self.open else super().forward(input)


def prepare(model: Any) -> None:
    """Give a model a ``Head``, if its logits are that linear map of what it lets through; else leave it as it is.

    Models with a bias there are left, and a probe finds those that cap their logits or do anything else to them.
    """
    linear = model.get_output_embeddings()
    if type(linear) is not torch.nn.Linear or linear.bias is not None:
        return
    head = Head(linear.weight)
    model.set_output_embeddings(head)
    if not _lets_through(model, head):
        model.set_output_embeddings(linear)


def _lets_through(model: Any, head: Head) -> bool:
    """Return whether a model's logits are its head of what the open head lets through."""
    probe = torch.arange(2, device=head.weight.device)[None]
    try:
        with torch.no_grad():
            logits = model(input_ids=probe, use_cache=False).logits
            with opened(head):
                hidden = model(input_ids=probe, use_cache=False).logits
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, IndexError, RuntimeError):  # what takes more than tokens, or looks at the logits
        return False
    return hidden.shape[-1] == head.in_features and torch.equal(head(hidden), logits)


def fixed_head(model: Any) -> Head | None:
    """Return a model's head if ``prepare`` gave it one and no gradient is wanted of it."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if not isinstance(head, Head) or (torch.is_grad_enabled() and head.weight.requires_grad):
        return None
    return head


@contextmanager
def opened(head: Head) -> Iterator[None]:
    """Let through what reaches a head for a while."""
    head.open = True
    try:
        yield
    finally:
        head.open = False


def token_log_probs(
    hidden: torch.Tensor, weight: torch.Tensor, source: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Return log softmax(hidden @ weight.T)[source, target], in float32. (scored,).

    Parameters
    ----------
    hidden : (positions, size)
        What reaches the head.
    weight : (vocabulary, size)
        Of the head; it gets no gradient.
    source, target : (scored,)
        Which position, and which token.
    """
    found: torch.Tensor = _TokenLogProbs.apply(hidden, weight, source, target)  # type: ignore[no-untyped-call]
    return found


class _TokenLogProbs(torch.autograd.Function):
    """The mean over the vocabulary is kept as the likeliest token's share and the mean over the others.

    A model that is nearly certain has a gradient near 0, the difference of two rows that are nearly the same: rounded
    to bfloat16 as a whole, the mean would drown it.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, source: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        wanted = ctx.needs_input_grad[0]
        rows = max(1, LOGITS.get(hidden.device.type, LOGITS["cpu"]) // len(weight))
        out = torch.empty(len(source), dtype=torch.float32, device=hidden.device)
        likeliest = torch.empty(len(hidden), dtype=torch.long, device=hidden.device)
        share = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        others = torch.empty(hidden.shape if wanted else (0,), dtype=hidden.dtype, device=hidden.device)
        for start in range(0, len(hidden), rows):
            logits = (hidden[start : start + rows] @ weight.T).float()
            part = slice(start, start + len(logits))
            top, likeliest[part] = logits.max(dim=-1)
            here = ((source >= part.start) & (source < part.stop)).nonzero()[:, 0]
            picked = logits[source[here] - start, target[here]] - top[source[here] - start]
            grown = logits.sub_(top[:, None]).exp_()
            total = grown.sum(dim=-1)
            out[here] = picked - total.log()[source[here] - start]
            if wanted:
                share[part] = 1 / total
                grown.scatter_(1, likeliest[part, None], 0.0)
                others[part] = (grown.to(weight.dtype) @ weight) / total[:, None]
        ctx.save_for_backward(weight, source, target, likeliest, share, others)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        weight, source, target, likeliest, share, others = ctx.saved_tensors
        (grad,) = grads
        total = torch.zeros_like(share).index_add_(0, source, grad)
        out = others.float() * -total[:, None]
        certain = target == likeliest[source]
        sure = torch.zeros_like(share).index_add_(0, source, grad * certain)
        out += (sure - total * share)[:, None] * weight[likeliest].float()
        rest = (~certain).nonzero()[:, 0]
        out.index_add_(0, source[rest], grad[rest, None] * weight[target[rest]].float())
        return out.to(others.dtype), None, None, None
