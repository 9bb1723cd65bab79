"""The live display counts what is left, over all arms and seeds, also when a run is resumed."""

from __future__ import annotations

import io

import pytest

from sepo.cli.progress import RunDisplay, announce
from sepo.cli.terminal import console
from sepo.train.recipe import parse_recipe
from sepo.train.sections import ModelSection

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
    unit = {"name": "x", "seed": 0}
    with RunDisplay({"x": RECIPE}, console(file=out)) as display:
        assert sum(display.left.values()) == 2 * (4 + 10)
        display.tell({**unit, "arm": "sft", "stage": "done", "steps": 0, "line": {}})
        assert sum(display.left.values()) == 4 + 2 * 10
        display.tell({**unit, "arm": "sepo", "stage": "train", "steps": 10, "line": {"step": 7, **line}})
        assert sum(display.left.values()) == 4 + 3 + 10
    assert "sepo seed 0 (train) step 7/10 J +0.2500  exploitability 0.1250" in out.getvalue()
    assert "left" in out.getvalue()


def test_arms_and_seeds_that_are_trained_side_by_side_have_a_bar_each():
    def told(seed: int, step: int | None):
        line = {} if step is None else {"step": step, "loss": 0.5}
        return {"name": "x", "arm": "sft", "seed": seed, "stage": "sft", "steps": 4, "line": line}

    with RunDisplay({"x": RECIPE}, console(file=io.StringIO(), force_terminal=True)) as display:
        for seed, step in ((0, 1), (1, 1), (0, 2), (1, 2), (0, 3)):
            display.tell(told(seed, step))
        shown = {task.description: (task.completed, task.total) for task in display.bar.tasks}
        assert shown == {"sft seed 0 (sft)": (3, 4), "sft seed 1 (sft)": (2, 4)}
        display.tell(told(0, None))
        assert [task.description for task in display.bar.tasks] == ["sft seed 1 (sft)"]


@pytest.mark.parametrize(
    ("dtype", "able", "hinted"),
    [
        ("bfloat16", {"avx2": True, "avx512_bf16": False}, True),
        ("bfloat16", {"avx512_bf16": True}, False),
        ("bfloat16", {"architecture": "aarch64", "bf16": True}, False),
        ("float32", {"avx2": True}, False),
    ],
)
def test_arithmetic_that_a_cpu_lacks_is_said_with_what_to_set(
    dtype: str, able: dict[str, object], hinted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: able)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    announce(ModelSection(dtype=dtype))
    said = capsys.readouterr().err
    assert said.startswith("loading bundled:smollm2\n")
    assert ("--set model.dtype=float32" in said) == hinted
