"""How results show themselves: figures as text, and in a notebook short tables in HTML.

Names of policies and opponents, actions and keys come from files, models and other people. Whatever they hold is
shown, and can do nothing but be read: markup is escaped, and characters that print nothing (ANSI escapes, control and
bidirectional marks) appear as their escapes. Tables name no colours and no fonts, so they take those of the notebook,
light or dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sepo.printable import printable

Cell = str | float | int | None
NONE = "n/a"


def html(text: str) -> str:
    """Return text to stand in HTML as it is.

    >>> html("<script>")
    '&lt;script&gt;'
    """
    return escape(printable(text))


def number(value: float | None, digits: int = 4) -> str:
    """Return a number without a negative zero; ``n/a`` where there is none.

    >>> number(-0.00001), number(None)
    ('0.0000', 'n/a')
    """
    return NONE if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def figure(found: Mapping[str, Any] | None) -> str:
    """Return a figure of a scorecard: its value, and its interval or bounds where it has some.

    >>> figure({"value": 0.5, "low": 0.25, "high": None})
    '0.5000 [0.2500, inf]'
    """
    if found is None or found.get("value") is None:
        return NONE
    value, low, high = found["value"], found["low"], found["high"]
    if low is not None and low == high:
        return number(value)
    ends = ("-inf" if low is None else number(low), "inf" if high is None else number(high))
    return f"{number(value)} [{ends[0]}, {ends[1]}]"


def table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[Cell]], note: str = "") -> str:
    """Return a table in HTML. Numbers stand at the right, the first cell of a row names it.

    Parameters
    ----------
    caption, headings, note
        Plain text.
    rows
        Cells: text, or numbers, which get four digits.
    """
    sides = map(_side, rows[0] if rows else [""] * len(headings))
    head = "".join(
        f'<th scope="col" style="text-align:{side}">{html(h)}</th>' for h, side in zip(headings, sides, strict=True)
    )
    body = "".join(f"<tr>{_cell(row[0], 'th')}{''.join(_cell(c, 'td') for c in row[1:])}</tr>" for row in rows)
    foot = f"<p>{html(note)}</p>" if note else ""
    title = f'<caption style="text-align:left;white-space:nowrap">{html(caption)}</caption>'
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def _side(value: Cell) -> str:
    return "left" if isinstance(value, str) else "right"


def _cell(value: Cell, tag: str) -> str:
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else number(value)
    scope = ' scope="row"' if tag == "th" else ""
    return f'<{tag}{scope} style="text-align:{_side(value)}">{html(text)}</{tag}>'
