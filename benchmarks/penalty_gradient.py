"""The exploit penalty's gradient in a language model's own weights, under each way to credit it.

``train.objective`` shows on tables which credits follow a penalty and which leave it without a gradient. Here the same
is measured on a trained model: the weights of actions that a step is given, from sampled rollouts with everything but
the penalty set to nothing, are turned into the gradient that the model's LoRA parameters would get from them.

That gradient is linear in the weights w: g(w) is the sum of w(s, a) times the gradient of log pi(a|s). So its
projection on a direction d is the sum of w(s, a) D(s, a), where D is the derivative of log pi along d. One pass of the
model in forward mode (A. Griewank and A. Walther, "Evaluating Derivatives", 2008, chapter 3) gives D for every state
and action; then each key of the rollouts costs milliseconds, and thousands of them give the expected gradient with its
error. The directions are that of the exact penalty's gradient and some at random.

Run from a clone of the repository, on a checkpoint of a run or on the bundled model::

    python -m benchmarks.penalty_gradient hf:runs/kuhn/arms/sft/seed-0/checkpoints/last --keys 2000

No ``sepo bench``: nothing is timed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast, get_args

import numpy as np
import torch
import typer
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from sepo.audit.arena import Ground, ground_of, layout
from sepo.audit.measures import Term, measure, terms
from sepo.audit.scorecard import versions
from sepo.cli.arguments import GameOption, JsonOption, OutOption, RuleOption, parse_choice, parse_rules
from sepo.errors import InputError
from sepo.files import dump_json, write_json
from sepo.games.base import MeasureName, MeasureSet
from sepo.games.registry import make
from sepo.lm.adapter import make_trainable, trainable
from sepo.lm.load import BUNDLED, LanguageModel, load_model
from sepo.policies.direct import DirectPolicy
from sepo.solve.tree import Floats, Layout
from sepo.train.direct import Batch, Scorer, Scores, gather, spread
from sepo.train.objective import Credit, CreditRules, signal, tangent

from .timing import Say

SCHEMA = "sepo.penalty_gradient/1"
CREDITS: tuple[Credit, ...] = ("constant", "rollout", "credited")
EXACT = "exact gradient"
"""Name of its direction."""
MOST = 2000
"""Decisions that a model is scored on."""
NOISELESS = 1e-9
"""An error this much smaller than what is estimated is rounding."""


class Estimate(NamedTuple):
    """A mean over independent keys with its standard error, and what it would be for the exact gradient."""

    mean: float
    error: float
    exact: float

    @property
    def share(self) -> float:
        """How much of the exact gradient is there: 1 where the gradient is the true one, 0 where there is none."""
        return self.mean / self.exact

    def apart(self, value: float) -> float | None:
        """Return how many standard errors the mean is from a value; None where there is no noise."""
        return (self.mean - value) / self.error if self.error > NOISELESS * abs(self.exact) else None


class Projected(NamedTuple):
    """What one credit gives.

    Attributes
    ----------
    estimates
        The gradient's projection on each direction, by the direction's name.
    weights : (entries,)
        Mean of the weights of actions.
    """

    estimates: Mapping[str, Estimate]
    weights: Floats


class Policy:
    """A language model's policy over a layout as a function of the model's trained parameters.

    A gradient or a direction is a vector over all of them, end to end. (parameters,).
    """

    def __init__(self, lm: LanguageModel, space: Layout) -> None:
        self.space = space
        self.lm = lm
        self.parameters = adapter(lm)
        self.scorer = Scorer(DirectPolicy(lm, lm.reference), space.questions)

    @property
    def size(self) -> int:
        """Number of trained parameters."""
        return sum(p.numel() for p in self.parameters.values())

    def strategy(self) -> Floats:
        """Return the probability of each action. (entries,)."""
        return gather(self.space, self.scorer.evaluate()[0])

    def gradient(self, weights: Floats) -> torch.Tensor:
        """Return the gradient of the sum of ``weights`` (entries,) times log pi."""

        def weighed(scores: Scores, batch: Batch) -> torch.Tensor:
            return (scores.pick(batch.weights) * scores.log_policy()).sum()

        rows = spread(self.space, weights)
        self.lm.model.zero_grad(set_to_none=True)
        self.scorer.backward(Batch(self.scorer.decisions, rows, rows, None, np.zeros(len(rows))), weighed)
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters.values()]
        self.lm.model.zero_grad(set_to_none=True)
        return torch.cat([g.flatten() for g in found])

    def along(self, direction: torch.Tensor) -> Floats:
        """Return the derivative of log pi along a direction. (entries,)."""
        out: list[Floats] = [np.empty(0)] * len(self.scorer.decisions)
        parts = torch.split(direction, [p.numel() for p in self.parameters.values()])
        # the fused kernels of attention have no forward mode
        with torch.no_grad(), forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH):
            duals = {
                name: forward_ad.make_dual(p.detach(), part.view_as(p))  # type: ignore[no-untyped-call]
                for (name, p), part in zip(self.parameters.items(), parts, strict=True)
            }
            moved = replace(self.lm, model=_At(self.lm.model, duals))
            scorer = Scorer(DirectPolicy(moved, self.lm.reference), self.scorer.decisions, self.scorer.packing)
            for plan in scorer.plans:
                scores = scorer.scores(plan)
                dual = forward_ad.unpack_dual(scores.log_policy())  # type: ignore[no-untyped-call]
                slopes = dual.tangent.double().cpu().numpy()
                for row, i in enumerate(scores.chosen):
                    out[i] = slopes[row, : len(scorer.decisions[i].legal)]
        return gather(self.space, out)


class _At:
    """A model that is called with other parameters than its own."""

    def __init__(self, model: torch.nn.Module, parameters: Mapping[str, torch.Tensor]) -> None:
        self._model, self._parameters = model, dict(parameters)
        self.device, self.dtype = model.device, model.dtype
        self.generation_config = model.generation_config

    def __call__(self, **inputs: Any) -> Any:
        return torch.func.functional_call(self._model, self._parameters, (), inputs)


def adapter(lm: LanguageModel) -> dict[str, torch.nn.Parameter]:
    """Return the LoRA parameters of a model; one that has none is given those that training would start from."""
    own = {name: p for name, p in lm.model.named_parameters() if "lora_" in name}
    if not own:
        make_trainable(lm, "lora")
        return trainable(lm)
    lm.model.requires_grad_(False)
    for parameter in own.values():
        parameter.requires_grad_(True)
    return own


def penalty(ground: Ground, measures: MeasureSet, learner: Floats) -> list[Term]:
    """Return the terms of J of which only the exploit penalty is left: what training episodes pay counts nothing.

    Raises
    ------
    InputError
        If no exploiter is ahead of the policy, so that the penalty is clipped and has no gradient.
    """
    found = terms(ground, measures, learner)
    if not any(t.active for t in found if t.kind == "e"):
        raise InputError(
            f"no exploiter of the {measures.name} measures is ahead of this policy: its penalty is 0 and has no "
            "gradient; choose other --measures"
        )
    return [replace(t, coefficient=0.0) if t.kind == "u" else t for t in found if t.kind in ("u", "e")]


def exact(space: Layout, learner: Floats, found: Sequence[Term]) -> Floats:
    """Return the weights of the penalty's exact gradient. (entries,)."""
    return signal(space, learner, found, CreditRules(scale="none"), ()).weights


