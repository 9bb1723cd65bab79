"""Charts of dots with whiskers: figures side by side, an arm a colour and symbol, a lane a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sepo.report.plots import HOVER, colour, layout, mark
from sepo.report.words import number, short

LANE = 0.78
"""Share of a lane that dots may use."""
ROW = 40
"""Letters that the name of a lane may have."""


class Whisker(NamedTuple):
    """A figure and the ends of its whisker, which are infinite where they are not known: then none is drawn."""

    value: float
    low: float
    high: float


def dots(
    index: int, name: str, found: Mapping[float, Whisker], *, digits: int = 3, hover: str = "%{fullData.name}"
) -> dict[str, Any]:
    """Return an arm's figures along x; ``found`` has their places along y."""
    return {
        "type": "scatter",
        "name": short(name),
        "x": [f.value for f in found.values()],
        "y": list(found),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_length(f.high - f.value) for f in found.values()],
            "arrayminus": [_length(f.value - f.low) for f in found.values()],
            "color": colour(index),
            "thickness": 1.6,
            "width": 3,
        },
        "mode": "markers",
        "cliponaxis": False,
        "marker": {"size": 9, "color": colour(index), "symbol": mark(index).symbol},
        "customdata": [[number(v, digits) for v in f] for f in found.values()],
        "hovertemplate": f"{HOVER}<extra>{hover}</extra>",
        "meta": {"arm": index},
    }


def _length(found: float) -> float:
    return found if math.isfinite(found) else 0.0


def lanes(axis: str, names: Sequence[str], **fields: Any) -> dict[str, Any]:
    """Return the layout of a chart whose rows are named, from the top."""
    y = {
        "range": [len(names) - 0.5, -0.5],
        "tickvals": list(range(len(names))),
        "ticktext": [short(n, ROW) for n in names],
        "showgrid": False,
        "zeroline": False,
    }
    if not axis:  # no title below: its room is not needed
        fields["xaxis"] = {"automargin": False} | fields.get("xaxis", {})
    return layout(axis, "", yaxis=y, **fields)


def offset(arm: int, arms: int) -> float:
    """Return how far from the middle of its lane an arm's dot stands."""
    return (arm - (arms - 1) / 2) * LANE / max(arms, 1)


def spread(values: Sequence[Whisker]) -> Whisker:
    """Return the mean over seeds from the lowest to the highest; one seed keeps its own whisker."""
    if len(values) == 1:
        return values[0]
    found = [v.value for v in values]
    return Whisker(sum(found) / len(found), min(found), max(found))
