"""The tables of results in the README and the pages, from the committed summaries and measurements they name.

A table stands between ``<!-- KIND: PATH -->`` and ``<!-- end -->``. ``python -m docs.hooks.results`` writes every one
anew; a test holds them to what that gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sepo.files import read_json, write_text
from sepo.report.markdown import card, gains, markdown, overview, ratios
from sepo.train.ablate import tables

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(<!-- (\w+): (\S+) -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return the README and all pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[tuple[str, str]]:
    """Return kind and path of each table of a page."""
    return [(found[2], found[3]) for found in BLOCK.finditer(text)]


def renewed(text: str) -> str:
    """Return a page with every table as its file gives it."""
    return BLOCK.sub(lambda found: found[1] + TABLES[found[2]](ROOT / found[3]), text)


def write() -> list[Path]:
    """Write the pages that are not as they should be; return which."""
    stale = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := renewed(text)) != text:
            write_text(page, new)
            stale.append(page)
    return stale


def _summaries(folder: Path) -> dict[str, Mapping[str, Any]]:
    return {file.parent.name: read_json(file, "summary") for file in sorted(folder.glob("*/summary.json"))}


TABLES: dict[str, Callable[[Path], str]] = {
    "results": lambda folder: markdown(read_json(folder / "summary.json", "summary")),
    "overview": lambda folder: overview(_summaries(folder)),
    "gains": lambda folder: gains(_summaries(folder), _summaries(folder.parent)),
    "card": lambda file: card(read_json(file, "scorecard")),
    "ablation": lambda folder: tables(read_json(folder / "ablation.json", "ablation")),
    "bench": lambda file: ratios(read_json(file, "measurement")),
}
"""What makes each kind of table of what is named: a run, runs, a joint run, a scorecard, an ablation, a measurement."""


if __name__ == "__main__":
    print("\n".join(str(page.relative_to(ROOT)) for page in write()) or "nothing to write")
