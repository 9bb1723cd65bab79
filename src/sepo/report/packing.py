"""Text made small enough to lie inside a page: gzip, then base64. The page's script unpacks it when it is needed.

Plotly alone is 4.8 MB of text and 1.9 MB packed; curves of many seeds shrink to a tenth. Equal text packs to equal
bytes.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from sepo.printable import visible


def packed(text: str) -> Markup:
    """Return text packed, as letters that need no escaping in HTML."""
    return Markup(base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii"))


def unpacked(text: str) -> str:
    """Return what was packed."""
    return gzip.decompress(base64.b64decode(text)).decode("utf-8")


def packed_json(document: Any) -> Markup:
    """Return a JSON document packed, in which a script finds no text with anything hidden in it."""
    return packed(json.dumps(_visible(document), allow_nan=False, separators=(",", ":")))


def _visible(found: Any) -> Any:
    if isinstance(found, str):
        return visible(found)
    if isinstance(found, Mapping):
        return {_visible(key): _visible(value) for key, value in found.items()}
    return [_visible(value) for value in found] if isinstance(found, list | tuple) else found
