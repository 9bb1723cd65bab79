"""Text of unknown origin, made harmless to show: names of policies and files, and whatever a model wrote.

Knows characters, not where they are shown: a terminal's markup and HTML are escaped by whoever writes them.
"""

from __future__ import annotations

import unicodedata

KEPT = "\n\t"
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Controls (with them the escape that begins a terminal's code), invisible formats (with them the marks that turn the
direction of writing), half characters, and separators that break lines."""


def visible(text: str) -> str:
    """Return text in which whatever steers a terminal or turns the direction of writing stands as its code."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in KEPT or unicodedata.category(c) not in HIDDEN else _code(c) for c in text)


def _code(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
