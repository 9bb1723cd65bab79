"""A frontier: one arm trained at several weights of a penalty, and the payoff and risk that each of them buys.

The weights become arms of one derived recipe, which ``train.run`` trains and audits like any other, so a frontier
resumes as a run does, and its folder is a run's. What is drawn of it is ``report.frontier``'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sepo.errors import InputError
from sepo.files import write_json
from sepo.games.base import MeasureSet, Weights
from sepo.games.registry import make
from sepo.train.recipe import Arm, Recipe, merged, parse_recipe
from sepo.train.run import run
from sepo.train.seeds import ends
from sepo.train.summary import header
from sepo.train.unit import Tell

SCHEMA = "sepo.frontier/1"
RISKS = ("e", "c", "x", "exploitability")
ALIKE = 1e-9
"""Means that differ by less are equal when points are compared."""


class Axis(NamedTuple):
    """A weight and the values it takes, ascending."""

    weight: str
    values: tuple[float, ...]


def parse_axis(weight: str, text: str) -> Axis:
    """Read a weight and its values, given as ``0,0.5,1``.

    Raises
    ------
    InputError
        If there is no such weight, or the values are not two or more different numbers that are not negative.
    """
    if weight not in Weights._fields:
        raise InputError(f"unknown weight '{weight}': it is one of {', '.join(Weights._fields)}")
    try:
        found = [float(part) + 0.0 for part in text.split(",")]  # + 0.0: minus zero is zero
    except ValueError:
        raise InputError(f"the values of {weight} are numbers such as 0,0.5,1, not '{text}'") from None
    if not all(0 <= value < math.inf for value in found):
        raise InputError(f"the values of {weight} must be finite and not negative, not '{text}'")
    if len(set(found)) < len(found):
        raise InputError(f"a value of {weight} stands twice in '{text}'")
    if len(found) < 2:
        raise InputError(f"a frontier needs two values of {weight} or more, not '{text}'")
    return Axis(weight, tuple(sorted(found)))


def derive(recipe: Recipe, arm: str, axes: Sequence[Axis]) -> Recipe:
    """Return the recipe whose arms are the recipe's base and sft, and ``arm`` at each value of the axes' weights.

    The recipe keeps its name, since randomness is drawn by it: base and sft come out as in the recipe's own run.

    Raises
    ------
    InputError
        If no such arm is trained, a weight stands twice, or the measures that the arm is trained on ignore a weight.
    """
    trained = _arm(recipe, arm)
    measures = _measures(recipe, trained)
    if len({axis.weight for axis in axes}) < len(axes):
        raise InputError(f"the weight {axes[0].weight} cannot vary along both axes")
    for axis in axes:
        if axis.weight != "e" and getattr(measures, axis.weight) is None:
            raise InputError(
                f"the {measures.name} measures of '{recipe.game}' have no {axis.weight}: its weight changes nothing"
            )
    document = recipe.model_dump(mode="json", by_alias=True)
    kept = [a.model_dump(mode="json") for a in recipe.arms if a.stage != "train"]
    document["arms"] = [*kept, *(_at(trained, weights) for weights in grid(axes))]
    return parse_recipe(document, f"{recipe.name}, {arm} along {' and '.join(axis.weight for axis in axes)}")


def grid(axes: Sequence[Axis]) -> list[dict[str, float]]:
    """Return the weights of every point: the first axis ascends within each value of the second."""
    points: list[dict[str, float]] = [{}]
    for axis in reversed(axes):
        points = [{axis.weight: value, **point} for point in points for value in axis.values]
    return points


def arm_name(arm: str, weights: Mapping[str, float]) -> str:
    """Return the name of a point's arm, such as ``sepo-e0.5-x2``."""
    return "-".join([arm, *(w + np.format_float_positional(value, trim="-") for w, value in weights.items())])


