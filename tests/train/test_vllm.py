"""Writing through vLLM as TRL has it: what is asked of it and what is made of its answers; vLLM itself needs a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sepo.games.registry import make
from sepo.lm.load import load_model
from sepo.lm.reasoned import asked
from sepo.solve.expand import expand
from sepo.train import ranks
from sepo.train.rollouts import Manner, Together, play
from sepo.train.vllm import VllmWriter
from tests.models import tiny_model


class Served:
    """Answers as TRL's ``VLLMGeneration.generate`` does: for each prompt tokens, and log-probabilities by rank."""

    def __init__(self, tokenizer: Any, said: str) -> None:
        self.tokens = [*tokenizer(said, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        self.asked: list[int] = []

    def generate(self, prompts: list[list[int]], images: None, num_generations: int, profiler: None = None) -> Any:
        assert num_generations == 1
        self.asked.append(len(prompts))
        log_probs = [[[-0.5]] * (len(self.tokens) - 1) + [[None]] for _ in prompts]
        return prompts, [self.tokens for _ in prompts], log_probs, None


class Trainer:
    def __init__(self, served: Served) -> None:
        self.vllm_generation = served


@pytest.fixture
def lm(tmp_path: Path) -> Any:
    return load_model(tiny_model(tmp_path))


def test_replies_are_read_with_their_tokens(lm: Any):
    decisions = [i.decision for i in expand(make("kuhn")).infosets[:3]]
    writer = VllmWriter(Trainer(Served(lm.tokenizer, "So.\nACTION: check")), lm)
    drafts = writer.draft([asked(d.chat()) for d in decisions], np.zeros((3, 4)))
    for draft in drafts:
        assert draft.reply.text == "So.\nACTION: check"
        assert draft.reply.finished
        assert draft.tokens[-1] == lm.tokenizer.eos_token_id
        assert draft.log_probs == [-0.5] * (len(draft.tokens) - 1) + [0.0]  # one that vLLM could not score
    assert [d.prompt for d in drafts] == [lm.tokenizer(lm.tokenizer.decode(d.prompt))["input_ids"] for d in drafts]


def test_whoever_has_finished_asks_along_with_the_others(lm: Any, monkeypatch: pytest.MonkeyPatch):
    """Of two processes this one has two prompts, the other five, then four, three, two, one and none."""
    served = Served(lm.tokenizer, "x")
    writer = VllmWriter(Trainer(served), lm)
    others = iter([5, 4, 3, 2, 1, 0])
    monkeypatch.setattr(ranks, "everyones", lambda thing: [thing, next(others)])
    decision = expand(make("kuhn")).infosets[0].decision
    assert len(writer.draft([asked(decision.chat())] * 2, np.zeros((2, 4)))) == 2
    writer.finish()
    assert served.asked == [5, 4, 3, 2, 1]


def test_a_step_stays_until_all_have_finished(lm: Any):
    class Stays(VllmWriter):
        stayed = 0

        def finish(self) -> None:
            self.stayed += 1

    writer = Stays(Trainer(Served(lm.tokenizer, "So.\nACTION: check")), lm)
    assert isinstance(writer, Together)
    play(writer, make("kuhn"), ["nash"], range(2), 2, Manner(8), ("k",))
    assert writer.stayed == 1
