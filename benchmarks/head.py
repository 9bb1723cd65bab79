"""Log-probabilities read at the model's head, or off the logits of the whole vocabulary.

The work is that of ``attention``: a training step of the auction. Beside time, what is kept for the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from sepo.lm import head
from sepo.lm.load import BUNDLED
from sepo.train.learner import graph_size

from . import attention
from .timing import Comparison, Say, Way


def prepare(say: Say) -> Comparison:
    """Lay the passes out, and a plain head beside the one that reads what is wanted."""
    say(f"head: loading {BUNDLED}")
    lm, laid, decisions = attention.laid_out()
    reading = lm.model.get_output_embeddings()
    assert isinstance(reading, head.Head)
    plain = torch.nn.Linear(1, 1, bias=False, device="meta")
    plain.weight = reading.weight

    def scored() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([plan.log_probs(lm.model) for plan in laid])

    def stepped() -> None:
        for plan in laid:
            plan.log_probs(lm.model).sum().backward()  # type: ignore[no-untyped-call]
        lm.model.zero_grad()

    def kept() -> float:
        with graph_size(lm.model) as size:
            laid[0].log_probs(lm.model)
        return sum(size.values()) / laid[0].computed

    def way(name: str, act: Callable[[], object], with_head: torch.nn.Module, note: str) -> Way:
        def run() -> None:
            lm.model.set_output_embeddings(with_head)
            act()

        lm.model.set_output_embeddings(with_head)
        work = {
            "decisions": decisions,
            "tokens": sum(p.computed for p in laid),
            "positions read": sum(p.kept.numel() for p in laid),
            "bytes kept a token": kept(),
            "largest difference": float((scored() - expected).abs().max()),
        }
        return Way(name, run, work, note)

    lm.model.set_output_embeddings(plain)
    expected = scored()
    return Comparison(
        about=f"{BUNDLED} (bfloat16, {attention.LAYERS} layers adapted) on the decisions of {attention.EPISODES} "
        "episodes of auction",
        ways=[
            way("scored, all logits", scored, plain, "as transformers gives them, through a softmax in float32"),
            way("scored, at the head", scored, reading, "as `sepo` does where the head is not trained"),
            way("step, all logits", stepped, plain, "forward and backward"),
            way("step, at the head", stepped, reading, "forward and backward"),
        ],
        ratios={
            "scored at the head vs all logits": ("scored, all logits", "scored, at the head"),
            "step at the head vs all logits": ("step, all logits", "step, at the head"),
        },
        repeats=3,
    )