def projected(
    space: Layout,
    learner: Floats,
    found: Sequence[Term],
    rules: CreditRules,
    slopes: Mapping[str, Floats],
    keys: Sequence[tuple[object, ...]],
) -> Projected:
    """Project the gradient of sampled weights on some directions.

    Parameters
    ----------
    slopes
        Name of a direction -> the derivative of log pi along it. (entries,).
    keys
        Of the rollouts, one for each independent estimate.
    """
    true = exact(space, learner, found)
    along = np.array(list(slopes.values()))
    total = np.zeros(len(learner))
    samples = np.empty((len(keys), len(along)))
    for number, key in enumerate(keys):
        weights = signal(space, learner, found, rules, key).weights
        samples[number] = along @ weights
        total += weights
    errors = samples.std(axis=0, ddof=1) / np.sqrt(len(keys))
    estimates = {
        name: Estimate(float(mean), float(error), float(slope @ true))
        for (name, slope), mean, error in zip(slopes.items(), samples.mean(axis=0), errors, strict=True)
    }
    return Projected(estimates, total / len(keys))


def examine(
    policy: Policy,
    ground: Ground,
    measures: MeasureSet,
    *,
    keys: int,
    groups: int = 8,
    group_size: int = 8,
    random: int = 3,
    seed: int = 0,
    say: Say = lambda message: None,
) -> dict[str, Any]:
    """Measure the penalty's gradient under every credit; return it as a document.

    Parameters
    ----------
    keys
        Independent samples of a step's weights, of ``groups * group_size`` rollouts a term each.
    random
        Number of random directions.
    """
    space = policy.space
    say("asking the model")
    learner = policy.strategy()
    found = penalty(ground, measures, learner)
    true = exact(space, learner, found)
    gradient = policy.gradient(true)
    slopes = {}
    for name, direction in directions(gradient, random, seed).items():
        say(f"slope of log pi along: {name}")
        slopes[name] = policy.along(direction)
    credits = {}
    for credit in CREDITS:
        say(f"{credit}: {keys} keys")
        rules = CreditRules(credit=credit, estimator="sampled", scale="none", groups=groups, group_size=group_size)
        drawn = [("penalty_gradient", seed, credit, number) for number in range(keys)]
        got = projected(space, learner, found, rules, slopes, drawn)
        tables = [torch.from_numpy(tangent(space, learner, w)) for w in (got.weights, true)]
        credits[credit] = {
            "mean": {
                "table": beside(tables[0], tables[1]),
                "parameters": beside(policy.gradient(got.weights), gradient),
            },
            "directions": {
                name: {**e._asdict(), "share": e.share, "from_zero": e.apart(0.0), "from_exact": e.apart(e.exact)}
                for name, e in got.estimates.items()
            },
        }
    return {
        "schema": SCHEMA,
        "policy": policy.lm.reference,
        "game": ground.game.name,
        "rules": dict(ground.game.rules),
        "measures": measures.name,
        "e": measure(found, "e"),
        "keys": keys,
        "groups": groups,
        "group_size": group_size,
        "seed": seed,
        "parameters": policy.size,
        "norm": {"backward": float(gradient.double().norm()), "forward": float(slopes[EXACT] @ true)},
        "credits": credits,
        "versions": versions(model=True),
    }


