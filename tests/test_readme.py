"""Every figure in the README's tables is the one that the committed results give."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sepo.audit.arena import ground_of
from sepo.audit.capped import capped
from sepo.audit.ceiling import ceiling
from sepo.audit.measures import parts, terms
from sepo.games.registry import make
from sepo.report.markdown import card, gains, markdown, overview, ratios

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str, kind: str) -> list[tuple[str, str]]:
    return re.findall(rf"<!-- {kind}: (\S+) -->\n(.*?)<!-- end -->", text, flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_result_tables_are_those_of_the_committed_summaries(page):
    for folder, table in blocks(page.read_text(), "results"):
        assert table == markdown(json.loads((ROOT / folder / "summary.json").read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_overviews_are_those_of_the_committed_summaries(page):
    for folder, table in blocks(page.read_text(), "overview"):
        runs = sorted((ROOT / folder).glob("*/summary.json"))
        assert table == overview({file.parent.name: json.loads(file.read_text()) for file in runs})


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_gains_are_those_of_the_committed_summaries(page):
    for folder, table in blocks(page.read_text(), "gains"):
        found = [
            {file.parent.name: json.loads(file.read_text()) for file in sorted(place.glob("*/summary.json"))}
            for place in (ROOT / folder, (ROOT / folder).parent)
        ]
        assert table == gains(*found)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_audit_tables_are_those_of_the_committed_scorecards(page):
    for file, table in blocks(page.read_text(), "card"):
        assert table == card(json.loads((ROOT / file).read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_benchmark_tables_are_those_of_the_committed_measurement(page):
    for file, table in blocks(page.read_text(), "bench"):
        assert table == ratios(json.loads((ROOT / file).read_text()))


def test_the_readme_has_both_tables():
    text = (ROOT / "README.md").read_text()
    assert [b[0] for b in blocks(text, "results")] == ["docs/results/kuhn"]
    assert [b[0] for b in blocks(text, "bench")] == ["docs/results/bench.json"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_to_files_of_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.no_cover
def test_the_ceilings_are_those_that_solving_finds():
    found_rows = re.findall(
        r"^\| `(\w+)` \| (paper|sepo) \| (.*) \|$", (ROOT / "docs/results/ceilings.md").read_text(), re.M
    )
    rows = [row for row in found_rows if len(row[2].split(" | ")) == 5]
    assert len(rows) == 9
    for name, of, cells in rows:
        game = make(name, {}, of)
        ground, chosen = ground_of(game), game.measures(of)
        found = ceiling(ground, chosen)
        assert found.bound - found.j < 1e-8
        shown = [found.j, *parts(terms(ground, chosen, found.strategy), chosen).values()]
        said = [None if cell == "n/a" else float(cell) for cell in cells.split(" | ")]
        assert [v is None for v in said] == [v is None for v in shown]
        assert [v for v in said if v is not None] == pytest.approx([v for v in shown if v is not None], abs=5.1e-5)


@pytest.mark.no_cover
def test_the_ceilings_under_a_cap_are_those_that_solving_finds():
    page = (ROOT / "docs/results/ceilings.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (paper|sepo) \| ([\d.]+) \| (.*) \|$", page, re.M)
    capped_rows = [(*row[:3], row[3].split(" | ")) for row in rows if len(row[3].split(" | ")) == 5]
    assert len(capped_rows) == 4
    for name, of, cap, cells in capped_rows:
        game = make(name, {}, of)
        ground, chosen = ground_of(game), game.measures(of)
        found = capped(ground, chosen, float(cap))
        assert found.bound - found.j < 1e-8
        shown = [found.j, *parts(terms(ground, chosen, found.strategy), chosen).values()]
        assert [float(c) for c in cells] == pytest.approx(shown, abs=5.1e-5)
