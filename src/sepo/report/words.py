"""Numbers, names and data as text: for tables, for charts and for downloads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from html import escape

from sepo.report.read import Estimate

NONE = "n/a"
NAME_LENGTH = 28
ALIKE = 1e-12  # an interval narrower than this is rounding


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a true minus sign and no negative zero; ``n/a`` where it is missing."""
    if value is None:
        return NONE
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(found: Estimate | None, digits: int = 3) -> str:
    """Return ``[low, high]``; nothing where there is none: no figure, an exact one, or a single seed that is exact."""
    if found is None:
        return ""
    if found.high - found.low < ALIKE:
        return "all seeds alike" if (found.n or 1) > 1 and len(found.seeds) > 1 else ""
    return f"[{number(found.low, digits)}, {number(found.high, digits)}]"


def count(n: int, thing: str) -> str:
    """Return ``1 seed`` or ``5 seeds``."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def span(values: Sequence[int]) -> str:
    """Return ``80``, or ``60 to 80`` where the numbers differ."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def plain(text: str, most: int = NAME_LENGTH) -> str:
    """Return text for a chart, which reads a few HTML tags: at most so many letters, each shown as it is."""
    short = text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return escape(short, quote=False)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
