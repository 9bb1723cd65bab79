"""The live display counts what is left, over all arms and seeds, also when a run is resumed."""

from __future__ import annotations

import io

from rich.console import Console

from sepo.cli.progress import RunDisplay
from sepo.train.recipe import parse_recipe

RECIPE = parse_recipe(
    {
        "name": "x",
        "game": "kuhn",
        "seeds": [0, 1],
        "sft": {"steps": 4},
        "train": {"steps": 10},
        "arms": [{"name": "base", "stage": "base"}, {"name": "sft", "stage": "sft"}, {"name": "sepo"}],
    },
    "here",
)


def test_what_is_left_falls_with_steps_and_finished_units():
    out = io.StringIO()
    line = {"measures": {"sepo": {"J": 0.25}}, "exploitability": 0.125}
    unit = {"game": "kuhn", "seed": 0}
    with RunDisplay([RECIPE], Console(file=out)) as display:
        assert sum(display.left.values()) == 2 * (4 + 10)
        display.tell({**unit, "arm": "sft", "stage": "done", "steps": 0, "line": {}})
        assert sum(display.left.values()) == 4 + 2 * 10
        display.tell({**unit, "arm": "sepo", "stage": "train", "steps": 10, "line": {"step": 7, **line}})
        assert sum(display.left.values()) == 4 + 3 + 10
    assert "sepo seed 0 (train) step 7/10 J +0.2500  exploitability 0.1250" in out.getvalue()
    assert "left" in out.getvalue()
