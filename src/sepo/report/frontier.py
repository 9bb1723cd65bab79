"""A frontier as one self-contained page and as a Markdown table: payoff against each risk, a weight a point.

Knows the document of ``train.frontier`` and nothing of how it was trained. Styles, script and the look of tables and
charts are the report's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sepo import __version__
from sepo.audit.meanings import EXPLOITED
from sepo.files import write_text
from sepo.report.markdown import figure
from sepo.report.packing import packed
from sepo.report.page import environment, plotly, provenance
from sepo.report.plots import MARKS, Panel, Plot, colour, layout, mark
from sepo.report.read import Estimate, Run, read_run
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import count, csv_text, interval, number, short
from sepo.verbatim import code

DIGITS = 4
HOVER = "%{customdata[0]}<br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>"
PLACES = {"top right": (1, 1), "bottom right": (1, -1), "top left": (-1, 1), "bottom left": (-1, -1)}
"""Where a point's label may stand, the usual place first."""
REACH = np.array([0.05, 0.04])
"""From a point to the middle of its label, in parts of the chart's width and height."""


class Line(NamedTuple):
    """Points along the first weight, at one value of the second."""

    name: str
    points: Sequence[Mapping[str, Any]]


def write_frontier(document: Mapping[str, Any], folder: Path) -> Path:
    """Write ``frontier.md`` and ``frontier.html`` into a frontier's run folder; return the page's path.

    Raises
    ------
    InputError
        If the folder holds no run, Plotly is missing, or a file cannot be written.
    """
    write_text(folder / "frontier.md", markdown(document))
    page = folder / "frontier.html"
    write_text(page, render(document, read_run(folder), plotly()))
    return page


def render(document: Mapping[str, Any], run: Run, library: str) -> str:
    """Return the page as HTML; ``library`` is the text of plotly.js."""
    return (
        environment()
        .get_template("frontier.html")
        .render(
            kind="frontier",
            summary={"name": document["name"], "arms": [{"name": line.name} for line in lines(document)]},
            opening=opening(document),
            marks=MARKS,
            warnings=[(point["arm"], point["warnings"]) for point in document["points"] if point["warnings"]],
            panel=panel(document),
            table=table(document),
            provenance=provenance(run),
            recipe=run.recipe,
            plotly=packed(library),
            version=__version__,
        )
    )


def opening(document: Mapping[str, Any]) -> str:
    """Return what was trained, in a sentence or two."""
    varied = " and ".join(
        f"the weight of {axis['weight']} at {', '.join(f'{v:g}' for v in axis['values'])}" for axis in document["vary"]
    )
    usual = ", ".join(f"{weight} {value:g}" for weight, value in document["J_weights"].items())
    return (
        f"{document['game']}, arm {document['arm']} of {document['model']}, with {varied}; "
        f"{count(len(document['seeds']), 'seed')}, {document['measures']} measures, last step. "
        f"J is taken at the weights of the measure set ({usual}), so that points can be compared."
    )


def lines(document: Mapping[str, Any]) -> list[Line]:
    """Return the points by the value of the second weight; one line where there is no second."""
    points = document["points"]
    if len(document["vary"]) < 2:
        return [Line(document["arm"], points)]
    second = document["vary"][1]
    return [
        Line(f"weight of {second['weight']} {value:g}", [p for p in points if p["weights"][second["weight"]] == value])
        for value in second["values"]
    ]


def panel(document: Mapping[str, Any]) -> Panel:
    """Return the charts, a risk each."""
    bars = "bars are 95 % Student t intervals in both directions"
    if len(document["seeds"]) < 2:
        open_ = any(point[m] and point[m]["interval"] for point in document["points"] for m in ("u", *drawn(document)))
        bars = f"one seed, so {'bars are what its audit leaves open' if open_ else 'there are no intervals'}"
    first = document["vary"][0]["weight"]
    return Panel(
        "frontier",
        f"Along the weight of {first}",
        f"Up and to the left is better. Points are joined in the order of the weight of {first}; {bars}. Dominated "
        "means that another point has no less payoff and no more of that risk, by means: where intervals overlap, that "
        "may be chance.",
        [_plot(document, risk) for risk in drawn(document)],
        _data(document),
        [("kept", "on the frontier"), ("dominated", "dominated in this chart")],
        arms=len(document["vary"]) > 1,
    )


