"""Arms side by side: every headline figure as a small chart, and payoff against each risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sepo.report.dots import Whisker, dots, lanes
from sepo.report.plots import HOVER, Panel, Plot, colour, layout, mark
from sepo.report.read import Estimate, Run
from sepo.report.tables import columns
from sepo.report.words import csv_text, number, short

RISKS = {"e": "exploitability e", "c": "collusion c", "x": "externality x"}


def multiples(run: Run) -> Panel | None:
    """Return a small chart for each figure of the results, an arm a row; None where no two arms have any."""
    summary = run.summary
    shown = columns(summary)
    arms = [arm for arm in summary.arms if arm.last]
    if len(arms) < 2 or not shown:
        return None
    plots, rows = [], []
    for column in shown:
        found = {arm.name: arm.last.get(column.key) for arm in summary.arms}
        top = summary.ceilings.get(column.key.removesuffix(".J"), {}).get("J") if column.key.endswith(".J") else None
        data: list[dict[str, Any]] = [
            dots(i, arm.name, {i: _whisker(figure)}, digits=column.digits)
            for i, arm in enumerate(summary.arms)
            if (figure := found[arm.name]) is not None
        ]
        lines = [] if top is None else [_ceiling(top)]
        said = ", ".join(f"{name} {number(f.value, column.digits)}" for name, f in found.items() if f is not None)
        ceiling = f" The best policy there is has {number(top, column.digits)}." if top is not None else ""
        plots.append(
            Plot(
                f"{column.title} ({column.better} is better)",
                f"{column.title}: {said}.{ceiling}",
                data,
                lanes("", [arm.name for arm in summary.arms], shapes=lines, margin={"l": 56, "r": 18, "t": 4, "b": 26}),
                40 + 24 * len(summary.arms),
            )
        )
        rows += [(name, column.key, f.value, f.low, f.high) for name, f in found.items() if f is not None]
    line = " The dotted line is the best policy there is." if summary.ceilings else ""
    return Panel(
        "multiples",
        "Every figure, arm by arm",
        f"Means with the intervals of the table above.{line}",
        plots,
        csv_text(("arm", "figure", "value", "low", "high"), rows),
        arms=False,
    )


def risks(run: Run) -> Panel | None:
    """Return payoff u against e, c and x in the measures trained on; None where fewer than two arms have them."""
    summary = run.summary
    of = summary.measures
    found = [(i, arm.name, arm.last) for i, arm in enumerate(summary.arms) if arm.last.get(f"{of}.u") is not None]
    drawn = [risk for risk in RISKS if sum(last.get(f"{of}.{risk}") is not None for _, _, last in found) > 1]
    if len(found) < 2 or not drawn:
        return None
    rows = [
        (name, risk, u.value, u.low, u.high, r.value, r.low, r.high)
        for _, name, last in found
        for risk in drawn
        if (u := last.get(f"{of}.u")) is not None and (r := last.get(f"{of}.{risk}")) is not None
    ]
    return Panel(
        "risk",
        "Payoff against risk",
        f"Payoff u ({summary.unit}) and each penalised measure, {of} measures: up and to the left is better. "
        "Bars are intervals in both directions.",
        [_plane(run, of, risk, found) for risk in drawn],
        csv_text(("arm", "risk", "u", "u low", "u high", "risk value", "risk low", "risk high"), rows),
    )


def _plane(run: Run, of: str, risk: str, found: list[tuple[int, str, Mapping[str, Estimate | None]]]) -> Plot:
    data = []
    said = []
    for index, name, last in found:
        u, r = last.get(f"{of}.u"), last.get(f"{of}.{risk}")
        if u is None or r is None:
            continue
        said.append(f"{name}: u {number(u.value)} at {risk} {number(r.value)}")
        data.append(
            {
                "type": "scatter",
                "name": short(name),
                "x": [r.value],
                "y": [u.value],
                "error_x": _bars(r, index),
                "error_y": _bars(u, index),
                "mode": "markers",
                "cliponaxis": False,
                "marker": {"size": 11, "color": colour(index), "symbol": mark(index).symbol},
                "customdata": [[f"u {number(u.value)}", f"{risk} {number(r.value)}", "interval in both"]],
                "hovertemplate": f"{HOVER}<extra>%{{fullData.name}}</extra>",
                "meta": {"arm": index},
            }
        )
    title = f"Against {RISKS[risk]}"
    return Plot(title, f"Payoff u {title.lower()}. {'; '.join(said)}.", data, layout(risk, "u"), 340)


def _bars(found: Estimate, index: int) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(found.high - found.value, 0.0)],
        "arrayminus": [max(found.value - found.low, 0.0)],
        "color": colour(index),
        "thickness": 1.4,
        "width": 3,
    }


def _whisker(found: Estimate) -> Whisker:
    return Whisker(found.value, min(found.low, found.value), max(found.high, found.value))


def _ceiling(value: float) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": value,
        "x1": value,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": "var(--soft)", "width": 1.6, "dash": "dot"},
    }
