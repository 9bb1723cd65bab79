"""Text from elsewhere as Markdown and HTML show it: as it is, and doing nothing.

What either acts on is written as character references, so no name can break a table, hold an element or be a link.
Knows one line of text at a time; what stands around it is the business of whoever writes the page.
"""

from __future__ import annotations

import re
import string

from sepo.printable import printable

PLAIN = frozenset(string.ascii_letters + string.digits + " .,:;/@+-=()'\N{MINUS SIGN}\N{HORIZONTAL ELLIPSIS}")
"""What Markdown and HTML do not act on, wherever it stands in a line."""


def text(found: object) -> str:
    """Return text that Markdown and HTML show as it is, on one line, with what cannot be seen written out."""
    shown = "".join(c if c in PLAIN or c in "[]" or c.isalnum() else f"&#{ord(c)};" for c in printable(found))
    shown = re.sub(r"(?<=[^\W_])&#95;(?=[^\W_])", "_", shown)  # inside a word it emphasises nothing
    shown = re.sub(r"\](?=[(:\[])", "&#93;", shown)  # no link, and nothing that a link could mean
    return re.sub(r":(?=//)", "&#58;", re.sub(r"(?i)(www)\.", r"\1&#46;", shown))  # nor what GitHub takes for one


def code(found: object) -> str:
    """Return text as code: in backticks where it is plain, else with character references, which backticks forbid."""
    shown = printable(found)
    if shown.strip() and all(c in PLAIN or c in "_>" for c in shown):
        return f"`{shown}`"
    return f"<code>{text(shown)}</code>"
