"""What the untrained blocks below the first trained one make of a prompt, kept from one step to the next.

Where only a model's last blocks are trained, those below them make the same of the same tokens as long as training
lasts, and training asks about the same prompts again and again. Their outputs are kept by prefix: a token of a trie has
the same ancestors wherever it is packed, so what reaches the first trained block there is known once it was computed.
A pass then runs the lower blocks on the tokens that are new, with the path to each, and the upper blocks on all.

Figures are those of the whole pass up to rounding, which depends on what is packed together. What is kept is forgotten
where a checkpoint is written, so that a run that goes on from one computes what the uninterrupted run did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch

MOST = 2**30
"""Bytes kept."""
TOLERANCE = 1e-3
ATTRIBUTE = "_sepo_trunk"


class Trunk:
    """A model's blocks below the first trained one, and their outputs.

    Parameters
    ----------
    blocks
        Of the model's decoder; their ``forward`` is replaced.
    cut
        Number of the first trained one.
    """

    def __init__(self, blocks: Sequence[torch.nn.Module], cut: int) -> None:
        self._blocks = blocks
        self._mode: Literal["whole", "below", "above"] = "whole"
        self._given: torch.Tensor | None = None
        self._index: dict[tuple[int, int], int] = {}  # (the token before, token) -> where its output is kept
        self._kept = torch.zeros(0, 0)
        for number, block in enumerate(blocks):
            block.forward = self._replaced(block.forward, number, cut)

    def _replaced(self, forward: Callable[..., Any], number: int, cut: int) -> Callable[..., Any]:
        """Return what a block does: nothing where the pass ends before it or begins after it."""

        def run(hidden: torch.Tensor, *arguments: Any, **named: Any) -> Any:
            if self._mode == "above" and number < cut:
                return self._given if number == cut - 1 else hidden
            if self._mode == "below" and number >= cut:
                return hidden
            out = forward(hidden, *arguments, **named)
            if self._mode == "below" and number == cut - 1:
                self._given = out
            return out

        return run

    def undo(self) -> None:
        """Give the blocks their own ``forward`` back."""
        for block in self._blocks:
            del block.forward

    def forget(self) -> None:
        """Keep nothing of what was computed."""
        self._index.clear()

    @property
    def size(self) -> int:
        """Tokens whose outputs are kept."""
        return len(self._index)

    def outputs(
        self, tokens: Sequence[int], parents: Sequence[int], below: Callable[[Sequence[int]], None]
    ) -> torch.Tensor:
        """Return what reaches the first trained block at each token of a trie. (1, length, size).

        Parameters
        ----------
        tokens, parents
            Of the trie, parents first; -1 where no token is before.
        below
            Runs the model on some of the tokens, which are whole paths.
        """
        if self._kept.numel() and (self.size + len(tokens)) * self._kept[0].nbytes > MOST:
            self.forget()
        known = self.size
        rows: list[int] = []
        for token, parent in zip(tokens, parents, strict=True):
            before = rows[parent] if parent >= 0 else -1
            rows.append(self._index.setdefault((before, token), len(self._index)))
        new = [k for k, row in enumerate(rows) if row >= known]
        if new:
            try:
                self._compute(new, parents, below, known)
            except BaseException:  # what was not computed is not kept
                self.forget()
                raise
        return self._kept[rows][None]

    def _compute(
        self, new: Sequence[int], parents: Sequence[int], below: Callable[[Sequence[int]], None], known: int
    ) -> None:
        """Run the lower blocks on new tokens and the paths to them, and keep what they make of the new ones."""
        paths = set(new)
        for k in new:
            while (k := parents[k]) >= 0 and k not in paths:
                paths.add(k)
        needed = sorted(paths)
        with torch.no_grad(), self._as("below"):
            below(needed)
            made = self._given
        assert made is not None
        where = {k: at for at, k in enumerate(needed)}
        found = made[0, [where[k] for k in new]]
        if self.size > len(self._kept) or found.dtype != self._kept.dtype or found.device != self._kept.device:
            grown = torch.empty(max(self.size, 2 * len(self._kept)), found.shape[-1], dtype=found.dtype)
            grown = grown.to(found.device)
            if known:
                grown[:known] = self._kept[:known]
            self._kept = grown
        self._kept[known : self.size] = found

    @contextmanager
    def above(self, given: torch.Tensor) -> Iterator[None]:
        """Let a forward pass begin at the first trained block, with what reaches it."""
        with self._as("above"):
            self._given = given
            yield

    @contextmanager
    def _as(self, mode: Literal["below", "above"]) -> Iterator[None]:
        self._mode = mode
        try:
            yield
        finally:
            self._mode, self._given = "whole", None


def prepare(model: Any, blocks: Sequence[torch.nn.Module], probe: Callable[[], torch.Tensor]) -> None:
    """Let a model keep what its lower blocks compute, if there are untrained ones and a probe finds no difference.

    Models whose upper blocks see more of the lower ones than their output, such as their keys, are left as they are.

    Parameters
    ----------
    probe
        Runs the model on tries, later ones with more tokens than those before, and returns figures.
    """
    cut = next((k for k, b in enumerate(blocks) if any(p.requires_grad for p in b.parameters())), len(blocks))
    inside = {id(p) for b in blocks for p in b.parameters()}
    if cut in (0, len(blocks)) or any(p.requires_grad and id(p) not in inside for p in model.parameters()):
        return
    with torch.no_grad():
        whole = probe()
        trunk = Trunk(blocks, cut)
        setattr(model, ATTRIBUTE, trunk)
        try:
            same = torch.allclose(probe(), whole, rtol=0.0, atol=TOLERANCE)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # however a model refuses blocks that do nothing
            same = False
    trunk.forget()
    if not same:
        remove(model)


def trunk_of(model: Any) -> Trunk | None:
    """Return a model's trunk if ``prepare`` gave it one."""
    return getattr(model, ATTRIBUTE, None)


def remove(model: Any) -> None:
    """Let a model compute everything again from now on."""
    trunk = trunk_of(model)
    if trunk is not None:
        trunk.undo()
        delattr(model, ATTRIBUTE)


@contextmanager
def bypassed(model: Any) -> Iterator[None]:
    """Compute everything for a while: nothing that is kept is used, and nothing more is kept."""
    trunk = trunk_of(model)
    if trunk is not None:
        delattr(model, ATTRIBUTE)
    try:
        yield
    finally:
        if trunk is not None:
            setattr(model, ATTRIBUTE, trunk)


def forget(model: Any) -> None:
    """Forget what a model's lower blocks computed, if it is kept."""
    trunk = trunk_of(model)
    if trunk is not None:
        trunk.forget()