def drawn(document: Mapping[str, Any]) -> list[str]:
    """Return the risks that have a chart: exploitability has none of its own where e is exploitability."""
    return [r for r in document["risks"] if r != "exploitability" or document["definitions"]["e"] != r]


def heading(document: Mapping[str, Any], risk: str) -> str:
    """Return a risk's name, and what else it is called."""
    return "e (exploitability)" if risk == "e" and document["definitions"]["e"] == "exploitability" else risk


def table(document: Mapping[str, Any]) -> Table:
    """Return every point's weights and figures."""
    varied = [axis["weight"] for axis in document["vary"]]
    measures = ["u", *drawn(document), "J"]
    rows = []
    for index, line in enumerate(lines(document)):
        arm = index if len(varied) > 1 else None
        for point in line.points:
            cells = [Cell(f"{point['weights'][weight]:g}") for weight in varied]
            cells += [_cell(point[measure]) for measure in measures]
            rows.append(Row([Head(point["arm"], arm=arm)], [*cells, Cell(_verdict(document, point))]))
    notes = ["Mean over seeds, with its 95 % Student t interval below." if len(document["seeds"]) > 1 else "One seed."]
    if len(drawn(document)) > 1:
        notes.append("Dominated in all at once: one other point has no less payoff and no more of any risk.")
    return Table(
        f"Payoff and risks at each weight, {document['measures']} measures, payoffs in {document['unit']}",
        [
            Cell("arm"),
            *(Cell(f"weight of {weight}") for weight in varied),
            *(Cell(heading(document, m), f"{'higher' if m in ('u', 'J') else 'lower'} is better") for m in measures),
            Cell("dominated" if len(drawn(document)) == 1 else "dominated in"),
        ],
        rows,
        notes,
    )


def markdown(document: Mapping[str, Any]) -> str:
    """Return the table in Markdown."""
    shown = table(document)
    measures = ["u", *drawn(document), "J"]
    varied = [axis["weight"] for axis in document["vary"]]
    head = [column.text for column in shown.columns]
    out = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 2) + " --- |"]
    for point in (point for line in lines(document) for point in line.points):
        estimates = [_estimate(point[measure]) for measure in measures]
        cells = [f"{point['weights'][weight]:g}" for weight in varied]
        cells += [figure(found) for found in estimates]
        out.append("| " + " | ".join([code(point["arm"]), *cells, _verdict(document, point)]) + " |")
    return "\n".join(out) + "\n"


