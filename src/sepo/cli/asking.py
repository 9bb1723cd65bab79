"""The options of how language models are asked, which every command that asks one has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, cast, get_args, get_type_hints

import typer

from sepo.audit.methods import Options, Sets
from sepo.cli.arguments import METHODS, SETS, parse_body, parse_budget, parse_choice, parse_price, parse_template
from sepo.lm.endpoint import Limits
from sepo.policies.reasoned import ReplyRules, Rule, Style
from sepo.policies.spec import Asking


def options(
    style: Annotated[str, typer.Option(help="How models are asked: direct (scored) or reasoned.")] = "direct",
    samples: Annotated[int, typer.Option(min=1, help="reasoned: answers drawn at each information state.")] = 32,
    tokens: Annotated[int, typer.Option(min=1, help="reasoned: most tokens of a reply.")] = 200,
    illegal: Annotated[
        str, typer.Option(help="reasoned: what counts where no reply is legal: forfeit, random or retry.")
    ] = "forfeit",
    retries: Annotated[int, typer.Option(min=0, help="reasoned: how often it is asked again before that.")] = 2,
    tokenizer: Annotated[
        str | None, typer.Option(help="openai: the model's tokenizer, an ID or a folder, where its name is none.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="Arguments of a model's chat template, over those it was saved with, as a JSON object: "
            "'{\"enable_thinking\": false}'."
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="openai: calls that are open at once.")] = 8,
    price: Annotated[
        str | None, typer.Option(help="openai: dollars per million tokens read and written, such as 0.5,1.5.")
    ] = None,
    body: Annotated[str | None, typer.Option(help="openai: further fields of every call, as a JSON object.")] = None,
    ray: Annotated[
        str | None, typer.Option(help="Have Ray workers play and ask models: local, auto or ray://HOST:PORT.")
    ] = None,
    ray_gpus: Annotated[float, typer.Option(min=0.0, help="GPUs of each Ray task.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of whatever is drawn; exact figures do not depend on it.")] = 0,
) -> Asking:
    """Return how language models are asked.

    Raises
    ------
    InputError
        If an option is not what it can be.
    """
    manner = cast(Style, parse_choice(style, get_args(Style), "style"))
    fallback = cast(Rule, parse_choice(illegal, get_args(Rule), "illegal-move rule"))
    limits = Limits(concurrency, price=parse_price(price), body=parse_body(body))
    workers = None
    if ray is not None:
        from sepo.adapters.ray import RayWorkers  # importing Ray takes seconds

        workers = RayWorkers(ray, ray_gpus)
    rules = ReplyRules(manner, samples, tokens, fallback, retries)
    return Asking(rules, seed, tokenizer, limits, workers, template=parse_template(template))


def asks_models(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of ``options``, whose value it takes as its argument ``asking``."""
    own, ours = (inspect.signature(function).parameters.values() for function in (command, options))

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        command(asking=options(**{p.name: given.pop(p.name) for p in ours}), **given)

    kept = [p for p in own if p.name != "asking"]
    hints = {**get_type_hints(command, include_extras=True), **get_type_hints(options, include_extras=True)}
    required = [p for p in kept if p.default is p.empty]
    merged = [p.replace(annotation=hints[p.name]) for p in (*required, *(p for p in kept if p not in required), *ours)]
    wrapped.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in merged}
    del wrapped.__wrapped__  # its signature is not this one's
    return wrapped


def parse_options(
    asking: Asking,
    measures: str,
    method: str,
    episodes: int | None,
    half_width: float | None,
    opponents: Sequence[str] | None,
    budget: str,
    *,
    control: bool,
    adversaries: bool = True,
) -> Options:
    """Return how an audit is done from what a command line says.

    Raises
    ------
    InputError
        If a set of measures, method or budget is none.
    """
    return Options(
        sets=cast(Sets, parse_choice(measures, SETS, "set of measures")),
        method=cast(Literal["auto", "exact", "sampled"], parse_choice(method, METHODS, "method")),
        seed=asking.seed,
        episodes=episodes,
        half_width=half_width,
        control=control,
        opponents=tuple(opponents or ()),
        budget=parse_budget(budget),
        adversaries=adversaries,
        asking=asking,
    )
