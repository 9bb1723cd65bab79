"""Numbers, names and data as text: for tables, for charts and for downloads."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from sepo import display
from sepo.printable import printable
from sepo.report.read import Estimate

NAME_LENGTH = 28
ALIKE = 1e-12  # an interval narrower than this is rounding

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet computes where a cell begins with it, in either width."""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a true minus sign and no negative zero; ``n/a`` where it is missing."""
    return display.NONE if value is None else display.number(value, digits).replace("-", "\N{MINUS SIGN}")


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


def short(text: str, most: int = NAME_LENGTH) -> str:
    """Return at most so many letters of a name, for a chart; what cannot be seen counts as it is written out."""
    shown = printable(text)
    return shown if len(shown) <= most else shown[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as the text of a CSV file, in which a spreadsheet finds numbers and text, and no formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_csv_cell, header))
    writer.writerows(map(_csv_cell, row) for row in rows)
    return text.getvalue()


def _csv_cell(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet would compute (OWASP, "CSV Injection")."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) and not _NUMBER.fullmatch(shown) else shown
