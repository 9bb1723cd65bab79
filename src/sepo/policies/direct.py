"""The direct style: a language model scored on its legal action strings.

The policy is the softmax over the legal strings' summed token log-probabilities, end-of-turn token
included; the legal mass is the sum of their unnormalised probabilities.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sepo.games.base import Decision
from sepo.lm.chat import Question, encode
from sepo.lm.load import LanguageModel
from sepo.lm.template import told
from sepo.lm.trie import TOKEN_BUDGET, Packing, score, trie_agrees, window
from sepo.solve.tree import Floats

log = logging.getLogger(__name__)
TOLERANCE = {"float32": (1e-3, 0.0), "bfloat16": (0.5, 0.1)}
"""What log-probabilities may differ by between packings, absolutely and relative to their size: logits are rounded."""


class DirectPolicy:
    """A language model as a behavioural strategy. Answers are not cached: the model may be in training.

    Parameters
    ----------
    packing
        None measures at the first question, and again when prompts grow, whether the model allows prompt
        tries, and falls back to the padded batch where it does not. So it does for questions longer than the
        model's window: in half precision that need not show in what is measured.
    budget
        Tokens of one forward pass.
    tell
        Hears how many forward passes of a batch are done, and how many there are.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        name: str,
        packing: Packing | None = None,
        budget: int = TOKEN_BUDGET,
        tell: Callable[[int, int], None] | None = None,
    ) -> None:
        self.language_model = language_model
        self.name = name
        self.budget = budget
        self.tell = tell
        self._packing = packing
        self._fixed = packing is not None
        self._probed = 0
        self._agrees = False
        self._warned = False
        self._mass: dict[str, float] = {}
        self._questions: dict[tuple[Any, ...], Question] = {}

    def question(self, decision: Decision) -> Question:
        """Return the decision in tokens. (Tokenised once per distinct chat.)."""
        key = (decision.chat(), decision.words())
        if key not in self._questions:
            lm = self.language_model
            self._questions[key] = encode(lm.tokenizer, key[0], key[1], lm.template, lm.ends)
        return self._questions[key]

    def packing(self, questions: Sequence[Question]) -> Packing:
        """Return how these questions are packed, after the self-check where one is due."""
        if not self._fixed:
            self._packing = "trie" if self._allows_trie(questions) else "padded"
        return self._packing or "padded"

    def _allows_trie(self, questions: Sequence[Question]) -> bool:
        lm = self.language_model
        sight, read = window(lm.model), max((len(q.prompt) + max(map(len, q.replies)) for q in questions), default=0)
        if sight is not None and sight < read:
            if not self._warned:
                log.warning("%s: layers see %d tokens of up to %d; using padded batches", self.name, sight, read)
            self._warned = True
            return False
        longest = max((len(q.prompt) for q in questions), default=0)
        if longest > self._probed:
            self._agrees, worst = trie_agrees(lm.model, questions, *TOLERANCE[lm.dtype])
            self._probed = longest
            if not self._agrees:
                why = "are not taken" if math.isinf(worst) else f"differ by {worst:.2g} from one-by-one scoring"
                log.warning("%s: prompt tries %s; using padded batches", self.name, why)
        return self._agrees

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Score every distinct decision once."""
        questions = [self.question(d) for d in decisions]
        found = score(self.language_model.model, questions, self.packing(questions), self.budget, self.tell)
        for decision, scores in zip(decisions, found, strict=True):
            self._mass[decision.key] = float(scores.exp().sum())
        return [normalised(scores) for scores in found]

    def legal_mass(self) -> Mapping[str, float] | None:
        """Of the decisions asked so far."""
        return dict(self._mass)

    def about(self) -> Mapping[str, Any]:
        """Return dtype, packing and the template's arguments."""
        return {
            "style": "direct",
            "dtype": self.language_model.dtype,
            "packing": self._packing,
            "device": self.language_model.device.type,
            **told(self.language_model.template),
        }


def normalised(scores: torch.Tensor) -> Floats:
    """Return the softmax of summed log-probabilities in double precision. (replies,)."""
    out: Floats = np.asarray(torch.softmax(scores.double(), dim=-1).numpy(), dtype=np.float64)
    return out
