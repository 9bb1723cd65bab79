"""What arms do in repeated games: the shares of their actions in each kind of situation, against the train pool.

From a policy table the shares are exact, weighted by how often a situation is met; a state that the table does not have
counts as uniform there. Where there is no table, or a meeting is too large to walk, the scorecard's frequencies over
all decisions stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sepo.audit.board import Subject, match
from sepo.display import NONE
from sepo.errors import TooLargeError
from sepo.games.base import Decision, Game, MeasureName
from sepo.games.registry import make
from sepo.report.behaviour import Behaviour
from sepo.report.dots import lanes
from sepo.report.plots import Panel, Plot
from sepo.report.read import Run, SeedRun
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import csv_text, number
from sepo.solve.value import infoset_reach

NODES = 20_000
"""Largest meeting that is walked for a page."""
RARE = 1e-3
"""A situation that is met less often than this per episode is not shown."""
EVERYWHERE = "all decisions"
Shares = dict[str, dict[str, float]]
"""By situation, the share of each action there; under ``""`` how often it is met."""


def after_pair(decision: Decision) -> str:
    """Tell situations of ipd apart by what both did last, own first."""
    rounds = decision.view.rounds
    return f"after {rounds[-1].own[0]}{rounds[-1].other[0]} (own first)" if rounds else "first round"


def after_outcome(decision: Decision) -> str:
    """Tell situations of split apart by what the last round came to."""
    rounds = decision.view.rounds
    if not rounds:
        return "first round"
    deal = int(rounds[-1].own) + int(rounds[-1].other) <= 10
    return f"after a {'deal' if deal else 'breakdown'}"


def by_value(decision: Decision) -> str:
    """Tell situations of the auction apart by one's value and what the other side last bid."""
    rounds = decision.view.rounds
    heard = f"after their {rounds[-1].other.lower()}" if rounds else "first round"
    return f"value {decision.view.private}, {heard}"


def by_stock(decision: Decision) -> str:
    """Tell situations of the commons apart by how much is left."""
    stock = decision.view.public
    return "stock 0" if stock == 0 else f"stock {3 * ((stock - 1) // 3) + 1} to {3 * ((stock - 1) // 3) + 3}"


SITUATIONS: Mapping[str, tuple[str, Callable[[Decision], str]]] = {
    "ipd": ("by the last pair", after_pair),
    "split": ("after a deal and after a breakdown", after_outcome),
    "auction": ("by value and the last bid met", by_value),
    "commons": ("by what is left of the stock", by_stock),
}


def conduct(run: Run) -> Behaviour | None:
    """Return the shares of actions by situation and arm; None where nothing is known of any arm."""
    summary = run.summary
    game = make(summary.game, summary.rules)
    found = {
        name: _over_seeds([_shares(game, summary.measures, s) for s in run.histories[name]]) for name in run.histories
    }
    situations = sorted({s for by in found.values() for s in by}, key=lambda s: (s != "first round", s))
    if not situations:
        return None
    actions = sorted({a for by in found.values() for row in by.values() for a in row if a}, key=_in_order(game))
    how = SITUATIONS[summary.game][0] if summary.game in SITUATIONS and situations != [EVERYWHERE] else ""
    rows, data = [], []
    for situation in situations:
        for place, (name, by) in enumerate(found.items()):
            row = by.get(situation)
            heads = [Head(situation, "", len(found))] if place == 0 else []
            rows.append(Row([*heads, Head(name)], [Cell(number(row.get(a, 0.0)) if row else NONE) for a in actions]))
            data += [(name, situation, a, row.get(a, 0.0), row[""]) for a in actions if row]
    panel = Panel(
        "conduct",
        f"Actions {how}".strip(),
        "The share of each action at the last step, against the train pool, mean over seeds. "
        + ("A situation counts as often as it is met." if how else "All decisions together."),
        [_plot(s, found, actions) for s in situations],
        csv_text(("arm", "situation", "action", "share", "met per episode"), data),
        [(f"step-{_step(i, len(actions))}", _short(a)) for i, a in enumerate(actions)],
        arms=False,
    )
    columns = [Cell("situation"), Cell("arm"), *(Cell(_short(a)) for a in actions)]
    return Behaviour(panel, Table("The share of each action, mean over seeds", columns, rows))


