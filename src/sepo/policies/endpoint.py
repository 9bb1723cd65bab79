"""The direct style behind an endpoint: legal replies scored by the log-probabilities that the server says back."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sepo.extras import install, missing
from sepo.games.base import Decision
from sepo.lm.chat import Question, encode
from sepo.lm.endpoint import Endpoint, scored, scores
from sepo.lm.template import saved_template, told
from sepo.solve.tree import Floats

log = logging.getLogger(__name__)
PROBE = (("user", "Reply with yes."),)


class ScoredEndpoint:
    """A model of a server as a behavioural strategy, as ``policies.direct`` defines it.

    Parameters
    ----------
    tokenizer
        The model's own, with its chat template.
    template
        Further arguments of the chat template.
    """

    def __init__(
        self, endpoint: Endpoint, name: str, tokenizer: Any, template: Mapping[str, Any] | None = None
    ) -> None:
        self.endpoint, self.name, self.tokenizer = endpoint, name, tokenizer
        self.template = dict(template or {})
        self._mass: dict[str, float] = {}

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        """Score every decision's legal replies."""
        questions = [encode(self.tokenizer, d.chat(), d.words(), self.template) for d in decisions]
        found = [np.array(row) for row in scored(self.endpoint, questions)]
        for decision, row in zip(decisions, found, strict=True):
            self._mass[decision.key] = float(np.exp(row).sum())
        odds = [np.exp(row - row.max()) for row in found]
        return [row / row.sum() for row in odds]

    def legal_mass(self) -> Mapping[str, float] | None:
        """Of the decisions asked so far."""
        return dict(self._mass)

    def about(self) -> Mapping[str, Any]:
        """Return style and the server's address, and what was used of it."""
        return {"style": "direct", **told(self.template), **self.endpoint.about()}


def scored_policy(
    endpoint: Endpoint, name: str, tokenizer: str | None, template: Mapping[str, Any] | None = None
) -> ScoredEndpoint | None:
    """Return the policy of a model whose server gives log-probabilities; None, saying why, where it cannot be scored.

    Parameters
    ----------
    tokenizer
        ID or folder; by the model's own name unless given.
    template
        Arguments of its chat template, over those kept with it.

    Raises
    ------
    EndpointError
        If the server does not answer.
    """
    source = tokenizer or endpoint.model
    found = _tokenizer(source)
    if found is None:
        without = "transformers" in missing("lm")
        remedy = f"it needs transformers: {install('lm')}" if without else "name it by --tokenizer"
        log.warning("%s: sampled, not scored, since its tokenizer is not at hand: %s", name, remedy)
        return None
    asked = saved_template(source) | dict(template or {})
    if not scores(endpoint, _probe(found, asked)):
        log.warning("%s: sampled, not scored, since the server gives no log-probabilities of a prompt", name)
        return None
    return ScoredEndpoint(endpoint, name, found, asked)


def _probe(tokenizer: Any, template: Mapping[str, Any]) -> Question:
    return encode(tokenizer, PROBE, ("yes", "no"), template)


def _tokenizer(source: str) -> Any:
    """Return a tokenizer with a chat template; None where there is none of that name."""
    try:
        from transformers import AutoTokenizer

        found = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, ImportError):
        return None
    return found if getattr(found, "chat_template", None) else None
