"""Several runs at a glance: a row each, with the one figure that matters most in its game."""

from __future__ import annotations

from collections.abc import Sequence

from sepo.report.cards import headline
from sepo.report.read import ArmSummary, Run
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import NONE, interval, number

START = ("base", "sft")


def overview(runs: Sequence[Run]) -> Table:
    """Return a row a run: where the model began, and the arm that came furthest, beside the best there is.

    Of scorecards alone, a row a game and a column a policy.
    """
    if all(run.audited for run in runs):
        policies = list(dict.fromkeys(arm.name for run in runs for arm in run.summary.arms))
        return Table(
            "Every game",
            [Cell("game"), Cell("figure"), *(Cell(name) for name in policies)],
            [_audited(run, policies) for run in runs],
            ["Exact where no interval stands below; bounds or 95 % intervals elsewhere."],
        )
    return Table(
        "Every run at its last step",
        [
            Cell("run"),
            Cell("game"),
            Cell("figure"),
            Cell("seeds"),
            Cell("base"),
            Cell("sft"),
            Cell("best other arm"),
            Cell("best there is"),
        ],
        [_row(run) for run in runs],
        ["The best other arm is the one with the best mean at the last step. The best there is is exact."],
    )


def _audited(run: Run, policies: Sequence[str]) -> Row:
    key = headline(run.summary)
    by_name = {arm.name: arm for arm in run.summary.arms}
    cells = [_cell(by_name.get(name), key, _digits(key)) for name in policies]
    return Row([Head(run.summary.game)], [Cell(_figure(run, key)), *cells])


def _figure(run: Run, key: str) -> str:
    return key if key == "exploitability" else f"J ({run.summary.measures})"


def _digits(key: str) -> int:
    return 4 if key == "exploitability" else 3


def _row(run: Run) -> Row:
    summary = run.summary
    key = headline(summary)
    digits = _digits(key)
    sign = -1 if key == "exploitability" else 1
    others = [arm for arm in summary.arms if arm.name not in START and arm.last.get(key)]
    best = max(others, key=lambda arm: sign * _value(arm, key), default=None)
    top = 0.0 if key == "exploitability" else summary.ceilings.get(summary.measures, {}).get("J")
    by_name = {arm.name: arm for arm in summary.arms}
    return Row(
        [Head(summary.name)],
        [
            Cell(summary.game),
            Cell(_figure(run, key)),
            Cell(str(len(summary.seeds))),
            *(_cell(by_name.get(name), key, digits) for name in START),
            _cell(best, key, digits, named=True),
            Cell(number(top, digits)),
        ],
    )


def _value(arm: ArmSummary, key: str) -> float:
    found = arm.last.get(key)
    return found.value if found else float("nan")


def _cell(arm: ArmSummary | None, key: str, digits: int, *, named: bool = False) -> Cell:
    found = arm.last.get(key) if arm else None
    if arm is None or found is None:
        return Cell(NONE)
    name = f"{arm.name} " if named else ""
    return Cell(name + number(found.value, digits), interval(found, digits))
