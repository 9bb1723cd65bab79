"""Several processes that train one model: each scores its share of the prompts, and all take the same step.

Started by ``accelerate launch``, or anything that sets what torch.distributed asks for. Every process holds the whole
model and does the same arithmetic on tables; forward and backward passes are divided, and rows and gradients put
together, so a step is that of one process but for rounding. The first process alone writes files and audits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch

T = TypeVar("T")
_working_alone: list[bool] = []
PATIENCE = timedelta(days=2)
"""How long processes wait for the first one, which audits alone."""


def join() -> None:
    """Join the other processes, where there are any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.distributed.is_initialized():
        from accelerate import PartialState

        PartialState(timeout=PATIENCE)


@contextmanager
def alone() -> Iterator[None]:
    """Let this process work for a while as if there were no others: the first one, while they wait."""
    _working_alone.append(True)
    try:
        yield
    finally:
        _working_alone.pop()


def size() -> int:
    """Return how many processes share what is done now."""
    return torch.distributed.get_world_size() if _joined() and not _working_alone else 1


def rank() -> int:
    """Return which of them this is."""
    return torch.distributed.get_rank() if _joined() else 0


def first() -> bool:
    """Whether this process writes files and audits."""
    return rank() == 0


def wait() -> None:
    """Wait until all processes are here."""
    if size() > 1:
        torch.distributed.barrier()


def share(things: Sequence[T], cost: Callable[[T], float]) -> list[T]:
    """Return this process's share of some things, in order: the dearest first, each to who has least to do."""
    if size() == 1:
        return list(things)
    loads, whose = [0.0] * size(), [0] * len(things)
    for i in sorted(range(len(things)), key=lambda k: -cost(things[k])):
        whose[i] = loads.index(min(loads))
        loads[whose[i]] += cost(things[i])
    return [thing for thing, owner in zip(things, whose, strict=True) if owner == rank()]


def everyones(thing: T) -> list[T]:
    """Return what every process has, by rank."""
    if size() == 1:
        return [thing]
    out: list[Any] = [None] * size()
    torch.distributed.all_gather_object(out, thing)
    return out


def of_first(thing: T) -> T:
    """Return what the first process has: what files say may differ from one moment to the next, and so between them."""
    return everyones(thing)[0]


def add_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Add the gradients of all processes up, in place; a parameter that has none here counts as 0."""
    if size() == 1:
        return
    trained = [p for p in parameters if p.requires_grad]
    for p in trained:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    flat = torch.cat([p.grad.flatten() for p in trained if p.grad is not None])
    torch.distributed.all_reduce(flat)
    start = 0
    for p in trained:
        assert p.grad is not None
        p.grad.copy_(flat[start : start + p.numel()].view_as(p))
        start += p.numel()


def _joined() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
