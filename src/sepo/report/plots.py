"""What a chart is here, and how arms look in it.

A chart is Plotly's JSON, made without Plotly. Colours are names of CSS variables, such as ``var(--arm-0)``;
the page resolves them when it draws, so that light and dark need no second chart. An arm has the same
colour, dash and symbol in every chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from sepo.printable import printable

HOVER = "%{customdata[0]} (%{customdata[1]} to %{customdata[2]})"  # mean, lowest and highest seed

TEMPLATES = ("hovertemplate",)


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


# after M. Okabe and K. Ito, "Color Universal Design", 2008; darker or lighter where the ground asks for it
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
    """One chart: its heading, a sentence for those who cannot see it, Plotly's JSON and its height."""

    title: str
    label: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    height: int = 320
    log: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """Return what the page's script needs to draw it."""
        return {"data": _as_text(list(self.data)), "layout": _as_text(dict(self.layout)), "log": self.log}


@dataclass(frozen=True)
class Panel:
    """Charts under one caption, with their data to download.

    Attributes
    ----------
    data
        The charts' figures as the text of a CSV file.
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

    @property
    def document(self) -> dict[str, Any]:
        """Return what the page's script needs of it."""
        return {"plots": [plot.document for plot in self.plots], "csv": self.data}


def _as_text(found: Any, key: str = "") -> Any:
    """Return a part of a chart in which Plotly, which reads a few HTML tags, finds text and nothing else.

    Templates alone are as they are written: whatever is not known beforehand gets into them as a trace's name or data.
    """
    if isinstance(found, str):
        return found if key in TEMPLATES else escape(printable(found), quote=False)
    if isinstance(found, Mapping):
        return {k: _as_text(v, k) for k, v in found.items()}
    return [_as_text(v, key) for v in found] if isinstance(found, list | tuple) else found


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
        "hoverlabel": {
            "bgcolor": "var(--card)",
            "bordercolor": "var(--line)",
            "font": {"color": "var(--ink)"},
        },
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
