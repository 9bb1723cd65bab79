"""The tables of the page: results by arm, the published figures beside them, and what the columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sepo.audit.meanings import MEANINGS, better, last
from sepo.audit.published import protocols
from sepo.display import NONE
from sepo.report.read import ArmSummary, Estimate, Summary
from sepo.report.words import interval, number, span
from sepo.train import seeds as over_seeds
from sepo.train.rules import apart, rules_of

SOURCE = "arXiv 2605.30854"
DASH = "\N{EN DASH}"


class Cell(NamedTuple):
    """A cell: its text, and smaller text below it."""

    text: str
    note: str = ""


class Head(NamedTuple):
    """A row's header: an arm has its index, and may span the rows of its steps."""

    text: str
    note: str = ""
    rows: int = 1
    arm: int | None = None


class Row(NamedTuple):
    """A row: its headers, then its cells."""

    heads: Sequence[Head]
    cells: Sequence[Cell]
    warned: bool = False


@dataclass(frozen=True)
class Table:
    """A table: the first columns are those of the rows' headers. Notes stand below it."""

    caption: str
    columns: Sequence[Cell]
    rows: Sequence[Row]
    notes: Sequence[str] = ()


class Column(NamedTuple):
    """A measure of the results: its key in the summary, its heading, which way is better, its meaning."""

    key: str
    title: str
    better: str
    meaning: str
    digits: int = 3


OF_SET = {
    "sepo.J": "the objective with sepo's measures, whose e is regret, or the exact worst case in zero-sum games",
    "paper.J": "the objective with the published measures and weights",
    "paper.e": "how far the fixed scripts of the exploiter pool get ahead",
    "paper.c": "the published collusion measure",
}
"""What differs by the set of measures."""


def _column(key: str, title: str, digits: int = 3) -> Column:
    """Return the column of a figure, told as it is everywhere."""
    return Column(key, title, better(key), OF_SET.get(key, MEANINGS[last(key)].text), digits)


WHOLE = (_column("exploitability", "exploitability", 4),)
BESIDE = (
    _column("worst_case_advantage", "worst case"),
    _column("robustness", "robustness"),
    _column("held_out", "held out"),
    _column("security_gap", "security gap"),
    _column("legal_mass", "legal mass"),
    _column("illegal_rate", "illegal"),
)
SAID_ALREADY = ("security_gap", "worst_case_advantage")
"""What says the same as exploitability, or half of it, where the game is zero-sum."""


def columns(summary: Summary) -> list[Column]:
    """Return the measures that an arm has: all parts of J as trained, and J of the other set, with paper's e and c."""
    found = {
        key for arm in summary.arms for at in (arm.last, arm.best) for key, value in at.items() if value is not None
    }
    if "exploitability" in found:
        found -= set(SAID_ALREADY)
    trained = summary.measures
    other = "sepo" if trained == "paper" else "paper"
    parts = [(trained, part) for part in "Juecx"] + [(other, part) for part in ("J" if other == "sepo" else "Jec")]
    middle = [_column(f"{of}.{part}", f"{part} ({of})" if part == "J" or of == other else part) for of, part in parts]
    return [column for column in (*WHOLE, *middle, *BESIDE) if column.key in found]


def results(summary: Summary) -> Table:
    """Return the results: two rows an arm, the last step and the step chosen by the validation criterion."""
    shown = columns(summary)
    rows: list[Row] = []
    for index, arm in enumerate(summary.arms):
        times = [(Head("audited", arm.method), arm.last)] if arm.method else _times(arm)
        for place, (head, found) in enumerate(times):
            arm_head = [Head(arm.name, "", len(times), index)] if place == 0 else []
            cells = [_cell(found.get(c.key), c.digits) for c in shown]
            rows.append(Row([*arm_head, head], cells))
    figures = [e for arm in summary.arms for e in arm.last.values() if e is not None]
    many, bounds = any((e.n or 0) > 1 for e in figures), any(_left_open(e) for e in figures)
    if any(arm.method for arm in summary.arms):
        notes = ["Exact where no interval stands below; bounds or 95 % intervals elsewhere."]
    elif many:
        widened = ", widened by what the audits leave open," if bounds else ""
        notes = [f"Mean over seeds, with its 95 % Student t interval{widened} below."]
    else:
        said = "the intervals are what the audit leaves open" if bounds else "no intervals"
        notes = [f"One seed: {said}, and no way to tell luck from skill."]
    if criteria := sorted({arm.criterion for arm in summary.arms if arm.best and arm.criterion}):
        notes.append(f"Best step: each seed's checkpoint with the best validation {', '.join(criteria)}.")
    others = by_other_rules(summary, {column.key: column.title for column in shown})
    notes += [f"By other rules, {rules}: {', '.join(names)}." for rules, names in others.items()]
    if any(not arm.last for arm in summary.arms):
        notes.append("An arm without figures has not finished any seed.")
    heads = [Cell("arm"), Cell("at")]
    return Table(
        f"Results by arm, payoffs in {summary.unit}",
        [*heads, *(Cell(c.title, f"{c.better} is better") for c in shown)],
        rows,
        notes,
    )


