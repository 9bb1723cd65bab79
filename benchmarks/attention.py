"""Attention over a packed trie: block by block, or with a mask over the whole sequence.

The work is that of a training step of the auction: the decisions of some episodes, scored, and their gradient taken, by
the bundled model in bfloat16 with adapters on its last twelve layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from sepo.audit.arena import Arena, ground_of
from sepo.audit.measures import terms
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable
from sepo.lm.load import BUNDLED, LanguageModel, load_model
from sepo.lm.trie import Plan, plans
from sepo.lm.trunk import remove
from sepo.policies.direct import DirectPolicy
from sepo.train.sample import walked

from .timing import Comparison, Say, Way

EPISODES = 16
BUDGET = 1536
LAYERS = 12
KEY = ("bench", "attention")


def laid_out() -> tuple[LanguageModel, list[Plan], int]:
    """Load the bundled model and lay out the decisions of episodes in which the learner plays uniformly.

    Returns the model, the forward passes, and how many decisions they score.
    """
    lm = load_model(BUNDLED, "bfloat16")
    make_trainable(lm, "lora", layers=LAYERS)
    remove(lm.model)  # every pass is to be a whole one
    game = make("auction", {}, "paper")
    ground = ground_of(game)
    assert isinstance(ground, Arena)
    uniform = ground.space.uniform
    met = walked(terms(ground, game.measures("paper"), uniform), [uniform], ground.space, EPISODES, KEY)
    policy = DirectPolicy(lm, BUNDLED)
    questions = [policy.question(d) for d in met.asked.decisions]
    return lm, plans(questions, "trie", BUDGET), len(questions)


def prepare(say: Say) -> Comparison:
    """Lay the same passes out with their masks whole and by block."""
    say(f"attention: loading {BUNDLED}")
    lm, by_block, decisions = laid_out()
    whole = [replace(plan, blocks=()) for plan in by_block]

    def scored(laid: list[Plan]) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([plan.log_probs(lm.model) for plan in laid])

    def stepped(laid: list[Plan]) -> None:
        for plan in laid:
            plan.log_probs(lm.model).sum().backward()  # type: ignore[no-untyped-call]
        lm.model.zero_grad()

    expected = scored(whole)

    def way(name: str, act: Callable[[list[Plan]], object], laid: list[Plan], note: str) -> Way:
        def run() -> None:
            act(laid)

        pairs = sum(sum(b.mask.numel() for b in p.blocks) or p.mask.numel() for p in laid)
        work = {
            "decisions": decisions,
            "tokens": sum(p.computed for p in laid),
            "pairs of tokens": pairs,
            "largest difference": float((scored(laid) - expected).abs().max()),
        }
        return Way(name, run, work, note)

    return Comparison(
        about=f"{BUNDLED} (bfloat16, {LAYERS} layers adapted) on the decisions of {EPISODES} episodes of auction",
        ways=[
            way("scored, whole mask", scored, whole, "every token is compared with every other"),
            way("scored, by block", scored, by_block, "as `sepo` does on a CPU"),
            way("step, whole mask", stepped, whole, "forward and backward"),
            way("step, by block", stepped, by_block, "forward and backward"),
        ],
        ratios={
            "scored by block vs whole mask": ("scored, whole mask", "scored, by block"),
            "step by block vs whole mask": ("step, whole mask", "step, by block"),
        },
        repeats=3,
    )
