"""Replies written by vLLM, through the client that TRL's trainer keeps in step with the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sepo.lm.chat import prompt_text
from sepo.lm.generate import Draft, opened
from sepo.lm.load import LanguageModel
from sepo.lm.reasoned import Reply
from sepo.solve.tree import Floats
from sepo.train import ranks


class VllmWriter:
    """Writes through the vLLM that the trainer keeps in step with the model, in a process of its own or in this one.

    It draws its own numbers, so replies are not the same from run to run. Several processes ask together, as its server
    wants them to: whoever has nothing to ask asks something.
    """

    def __init__(self, trainer: Any, lm: LanguageModel) -> None:
        self.trainer, self.lm = trainer, lm

    def draft(self, chats: Sequence[Sequence[tuple[str, str]]], lots: Floats) -> list[Draft]:
        """Reply to every chat."""
        texts = [prompt_text(self.lm.tokenizer, chat, self.lm.template) for chat in chats]
        prompts = [self.lm.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        ends = self.lm.ends
        out = []
        for text, prompt, (tokens, likely) in zip(texts, prompts, self._together(prompts) or [], strict=True):
            stop = next((i for i, token in enumerate(tokens) if token in ends), None)
            said = self.lm.tokenizer.decode(tokens[:stop], skip_special_tokens=False)
            out.append(Draft(list(prompt), tokens, likely, Reply(opened(text) + str(said), stop is not None)))
        return out

    def finish(self) -> None:
        """Keep the other processes company until none has anything to ask."""
        while self._together([]) is not None:
            pass

    def _together(self, prompts: Sequence[Sequence[int]]) -> list[tuple[list[int], list[float]]] | None:
        """Return tokens and log-probabilities for own prompts; None where no process has any."""
        most = max(ranks.everyones(len(prompts)))
        if not most:
            return None
        blank = [[int(self.lm.tokenizer.eos_token_id)]]
        asked = [*map(list, prompts), *blank * (most - len(prompts))]
        _, tokens, log_probs, _ = self.trainer.vllm_generation.generate(prompts=asked, images=None, num_generations=1)
        found = [(t, [top[0] or 0.0 for top in tops]) for t, tops in zip(tokens, log_probs, strict=True)]
        return found[: len(prompts)]