def frontier(
    recipe: Recipe,
    arm: str,
    axes: Sequence[Axis],
    folder: Path,
    tell: Tell,
    *,
    resume: bool = False,
    command: str = "",
    workers: int = 1,
) -> dict[str, Any]:
    """Train and audit every point of a recipe's frontier; return its document, also written as ``frontier.json``.

    Parameters
    ----------
    workers
        As ``train.run.run`` takes it.

    Raises
    ------
    InputError, EndpointError
        As ``derive`` and ``train.run.run`` do.
    """
    derived = derive(recipe, arm, axes)
    summary = run(derived, folder, tell, resume=resume, command=command, workers=workers)
    measures = _measures(recipe, _arm(recipe, arm))
    arms = {a["name"]: a for a in summary["arms"]}
    points = []
    for varied in grid(axes):
        name = arm_name(arm, varied)
        at = next(a for a in derived.arms if a.name == name)
        weights = _weights(derived, at, measures.weights)
        found = _figures(arms[name]["last"], measures, len(recipe.seeds))
        points.append({"arm": name, "weights": weights, **found, "warnings": arms[name]["warnings"]})
    risks = [risk for risk in RISKS if any(point[risk] for point in points)]
    document = {
        "schema": SCHEMA,
        **header(recipe),
        "arm": arm,
        "measures": measures.name,
        "definitions": _definitions(measures),
        "J_weights": measures.weights._asdict(),
        "vary": [{"weight": axis.weight, "values": list(axis.values)} for axis in axes],
        "risks": risks,
        "points": [{**point, "dominated": _dominated(point, points, risks)} for point in points],
    }
    write_json(folder / "frontier.json", document)
    return document


def dominates(better: Mapping[str, Any], worse: Mapping[str, Any], risks: Sequence[str]) -> bool:
    """Whether a point has no less payoff and no more of any risk than another, and is ahead in one of them.

    By means over seeds. A point without a figure neither dominates nor is dominated.
    """
    if any(point[key] is None for point in (better, worse) for key in ("u", *risks)):
        return False
    ahead: list[float] = [
        better["u"]["mean"] - worse["u"]["mean"],
        *(worse[r]["mean"] - better[r]["mean"] for r in risks),
    ]
    return min(ahead) >= -ALIKE and max(ahead) > ALIKE


def _dominated(point: Mapping[str, Any], points: Sequence[Mapping[str, Any]], risks: Sequence[str]) -> dict[str, bool]:
    """Say whether some point dominates this one, for each risk by itself and for all of them together."""
    planes = {risk: [risk] for risk in risks} | {"all": list(risks)}
    return {name: any(dominates(other, point, plane) for other in points) for name, plane in planes.items()}


def _arm(recipe: Recipe, name: str) -> Arm:
    found = {arm.name: arm for arm in recipe.arms if arm.stage == "train"}
    if name not in found:
        there = f"those it trains are {', '.join(found)}" if found else "it trains none"
        raise InputError(f"recipe '{recipe.name}' trains no arm '{name}': {there}")
    return found[name]


def _measures(recipe: Recipe, arm: Arm) -> MeasureSet:
    return make(recipe.game, recipe.rules, recipe.measures).measures(recipe.measure_name(arm))


def _definitions(measures: MeasureSet) -> dict[str, str]:
    """Return how the set defines e, c and x, those that apply."""
    ratios = {"c": measures.c, "x": measures.x}
    return {"e": measures.e} | {k: f"{r.numerator} per {r.denominator}" for k, r in ratios.items() if r is not None}


def _at(arm: Arm, weights: Mapping[str, float]) -> dict[str, Any]:
    said = ", ".join(f"{weight} {value:g}" for weight, value in weights.items())
    return {
        "name": arm_name(arm.name, weights),
        "stage": "train",
        "about": f"{arm.name} with weights {said}",
        "train": merged(arm.train, {"lambda": dict(weights)}),
    }


def _weights(recipe: Recipe, arm: Arm, default: Weights) -> dict[str, Any]:
    """Return an arm's weights; one that the recipe lets find itself stands as the recipe has it."""
    given = recipe.settings(arm).model_dump(by_alias=True, mode="json")["lambda"]
    return {name: usual if given.get(name) is None else given[name] for name, usual in default._asdict().items()}


def _figures(last: Mapping[str, Any], measures: MeasureSet, seeds: int) -> dict[str, Any]:
    """Return u, each risk and J from the figures of a run's summary; None where a seed has no such figure."""
    keys = {k: f"{measures.name}.{k}" for k in ("u", "e", "c", "x", "J")} | {"exploitability": "exploitability"}
    found = {name: last.get(key) for name, key in keys.items()}
    return {name: _figure(f) if f is not None and f["n"] == seeds else None for name, f in found.items()}


def _figure(found: Mapping[str, Any]) -> dict[str, Any]:
    interval = ends(found)
    return {"mean": found["value"], "interval": interval and list(interval), "seeds": found["seeds"]}
