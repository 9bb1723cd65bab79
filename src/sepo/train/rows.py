"""Which ablations a recipe has: its ``sepo`` arm with one thing changed, and why some cannot be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from sepo.audit.arena import Ground, ground_of
from sepo.audit.measures import KINDS
from sepo.errors import InputError
from sepo.games.base import Game, MeasureSet
from sepo.games.registry import make
from sepo.solve.tree import Tree
from sepo.train.optimise import hold_to_learnt
from sepo.train.recipe import Arm, Recipe, merged, mistake, unsampled
from sepo.train.sections import TrainSection, weights

SEPO = "sepo"
"""The arm that is changed."""
BY_NAME = ("reward_only", "distil", "credited", "rollout", "constant", "paper")
"""Rows that are run only where they are asked for."""
SAMPLED = {"estimator": "sampled"}
PUBLISHED = {
    "credit": "rollout",
    "estimator": "sampled",
    "scale": "group",
    "returns": "immediate",
    "update": "clipped",
    "exploiter": "pool",
    "groups": 16,  # for an opponent; one was published: the expectation is the same, with less noise
    "group_size": 4,
    "margin": 0.0,
    "legal_mass": 0.0,
    "decay": "none",
    "mirror": {"learns": "policy", "knows": "asked"},
}
"""Training as first published (arXiv 2605.30854)."""
PUBLISHED_KL = {"kuhn": 0.2}
"""Weights of the KL divergence by game; 0.1 in all others."""
PUBLISHED_RATE = 0.3
"""Share of the recipe's learning rate, as in ``recipes/ipd-paper.yaml``: the published rate is of other models."""


@dataclass(frozen=True)
class Row:
    """One ablation.

    Attributes
    ----------
    change
        What the arm's ``train`` section has on top of that of ``sepo``.
    reference
        The row from which it differs in exactly one setting, by all penalties at once, or by all that was published.
    """

    name: str
    change: Mapping[str, Any]
    about: str
    reference: str = SEPO


class LeftOut(NamedTuple):
    """A row that cannot be had or would change nothing, and why."""

    name: str
    why: str


def grid(recipe: Recipe, sepo: Arm) -> tuple[list[Row], list[LeftOut]]:
    """Return every row of a recipe, and those that it cannot have.

    Raises
    ------
    InputError
        If the game cannot be trained on as the recipe has it.
    """
    game = make(recipe.game, {**recipe.rules, **recipe.practice}, recipe.measures)
    section, ground = recipe.settings(sepo), ground_of(game)
    measures = game.measures(recipe.measure_name(sepo))
    if why := _refused(recipe, sepo, ground):
        raise InputError(f"arm '{SEPO}': {why}")
    found = [
        *_of_penalties(section, measures, game),
        *_of_exploiters(section, measures, ground),
        *_of_gradients(section, game),
        *_of_updates(section, tuned=any(arm.stage == "sft" for arm in recipe.arms)),
        *_of_credit(section),
        _as_published(section, measures, game),
    ]
    rows: list[Row] = []
    left: list[LeftOut] = []
    for row in found:
        if isinstance(row, LeftOut):
            left.append(row)
        elif why := _refused(recipe, Arm(name=row.name, train=merged(sepo.train, row.change)), ground):
            left.append(LeftOut(row.name, why))
        else:
            rows.append(row)
    had = {SEPO, *(row.name for row in rows)}
    alone = [row for row in rows if row.reference not in had]
    left += [LeftOut(row.name, f"it is set beside '{row.reference}', which is left out") for row in alone]
    return [row for row in rows if row not in alone], left


def _refused(recipe: Recipe, arm: Arm, ground: Ground) -> str | None:
    """Return why an arm cannot be trained where the game is played; None where it can."""
    try:
        section = recipe.settings(arm)
        if recipe.style == "reasoned":
            return unsampled(section)
        hold_to_learnt(ground, ground.game.measures(recipe.measure_name(arm)), section)
    except ValidationError as error:
        return mistake(error)
    except InputError as error:
        return str(error)
    return None


def _row(
    name: str, change: Mapping[str, Any], about: str, why_not: str | None = None, reference: str = SEPO
) -> Row | LeftOut:
    return Row(name, change, about, reference) if why_not is None else LeftOut(name, why_not)


def _of_penalties(section: TrainSection, measures: MeasureSet, game: Game) -> Iterator[Row | LeftOut]:
    absent = [kind for kind in ("c", "x") if getattr(measures, kind) is None]
    lambdas = weights(section.lambda_, measures.weights)
    felt = [kind for kind, weight in lambdas._asdict().items() if weight != 0 and kind not in absent]
    for kind in KINDS[1:]:
        fixed = _fixed(section) if kind in section.lambda_.budgets else None
        why = fixed or (None if kind in felt else f"its weight is 0 in '{SEPO}' already")
        if kind in absent:
            why = f"{kind} does not apply in the '{measures.name}' measures of {game.name}"
        yield _row(f"without_{kind}", {"lambda": {kind: 0.0}}, f"without the penalty on {kind}", why)
    why = None if len(felt) > 1 else f"of penalties '{SEPO}' has {' and '.join(felt) or 'none'} alone"
    payoff = {"lambda": dict.fromkeys(felt, 0.0)}
    yield _row("reward_only", payoff, "trained on payoff alone, all penalties off", _fixed(section) or why)


