"""The same policies audited under several wordings and horizons, and how much of what differs is wording.

With several policies (a recipe's seeds, say) and several wordings every figure is a table y of policies by wordings.
Its variance is taken apart as in generalizability theory (R. Brennan, 2001; P. Shrout and J. Fleiss, Psychological
Bulletin 86, 1979, case 2): another policy of the kind, asked in another wording, differs by what policies differ in and
by what wording does, to all policies alike or to each in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sepo.audit.compare import figures
from sepo.audit.methods import Options, Tell, quiet
from sepo.audit.scorecard import Games, scorecard
from sepo.policies.base import Policy
from sepo.policies.reworded import worded
from sepo.solve.tree import Floats

SCHEMA = "sepo.variations/1"
ROUNDING = 1e-20
"""Variances below this are rounding."""


class Variation(NamedTuple):
    """A policy and the games it is audited in: how many rounds, and in which wording; None where that is not varied."""

    policy: Policy
    games: Sequence[Games]
    horizon: int | None
    wording: str | None


class Spread(NamedTuple):
    """How a figure varies.

    Attributes
    ----------
    mean
        Over policies and wordings.
    sd_wording
        Standard deviation between wordings of one policy; of several, the root of the mean of their variances.
    sd_policy
        Standard deviation between policies that is not wording; None of one policy.
    share_wording
        Share of both variances together that is wording, from 0 to 1; None of one policy or where nothing varies.
    mean_squares
        Of the analysis of variance: between wordings, between policies, and the rest, which is what a wording does to
        one policy and not to another; None of one policy.
    """

    mean: float
    sd_wording: float
    sd_policy: float | None
    share_wording: float | None
    mean_squares: dict[str, float] | None


def variations(asked: Sequence[Variation], options: Options, tell: Tell = quiet) -> dict[str, Any]:
    """Audit every variation and return one document: a scorecard each, and the spread over wordings."""
    cards: list[dict[str, Any]] = []
    for policy, games, horizon, wording in asked:
        tell("variations", len(cards), len(asked))
        varied = ({} if horizon is None else {"horizon": horizon}) | ({} if wording is None else {"wording": wording})
        reading = worded(policy, wording)
        card = scorecard(reading, games, options, _saying(tell, ", ".join(map(str, (policy.name, *varied.values())))))
        audited = card.pop("games")
        cards.append(card | varied | {"games": audited})
    tell("variations", len(cards), len(asked))
    return {"schema": SCHEMA, "scorecards": cards, "spread": spreads(cards)}


def _saying(tell: Tell, of: str) -> Tell:
    """Say of what is told which variation it is about."""
    return lambda what, done, total: tell(f"{what}, {of}", done, total)


def spreads(cards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the spread of every figure over wordings, by game and horizon, where there are two wordings or more."""
    out = []
    games = dict.fromkeys((game, card.get("horizon")) for card in cards for game in card["games"])
    for game, horizon in games:
        here = [c for c in cards if game in c["games"] and c.get("horizon") == horizon and "wording" in c]
        names = list(dict.fromkeys(c["wording"] for c in here))
        if len(names) < 2:
            continue
        by_wording = {name: [c for c in here if c["wording"] == name] for name in names}
        found = [[dict(figures(c["games"][game])) for c in by_wording[name]] for name in names]
        known = [k for k in found[0][0] if all(k in cell for row in found for cell in row)]
        out.append(
            {"game": game}
            | ({} if horizon is None else {"horizon": horizon})
            | {
                "policies": [c["policy"] for c in by_wording[names[0]]],
                "wordings": names,
                "figures": {
                    k: spread(np.array([[cell[k]["value"] for cell in row] for row in found]).T)._asdict()
                    for k in known
                },
            }
        )
    return out


def spread(y: Floats) -> Spread:
    """Take the variance of a figure apart.

    With P policies, W wordings and the mean squares MS_w between wordings, MS_p between policies and MS_r of the rest,
    the variance between wordings is the mean over policies of each one's own, ((W - 1) MS_w + (P - 1)(W - 1) MS_r) /
    (P (W - 1)), and that between policies is (MS_p - MS_r) / W, at least 0.

    Parameters
    ----------
    y
        (policies, wordings), at least two wordings.
    """
    P, W = y.shape
    mean = float(y.mean())
    within = _not_rounding(float(y.var(axis=1, ddof=1).mean()))
    if P == 1:
        return Spread(mean, within**0.5, None, None, None)
    by_policy, by_wording = y.mean(axis=1), y.mean(axis=0)
    rest = y - by_policy[:, None] - by_wording[None, :] + mean
    ms_w = P * float(by_wording.var(ddof=1))
    ms_p = W * float(by_policy.var(ddof=1))
    ms_r = float((rest**2).sum()) / ((P - 1) * (W - 1))
    between = _not_rounding(max(0.0, (ms_p - ms_r) / W))
    total = within + between
    squares = {"wording": ms_w, "policy": ms_p, "rest": ms_r}
    return Spread(mean, within**0.5, between**0.5, within / total if total else None, squares)


def _not_rounding(variance: float) -> float:
    return variance if variance > ROUNDING else 0.0
