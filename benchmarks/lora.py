"""LoRA layers that pass over memory less often, or peft's own.

The work is that of a training step of the auction, as in ``attention``: the decisions of some episodes, scored, and
their gradient taken, by the bundled model with adapters on its last twelve layers, in either precision.
"""

from __future__ import annotations

from typing import Literal

import torch

from sepo.lm import lora
from sepo.lm.adapter import trainable
from sepo.lm.load import BUNDLED

from .attention import EPISODES, LAYERS, laid_out
from .timing import Comparison, Say, Way

Precision = Literal["bfloat16", "float32"]
PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float32")


def prepare(say: Say) -> Comparison:
    """Load the model twice in each precision, and let peft compute one of the two."""
    ways: list[Way] = []
    for precision in PRECISIONS:
        say(f"lora: loading {BUNDLED} twice in {precision}")
        peft, gradient = _way(f"{precision}, peft", precision, None)
        ways += [peft, _way(f"{precision}, few passes", precision, gradient)[0]]
    return Comparison(
        about=f"{BUNDLED} ({LAYERS} layers adapted) on the decisions of {EPISODES} episodes of auction",
        ways=ways,
        ratios={
            f"{precision}: step in few passes vs peft": (f"{precision}, peft", f"{precision}, few passes")
            for precision in PRECISIONS
        },
        repeats=3,
    )


def _way(name: str, precision: Precision, expected: torch.Tensor | None) -> tuple[Way, torch.Tensor]:
    """Return a way and its gradient; peft computes where there is none to compare that with."""
    lm, laid, decisions = laid_out(precision)
    if expected is None:
        lora.remove(lm.model)
    generator = torch.Generator().manual_seed(0)
    for parameter in trainable(lm).values():  # an adapter that is the identity would hide half of the gradient
        parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator)

    def gradient() -> torch.Tensor:
        for plan in laid:
            plan.log_probs(lm.model).sum().backward()  # type: ignore[no-untyped-call]
        out = torch.cat([p.grad.flatten() for p in trainable(lm).values() if p.grad is not None])
        lm.model.zero_grad()
        return out

    def run() -> None:
        gradient()

    found = gradient()
    work: dict[str, float] = {"decisions": decisions, "tokens": sum(p.computed for p in laid)}
    if expected is not None:
        work["gradient's relative difference"] = float((found - expected).norm() / expected.norm())
    return Way(name, run, work, "forward and backward"), found
