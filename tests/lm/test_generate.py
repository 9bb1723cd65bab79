"""Writing: every token is drawn from the model's own distribution by the reply's own numbers, in whatever batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from sepo.games.registry import make
from sepo.lm import generate
from sepo.lm.chat import prompt_text
from sepo.lm.generate import InverseCdf, Writer
from sepo.lm.load import LanguageModel, load_model
from sepo.lm.reasoned import asked
from sepo.solve.expand import expand
from tests.models import tiny_model

CHATS = [asked(i.decision.chat()) for i in expand(make("kuhn")).infosets]
TOKENS = 8


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(tiny_model(tmp_path_factory.mktemp("tiny")))


def numbers(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, TOKENS))


def by_hand(lm: LanguageModel, chat: list[tuple[str, str]], lots: np.ndarray) -> tuple[list[int], bool]:
    """Draw a reply token by token, each from a forward pass of its own."""
    ids = lm.tokenizer(prompt_text(lm.tokenizer, chat, {}), add_special_tokens=False)["input_ids"]
    start = len(ids)
    for lot in lots:
        with torch.no_grad():
            logits = lm.model(torch.tensor([ids], device=lm.device)).logits[0, -1].double().cpu()
        shares = torch.softmax(logits, 0).numpy()
        token = int(np.searchsorted(np.cumsum(shares), lot, side="right"))
        if token == lm.tokenizer.eos_token_id:
            return ids[start:], True
        ids.append(token)
    return ids[start:], False


def test_replies_are_those_drawn_token_by_token(lm: LanguageModel):
    lots = numbers(len(CHATS))
    for chat, row, found in zip(CHATS, lots, Writer(lm).write(CHATS, lots), strict=True):
        tokens, finished = by_hand(lm, chat, row)
        assert (found.text, found.finished) == (lm.tokenizer.decode(tokens), finished)


def test_a_reply_does_not_depend_on_its_company(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch):
    lots = numbers(len(CHATS))
    together = Writer(lm).write(CHATS, lots)
    monkeypatch.setattr(generate, "BATCH_TOKENS", 1)  # one at a time
    assert Writer(lm).write(CHATS, lots) == together
    turned = Writer(lm).write(CHATS[::-1], lots[::-1])
    assert turned[::-1] == together


def test_settings_that_a_model_was_shipped_with_change_nothing(lm: LanguageModel):
    lots = numbers(4)
    before = Writer(lm).write(CHATS[:4], lots)
    shipped = GenerationConfig(
        eos_token_id=lm.tokenizer.eos_token_id,
        do_sample=True,
        temperature=0.1,
        top_k=1,
        repetition_penalty=1.3,
        suppress_tokens=[5, 6, 7],
        min_new_tokens=6,
    )
    kept, lm.model.generation_config = lm.model.generation_config, shipped
    try:
        assert Writer(lm).write(CHATS[:4], lots) == before
        assert lm.model.generation_config is shipped
    finally:
        lm.model.generation_config = kept


def test_shares_of_drawn_tokens_are_the_models_probabilities():
    logits = torch.tensor([[0.0, 2.0, -torch.inf, 1.0]])
    lots = (torch.arange(10_000, dtype=torch.float64)[:, None] + 0.5) / 10_000
    scores = InverseCdf(lots, 3)(torch.zeros(10_000, 3, dtype=torch.long), logits.repeat(10_000, 1))
    shares = (scores == 0).double().mean(0)
    assert torch.isinf(scores).sum(1).eq(3).all()
    assert torch.allclose(shares, torch.softmax(logits[0].double(), 0), atol=1e-4)
    ends = InverseCdf(torch.tensor([[0.0], [1 - 1e-16]], dtype=torch.float64), 0)(
        torch.zeros(2, 0, dtype=torch.long), logits.repeat(2, 1)
    )
    assert ends.argmax(1).tolist() == [0, 3]


def test_progress_counts_replies(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch):
    heard = []
    monkeypatch.setattr(generate, "BATCH_TOKENS", 600)
    Writer(lm, lambda done, total: heard.append((done, total))).write(CHATS, numbers(len(CHATS)))
    assert heard[-1] == (len(CHATS), len(CHATS))
    assert len(heard) > 1
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


@pytest.mark.no_cover
@pytest.mark.weights
def test_the_bundled_model_ends_its_turns():
    lots = np.random.default_rng(3).random((4, 64))
    found = Writer(load_model("bundled:smollm2")).write(CHATS[:4], lots)
    assert any(r.finished for r in found)
    assert all(r.text and "<|im_end|>" not in r.text for r in found)