def _plot(situation: str, found: Mapping[str, Shares], actions: Sequence[str]) -> Plot:
    names = list(found)
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": _short(action),
            "x": [found[name].get(situation, {}).get(action, 0.0) for name in names],
            "y": list(range(len(names))),
            "marker": {"color": f"var(--step-{_step(i, len(actions))})", "line": {"width": 1, "color": "var(--card)"}},
            "hovertemplate": "%{fullData.name} %{x:.1%}<extra></extra>",
        }
        for i, action in enumerate(actions)
    ]
    said = "; ".join(
        f"{name}: " + ", ".join(f"{_short(a)} {row.get(a, 0.0):.0%}" for a in actions if row.get(a, 0.0) >= 0.005)
        for name in names
        if (row := found[name].get(situation))
    )
    drawn = lanes(
        "",
        names,
        barmode="stack",
        bargap=0.3,
        xaxis={"range": [0, 1], "tickformat": ".0%", "zeroline": False},
        margin={"l": 56, "r": 18, "t": 4, "b": 26},
    )
    return Plot(situation, f"{situation}: {said}.", data, drawn, 40 + 30 * len(names))


def _shares(game: Game, measures: str, seed: SeedRun) -> Shares:
    """Return what a seed's policy does in each situation."""
    if seed.policy is not None and game.name in SITUATIONS:
        found = _walked(game, measures, seed)
        if found:
            return found
    counts: dict[str, float] = {}
    for row in (seed.card or {}).get("frequencies", {}).values():
        for action, figure in row.items():
            counts[action] = counts.get(action, 0.0) + float(figure["value"] or 0.0)
    total = sum(counts.values())
    return {EVERYWHERE: {"": 1.0} | {a: c / total for a, c in counts.items()}} if total else {}


def _walked(game: Game, measures: str, seed: SeedRun) -> Shares:
    if seed.policy is None:
        return {}
    name: MeasureName = "paper" if measures == "paper" else "sepo"
    subject = Subject(game, seed.policy, unknown=True)
    situation = SITUATIONS[game.name][1]
    out: Shares = {}
    met = 0
    for opponent in game.measures(name).pools["train"]:
        for seat in game.seats:
            try:
                m = match(subject, opponent, seat, NODES)
            except TooLargeError:
                continue
            met += 1
            reached = infoset_reach(m.tree, m.profile)
            for info, r in zip(m.tree.infosets, reached.tolist(), strict=True):
                if info.seat != seat or r <= 0:
                    continue
                row = out.setdefault(situation(info.decision), {"": 0.0})
                row[""] += r
                for action, p in zip(info.decision.legal, m.profile[info.entries].tolist(), strict=True):
                    row[action] = row.get(action, 0.0) + r * p
    return {
        s: {"": row[""] / met} | {a: v / row[""] for a, v in row.items() if a}
        for s, row in out.items()
        if row[""] / met >= RARE
    }


def _over_seeds(found: Sequence[Shares]) -> Shares:
    """Return the mean over the seeds that meet a situation."""
    out: Shares = {}
    for situation in dict.fromkeys(s for by in found for s in by):
        rows = [by[situation] for by in found if situation in by]
        out[situation] = {
            a: float(np.mean([row.get(a, 0.0) for row in rows])) for a in dict.fromkeys(a for row in rows for a in row)
        }
    return out


def _in_order(game: Game) -> Callable[[str], tuple[float, str]]:
    """Order actions as the game lists them, numbers by size."""
    listed: list[str] = []
    state = game.root()
    if game.name in SITUATIONS:
        while not state.legal():
            state = state.child(state.chance()[0][0])
        listed = list(state.legal())

    def order(action: str) -> tuple[float, str]:
        if action in listed:
            return float(listed.index(action)), action
        first = action.split(" ", 1)[0]
        return (float(first) if first.isdecimal() else 1e9), action

    return order


def _step(index: int, count: int) -> int:
    """Return which of the nine shades an action has, light to dark."""
    return round(8 * index / max(count - 1, 1))


def _short(action: str) -> str:
    return action.lower().replace("_", " ")