def _fixed(section: TrainSection) -> str | None:
    """Return why a recipe has no row that is of fixed weights; None where it has."""
    return "a weight has a budget, and what is compared here has fixed weights" if section.lambda_.budgets else None


def _taught(section: TrainSection) -> str | None:
    """Return why it makes no difference what actions are credited with; None where it does."""
    return "the best policy there is is taught, whatever is credited" if section.target == "ceiling" else None


def _of_exploiters(section: TrainSection, measures: MeasureSet, ground: Ground) -> Iterator[Row | LeftOut]:
    why = None
    if weights(section.lambda_, measures.weights).e == 0 and "e" not in section.lambda_.budgets:
        why = "e has weight 0, so no exploiter is met"
    elif section.target == "ceiling" and isinstance(ground, Tree) and not section.mirror.focus:
        why = "the best policy there is is taught, whoever is met"
    for exploiter, about in (
        ("pool", "against the scripts of the exploiter pool"),
        ("best_response", "against the best response"),
    ):
        if exploiter != section.exploiter:
            yield _row(exploiter, {"exploiter": exploiter}, f"trained {about}", why)


def _beside(section: TrainSection) -> str:
    """Return the row that one which needs rollouts is set beside."""
    return "sampled" if section.estimator == "exact" else SEPO


def _of_gradients(section: TrainSection, game: Game) -> Iterator[Row | LeftOut]:
    exact = section.estimator == "exact"
    fallback = exact and section.update == "mmd" and section.mirror.values == "mean"
    if exact:
        about = "weights estimated from rollouts" + (", and by counterfactual values" if fallback else "")
        yield _row("sampled", SAMPLED, about, _taught(section))
    else:
        why = _taught(section) or ("an exact gradient has no groups" if section.scale == "group" else None)
        yield _row("exact", {"estimator": "exact"}, "exact weights from the tree", why)
    unscaled = "mirror descent takes unscaled weights: it has an effect with update 'clipped'"
    why = unscaled if section.update == "mmd" else None
    if section.scale == "group":
        yield _row("joint_scale", {"scale": "joint"}, "advantages scaled by one number a step", why)
    else:
        change = {**SAMPLED, "scale": "group"}
        yield _row("group_scale", change, "advantages scaled group by group", why, _beside(section))
    if section.returns == "to_go":
        why = "the game has one round, so no payoff comes later" if game.rounds == 1 else _taught(section)
        yield _row("immediate", {"returns": "immediate"}, "credited with the payoff of its own round only", why)
    else:
        yield _row("to_go", {"returns": "to_go"}, "credited with all later payoffs", _taught(section))


def _of_updates(section: TrainSection, *, tuned: bool) -> Iterator[Row | LeftOut]:
    """Yield the rows of the update and of where it starts; ``tuned`` is whether the recipe fine-tunes."""
    clipped = section.update == "clipped"
    if clipped:
        yield _row("mmd", {"update": "mmd"}, "mirror descent instead of the clipped policy gradient")
    else:
        yield _row("clipped", {"update": "clipped"}, "the clipped policy gradient instead of mirror descent")
    if section.start == "sft":
        yield _row("from_base", {"start": "base"}, "from the model as loaded")
    else:
        why = None if tuned else "the recipe has no arm of stage 'sft'"
        yield _row("from_sft", {"start": "sft"}, "from the fine-tuned model", why)
    if section.target != "ceiling":
        why = "a clipped update has no target to be taught" if clipped else None
        yield _row("distil", {"target": "ceiling"}, "taught the best policy there is", _fixed(section) or why)


def _of_credit(section: TrainSection) -> Iterator[Row | LeftOut]:
    for rule in ("credited", "rollout", "constant"):
        if rule != section.credit:
            change = {**SAMPLED, "credit": rule}
            yield _row(rule, change, f"penalties charged by credit '{rule}'", _taught(section), _beside(section))


def _as_published(section: TrainSection, measures: MeasureSet, game: Game) -> Row | LeftOut:
    """Return the row that trains as first published, and as little else as can be as the recipe has it."""
    change = {
        **PUBLISHED,
        **({} if measures.name == "paper" else {"measures": "paper"}),
        "kl": PUBLISHED_KL.get(game.name, 0.1),
        "learning_rate": float(f"{PUBLISHED_RATE * section.learning_rate:.3g}"),
    }
    return _row("paper", change, f"trained as first published, at {PUBLISHED_RATE:g} of the rate", _fixed(section))
