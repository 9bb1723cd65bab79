"""Steps of training with what the lower blocks computed kept by prefix, or every pass whole.

The work is that of some steps of the auction in a row, as many as lie between two checkpoints, where what is kept is
forgotten: the decisions of each step's episodes, scored, and their gradient taken, by the bundled model in float32 with
adapters on its last twelve layers. The episodes are those of the best policy there is, with some uniform play mixed in
as training does: a policy that is nearly trained meets the same decisions again and again, one that plays uniformly
meets ever new ones. Both are timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from sepo.audit.arena import Arena, ground_of
from sepo.audit.ceiling import ceiling
from sepo.audit.measures import terms
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable
from sepo.lm.load import BUNDLED, load_model
from sepo.lm.trie import Plan, plans
from sepo.lm.trunk import bypassed, forget, trunk_of
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Floats
from sepo.train.sample import walked

from .timing import Comparison, Say, Way

STEPS = 10
EPISODES = 16
COVERAGE = 0.15
BUDGET = 1536
LAYERS = 12
KEY = ("bench", "trunk")


def prepare(say: Say) -> Comparison:
    """Lay the passes of the steps out."""
    say(f"trunk: loading {BUNDLED}")
    lm = load_model(BUNDLED, "float32")
    make_trainable(lm, "lora", layers=LAYERS)
    kept = trunk_of(lm.model)
    assert kept is not None
    game = make("auction", {}, "paper")
    measures, ground = game.measures("paper"), ground_of(game)
    assert isinstance(ground, Arena)
    policy = DirectPolicy(lm, BUNDLED)
    uniform = ground.space.uniform
    best = (1 - COVERAGE) * ceiling(ground, measures).strategy + COVERAGE * uniform

    def laid_out(learner: Floats) -> tuple[list[list[Plan]], int]:
        found = terms(ground, measures, learner)
        out, decisions = [], 0
        for step in range(STEPS):
            met = walked(found, [learner], ground.space, EPISODES, (*KEY, step))
            decisions += len(met.asked.decisions)
            out.append(plans([policy.question(d) for d in met.asked.decisions], "trie", BUDGET))
        return out, decisions

    def stepped(steps: Sequence[Sequence[Plan]]) -> torch.Tensor:
        found = []
        for laid in steps:
            for plan in laid:
                scores = plan.log_probs(lm.model)
                scores.sum().backward()  # type: ignore[no-untyped-call]
                found.append(scores.detach())
            lm.model.zero_grad()
        return torch.cat(found)

    def whole(steps: Sequence[Sequence[Plan]]) -> torch.Tensor:
        with bypassed(lm.model):
            return stepped(steps)

    def keeping(steps: Sequence[Sequence[Plan]]) -> torch.Tensor:
        forget(lm.model)
        return stepped(steps)

    def doing(act: Callable[[Sequence[Sequence[Plan]]], object], steps: Sequence[Sequence[Plan]]) -> Callable[[], None]:
        def run() -> None:
            act(steps)

        return run

    ways = []
    for name, learner in (("trained", best), ("uniform", uniform)):
        steps, decisions = laid_out(learner)
        apart = float((whole(steps) - keeping(steps)).abs().max())
        tokens = sum(plan.computed for laid in steps for plan in laid)
        work = {"decisions": decisions, "tokens": tokens, "distinct tokens": kept.size, "largest difference": apart}
        for title, act in (("whole passes", whole), ("kept by prefix", keeping)):
            ways.append(Way(f"{name}, {title}", doing(act, steps), work, f"{STEPS} steps, forward and backward"))
    return Comparison(
        about=f"{BUNDLED} (float32, {LAYERS} layers adapted) on {STEPS} steps of {EPISODES} episodes of auction",
        ways=ways,
        ratios={
            f"{name}: kept by prefix vs whole passes": (f"{name}, whole passes", f"{name}, kept by prefix")
            for name in ("trained", "uniform")
        },
        repeats=3,
    )