def by_other_rules(summary: Summary, titles: Mapping[str, str]) -> dict[str, list[str]]:
    """Return which of the figures that are shown were found by other rules than the run's, by those rules.

    Parameters
    ----------
    titles
        What a figure is called, by its dotted name.
    """
    others = summary.other_rules
    groups: dict[str, list[str]] = {}
    for key, name in titles.items():
        if rules := rules_of(key, others):
            groups.setdefault(apart(summary.rules, rules), []).append(name)
    return groups


def _left_open(found: Estimate) -> bool:
    """Whether an interval is wider than the seeds alone make it, since an audit asked about a part of the policy."""
    seeds = [value for value in found.seeds if value is not None]
    if not seeds:
        return False
    alone = over_seeds.interval(seeds)
    return bool(found.high - found.low > alone["high"] - alone["low"] + over_seeds.ROUNDING)


def _times(arm: ArmSummary) -> list[tuple[Head, Mapping[str, Estimate | None]]]:
    out = [(Head("last step", f"step {arm.steps}" if arm.steps is not None else ""), arm.last)]
    chosen = [step for step in arm.best_steps if step is not None]
    if arm.best and arm.steps != 0:
        out.append((Head("best step", f"step {span(chosen)}" if chosen else ""), arm.best))
    return out


def _cell(found: Estimate | None, digits: int) -> Cell:
    return Cell(number(found.value, digits) if found else NONE, interval(found, digits))


def published(summary: Summary) -> Table | None:
    """Return the published figures for this game, or None where there are none."""
    if not summary.published:
        return None
    keys = [
        ("exploitability", "exploitability"),
        ("J", "J (paper)"),
        ("u", "u"),
        ("e", "e (paper)"),
        ("c", "c (paper)"),
        ("robust", "robustness"),
    ]
    shown = [(key, title) for key, title in keys if any(row.get(key) is not None for row in summary.published)]
    rows = [
        Row(
            [Head(str(row.get("arm", NONE)))],
            [
                Cell(str(row.get("model", NONE))),
                Cell(str(row.get("protocol", NONE))),
                Cell(_lambdas(row.get("lambda"))),
                *(_printed(row.get(key)) for key, _ in shown),
            ],
        )
        for row in summary.published
    ]
    notes = [f"{name}: {text}." for name, text in _protocols(summary).items()]
    notes += dict.fromkeys(
        f"{row.get('model')}, {row.get('protocol')}: {row['note']}." for row in summary.published if row.get("note")
    )
    return Table(
        f"Published figures ({SOURCE}): 4-billion-parameter models, one seed, no intervals",
        [
            Cell("arm"),
            Cell("model"),
            Cell("protocol"),
            Cell("λ of e, c, x"),
            *(Cell(title) for _, title in shown),
        ],
        rows,
        notes,
    )


def _lambdas(found: object) -> str:
    if not isinstance(found, Sequence) or isinstance(found, str):
        return NONE
    return ", ".join(f"{v:g}" if isinstance(v, int | float) else str(v) for v in found)


def _printed(value: object) -> Cell:
    return Cell(number(float(value)) if isinstance(value, int | float) else DASH)


def _protocols(summary: Summary) -> dict[str, Any]:
    """Return what the protocols of the shown rows were, as far as the package knows them."""
    known = protocols()
    return {
        name: known[name]
        for name in dict.fromkeys(str(row.get("protocol")) for row in summary.published)
        if name in known
    }
