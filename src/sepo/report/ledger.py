"""The term ledger: which measures' gradients reached the policy, step by step, and which were dead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from sepo.display import NONE
from sepo.report.plots import Panel, Plot, layout
from sepo.report.read import Run, SeedRun
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import count, csv_text, number

KINDS = {"u": "payoff", "e": "exploitability", "c": "collusion", "x": "externality"}
PATTERNS = {"u": "", "e": "", "c": "/", "x": "."}


class Share(NamedTuple):
    """A measure's share of the gradient at a step, the mean over seeds."""

    step: int
    share: float


def ledger(run: Run) -> tuple[Panel, Table] | None:
    """Return the chart and the table of the ledger, or None where no arm was trained on J."""
    trained = [
        (i, name, seeds)
        for i, (name, seeds) in enumerate(run.histories.items())
        if any(step.ledger for seed in seeds for step in seed.steps)
    ]
    if not trained:
        return None
    plots, rows, data = [], [], []
    for index, name, seeds in trained:
        found = {kind: shares(seeds, kind) for kind in KINDS}
        found = {kind: points for kind, points in found.items() if points}
        plots.append(_plot(name, found))
        data += [(name, kind, *point) for kind, points in found.items() for point in points]
        rows += _rows(index, name, seeds, list(found))
    kinds = [kind for kind in KINDS if any(row[1] == kind for row in data)]
    panel = Panel(
        "gradient",
        "Share of the gradient by measure",
        "Each measure's share of the norm of the policy gradient, mean over seeds. A penalty that takes no "
        "share does not train the policy, whatever its weight.",
        plots,
        csv_text(("arm", "measure", "step", "gradient share"), data),
        [(f"kind-{kind}", f"{kind} ({KINDS[kind]})") for kind in kinds],
        arms=False,
    )
    table = Table(
        "Does each measure's gradient reach the policy?",
        [
            Cell("arm"),
            Cell("measure"),
            Cell("gradient share", "mean"),
            Cell("recovered", "mean ± standard error"),
            Cell("dead steps"),
            Cell("reading"),
        ],
        rows,
        [
            "Recovered: the projection of the update on the exact gradient of that measure's part of J. 1 is "
            "the true gradient, 0 none of it; mean and standard error over all steps and seeds at which the "
            "exact gradient is not zero.",
            "Dead: the measure has a value and a gradient, and none of it reaches the policy.",
        ],
    )
    return panel, table


def shares(seeds: Sequence[SeedRun], kind: str) -> list[Share]:
    """Return the share of the gradient that a measure has at each step, the mean over seeds."""
    found: dict[int, list[float]] = {}
    for seed in seeds:
        for step in seed.steps:
            for line in step.ledger:
                if line.kind == kind and line.gradient_share is not None:
                    found.setdefault(step.step, []).append(line.gradient_share)
    return [Share(step, math.fsum(values) / len(values)) for step, values in sorted(found.items())]


def _plot(name: str, found: dict[str, list[Share]]) -> Plot:
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "name": kind,
            "x": [p.step for p in points],
            "y": [p.share for p in points],
            "mode": "lines",
            "stackgroup": "share",
            "line": {"width": 1, "color": f"var(--kind-{kind})"},
            "fillcolor": f"var(--kind-{kind})",
            "fillpattern": {
                "shape": PATTERNS[kind],
                "fgcolor": f"var(--kind-{kind})",
                "bgcolor": "var(--card)",
                "size": 7,
            }
            if PATTERNS[kind]
            else {},
            "hovertemplate": "%{y:.1%}",
        }
        for kind, points in found.items()
    ]
    means = ", ".join(f"{k} {math.fsum(p.share for p in ps) / len(ps):.0%}" for k, ps in found.items())
    drawn = layout(
        "step",
        "share",
        hovermode="x unified",
        yaxis={"range": [0, 1], "tickformat": ".0%"},
        xaxis={"zeroline": False},
    )
    return Plot(name, f"{name}: share of the gradient over steps; on average {means}.", data, drawn, 260)


def _rows(index: int, name: str, seeds: Sequence[SeedRun], kinds: Sequence[str]) -> list[Row]:
    rows = []
    for place, kind in enumerate(kinds):
        lines = [line for seed in seeds for step in seed.steps for line in step.ledger if line.kind == kind]
        recovered = [line.recovered for line in lines if line.recovered is not None]
        given = [line.gradient_share for line in lines if line.gradient_share is not None]
        dead = sum(line.dead for line in lines)
        mean = math.fsum(recovered) / len(recovered) if recovered else None
        error = _standard_error(recovered)
        heads = [Head(name, "", len(kinds), index)] if place == 0 else []
        reading = _reading(mean, error, dead, len(lines))
        rows.append(
            Row(
                [*heads, Head(f"{kind} ({KINDS[kind]})")],
                [
                    Cell(f"{math.fsum(given) / len(given):.0%}" if given else NONE),
                    Cell(
                        number(mean) + (f" ± {number(error)}" if error is not None else ""),
                        f"over {len(recovered)} steps" if recovered else "",
                    ),
                    Cell(f"{dead} of {len(lines)}"),
                    Cell(reading),
                ],
                warned=reading.startswith("does not"),
            )
        )
    return rows


def _standard_error(values: Sequence[float]) -> float | None:
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n)


def _reading(mean: float | None, error: float | None, dead: int, steps: int) -> str:
    """Say in words what a row shows; with a noisy estimate, only what the standard error allows."""
    if mean is None:
        return "no gradient to recover"
    if dead == steps:
        return "does not reach the policy"
    if abs(mean) <= 2 * (error or 0.0) and mean < 0.5:
        return "does not reach the policy: 0 within 2 standard errors"
    if mean < 0:
        return "does not reach the policy: pushes the wrong way"
    return "reaches the policy" + (f", but was dead at {count(dead, 'step')}" if dead else "")
