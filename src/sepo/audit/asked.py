"""How an audit was asked for, read back from a scorecard or card: what ``Options.document`` writes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sepo.audit.methods import Options, Sets
from sepo.errors import InputError
from sepo.lm.endpoint import Limits
from sepo.policies.reasoned import ReplyRules, Rule, Style
from sepo.policies.spec import Asking


class _Read(BaseModel):
    """A part that must be as written: an option that is not known may change the figures."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AskedModel(_Read):
    """How a language model was asked; see ``policies.reasoned.ReplyRules``."""

    style: Style
    samples: int = Field(ge=1)
    tokens: int = Field(ge=1)
    illegal: Rule
    retries: int = Field(ge=0)
    tokenizer: str | None = None
    body: dict[str, Any] = Field(default_factory=dict)
    template: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    """Of what it wrote, where that is not the audit's."""


class Asked(_Read):
    """The options; see ``audit.methods.Options``."""

    measures: Sets
    method: Literal["auto", "exact", "sampled"]
    episodes: int | None = Field(ge=2)
    half_width: float | None = Field(ge=0, allow_inf_nan=False)
    control: bool
    opponents: list[str]
    budget: int | None = Field(ge=1)
    adversaries: bool
    asking: AskedModel | None = None

    def options(self, seed: int, *, kept: bool) -> Options:
        """Return the options to audit by again.

        Parameters
        ----------
        kept
            Whether a local model's answers may come from this machine's disk.
        """
        model, asking = self.asking, Asking(seed=seed, kept=kept)
        if model is not None:
            rules = ReplyRules(model.style, model.samples, model.tokens, model.illegal, model.retries)
            own = seed if model.seed is None else model.seed
            asking = Asking(rules, own, model.tokenizer, Limits(body=model.body), kept=kept, template=model.template)
        return Options(
            sets=self.measures,
            method=self.method,
            seed=seed,
            episodes=self.episodes,
            half_width=self.half_width,
            control=self.control,
            opponents=tuple(self.opponents),
            budget=self.budget,
            adversaries=self.adversaries,
            asking=asking,
        )


def read_asked(document: object, where: str) -> Asked:
    """Read the options of an audit.

    Raises
    ------
    InputError
        If they are not as they are written; the message names the option.
    """
    try:
        return Asked.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "options"
        raise InputError(f"{where}, option '{key}': {first['msg']}") from None