def directions(gradient: torch.Tensor, random: int, seed: int) -> dict[str, torch.Tensor]:
    """Return the gradient's direction and some at random, each of length 1. (parameters,)."""
    out = {EXACT: gradient / gradient.double().norm().float()}
    for number in range(1, random + 1):
        drawn = torch.randn(len(gradient), generator=torch.Generator().manual_seed(1000 * seed + number))
        out[f"random {number}"] = (drawn / drawn.norm()).to(gradient)
    return out


def beside(found: torch.Tensor, true: torch.Tensor) -> dict[str, float | None]:
    """Return a vector's length over that of the true one, and their cosine; None if there is nothing of it.

    A mean of nothing but noise is short, and its cosine says nothing.
    """
    a, b = found.double(), true.double()
    length = float(a.norm() / b.norm())
    return {"length": length, "cosine": float(a @ b / (a.norm() * b.norm())) if length > NOISELESS else None}


def show(document: Mapping[str, Any]) -> None:
    """Print what was found as a table."""
    from rich.console import Console
    from rich.table import Table

    about = (
        f"gradient of the exploit penalty ({document['measures']} measures, e {document['e']:.3g}) of "
        f"{document['policy']} in {document['game']}, by {document['parameters']:,} parameters; "
        f"{document['keys']} keys of {document['groups'] * document['group_size']} rollouts a term"
    )
    table = Table(title=about, title_justify="left")
    for heading in ("credit", "direction", "mean", "s.e.", "exact", "share", "s.e. from 0", "s.e. from exact"):
        table.add_column(heading, justify="left" if heading in ("credit", "direction") else "right")
    for credit, got in document["credits"].items():
        for name, e in got["directions"].items():
            apart = ("no noise" if e[key] is None else f"{e[key]:+.1f}" for key in ("from_zero", "from_exact"))
            figures = (f"{e['mean']:.3g}", f"{e['error']:.2g}", f"{e['exact']:.3g}", f"{e['share']:.1%}")
            table.add_row(credit, name, *figures, *apart)
    out = Console()
    out.print(table)
    for credit, got in document["credits"].items():
        each = ", ".join(
            f"over {over} {m['length']:.2g} of its length"
            + ("" if m["cosine"] is None else f" at cosine {m['cosine']:.3f}")
            for over, m in got["mean"].items()
        )
        out.print(f"  {credit}: the mean beside the exact gradient: {each}", highlight=False)


def command(
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="bundled:smollm2 or hf:FOLDER.")] = BUNDLED,
    game: GameOption = "kuhn",
    measures: Annotated[str, typer.Option(help="paper or sepo: which e is the penalty.")] = "sepo",
    rule: RuleOption = None,
    keys: Annotated[int, typer.Option(min=2, help="Independent samples under each credit.")] = 2000,
    groups: Annotated[int, typer.Option(min=1, help="Groups of rollouts a term.")] = 8,
    group_size: Annotated[int, typer.Option(min=2, help="Rollouts of a group.")] = 8,
    random: Annotated[int, typer.Option(min=0, help="Random directions.")] = 3,
    seed: Annotated[int, typer.Option(help="Of rollouts and directions.")] = 0,
    json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Measure the expected gradient of the exploit penalty in a model's parameters under each credit."""
    try:
        name = cast(MeasureName, parse_choice(measures, get_args(MeasureName), "measures"))
        chosen = make(game, parse_rules(rule or []), name)
        ground = ground_of(chosen)
        space = layout(ground)
        if len(space.questions) > MOST:
            raise InputError(
                f"'{game}' has {len(space.questions)} decisions by these rules, more than {MOST}: shorten it, "
                "such as by --rule rounds=5"
            )
        document = examine(
            Policy(load_model(policy), space),
            ground,
            chosen.measures(name),
            keys=keys,
            groups=groups,
            group_size=group_size,
            random=random,
            seed=seed,
            say=lambda message: typer.echo(message, err=True),
        )
        if out is not None:
            write_json(Path(out), document)
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    if json:
        typer.echo(dump_json(document))
    else:
        show(document)


if __name__ == "__main__":
    typer.run(command)
