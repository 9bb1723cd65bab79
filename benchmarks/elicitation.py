"""Asking a language model for its whole Kuhn policy: one by one, as a padded batch, as a prompt trie."""

from __future__ import annotations

import torch

from sepo.games.kuhn import Kuhn
from sepo.lm.load import BUNDLED, load_model
from sepo.lm.trie import Packing, plans, score
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand

from .timing import Comparison, Say, Way

UNLIMITED = 10**9  # tokens: everything in one forward pass
WAYS: tuple[tuple[str, Packing, str], ...] = (
    ("one by one", "single", "a forward pass a prompt and action"),
    ("padded", "padded", "one batch, a row a prompt and action"),
    ("trie", "trie", "one sequence"),
)


def prepare(say: Say) -> Comparison:
    """Load the bundled model in float32 and put the 12 decisions into tokens."""
    say(f"elicitation: loading {BUNDLED}")
    lm = load_model(BUNDLED)
    policy = DirectPolicy(lm, BUNDLED)
    distinct = {i.key: i.decision for i in expand(Kuhn()).infosets}
    questions = [policy.question(d) for d in distinct.values()]

    def scores(packing: Packing) -> torch.Tensor:
        return torch.cat(score(lm.model, questions, packing, UNLIMITED))

    def way(name: str, packing: Packing, note: str) -> Way:
        def run() -> None:
            scores(packing)

        laid = plans(questions, packing, UNLIMITED)
        work = {
            "information states": len(questions),
            "forward passes": len(laid),
            "tokens": sum(p.tokens.numel() for p in laid),
            "largest difference": float((scores(packing) - alone).abs().max()),
        }
        return Way(name, run, work, note)

    alone = scores("single")
    return Comparison(
        about=f"{BUNDLED} (float32) scored on all {len(questions)} information states of Kuhn poker",
        ways=[way(*spec) for spec in WAYS],
        ratios={
            "trie vs padded": ("padded", "trie"),
            "trie vs one by one": ("one by one", "trie"),
            "padded vs one by one": ("one by one", "padded"),
        },
        repeats=5,
    )
