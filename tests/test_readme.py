"""Every figure in the README's tables is the one that the committed results give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.hooks import results
from sepo.audit.arena import ground_of
from sepo.audit.capped import capped
from sepo.audit.ceiling import ceiling
from sepo.audit.measures import parts, terms
from sepo.games.registry import make

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", results.pages(), ids=lambda p: p.name)
def test_tables_are_those_of_the_committed_results(page):
    assert results.renewed(page.read_text()) == page.read_text()


def test_a_table_that_says_something_else_is_written_anew(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text()
    changed = re.sub(r"(?<=\| trie vs padded \| )[\d.]+", "999.9", text.replace("`sepo` | ", "`sepo` | 9"))
    assert changed.count("999.9") == 1
    page = tmp_path / "page.md"
    page.write_text(changed)
    monkeypatch.setattr(results, "pages", lambda: [page])
    assert results.write() == [page]
    assert page.read_text() == results.renewed(changed) == text
    assert results.write() == []


def test_every_kind_of_table_is_known():
    found = {kind for page in results.pages() for kind, _ in results.blocks(page.read_text())}
    assert {"results", "overview", "bench"} <= found <= set(results.TABLES)


def test_the_readme_has_both_tables():
    text = (ROOT / "README.md").read_text()
    assert results.blocks(text) == [("results", "docs/results/kuhn"), ("bench", "docs/results/bench.json")]


@pytest.mark.parametrize("page", results.pages(), ids=lambda p: p.name)
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
