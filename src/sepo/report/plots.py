"""What a chart is here, how arms look in it, and the learning curves.

A chart is Plotly's JSON, made without Plotly. Colours are names of CSS variables, such as ``var(--arm-0)``;
the page resolves them when it draws, so that light and dark need no second chart. An arm has the same
colour, dash and symbol in every chart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sepo.report.read import Run, SeedRun, Step
from sepo.report.words import csv_uri, number, plain

FLOOR = 1e-4  # smallest value drawn on a logarithmic axis


class Mark(NamedTuple):
    """How an arm looks: its colour on light and on dark, Plotly's dash, and Plotly's symbol."""

    light: str
    dark: str
    dash: str
    symbol: str

    def band(self, colour: str) -> str:
        """Return a colour of this mark, transparent enough to lie below lines."""
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red}, {green}, {blue}, 0.16)"


# after M. Okabe and K. Ito, "Color Universal Design", 2008; darker on light and lighter on dark where a line needs it
MARKS = (
    Mark("#0072b2", "#56b4e9", "solid", "circle"),
    Mark("#d55e00", "#ff8c42", "dash", "square"),
    Mark("#008a65", "#2bc99b", "dot", "diamond"),
    Mark("#b0568a", "#e59ac8", "dashdot", "triangle-up"),
    Mark("#b57900", "#f0b840", "longdash", "cross"),
    Mark("#5a6570", "#b4bdc7", "longdashdot", "x"),
    Mark("#7a4fc0", "#b9a0f0", "dash", "star"),
    Mark("#8a4b32", "#d6a08a", "dot", "hexagon"),
)


@dataclass(frozen=True)
class Plot:
    """One chart: its heading within a panel, a sentence for those who cannot see it, Plotly's JSON and its height."""

    title: str
    label: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    height: int = 320
    log: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """Return what the page's script needs to draw it."""
        return {"data": list(self.data), "layout": dict(self.layout), "log": self.log}


@dataclass(frozen=True)
class Panel:
    """Charts under one caption, with their data to download.

    Attributes
    ----------
    keys
        Further entries of the legend, as (CSS class, text).
    arms
        Whether the legend lists the arms.
    """

    key: str
    title: str
    caption: str
    plots: Sequence[Plot]
    data: str
    keys: Sequence[tuple[str, str]] = ()
    arms: bool = True


def layout(x: str, y: str, **fields: Any) -> dict[str, Any]:
    """Return a chart's layout: transparent, in the page's ink, with the titles of both axes."""
    axis = {
        "gridcolor": "var(--grid)",
        "linecolor": "var(--line)",
        "zerolinecolor": "var(--line)",
        "automargin": True,
        "title": {"standoff": 8},
    }
    base: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink)"},
        "hoverlabel": {"bgcolor": "var(--card)", "bordercolor": "var(--line)", "font": {"color": "var(--ink)"}},
        "margin": {"l": 56, "r": 14, "t": 12, "b": 46},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": axis | {"title": {"text": x, "standoff": 8}},
        "yaxis": axis | {"title": {"text": y, "standoff": 8}},
    }
    for key, value in fields.items():
        base[key] = base[key] | value if isinstance(value, dict) and key in base else value
    return base


def mark(index: int) -> Mark:
    """Return the look of the arm at ``index``; beyond the eighth arm the looks repeat."""
    return MARKS[index % len(MARKS)]


def colour(index: int, kind: str = "arm") -> str:
    """Return the CSS variable of an arm's colour; ``kind`` is ``arm`` or ``band``."""
    return f"var(--{kind}-{index % len(MARKS)})"


class Point(NamedTuple):
    """A step of a curve: the mean over the seeds that have a value there, their least and greatest, their number."""

    step: int
    mean: float
    low: float
    high: float
    seeds: int


def curve(seeds: Sequence[SeedRun], value: Callable[[Step], float | None]) -> list[Point]:
    """Return an arm's curve over steps. Fine-tuning before training in the same file counts up to step 0."""
    found: dict[int, list[float]] = {}
    for run in seeds:
        stages = {step.stage for step in run.steps}
        tuned = [step.step for step in run.steps if step.stage == "sft"]
        shift = max(tuned) + 1 if len(stages) > 1 and tuned else 0
        for step in run.steps:
            if (y := value(step)) is not None:
                found.setdefault(step.step - (shift if step.stage == "sft" else 0), []).append(y)
    return [Point(x, sum(ys) / len(ys), min(ys), max(ys), len(ys)) for x, ys in sorted(found.items())]


