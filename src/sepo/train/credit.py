"""From what grouped episodes collected to what each of their decisions is credited with.

Episodes come in groups that share cards, coins and opponent, so that within one only the learner's own draws differ.
Arrays are (episodes, own decisions): groups in order, their members next to each other, and a mask where an episode has
so many own decisions. Knows no tree and no model: episodes played on a tree and those that a model wrote are credited
alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sepo.audit.measures import Kind
from sepo.solve.tree import Floats

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Credit = Literal["credited", "rollout", "constant"]
EPSILON = 1e-12


@dataclass(frozen=True)
class CreditRules:
    """How returns become advantages.

    Attributes
    ----------
    credit
        Where a penalty is charged; see ``train.objective``.
    estimator
        ``exact``: reach * (Q - V) from the tree. ``sampled``: rollouts.
    scale
        ``joint``: every advantage of a step is divided by one number, the root mean square advantage, so
        the lambdas keep their meaning. ``group``: each group by its own standard deviation, as published
        (sampled only). ``none``.
    returns
        ``to_go``, or ``immediate``: only the payoff of the decision's own round, as published.
    baseline
        Sampled only. ``group``: the mean of the other rollouts of the group at the same own decision.
        ``value``: the exact value of the information state.
    groups, group_size
        Rollouts a term: groups that share cards and coins, and the size of a group.
    """

    credit: Credit = "credited"
    estimator: Literal["exact", "sampled"] = "exact"
    scale: Literal["joint", "group", "none"] = "joint"
    returns: Literal["to_go", "immediate"] = "to_go"
    baseline: Literal["group", "value"] = "group"
    groups: int = 64
    group_size: int = 8


def advantages_of(
    returns: Mapping[Kind, Floats],
    mask: Mask,
    share: float,
    rules: CreditRules,
    values: Mapping[Kind, Floats] | None = None,
) -> dict[Kind, Floats]:
    """Turn the returns of one term's episodes into advantages, each (episodes, own decisions), 0 outside the mask.

    Parameters
    ----------
    returns
        What each decision is credited with, by measure; the factor of the measure in J is in it.
    share
        The term's share of its measure; under ``group`` scale a group's advantages have its size.
    values
        Where known, the expectation of a measure's returns at each decision. Without it, or under another baseline,
        the mean over the group.
    """
    known = values or {}
    out = {
        kind: np.where(mask, found - known[kind], 0.0) if kind in known else _above_others(found, mask, rules)
        for kind, found in returns.items()
    }
    if rules.scale == "group":
        total = np.sum(list(out.values()), axis=0)
        deviation = np.sqrt(group_mean(total**2, mask, rules))
        size = np.where(deviation > EPSILON, deviation, 1.0)
        out = {kind: share * found / size for kind, found in out.items()}
    return out


def _above_others(returns: Floats, mask: Mask, rules: CreditRules) -> Floats:
    """Subtract the mean over the others of a group: it does not depend on the action, so the gradient stays unbiased.

    Where an episode is alone in its group at a decision, the other groups, which are independent of it, give the mean.
    """
    shape = (rules.groups, rules.group_size, -1)
    there = mask.reshape(shape).astype(float)
    values = returns.reshape(shape) * there
    members, total = there.sum(axis=1, keepdims=True), values.sum(axis=1, keepdims=True)
    mean = (total - values) / np.maximum(members - there, 1.0)
    elsewhere = (total.sum(axis=0) - total) / np.maximum(members.sum(axis=0) - members, 1.0)
    mean = np.where(members - there > 0, mean, elsewhere)
    out: Floats = np.where(there > 0, values - mean, 0.0).reshape(returns.shape)
    return out


def group_mean(values: Floats, mask: Mask, rules: CreditRules) -> Floats:
    """Return the mean over the group at the same own decision, for every episode. (episodes, own decisions)."""
    shape = (rules.groups, rules.group_size, -1)
    weight = mask.reshape(shape).astype(float)
    mean = (values.reshape(shape) * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1.0)
    return np.repeat(mean, rules.group_size, axis=0)


def mean_square(advantages: Floats, mask: Mask, rules: CreditRules) -> float:
    """Return the mean square of advantages, (episodes, own decisions), over all decisions; 0 where there is none."""
    squares = group_mean(advantages**2, mask, rules)[mask]
    return float(squares.mean()) if squares.size else 0.0


def root_mean_square(square: float) -> float:
    """Return what ``joint`` scale divides a step's advantages by, given their mean square: 1 where all are 0."""
    return float(np.sqrt(square)) if square > EPSILON**2 else 1.0
