"""Decisions of a language model in an audit of ipd: gathered and asked once, against generating each reply.

An audit by play meets the same situations again and again. Here all running episodes ask at once and the same
question is asked once; one by one, every decision is a prompt and a reply of its own. Beside it, without any
repetition to gain from: every information state asked exactly once.
"""

from __future__ import annotations

import torch

from sepo.games.ipd import POOLS, Ipd
from sepo.lm.load import BUNDLED, load_model
from sepo.play.lockstep import play
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import walk

from .timing import Comparison, Say, Way

ROUNDS = 5
CLUSTERS = 20
PART = 12
"""Decisions for which replies are generated; the time is scaled to all of them."""
NEW_TOKENS = 8


def prepare(say: Say) -> Comparison:
    """Load the bundled model in float32 and count the decisions of a sampled audit of a five-round game."""
    say(f"decisions: loading {BUNDLED}")
    lm = load_model(BUNDLED)
    policy = DirectPolicy(lm, BUNDLED)
    game = Ipd(ROUNDS)
    met = [game.opponents[o] for o in dict.fromkeys(o for names in POOLS.values() for o in names)]
    states = walk(game).questions
    chosen = states[:: len(states) // PART][:PART]
    policy.probabilities(chosen[:2])
    decisions = CLUSTERS * len(met) * ROUNDS

    def played() -> None:
        play(policy, game, met, range(CLUSTERS), ("bench", "decisions"))

    def asked() -> None:
        policy.probabilities(states)

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
        about=f"{BUNDLED} (float32): the {decisions} decisions of {CLUSTERS} episodes of ipd with {ROUNDS} rounds "
        f"against each of {len(met)} opponents",
        ways=[
            Way(
                "generation one by one",
                generated,
                {"decisions": decisions, "decisions timed": len(chosen), "new tokens at most": NEW_TOKENS},
                f"a greedy reply to each of {len(chosen)} decisions, scaled; a reply, not a distribution",
                scale=decisions / len(chosen),
            ),
            Way("audit by play", played, {"decisions": decisions}, "the exact distribution over the legal replies"),
            Way(
                "every state once",
                asked,
                {"decisions": decisions, "states timed": len(states)},
                f"all {len(states)} states, none twice, scaled to as many decisions",
                scale=decisions / len(states),
            ),
        ],
        ratios={
            "audit by play vs generation": ("generation one by one", "audit by play"),
            "every state once vs generation": ("generation one by one", "every state once"),
        },
        repeats=3,
    )
