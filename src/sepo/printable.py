r"""Text from elsewhere made harmless to show: a policy's name, a file's words, a model's reply.

Knows characters, not where they are shown: markup is the business of whoever writes it. What moves the cursor, colours
a terminal, turns the reading direction or cannot be seen is written out, such as ``\x1b`` or ``\u202e``.
"""

from __future__ import annotations

import json
import re
import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, formats (bidirectional marks and zero widths are some), surrogates, line separators."""
UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""Those of them that JSON leaves as they are."""
BEYOND_ASCII = re.compile("[^\x00-\x7f]")


def printable(text: object, kept: str = "") -> str:
    """Return text in which nothing is hidden, and nothing acts on a terminal.

    It is on one line, unless the line break is among the characters that are ``kept`` as they are.
    """
    found = str(text)
    if found.isprintable():  # most text, and fast to tell
        return found
    return "".join(_written(c) if unicodedata.category(c) in HIDDEN and c not in kept else c for c in found)


def visible(text: object) -> str:
    """Return text of several lines in which nothing is hidden otherwise."""
    return printable(text, "\n\t")


def json_printable(text: str) -> str:
    """Return a JSON text that means the same, with what cannot be seen in its strings escaped."""
    return UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def json_ascii(text: str) -> str:
    """Return a JSON text that means the same, with every character beyond ASCII in its strings escaped."""
    return BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
