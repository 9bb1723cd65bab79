"""POLICY strings: the one table from a prefix to the policy it makes; ``FORMS`` says what there is."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sepo.errors import InputError
from sepo.extras import hold_to_extra
from sepo.games.base import Game
from sepo.lm.endpoint import SAMPLING, Endpoint, EndpointWriter, Limits
from sepo.policies.base import Policy
from sepo.policies.endpoint import scored_policy
from sepo.policies.human import HumanPolicy
from sepo.policies.reasoned import ReasonedPolicy, ReplyRules
from sepo.policies.script import ScriptPolicy, UniformPolicy, opponent
from sepo.policies.table import load_table
from sepo.policies.workers import Workers

log = logging.getLogger(__name__)
Tell = Callable[[int, int], None]
FORMS = (
    "script:NAME, axelrod:STRATEGY, uniform, table:FILE, bundled:smollm2[+ADAPTER], hf:ID_OR_PATH[+ADAPTER], "
    "openai:MODEL@BASE_URL or human"
)


@dataclass(frozen=True)
class Asking:
    """How language models are asked.

    Attributes
    ----------
    rules
        Of a model that writes; a model whose style is ``direct`` is scored instead where it can be.
    seed
        Of what it writes.
    tokenizer
        ID or folder of the tokenizer of a model behind an endpoint; by its own name unless given.
    limits
        How an endpoint is treated.
    workers
        Who asks local models; this process unless given.
    kept
        Whether a local model's answers may come from this machine's disk, and are kept there.
    template
        Arguments of the chat template, over those kept with the model.
    """

    rules: ReplyRules = field(default_factory=lambda: ReplyRules(style="direct"))
    seed: int = 0
    tokenizer: str | None = None
    limits: Limits = field(default_factory=Limits)
    workers: Workers | None = None
    kept: bool = True
    template: Mapping[str, Any] = field(default_factory=dict)


def load_policy(text: str, game: Game | None = None, tell: Tell | None = None, asking: Asking | None = None) -> Policy:
    """Make a policy from a POLICY string.

    Parameters
    ----------
    game
        With one, a script's name is checked at once.
    tell
        Hears of a model's progress: forward passes, or replies, done and to do.
    asking
        How a language model is asked; other policies have no style.

    Raises
    ------
    InputError
        If the string is of no known form, or what it names is not there, or needs what is not installed.
    EndpointError
        If an endpoint does not answer.
    """
    kind, _, rest = text.partition(":")
    if kind not in MAKERS or (bool(rest) == (kind in ("uniform", "human"))):
        raise InputError(f"unknown policy '{text}': a policy is {FORMS}")
    policy = MAKERS[kind](rest, tell, asking or Asking())
    if game is not None and isinstance(policy, ScriptPolicy):
        opponent(game, policy.script)
    return policy


def _model(reference: str, tell: Tell | None, asking: Asking) -> Policy:
    if asking.workers is None:
        hold_to_extra("lm", "language models need")
    else:  # who loads the model looks there
        from sepo.policies.spread import SpreadScorer, SpreadWriter
    if asking.rules.style == "reasoned":
        if asking.workers is not None:
            return SpreadWriter(reference, asking, asking.workers)
        from sepo.lm.generate import Writer
        from sepo.lm.load import load_model

        return ReasonedPolicy(
            Writer(load_model(reference, template=asking.template), tell), reference, asking.rules, asking.seed
        )
    from sepo.lm.identity import fingerprint
    from sepo.policies.remembered import RememberedPolicy

    def load() -> Policy:
        if asking.workers is not None:
            return SpreadScorer(reference, asking, asking.workers)
        from sepo.lm.load import load_model  # torch takes seconds to import: only when a model is asked for
        from sepo.policies.direct import DirectPolicy

        return DirectPolicy(load_model(reference, template=asking.template), name=reference)

    made_of = fingerprint(reference, asking.template) if asking.kept else None
    policy = RememberedPolicy(load, reference, made_of, tell)
    if not policy.keeps:
        policy.load()  # what is wrong with the reference is said at once
    return policy


def _is_address(url: str) -> bool:
    """Whether a URL names a host, and a port that there can be, if any."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _endpoint(rest: str, tell: Tell | None, asking: Asking) -> Policy:
    model, at, base_url = rest.rpartition("@")
    if not at or not model or not base_url.startswith(("http://", "https://")) or not _is_address(base_url):
        raise InputError(f"'openai:{rest}' names no endpoint: use openai:MODEL@BASE_URL, with http:// or https://")
    name = f"openai:{rest}"
    endpoint = Endpoint(model, base_url, asking.limits, tell)
    if asking.rules.style == "direct":
        policy = scored_policy(endpoint, name, asking.tokenizer, asking.template)
        if policy is not None:
            return policy
    if asking.template:
        fields = json.dumps({"chat_template_kwargs": dict(asking.template)}, default=str)
        raise InputError(f"{name} writes by its server's template, which no --template reaches: try --body '{fields}'")
    writer = EndpointWriter(endpoint)
    if not writer.varies():
        log.warning(
            "%s: replies are alike whatever the seed: does the server sample? `transformers serve` needs --body '%s'",
            name,
            json.dumps(SAMPLING),
        )
    return ReasonedPolicy(writer, name, asking.rules, asking.seed)


MAKERS: Mapping[str, Callable[[str, Tell | None, Asking], Policy]] = {
    "script": lambda rest, tell, asking: ScriptPolicy(f"script:{rest}", rest),
    "axelrod": lambda rest, tell, asking: ScriptPolicy(f"axelrod:{rest}", f"axelrod:{rest}"),
    "uniform": lambda rest, tell, asking: UniformPolicy(),
    "table": lambda rest, tell, asking: load_table(Path(rest)),
    "human": lambda rest, tell, asking: HumanPolicy(),
    "bundled": lambda rest, tell, asking: _model(f"bundled:{rest}", tell, asking),
    "hf": lambda rest, tell, asking: _model(f"hf:{rest}", tell, asking),
    "openai": _endpoint,
}
