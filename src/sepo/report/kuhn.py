"""Kuhn poker's panel: betting and calling by card and seat, beside every equilibrium (H. W. Kuhn 1950)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sepo.report.behaviour import Behaviour, spread, spread_cell
from sepo.report.plots import HOVER, Panel, Plot, colour, layout, mark
from sepo.report.read import Run
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import csv_text, number, short

LANE = 0.78  # share of a card's lane that dots may use


class Range(NamedTuple):
    """The probabilities that equilibria allow at an information state."""

    low: float
    high: float


class Spot(NamedTuple):
    """A situation of Kuhn poker: its title, the betting so far, the action whose probability is shown."""

    title: str
    betting: str
    action: str


SPOTS = (
    Spot("Seat 0 opens: bets", "", "BET"),
    Spot("Seat 1 after a pass: bets", "p", "BET"),
    Spot("Seat 1 faces a bet: calls", "b", "CALL"),
    Spot("Seat 0 passed, faces a bet: calls", "pb", "CALL"),
)
CARDS = {"J": "jack", "Q": "queen", "K": "king"}
THIRD = 1 / 3
EQUILIBRIUM: Mapping[str, Range] = {  # H. W. Kuhn, 1950; alpha in [0, 1/3]
    "J:": Range(0, THIRD),  # alpha
    "Q:": Range(0, 0),
    "K:": Range(0, 1),  # 3 alpha
    "J:pb": Range(0, 0),
    "Q:pb": Range(THIRD, 2 * THIRD),  # alpha + 1/3
    "K:pb": Range(1, 1),
    "J:p": Range(THIRD, THIRD),
    "Q:p": Range(0, 0),
    "K:p": Range(1, 1),
    "J:b": Range(0, 0),
    "Q:b": Range(THIRD, THIRD),
    "K:b": Range(1, 1),
}


def kuhn(run: Run) -> Behaviour:
    """Return Kuhn poker's panel: betting and calling by card and seat, beside the equilibria."""
    data: list[tuple[object, ...]] = []
    rows = []
    for spot in SPOTS:
        for place, card in enumerate(CARDS):
            key = f"{card}:{spot.betting}"
            found = [spread(seeds, key, spot.action) for seeds in run.histories.values()]
            heads = [Head(spot.title, "", len(CARDS))] if place == 0 else []
            rows.append(Row([*heads, Head(CARDS[card])], [_range_cell(key), *map(spread_cell, found)]))
            data += [
                (name, key, spot.action, *s, *EQUILIBRIUM[key])
                for name, s in zip(run.histories, found, strict=True)
                if s
            ]
    caption = (
        "Probability of betting or calling at each of the twelve information states, at the last step: dots "
        "are means over seeds, whiskers reach from the lowest to the highest seed. Grey marks the equilibria "
        "(H. W. Kuhn 1950), a family with one free number a between 0 and 1/3, so three states have a range: "
        "the opening jack bets a, the opening king 3a, and the queen that passed calls a + 1/3."
    )
    panel = Panel(
        "behaviour",
        "Play by card and seat, beside the equilibrium",
        caption,
        [_kuhn_plot(run, spot) for spot in SPOTS],
        csv_text(
            (
                "arm",
                "state",
                "action",
                "mean",
                "lowest seed",
                "highest seed",
                "equilibrium from",
                "equilibrium to",
            ),
            data,
        ),
        [("equilibrium", "equilibrium")],
    )
    columns = [Cell("situation"), Cell("card"), Cell("equilibrium"), *(Cell(name) for name in run.histories)]
    return Behaviour(panel, Table("Probability of betting or calling, with the lowest and highest seed", columns, rows))


def _kuhn_plot(run: Run, spot: Spot) -> Plot:
    arms = len(run.histories)
    pitch = LANE / max(arms, 1)
    data: list[dict[str, Any]] = []
    for index, (name, seeds) in enumerate(run.histories.items()):
        offset = (index - (arms - 1) / 2) * pitch
        found = {lane: spread(seeds, f"{card}:{spot.betting}", spot.action) for lane, card in enumerate(CARDS)}
        shown = {lane: s for lane, s in found.items() if s is not None}
        data.append(
            {
                "type": "scatter",
                "name": short(name),
                "x": [s.mean for s in shown.values()],
                "y": [lane + offset for lane in shown],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [s.high - s.mean for s in shown.values()],
                    "arrayminus": [s.mean - s.low for s in shown.values()],
                    "color": colour(index),
                    "thickness": 1.6,
                    "width": 3,
                },
                "mode": "markers",
                "cliponaxis": False,
                "marker": {"size": 9, "color": colour(index), "symbol": mark(index).symbol},
                "customdata": [[number(v) for v in s] for s in shown.values()],
                "hovertemplate": f"{HOVER}<extra>%{{fullData.name}}</extra>",
                "meta": {"arm": index},
            }
        )
    drawn = layout(
        "probability",
        "",
        xaxis={
            "range": [-0.02, 1.02],
            "tickvals": [0, 1 / 3, 2 / 3, 1],
            "ticktext": ["0", "1/3", "2/3", "1"],
            "zeroline": False,
        },
        yaxis={
            "range": [len(CARDS) - 0.5, -0.5],
            "tickvals": list(range(len(CARDS))),
            "ticktext": list(CARDS.values()),
            "showgrid": False,
            "zeroline": False,
        },
        shapes=[_equilibrium(lane, EQUILIBRIUM[f"{card}:{spot.betting}"]) for lane, card in enumerate(CARDS)],
    )
    said = "; ".join(f"{CARDS[card]}: equilibrium {_range_cell(f'{card}:{spot.betting}').text}" for card in CARDS)
    return Plot(
        spot.title,
        f"{spot.title}, by card and arm. {said}. The table below has every figure.",
        data,
        drawn,
        96 + 3 * (16 + 13 * arms),
    )


def _equilibrium(lane: int, allowed: Range) -> dict[str, Any]:
    wide = allowed.high > allowed.low
    return {
        "type": "rect",
        "layer": "below",
        "x0": allowed.low - (0 if wide else 0.008),
        "x1": allowed.high + (0 if wide else 0.008),
        "y0": lane - 0.45,
        "y1": lane + 0.45,
        "fillcolor": "var(--equilibrium)",
        "line": {"width": 0},
    }


def _range_cell(key: str) -> Cell:
    low, high = EQUILIBRIUM[key]
    return Cell(number(low) if low == high else f"{number(low)} to {number(high)}")
