"""The tables of results in the README and the pages, from the committed summaries and measurements they name.

A table stands between ``<!-- KIND: PATH -->`` and ``<!-- end -->``. ``python -m docs.hooks.results`` writes every one
anew; a test holds them to what that gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sepo.files import read_json, write_text
from sepo.report import frontier
from sepo.report.markdown import card, gains, markdown, overview, ratios
from sepo.report.read import read_summaries, read_summary
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


TABLES: dict[str, Callable[[Path], str]] = {
    "results": lambda folder: markdown(read_summary(folder)),
    "overview": lambda folder: overview(read_summaries(folder)),
    "gains": lambda folder: gains(read_summaries(folder), read_summaries(folder.parent)),
    "card": lambda file: card(read_json(file, "scorecard")),
    "ablation": lambda folder: tables(read_json(folder / "ablation.json", "ablation")),
    "frontier": lambda folder: frontier.markdown(read_json(folder / "frontier.json", "frontier")),
    "bench": lambda file: ratios(read_json(file, "measurement")),
}
"""What makes each kind of table of what is named: a run, runs, a joint run, a scorecard, an ablation, a frontier, a
measurement."""


if __name__ == "__main__":
    print("\n".join(str(page.relative_to(ROOT)) for page in write()) or "nothing to write")
