"""Numbers, names and data as text: for tables, for charts and for downloads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

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
    """Return ``[low, high]``; nothing where there is none: no figure, or a single seed."""
    if found is None or found.n is None or found.n < 2:
        return ""
    if found.high - found.low < ALIKE:
        return "all seeds alike"
    return f"[{number(found.low, digits)}, {number(found.high, digits)}]"


def count(n: int, thing: str) -> str:
    """Return ``1 seed`` or ``5 seeds``."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def span(values: Sequence[int]) -> str:
    """Return ``80``, or ``60 to 80`` where the numbers differ."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def plain(text: str) -> str:
    """Return text for a chart, which reads a few HTML tags: shortened, and shown letter by letter."""
    short = text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return escape(short, quote=False)


def csv_uri(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as a ``data:`` URI of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return "data:text/csv;charset=utf-8," + quote(text.getvalue())
