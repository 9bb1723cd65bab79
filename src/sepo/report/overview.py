"""Several runs at a glance: a row each, with the one figure that matters most in its game."""

from __future__ import annotations

from collections.abc import Sequence

from sepo.display import NONE
from sepo.report.read import Estimate, Run
from sepo.report.standing import digits, headline, standing
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import interval, number


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
    found = {arm.name: arm.last.get(key) for arm in run.summary.arms}
    cells = [_cell(found.get(name), digits(key)) for name in policies]
    return Row([Head(run.summary.game)], [Cell(_figure(run, key)), *cells])


def _figure(run: Run, key: str) -> str:
    return key if key == "exploitability" else f"J ({run.summary.measures})"


def _row(run: Run) -> Row:
    summary = run.summary
    found = standing(summary)
    shown = digits(found.key)
    name, best = found.furthest or ("", None)
    return Row(
        [Head(summary.name)],
        [
            Cell(summary.game),
            Cell(_figure(run, found.key)),
            Cell(str(len(summary.seeds))),
            *(_cell(start, shown) for start in found.start),
            _cell(best, shown, f"{name} "),
            Cell(number(found.top, shown)),
        ],
    )


def _cell(found: Estimate | None, shown: int, name: str = "") -> Cell:
    return Cell(NONE) if found is None else Cell(name + number(found.value, shown), interval(found, shown))
