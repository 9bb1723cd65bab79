"""Opponent by opponent: what each arm earned against it, what it left to it, and how far it let it get ahead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sepo.audit.compare import ends_of
from sepo.display import NONE
from sepo.report.dots import Whisker, dots, lanes, offset, spread
from sepo.report.plots import Panel, Plot
from sepo.report.read import Run, SeedRun
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import csv_text, number
from sepo.train.rules import apart, rules_of

POOLS = {"train": "train", "exploiter": "exploiter", "collusive": "collusive", "held_out": "held out"}
CHARTS = {
    "own": "What the policy earns",
    "other": "What the opponent earns",
    "advantage": "How far the opponent is ahead",
}


def opponents(run: Run) -> tuple[Panel, Table] | None:
    """Return the chart and the table of every opponent; None where no scorecard tells of any."""
    found = {name: _met(seeds) for name, seeds in run.histories.items()}
    met = list(dict.fromkeys(who for by in found.values() for who in by))
    if not met:
        return None
    zero_sum = all(
        abs(by["own"].value + by["other"].value) < 1e-9
        for arm in found.values()
        for by in arm.values()
        if {"own", "other"} <= set(by)
    )
    shown = {key: title for key, title in CHARTS.items() if not (zero_sum and key != "own")}
    names = [f"{name} ({POOLS.get(pool, pool)})" for pool, name in met]
    plots = [_plot(run, key, title, found, met, names) for key, title in shown.items()]
    many = any(len(seeds) > 1 for seeds in run.histories.values())
    whiskers = "from the lowest to the highest seed" if many else "over the audit's own interval"
    rows = [
        (arm, pool, name, key, *by[pool, name][key])
        for arm, by in found.items()
        for pool, name in by
        for key in shown
        if key in by[pool, name]
    ]
    said = " The game is zero-sum: what one side wins the other loses." if zero_sum else ""
    others = rules_of("robustness", run.summary.other_rules)
    rules = f" By other rules, {apart(run.summary.rules, others)}." if others else ""
    panel = Panel(
        "opponents",
        "Opponent by opponent",
        f"Payoffs in {run.summary.unit}, at the last step: dots are means, whiskers reach {whiskers}.{said}{rules}",
        plots,
        csv_text(("arm", "pool", "opponent", "figure", "mean", "low", "high"), rows),
    )
    table = Table(
        f"Against each opponent: own payoff, and the opponent's below, in {run.summary.unit}",
        [Cell("opponent"), *(Cell(name) for name in found)],
        [Row([Head(n)], [_cell(by.get(who)) for by in found.values()]) for who, n in zip(met, names, strict=True)],
    )
    return panel, table


def _met(seeds: tuple[SeedRun, ...]) -> dict[tuple[str, str], dict[str, Whisker]]:
    """Return the figures of each (pool, opponent), over seeds."""
    values: dict[tuple[str, str], dict[str, list[Whisker]]] = {}
    for seed in seeds:
        for row in seed.card.get("opponents", []) if seed.card else []:
            for key in CHARTS:
                figure: Mapping[str, Any] | None = row.get(key)
                if figure and isinstance(figure.get("value"), int | float):
                    whisker = Whisker(float(figure["value"]), *ends_of(figure))
                    values.setdefault((str(row["pool"]), str(row["name"])), {}).setdefault(key, []).append(whisker)
    return {who: {key: spread(found) for key, found in by.items()} for who, by in values.items()}


def _plot(
    run: Run,
    key: str,
    title: str,
    found: Mapping[str, Mapping[tuple[str, str], Mapping[str, Whisker]]],
    met: list[tuple[str, str]],
    names: list[str],
) -> Plot:
    arms = len(found)
    data = [
        dots(
            index,
            arm,
            {lane + offset(index, arms): by[who][key] for lane, who in enumerate(met) if key in by.get(who, {})},
        )
        for index, (arm, by) in enumerate(found.items())
    ]
    said = "; ".join(
        f"{name}: " + ", ".join(f"{arm} {number(by[who][key].value)}" for arm, by in found.items() if who in by)
        for who, name in zip(met, names, strict=True)
    )
    drawn = lanes(run.summary.unit, names)
    return Plot(title, f"{title}, by opponent and arm. {said}.", data, drawn, 96 + len(met) * (16 + 11 * arms))


def _cell(found: Mapping[str, Whisker] | None) -> Cell:
    if not found or "own" not in found:
        return Cell(NONE)
    return Cell(number(found["own"].value), number(found["other"].value) if "other" in found else "")
