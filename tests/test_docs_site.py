"""The site of the documentation: built without a warning and without a network, and read in a browser."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser

from docs.hooks import keys
from docs.hooks.pages import generated
from sepo.games.registry import GAMES, make
from sepo.train.joint import Joint
from sepo.train.recipe import Recipe
from sepo.train.sections import Section
from tests.browser import DESKTOP, PHONE, chromium, visit
from tests.docs_blocks import PAGES, ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Return the generated files as the program says them now."""
    return generated()


def test_generated_pages_are_those_that_are_committed(pages: dict[str, str]):
    stale = [name for name, text in pages.items() if (DOCS / name).read_text(encoding="utf-8") != text]
    assert not stale, f"{stale}: run `python -m docs.hooks.pages`"


def models(model: type[Section]) -> Iterator[type[Section]]:
    yield model
    for field in model.model_fields.values():
        inner = keys.section(field)
        if inner is not None:
            yield from models(inner)


def test_every_key_of_a_recipe_stands_in_a_table_with_its_meaning(pages: dict[str, str]):
    said = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", pages["recipes.md"], re.M))
    for model in (*models(Recipe), Joint):
        for name, field in model.model_fields.items():
            assert said[keys.key(name, field)].strip(), name


def test_every_game_has_a_page_with_its_opponents_and_pools(pages: dict[str, str]):
    for name in GAMES:
        game = make(name)
        text = pages[f"games/{name}.md"]
        assert f"({name}.md)" in pages["games/index.md"]
        assert text.startswith(f"# {game.title}\n")
        assert all(f"| `{opponent}` | {script.about} |" in text for opponent, script in game.opponents.items())
        assert all(f"| pool `{pool}` |" in text for pool in game.measures("sepo").pools)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_the_outside_are_addresses_and_pictures_say_what_they_show(page: Path):
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            link = str(child.attrGet("href") or "")
            if child.type == "link_open" and ":" in link:
                address = urlparse(link)
                assert address.scheme in ("https", "http"), link
                assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", address.netloc), link
            if child.type == "image":
                assert len(child.content.split()) > 5, f"{page.name}: {child.attrGet('src')} has no description"


# the site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as ``make docs`` does; every warning is an error."""
    from sphinx.application import Sphinx

    out = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("docs.hooks.pages.write", lambda folder=DOCS: [])  # tests leave the sources as they are
        said = io.StringIO()
        app = Sphinx(DOCS, DOCS, out, out / ".doctrees", "html", status=None, warning=said, warningiserror=True)
        app.build()
    assert app.statuscode == 0, said.getvalue()
    return out


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the site on this machine alone."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize(
    ("page", "viewport", "scheme"),
    [
        ("index", PHONE, "light"),
        ("index", DESKTOP, "dark"),
        ("concepts", PHONE, "dark"),
        ("concepts", DESKTOP, "light"),
        ("recipes", PHONE, "light"),
        ("games/kuhn", PHONE, "dark"),
        ("results/kuhn", DESKTOP, "light"),
        ("api", DESKTOP, "dark"),
    ],
)
def test_pages_ask_for_nothing_from_outside_and_everyone_can_use_them(
    browser: Browser, address: str, page: str, viewport: dict[str, int], scheme: str
):
    with visit(browser, f"{address}{page}.html", viewport=viewport, color_scheme=scheme) as seen:
        seen.page.wait_for_load_state("networkidle")
        assert seen.errors == []
        assert seen.beyond(address) == []
        assert seen.faults() == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        broken = "[...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.src)"
        assert seen.page.evaluate(broken) == []


def test_the_search_finds_pages_without_a_server(browser: Browser, site: Path):
    with visit(browser, f"{(site / 'search.html').as_uri()}?q=exploitability") as seen:
        seen.page.wait_for_selector("ul.search li a")
        found = seen.page.locator("ul.search li a").all_inner_texts()
        assert any("Concepts" in title for title in found)
        assert seen.beyond("file:") == []
        assert seen.errors == []


def test_the_reader_walks_from_the_first_page_to_every_other(site: Path):
    reached, ahead = set(), ["index.html"]
    while ahead:
        name = ahead.pop()
        if name in reached:
            continue
        reached.add(name)
        folder = (site / name).parent
        links = re.findall(r'href="([^"#:?]+\.html)', (site / name).read_text(encoding="utf-8"))
        ahead += [str((folder / link).resolve().relative_to(site.resolve())) for link in links]
    assert {str(p.relative_to(DOCS).with_suffix(".html")) for p in PAGES if DOCS in p.parents} <= reached
