"""The learning curves: exploitability, J, its parts and legal replies over steps, an arm a line, its seeds a band."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sepo.report.plots import HOVER, Panel, Plot, colour, layout, mark
from sepo.report.read import Run, SeedRun, Step
from sepo.report.words import csv_text, number, short

PARTS = {"u": "payoff u", "e": "exploitability e", "c": "collusion c", "x": "externality x"}
MASS = "legal mass"
LEGALITY: Mapping[str, Callable[[Step], float | None]] = {
    MASS: lambda step: step.legal_mass,
    "illegal replies": lambda step: step.illegal,
    "truncated replies": lambda step: step.truncated,
}
FLOOR = 1e-4  # smallest value drawn on a logarithmic axis


class Point(NamedTuple):
    """A step of a curve: mean, least and greatest over the seeds that have a value, and their number."""

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
    """Return the learning curves: exploitability where it is defined, J, payoff and risks, and legal mass."""
    return [p for p in (_exploitability(run), _objectives(run), _parts(run), _legal(run)) if p is not None]


def _exploitability(run: Run) -> Panel | None:
    found = {name: curve(seeds, lambda s: s.exploitability) for name, seeds in run.histories.items()}
    if not any(found.values()):
        return None
    unit, published = run.summary.unit, _published(run)
    clipped = any(p.low < FLOOR for points in found.values() for p in points)
    floor = f" On the logarithmic scale, values below {FLOOR:g} are drawn there." if clipped else ""
    return Panel(
        "exploitability",
        "Exploitability over steps",
        f"Exact exploitability ({unit}), lower is better: what an opponent who knows the policy wins, "
        f"0 at an equilibrium. {_reading([found])}{floor}",
        [_plot("", "exploitability", unit, found, log=True, published=published)],
        csv_text(
            ("arm", "step", "mean", "lowest seed", "highest seed", "seeds"),
            [(name, *point) for name, points in found.items() for point in points],
        ),
        [] if published is None else [("published", f"lowest published: {number(published)}")],
    )


def _objectives(run: Run) -> Panel | None:
    trained = run.summary.measures
    sets = sorted(("paper", "sepo"), key=lambda which: which != trained)
    found = {which: {n: curve(s, _objective(which)) for n, s in run.histories.items()} for which in sets}
    found = {which: by_arm for which, by_arm in found.items() if any(by_arm.values())}
    if not found:
        return None
    return Panel(
        "objective",
        "Objective J over steps",
        "J is the scaled payoff minus the weighted penalties of a measure set; higher is better. "
        f"This run's objective is that of the {trained} measures. {_reading(found.values())}",
        [_plot(f"{which} measures", "J", "points of J", by_arm, log=False) for which, by_arm in found.items()],
        csv_text(
            ("arm", "measures", "step", "mean", "lowest seed", "highest seed", "seeds"),
            [
                (name, which, *point)
                for which, by_arm in found.items()
                for name, points in by_arm.items()
                for point in points
            ],
        ),
    )


def _parts(run: Run) -> Panel | None:
    """Return payoff and each risk of the measures trained on."""
    of = run.summary.measures
    found = {
        part: by_arm
        for part in PARTS
        if any((by_arm := {n: curve(s, _part(of, part)) for n, s in run.histories.items()}).values())
    }
    if not found:
        return None
    return Panel(
        "parts",
        "Payoff and each risk over steps",
        f"What J is made of, {of} measures: payoff u, higher is better, and the penalised e, c and x, lower is better. "
        f"{_reading(found.values())}",
        [
            _plot(PARTS[part], PARTS[part], run.summary.unit if part in "ue" else "share", by_arm, log=False)
            for part, by_arm in found.items()
        ],
        csv_text(
            ("arm", "part", "step", "mean", "lowest seed", "highest seed", "seeds"),
            [(n, part, *point) for part, by_arm in found.items() for n, points in by_arm.items() for point in points],
        ),
    )


def _legal(run: Run) -> Panel | None:
    """Return how much probability the model leaves to legal replies, and the shares of replies that were none."""
    found = {
        what: by_arm
        for what, value in LEGALITY.items()
        if any((by_arm := {name: curve(seeds, value) for name, seeds in run.histories.items()}).values())
    }
    if not found:
        return None
    written = any(what != MASS for what in found)
    told = [
        "The probability that the unconstrained model puts on legal replies, mean over the states asked; the rest goes "
        "to text that is no move." * (MASS in found),
        "Of a model that writes it is the share of its replies that were legal. The others were read and are no legal "
        "answer (illegal), or never ended (truncated): shares of the replies of a step." * written,
        _reading(found.values()),
    ]
    return Panel(
        "legal",
        "Legal replies over steps",
        " ".join(filter(None, told)),
        [
            _plot(what if written else "", what, "probability" if what == MASS else "share", by_arm, log=False)
            for what, by_arm in found.items()
        ],
        csv_text(
            ("arm", "figure", "step", "mean", "lowest seed", "highest seed", "seeds"),
            [(name, what, *point) for what, by_arm in found.items() for name, ps in by_arm.items() for point in ps],
        ),
    )


def _part(of: str, part: str) -> Callable[[Step], float | None]:
    return lambda step: step.measures.get(of, {}).get(part)


def _reading(groups: Iterable[Mapping[str, Sequence[Point]]]) -> str:
    """Say how to read lines and bands, as far as they are there."""
    points = [points for group in groups for points in group.values()]
    many = any(p.seeds > 1 for ps in points for p in ps)
    out = "Lines are means over seeds; bands reach from the lowest to the highest seed." if many else "One seed."
    return out + (" An arm without steps of its own is a level line." if any(len(ps) == 1 for ps in points) else "")


def _objective(which: str) -> Callable[[Step], float | None]:
    return lambda step: step.measures.get(which, {}).get("J")


def _published(run: Run) -> float | None:
    """Return the lowest published exploitability of this game."""
    found = [
        row["exploitability"] for row in run.summary.published if isinstance(row.get("exploitability"), int | float)
    ]
    return min(found, default=None)


def _plot(
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
        "name": short(name),
        "x": x,
        "y": [_clip(p.mean, log) for p in shown],
        "mode": "lines+markers" if len(points) > 1 else "lines",
        "line": {"width": 2.2, "color": colour(index), "dash": mark(index).dash},
        "marker": {"size": 8, "color": colour(index), "symbol": mark(index).symbol, "maxdisplayed": 8},
        "customdata": [[number(v, 4) for v in (p.mean, p.low, p.high)] for p in shown],
        "hovertemplate": HOVER,
        "meta": {"arm": index},
    }


def _reference(ends: tuple[int, int], value: float) -> dict[str, Any]:
    """Return the level of a published figure; the legend names it."""
    return {
        "type": "scatter",
        "x": list(ends),
        "y": [value, value],
        "mode": "lines",
        "line": {"width": 1.6, "dash": "dot", "color": "var(--soft)"},
        "hoverinfo": "skip",
    }


def _decades(data: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return ticks at 1, 2 and 5 times the powers of ten that the data cover, written out."""
    ys = [y for trace in data for y in trace["y"]]
    values = [m * 10.0**k for k in range(-5, 3) for m in (1, 2, 5)]
    inside = [v for v in values if min(ys) / 2.5 <= v <= max(ys) * 2.5]
    return {"tickmode": "array", "tickvals": inside, "ticktext": [f"{v:g}" for v in inside]}
