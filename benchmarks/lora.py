"""LoRA layers that pass over memory less often, or peft's own.

The work is that of a training step of the auction, as in ``attention``: the decisions of some episodes, scored, and
their gradient taken, by the bundled model with adapters on its last twelve layers, in bfloat16.
"""

from __future__ import annotations

import torch

from sepo.lm import lora
from sepo.lm.adapter import trainable
from sepo.lm.load import BUNDLED

from .attention import EPISODES, LAYERS, laid_out
from .timing import Comparison, Say, Way


def prepare(say: Say) -> Comparison:
    """Load the model twice, and let peft compute one of the two."""
    say(f"lora: loading {BUNDLED} twice")
    peft, gradient = _way("peft", None)
    ours, _ = _way("few passes", gradient)
    return Comparison(
        about=f"{BUNDLED} (bfloat16, {LAYERS} layers adapted) on the decisions of {EPISODES} episodes of auction",
        ways=(peft, ours),
        ratios={"step in few passes vs peft": (peft.name, ours.name)},
        repeats=3,
    )


def _way(name: str, expected: torch.Tensor | None) -> tuple[Way, torch.Tensor]:
    """Return a way and its gradient; peft computes where there is none to compare that with."""
    lm, laid, decisions = laid_out()
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
