"""Writing: a language model replies freely to many chats at once, each reply drawn by random numbers of its own.

Every token of a reply is drawn from the model's whole distribution at temperature 1, by one uniform number and the
inverse of the cumulative distribution. So what a reply says depends on its chat and its numbers, and not on what else
is written in the same batch, but for rounding. No penalty, no top-k, no other setting that a model was shipped with:
what is sampled is the distribution that training differentiates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from sepo.lm.chat import prompt_text
from sepo.lm.load import LanguageModel
from sepo.lm.reasoned import THOUGHTS, Reply
from sepo.lm.template import told

BATCH_TOKENS = 24_576
"""Tokens of prompts and replies that one batch holds."""

Chat = Sequence[tuple[str, str]]
Tell = Callable[[int, int], None]


class Draft(NamedTuple):
    """A reply in tokens.

    Attributes
    ----------
    prompt, tokens
        What was read and what was written, the token that ended the turn included.
    log_probs
        Of each token written, in nats.
    """

    prompt: list[int]
    tokens: list[int]
    log_probs: list[float]
    reply: Reply


class Writer:
    """A local language model that writes.

    Parameters
    ----------
    tell
        Hears how many replies of a call are written, and how many there are.
    """

    def __init__(self, language_model: LanguageModel, tell: Tell | None = None) -> None:
        self.language_model = language_model
        self.tell = tell

    def write(self, chats: Sequence[Chat], lots: NDArray[np.float64]) -> list[Reply]:
        """Reply to every chat.

        Parameters
        ----------
        lots : (chats, tokens)
            The uniform numbers in [0, 1) that draw each reply's tokens; a reply has no more tokens than that.
        """
        return [draft.reply for draft in self.draft(chats, lots)]

    def draft(self, chats: Sequence[Chat], lots: NDArray[np.float64]) -> list[Draft]:
        """Reply as ``write`` does, and tell the tokens."""
        lm = self.language_model
        texts = [prompt_text(lm.tokenizer, chat, lm.template) for chat in chats]
        prompts = [lm.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        out: dict[int, Draft] = {}
        for batch in _batches([len(p) for p in prompts], lots.shape[1]):
            written = self._batch([prompts[i] for i in batch], lots[batch])
            for i, found in zip(batch, written, strict=True):
                out[i] = found._replace(reply=found.reply._replace(text=opened(texts[i]) + found.reply.text))
            if self.tell is not None:
                self.tell(len(out), len(chats))
        return [out[i] for i in range(len(chats))]

    def about(self) -> dict[str, Any]:
        """Return dtype, device and the template's arguments."""
        return {
            "dtype": self.language_model.dtype,
            "device": self.language_model.device.type,
            **told(self.language_model.template),
        }

    def _batch(self, prompts: Sequence[Sequence[int]], lots: NDArray[np.float64]) -> list[Draft]:
        lm = self.language_model
        longest = max(map(len, prompts))
        ends = lm.ends
        ids = torch.full((len(prompts), longest), ends[0])
        seen = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            seen[row, longest - len(prompt) :] = 1
        draw = InverseCdf(torch.from_numpy(lots).to(lm.device), longest)
        config = GenerationConfig(
            do_sample=False, max_new_tokens=lots.shape[1], eos_token_id=ends, pad_token_id=ends[0], use_cache=True
        )
        with torch.inference_mode(), unset(lm.model):
            made: Any = lm.model.generate(
                input_ids=ids.to(lm.device),
                attention_mask=seen.to(lm.device),
                generation_config=config,
                logits_processor=LogitsProcessorList([draw]),
            )
        log_probs = torch.stack(draw.log_probs, dim=1).tolist()
        out = []
        for prompt, row, likely in zip(prompts, made[:, longest:].tolist(), log_probs, strict=True):
            stop = next((i for i, token in enumerate(row) if token in ends), None)
            text = lm.tokenizer.decode(row[:stop], skip_special_tokens=False, clean_up_tokenization_spaces=False)
            size = len(row) if stop is None else stop + 1
            out.append(Draft(list(prompt), row[:size], likely[:size], Reply(str(text), stop is not None)))
        return out


class InverseCdf(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token of each row: the one whose share of the cumulative distribution holds the row's number.

    Parameters
    ----------
    lots : (rows, tokens)
        Uniform numbers.
    start
        Tokens of the prompt.

    Attributes
    ----------
    log_probs
        Of the tokens drawn, (rows,) each, before any row's end and after it.
    """

    def __init__(self, lots: torch.Tensor, start: int) -> None:
        self.lots, self.start = lots, start
        self.log_probs: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return 0 at the token drawn and minus infinity elsewhere. (rows, vocabulary)."""
        wanted = self.lots[:, input_ids.shape[1] - self.start, None]
        shares = torch.softmax(scores.double(), dim=-1)
        ends = shares.cumsum(dim=-1)
        drawn = torch.searchsorted(ends, wanted * ends[:, -1:], right=True).clamp(max=scores.shape[1] - 1)
        self.log_probs.append(shares.gather(1, drawn)[:, 0].log())
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)


@contextmanager
def unset(model: Any) -> Iterator[None]:
    """Set aside the settings of generation that a model was shipped with."""
    kept = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = kept


def opened(prompt: str) -> str:
    """Return the mark of the thought that a prompt leaves open for the reply to go on with; empty if it leaves none."""
    for opens, _ in THOUGHTS:
        _, mark, after = prompt.rpartition(opens)
        if mark and not after.strip():
            return opens
    return ""


def _batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Divide prompts into batches of about the same length, each within the budget with its replies."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda k: lengths[k]):
        if batch and (len(batch) + 1) * (lengths[i] + tokens) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
