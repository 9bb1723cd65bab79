"""The paper's two families, as tiny random models of the real classes: scored right, adapted where they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sepo.games.registry import make
from sepo.lm.adapter import adapted, make_trainable, save_model, snapshot, trainable
from sepo.lm.generate import Writer
from sepo.lm.load import LanguageModel, load_model
from sepo.lm.reasoned import asked
from sepo.policies.direct import DirectPolicy
from sepo.solve.expand import expand
from sepo.train.direct import Batch, Scorer, projection_loss
from tests.models import tiny_named

DECISIONS = [i.decision for i in expand(make("kuhn")).infosets]
FAMILIES = ("gemma4", "qwen3_5")


@pytest.fixture(params=FAMILIES)
def lm(request: pytest.FixtureRequest, tmp_path: Path) -> LanguageModel:
    return load_model(tiny_named(tmp_path / request.param, request.param))


def one_by_one(lm: LanguageModel) -> list[np.ndarray]:
    """Score every reply in a pass of its own."""
    policy = DirectPolicy(lm, "x")
    out = []
    for decision in DECISIONS:
        question, sums = policy.question(decision), []
        for reply in question.replies:
            ids = torch.tensor([[*question.prompt, *reply]], device=lm.device)
            with torch.no_grad():
                logs = torch.log_softmax(lm.model(ids).logits[0].double(), -1)
            start = len(question.prompt)
            sums.append(sum(float(logs[start + i - 1, token]) for i, token in enumerate(reply)))
        odds = np.exp(np.array(sums) - max(sums))
        out.append(odds / odds.sum())
    return out


def test_whatever_the_packing_the_policy_is_that_of_one_pass_a_reply(lm: LanguageModel):
    policy = DirectPolicy(lm, "x")
    for found, want in zip(policy.probabilities(DECISIONS), one_by_one(lm), strict=True):
        assert found == pytest.approx(want, abs=1e-4)


def test_linear_attention_allows_no_prompt_trie(tmp_path: Path):
    policy = DirectPolicy(load_model(tiny_named(tmp_path, "qwen3_5")), "x")
    policy.probabilities(DECISIONS)
    assert policy.about()["packing"] == "padded"


@pytest.mark.parametrize(("window", "packing"), [(512, "trie"), (16, "padded")])
def test_windows_allow_one_where_the_prompt_fits(tmp_path: Path, window: int, packing: str):
    policy = DirectPolicy(load_model(tiny_named(tmp_path, "gemma4", window=window)), "x")
    policy.probabilities(DECISIONS)
    assert policy.about()["packing"] == packing


def test_adapters_go_to_the_text_decoders_blocks_and_nowhere_else(lm: LanguageModel):
    names = adapted(lm)
    modules = dict(lm.model.named_modules())
    assert all(isinstance(modules[name], torch.nn.Linear) for name in names)
    assert not [n for n in names if any(part in n for part in ("vision", "audio", "embed", "lm_head", "visual"))]
    kinds = {name.rsplit(".", 1)[-1] for name in names}
    assert {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"} <= kinds
    if "linear_attn" in " ".join(modules):
        assert {"in_proj_qkv", "in_proj_z", "out_proj"} <= kinds  # three layers in four have no other attention
        assert any("linear_attn" in name for name in adapted(lm, "attention"))
    assert not [name for name in adapted(lm, "attention") if "mlp" in name]
    last = adapted(lm, layers=1)
    assert set(last) < set(names)
    assert {name.split(".layers.")[1].split(".")[0] for name in last} == {"3"}


def test_a_step_moves_the_adapters_alone(lm: LanguageModel):
    before = {name: p.detach().clone() for name, p in lm.model.named_parameters()}
    make_trainable(lm, "lora", 4, 8)
    assert {name for name, p in lm.model.named_parameters() if p.requires_grad} == set(trainable(lm))
    policy = DirectPolicy(lm, "x")
    start = policy.probabilities(DECISIONS)
    optimiser = torch.optim.AdamW(trainable(lm).values(), lr=0.02)
    batch = Batch(DECISIONS, [np.eye(len(d.legal))[0] for d in DECISIONS], start, None, np.full(len(DECISIONS), 1 / 12))
    for _ in range(3):
        Scorer(policy, DECISIONS).backward(batch, projection_loss)
        assert all(p.grad is not None for name, p in trainable(lm).items() if "lora_B" in name)
        optimiser.step()
        optimiser.zero_grad()
    for name, p in lm.model.base_model.model.named_parameters():
        if "lora" not in name:
            assert torch.equal(p, before[name.replace(".base_layer", "")])
    learnt = np.mean([p[0] for p in policy.probabilities(DECISIONS)])
    assert learnt > np.mean([p[0] for p in start])


def test_what_was_trained_comes_back(lm: LanguageModel, tmp_path: Path):
    make_trainable(lm, "lora", 4, 8)
    with torch.no_grad():
        for p in trainable(lm).values():
            p.add_(0.05)
    save_model(lm, tmp_path / "adapter")
    again = load_model(f"{lm.reference}+{tmp_path / 'adapter'}")
    want = DirectPolicy(lm, "x").probabilities(DECISIONS)
    for here, there in zip(DirectPolicy(again, "x").probabilities(DECISIONS), want, strict=True):
        assert here == pytest.approx(there, abs=1e-5)
    assert snapshot(lm)


def test_they_write(lm: LanguageModel):
    chats = [asked(d.chat()) for d in DECISIONS[:3]]
    lots = np.random.default_rng(0).random((3, 6))
    together = Writer(lm).write(chats, lots)
    apart = [Writer(lm).write([chat], row[None])[0] for chat, row in zip(chats, lots, strict=True)]
    assert together == apart
