"""What became of the replies of models that write: how many were read, and how many were no legal answer.

The counts are those of the scorecards at the last step, where a policy was known from its replies. A reply that does
not count is asked for again, so there may be more replies than answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sepo.report.read import Estimate, Run, SeedRun
from sepo.report.tables import Cell, Head, Row, Table
from sepo.report.words import interval, number

COUNTS = ("decisions", "replies", "illegal", "truncated", "unanswered")


def replies(run: Run) -> Table | None:
    """Return the counts of illegal and truncated replies by arm, summed over seeds; None where nobody wrote."""
    rates = {arm.name: arm.last.get("illegal_rate") for arm in run.summary.arms}
    rows = [
        _row(index, name, counts, rates.get(name))
        for index, (name, seeds) in enumerate(run.histories.items())
        if (counts := _counts(seeds)) is not None
    ]
    if not rows:
        return None
    return Table(
        "Illegal and truncated replies by arm",
        [
            Cell("arm"),
            Cell("replies", "read in the audit"),
            Cell("illegal", "no legal answer"),
            Cell("truncated", "never ended"),
            Cell("answers", "asked for"),
            Cell("no legal reply", "retries included"),
            Cell("rate", "over the decisions met"),
        ],
        rows,
        [
            "Counts of the audit at the last step, all seeds together, retries included. Where no reply was legal, the "
            "rule for illegal replies counts; the scorecard's model says which.",
        ],
    )


def _counts(seeds: Sequence[SeedRun]) -> Mapping[str, int] | None:
    """Return what the scorecards count, summed over seeds."""
    found = [seed.card.get("replies") for seed in seeds if seed.card is not None]
    told = [card for card in found if isinstance(card, Mapping) and all(_is_count(card.get(c)) for c in COUNTS)]
    return {name: sum(card[name] for card in told) for name in COUNTS} if told else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _row(index: int, name: str, counts: Mapping[str, int], rate: Estimate | None) -> Row:
    total = counts["replies"]

    def cell(of: str, base: int) -> Cell:
        return Cell(f"{counts[of]:,}", f"{counts[of] / base:.1%}" if base else "")

    return Row(
        [Head(name, "", 1, index)],
        [
            Cell(f"{total:,}"),
            cell("illegal", total),
            cell("truncated", total),
            Cell(f"{counts['decisions']:,}"),
            cell("unanswered", counts["decisions"]),
            Cell(number(None if rate is None else rate.value), interval(rate)),
        ],
    )