def curves(run: Run) -> list[Panel]:
    """Return the learning curves: exploitability where it is defined, and J in each measure set."""
    exploitability = {name: curve(seeds, lambda s: s.exploitability) for name, seeds in run.histories.items()}
    sets = sorted(("paper", "sepo"), key=lambda name: name != run.summary.measures)
    objectives = {
        which: {n: curve(seeds, lambda s, w=which: s.measures.get(w, {}).get("J")) for n, seeds in run.histories.items()}
        for which in sets
    }
    objectives = {which: found for which, found in objectives.items() if any(found.values())}
    panels = []
    band = "Lines are means over seeds; bands reach from the lowest to the highest seed."
    lone = "An arm without steps of its own is a level line." if _lone(exploitability, *objectives.values()) else ""
    if any(exploitability.values()):
        unit = run.summary.unit
        plot = _curve_plot("", "exploitability", unit, exploitability, log=True, published=_published(run))
        below = any(p.low < FLOOR for points in exploitability.values() for p in points)
        floor = f"On the logarithmic scale, values below {FLOOR:g} are drawn there." if below else ""
        caption = (
            f"Exact exploitability ({unit}), lower is better: what an opponent who knows the policy wins, "
            f"0 at an equilibrium. {band} {lone} {floor}"
        )
        panels.append(
            Panel("exploitability", "Exploitability over steps", caption, [plot], _curve_csv(exploitability, "exploitability"))
        )
    if objectives:
        plots = [
            _curve_plot(f"{which} measures", "J", "points of J", found, log=False) for which, found in objectives.items()
        ]
        merged = {(name, which): points for which, found in objectives.items() for name, points in found.items()}
        rows = [(name, which, *point) for (name, which), points in merged.items() for point in points]
        panels.append(
            Panel(
                "objective",
                "Objective J over steps",
                f"J is the scaled payoff minus the weighted penalties of a measure set; higher is better. "
                f"This run was trained on the {run.summary.measures} measures. {band} {lone}",
                plots,
                csv_uri(("arm", "measures", "step", "mean", "lowest seed", "highest seed", "seeds"), rows),
            )
        )
    return panels


def _lone(*groups: Mapping[str, Sequence[Point]]) -> bool:
    return any(len(points) == 1 for group in groups for points in group.values())


def _published(run: Run) -> float | None:
    """Return the lowest published exploitability of this game."""
    found = [row["exploitability"] for row in run.summary.published if isinstance(row.get("exploitability"), int | float)]
    return min(found, default=None)


def _curve_csv(found: Mapping[str, Sequence[Point]], what: str) -> str:
    rows = [(name, *point) for name, points in found.items() for point in points]
    return csv_uri(("arm", "step", f"{what}, mean", "lowest seed", "highest seed", "seeds"), rows)


def _curve_plot(
    title: str,
    what: str,
    axis: str,
    found: Mapping[str, Sequence[Point]],
    *,
    log: bool,
    published: float | None = None,
) -> Plot:
    steps = [p.step for points in found.values() for p in points] or [0]
    ends = (min(steps), max(max(steps), min(steps) + 1))
    data: list[dict[str, Any]] = []
    for index, points in enumerate(found.values()):
        if len(points) > 1:
            data.append(_band(index, points, log))
    if published is not None:
        data.append(_reference(ends, published))
    data += [_line(i, name, points, ends, log) for i, (name, points) in enumerate(found.items()) if points]
    y: dict[str, Any] = {"type": "log", **_decades(data)} if log else {}
    label = "; ".join(
        f"{name}: {number(points[0].mean, 4)} at step {points[0].step}"
        + (f", {number(points[-1].mean, 4)} at step {points[-1].step}" if len(points) > 1 else "")
        for name, points in found.items()
        if points
    )
    drawn = layout("step", axis, hovermode="x unified", yaxis=y, xaxis={"range": list(ends), "zeroline": False})
    return Plot(title, f"{what} over steps, mean over seeds. {label}.", data, drawn, 380 if log else 320, log)


def _clip(y: float, log: bool) -> float:
    return max(y, FLOOR) if log else y


def _band(index: int, points: Sequence[Point], log: bool) -> dict[str, Any]:
    upper, lower = [_clip(p.high, log) for p in points], [_clip(p.low, log) for p in points]
    x = [p.step for p in points]
    return {
        "type": "scatter",
        "x": x + x[::-1],
        "y": upper + lower[::-1],
        "mode": "lines",
        "line": {"width": 0, "color": colour(index)},
        "fill": "toself",
        "fillcolor": colour(index, "band"),
        "hoverinfo": "skip",
        "meta": {"arm": index},
    }


def _line(index: int, name: str, points: Sequence[Point], ends: tuple[int, int], log: bool) -> dict[str, Any]:
    x = [p.step for p in points] if len(points) > 1 else list(ends)
    shown = list(points) if len(points) > 1 else [points[0], points[0]]
    return {
        "type": "scatter",
        "name": plain(name),
        "x": x,
        "y": [_clip(p.mean, log) for p in shown],
        "mode": "lines+markers" if len(points) > 1 else "lines",
        "line": {"width": 2.2, "color": colour(index), "dash": mark(index).dash},
        "marker": {"size": 8, "color": colour(index), "symbol": mark(index).symbol, "maxdisplayed": 8},
        "customdata": [[number(v, 4) for v in (p.mean, p.low, p.high)] for p in shown],
        "hovertemplate": "%{customdata[0]} (%{customdata[1]} to %{customdata[2]})",
        "meta": {"arm": index},
    }


def _reference(ends: tuple[int, int], value: float) -> dict[str, Any]:
    """Return the level of a published figure, named on the line."""
    return {
        "type": "scatter",
        "x": list(ends),
        "y": [value, value],
        "mode": "lines+text",
        "text": [f" lowest published: {number(value)}", ""],
        "textposition": "top right",
        "textfont": {"size": 12, "color": "var(--soft)"},
        "line": {"width": 1.2, "dash": "dot", "color": "var(--soft)"},
        "hoverinfo": "skip",
    }


def _decades(data: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return ticks at 1, 2 and 5 times the powers of ten that the data cover, written out."""
    ys = [y for trace in data for y in trace["y"]]
    values = [m * 10.0**k for k in range(-5, 3) for m in (1, 2, 5)]
    inside = [v for v in values if min(ys) / 2.5 <= v <= max(ys) * 2.5]
    return {"tickmode": "array", "tickvals": inside, "ticktext": [f"{v:g}" for v in inside]}
