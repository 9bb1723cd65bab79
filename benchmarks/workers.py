"""A run by one process, and by workers side by side: ``sepo run`` with and without ``--workers``.

The run is of ``recipes/kuhn-fast.yaml``, cut short: two seeds, each fine-tuned and then trained, audits and all. One
process computes with all threads, workers share them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from sepo.train.recipe import load_recipe
from sepo.train.run import run
from sepo.train.workers import threads

from .timing import Comparison, Say, Way

RECIPE = Path(__file__).parents[1] / "recipes" / "kuhn-fast.yaml"
SEEDS, SFT_STEPS, STEPS = [0, 1], 15, 30
WORKERS = 2


def prepare(say: Say) -> Comparison:
    """Name the two ways of running it."""
    say(f"workers: {torch.get_num_threads()} threads in all")
    recipe = load_recipe(RECIPE, [f"seeds={SEEDS}", f"sft.steps={SFT_STEPS}", f"train.steps={STEPS}"])
    trained = recipe.model_copy(update={"arms": [arm for arm in recipe.arms if arm.stage != "base"]})

    def way(name: str, workers: int) -> Way:
        def act() -> None:
            with tempfile.TemporaryDirectory() as place:
                run(trained, Path(place) / "run", lambda event: None, workers=workers)

        units = len(SEEDS) * 2
        work = {"units": units, "steps": len(SEEDS) * (SFT_STEPS + STEPS), "threads": workers * threads(workers)}
        return Way(name, act, work, f"{workers} at a time" if workers > 1 else "one after the other")

    return Comparison(
        about=f"a run of {len(SEEDS)} seeds, each fine-tuned, trained and audited, in Kuhn poker",
        ways=[way("one process", 1), way("two workers", WORKERS)],
        ratios={"two workers vs one process": ("one process", "two workers")},
        repeats=3,
    )