def _verdict(document: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    """Say where a point is dominated."""
    found = [risk for risk in drawn(document) if point["dominated"][risk]]
    if len(drawn(document)) == 1:
        return "yes" if found else "no"
    return "all at once" if point["dominated"]["all"] else ", ".join(found) or "none"


def _plot(document: Mapping[str, Any], risk: str) -> Plot:
    defined = document["definitions"].get(risk, risk)
    meaning = EXPLOITED.get(defined, defined.replace("_", " "))
    places = _places(lines(document), risk)
    data = [_trace(document, index, line, risk, places) for index, line in enumerate(lines(document))]
    said = "; ".join(
        f"{point['arm']}: {risk} {number(point[risk]['mean'], DIGITS)}, u {number(point['u']['mean'], DIGITS)}"
        + (", dominated" if point["dominated"][risk] else "")
        for line in lines(document)
        for point in _whole(line, risk)
    )
    drawn_as = layout(
        f"{heading(document, risk)}, lower is better", f"u, {document['unit']}", xaxis={"zeroline": False}
    )
    return Plot(
        f"{heading(document, risk)}: {meaning}",
        f"Payoff u against {risk}, means over seeds. {said}.",
        data,
        drawn_as,
        380,
    )


def _whole(line: Line, risk: str) -> list[Mapping[str, Any]]:
    return [point for point in line.points if point[risk] is not None and point["u"] is not None]


def _places(found: Sequence[Line], risk: str) -> dict[str, str]:
    """Return, by arm, where its label stands farthest from the points, the lines between them and earlier labels."""
    points = [point for line in found for point in _whole(line, risk)]
    ends = [np.array([p[key]["interval"] or [p[key]["mean"]] * 2 for p in points]) for key in (risk, "u")]
    spans = np.array([max(float(np.ptp(e)), 1e-9) for e in ends]) if points else np.ones(2)
    paths = [np.array([(p[risk]["mean"], p["u"]["mean"]) for p in _whole(line, risk)]) / spans for line in found]
    steps = np.linspace(0, 1, 24)[:, None]
    taken = [a + steps * (b - a) for path in paths for a, b in pairwise(path)] + [path for path in paths if len(path)]
    out: dict[str, str] = {}
    for point in points:
        at = np.array([point[risk]["mean"], point["u"]["mean"]]) / spans
        label = {name: at + REACH * np.array(side) for name, side in PLACES.items()}
        free = {n: min(float(np.hypot(*(t - centre).T).min()) for t in taken) for n, centre in label.items()}
        out[point["arm"]] = max(free, key=lambda name: round(free[name], 3))
        taken.append(label[out[point["arm"]]][None])
    return out


def _trace(document: Mapping[str, Any], index: int, line: Line, risk: str, places: Mapping[str, str]) -> dict[str, Any]:
    first = document["vary"][0]["weight"]
    points = _whole(line, risk)
    looks = mark(index)
    return {
        "type": "scatter",
        "name": short(line.name),
        "x": [point[risk]["mean"] for point in points],
        "y": [point["u"]["mean"] for point in points],
        "error_x": _bars([point[risk] for point in points], index),
        "error_y": _bars([point["u"] for point in points], index),
        "mode": "lines+markers+text",
        "line": {"width": 2, "color": colour(index), "dash": looks.dash},
        "marker": {
            "size": 11,
            "color": colour(index),
            "symbol": [looks.symbol + ("-open" if point["dominated"][risk] else "") for point in points],
            "line": {"width": 2, "color": colour(index)},
        },
        "text": [f"{first} {point['weights'][first]:g}" for point in points],
        "textposition": [places[point["arm"]] for point in points],
        "textfont": {"color": "var(--ink)", "size": 12},
        "cliponaxis": False,
        "customdata": [[short(p["arm"]), f"u {_said(p['u'])}", f"{risk} {_said(p[risk])}"] for p in points],
        "hovertemplate": HOVER,
        "meta": {"arm": index},
    }


def _bars(found: Sequence[Mapping[str, Any]], index: int) -> dict[str, Any]:
    """Return error bars from the intervals; none where no point has one."""
    ends = [f["interval"] or (f["mean"], f["mean"]) for f in found]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - f["mean"] for f, (_, high) in zip(found, ends, strict=True)],
        "arrayminus": [f["mean"] - low for f, (low, _) in zip(found, ends, strict=True)],
        "color": colour(index),
        "thickness": 1.2,
        "width": 3,
        "visible": any(f["interval"] for f in found),
    }


def _ends(found: Mapping[str, Any]) -> tuple[float | str, float | str]:
    """Return an interval's ends, empty where there is none: of one seed that is exact."""
    low, high = found["interval"] or ("", "")
    return low, high


def _estimate(found: Mapping[str, Any] | None) -> Estimate | None:
    if found is None:
        return None
    low, high = found["interval"] or (found["mean"], found["mean"])
    return Estimate(value=found["mean"], low=low, high=high, n=len(found["seeds"]))


def _cell(found: Mapping[str, Any] | None) -> Cell:
    estimate = _estimate(found)
    return Cell(number(estimate.value if estimate else None, DIGITS), interval(estimate, DIGITS))


def _said(found: Mapping[str, Any]) -> str:
    estimate = _estimate(found)
    return " ".join(filter(None, [number(found["mean"], DIGITS), interval(estimate, DIGITS)]))


def _data(document: Mapping[str, Any]) -> str:
    seeds = [f"seed {seed}" for seed in document["seeds"]]
    rows = [
        (point["arm"], *point["weights"].values(), measure, found["mean"], *_ends(found), *found["seeds"])
        for point in document["points"]
        for measure in ("u", *document["risks"], "J")
        if (found := point[measure]) is not None
    ]
    heads = ("arm", *(f"weight of {weight}" for weight in document["J_weights"]), "measure", "mean", "low", "high")
    return csv_text((*heads, *seeds), rows)
