"""Models of large shapes: here with every dimension small, as the program meets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import shapes
from sepo.errors import InputError
from sepo.games.registry import make
from sepo.lm.load import load_model
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from tests.models import tiny_tokenizer

SMALL = {
    "vocab_size": 400,
    "vocab_size_per_layer_input": 400,
    "hidden_size": 32,
    "hidden_size_per_layer_input": 8,
    "intermediate_size": 64,
    "num_hidden_layers": 12,
    "num_kv_shared_layers": 6,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "global_head_dim": 32,
}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    tiny_tokenizer().save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_what_is_written_is_a_model_that_plays(
    shape: str, tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dimensions = {"gemma4-e4b": shapes.GEMMA4_E4B, "qwen3.5-4b": shapes.QWEN35_4B}[shape]
    for name in dimensions.keys() & SMALL.keys():
        monkeypatch.setitem(dimensions, name, SMALL[name])
    folder = tmp_path / "model"
    shapes.save(shape, folder, tokenizer)
    lm = load_model(f"hf:{folder}")
    answers = DirectPolicy(lm, shape).probabilities(expand(make("kuhn")).questions)
    assert all(np.isfinite(row).all() and row.sum() == pytest.approx(1) for row in answers)
    with pytest.raises(InputError, match="is there already; name a folder to be made"):
        shapes.save(shape, folder, tokenizer)


@pytest.mark.parametrize(("shape", "billions"), [("gemma4-e4b", 7.5), ("qwen3.5-4b", 4.2)])
def test_they_are_as_large_as_they_say(shape: str, billions: float) -> None:
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(shapes.SHAPES[shape]())
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, abs=0.05)
