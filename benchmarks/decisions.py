"""Decisions of a language model in ipd: asked as an audit asks them, against generating replies one by one."""

from __future__ import annotations

import torch

from sepo.games.ipd import Ipd
from sepo.lm.load import BUNDLED, load_model
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import walk

from .timing import Comparison, Say, Way

ROUNDS = 5
PART = 12
"""Decisions for which replies are generated; the time is scaled to all of them."""
NEW_TOKENS = 8


def prepare(say: Say) -> Comparison:
    """Load the bundled model in float32 and put the decisions of a five-round game into tokens."""
    say(f"decisions: loading {BUNDLED}")
    lm = load_model(BUNDLED)
    policy = DirectPolicy(lm, BUNDLED)
    decisions = walk(Ipd(ROUNDS)).questions
    chosen = decisions[:: max(1, len(decisions) // PART)][:PART]
    policy.probabilities(chosen[:2])

    def audited() -> None:
        policy.probabilities(decisions)

    def generated() -> None:
        for d in chosen:
            prompt = torch.tensor([policy.question(d).prompt], device=lm.device)
            lm.model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=lm.tokenizer.eos_token_id,
            )

    return Comparison(
        about=f"{BUNDLED} (float32) at all {len(decisions)} decisions of ipd with {ROUNDS} rounds",
        ways=[
            Way(
                "generation one by one",
                generated,
                {"decisions": len(decisions), "decisions timed": len(chosen), "new tokens at most": NEW_TOKENS},
                f"a greedy reply to each of {len(chosen)} decisions, scaled; a reply, not a distribution",
                scale=len(decisions) / len(chosen),
            ),
            Way("audit", audited, {"decisions": len(decisions)}, "the exact distribution over the legal replies"),
        ],
        ratios={"audit vs generation": ("generation one by one", "audit")},
        repeats=2,
    )
