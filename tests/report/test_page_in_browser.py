"""The report in a real browser: every panel draws, nothing leaves the page, and it can be used without a mouse."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_run import FAULTS, SCRIPTS, made_of_scripts, made_run, made_written
from playwright.sync_api import Browser, Page
from tests.browser import PHONE, chromium, visit

from sepo.report.page import write_report

HOSTILE = "<script>window.harmed = 1</script>\u202e\x1b[31m"
PANELS = {"multiples", "objective", "parts", "legal", "risk", "opponents"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report of one run of Kuhn poker, two seeds."""
    folder = tmp_path_factory.mktemp("made")
    made_run(folder)
    return write_report(folder)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report of a run of every game, five seeds."""
    folder = tmp_path_factory.mktemp("six")
    for name in SCRIPTS:
        made_of_scripts(folder / name, name, range(5))
    return write_report(folder)


def draw_all(page: Page) -> None:
    """Scroll to every chart and wait until each is drawn."""
    for chart in page.locator(".chart").all():
        chart.evaluate("chart => chart.scrollIntoView()")
        chart.locator(".main-svg").first.wait_for(state="attached", timeout=60_000)


def marks(page: Page) -> int:
    """Return the least number of drawn marks in a chart that has an arm with figures."""
    return page.evaluate("""() => Math.min(...[...document.querySelectorAll(".chart")].map(
        chart => chart.querySelectorAll(".points path, .lines path, .scatterlayer path").length))""")


@pytest.mark.no_cover
def test_every_panel_of_every_game_draws_and_nothing_leaves_the_page(six: Path, browser: Browser) -> None:
    assert six.stat().st_size < 5e6
    with visit(browser, six.as_uri()) as seen:
        draw_all(seen.page)
        drawn = {f.get_attribute("id") for f in seen.page.locator("figure").all()}
        assert {f"{game}-{key}" for game in SCRIPTS for key in PANELS} - drawn <= {"kuhn-risk"}
        assert {f"{game}-conduct" for game in SCRIPTS if game != "kuhn"} | {"kuhn-behaviour"} <= drawn
        assert marks(seen.page) > 0
        for game in SCRIPTS:
            assert seen.page.locator(f"#{game}-episodes .episodes tbody tr").count() > 0
        assert seen.errors == []
        assert seen.beyond("file:") == []
        assert seen.faults() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_its_charts_have_the_colours_of_the_scheme(
    made: Path, browser: Browser, scheme: str
) -> None:
    with visit(browser, made.as_uri(), viewport=PHONE, color_scheme=scheme) as seen:
        draw_all(seen.page)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        ink = seen.page.evaluate("getComputedStyle(document.body).color")
        text = seen.page.locator(".chart .xtick text").first.evaluate("t => getComputedStyle(t).fill")
        assert text == ink
        assert seen.faults() == []


def test_figures_and_data_can_be_downloaded(made: Path, browser: Browser) -> None:
    with visit(browser, made.as_uri(), accept_downloads=True) as seen:
        figure = seen.page.locator("figure#exploitability")
        figure.scroll_into_view_if_needed()
        files = {}
        for name in ("SVG", "PNG", "Download data (CSV)"):
            with seen.page.expect_download() as waiting:
                figure.get_by_text(name, exact=True).click()
            files[name] = Path(waiting.value.path()).read_bytes()
            assert waiting.value.suggested_filename.startswith("made-exploitability.")
        assert b"<svg" in files["SVG"]
        assert b"polyline" in files["SVG"] or b"<path" in files["SVG"]
        assert files["PNG"].startswith(b"\x89PNG")
        rows = list(csv.reader(io.StringIO(files["Download data (CSV)"].decode())))
        last = json.loads((made.parent / "arms/sepo/seed-0/metrics.jsonl").read_text().splitlines()[-1])
        other = json.loads((made.parent / "arms/sepo/seed-1/metrics.jsonl").read_text().splitlines()[-1])
        mean = next(float(r[2]) for r in reversed(rows) if r[0] == "sepo")
        assert mean == pytest.approx((last["exploitability"] + other["exploitability"]) / 2)
        assert seen.errors == []


def test_episodes_are_filtered_shown_round_by_round_and_linked_to_with_the_keyboard_alone(
    made: Path, browser: Browser
) -> None:
    records = [json.loads(line) for line in (made.parent / "arms/sepo/seed-1/episodes.jsonl").read_text().splitlines()]
    with visit(browser, made.as_uri()) as seen:
        page = seen.page
        page.locator("#episodes .episodes tbody tr").first.wait_for()
        for name, value in (("arm", "sepo"), ("seed", "1"), ("opponent", "always_bet")):
            page.locator(f"#episodes select[name={name}]").focus()
            page.keyboard.type(value)
        assert page.locator("#episodes .found").inner_text().startswith("2 of ")
        page.keyboard.press("Tab")  # to outcome
        page.keyboard.press("Tab")  # to the table
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "show 1"
        page.keyboard.press("Enter")
        record = next(r for r in records if r["opponent"] == "always_bet" and r["episode"] == 0)
        shown = page.locator("#episodes .episode")
        assert shown.locator("table").count() == len(record["hands"]) == 6
        first = shown.locator("table").first
        cells = first.locator("tbody tr").all()
        moves = record["hands"][0]["moves"]
        assert len(cells) == len(moves)
        for row, move in zip(cells, moves, strict=True):
            assert move["action"] in row.inner_text()
            assert f"{100 * move['probability']:.{0 if move['probability'] > 0.9995 else 1}f} %" in row.inner_text()
        behind = sum(any(m["paid"][1] > m["paid"][0] for m in h["moves"]) for h in record["hands"])
        assert shown.locator("td.behind").count() == behind > 0
        address = page.url
    with visit(browser, address) as again:
        again.page.locator("#episodes .episode table").first.wait_for()
        assert "against always_bet, episode 1" in again.page.locator("#episodes .episode .panel").inner_text()


def test_text_of_the_run_does_nothing_in_the_browser(tmp_path: Path, browser: Browser) -> None:
    made_run(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    summary |= {"name": HOSTILE, "model": HOSTILE, "unit": HOSTILE}
    summary["arms"][1] |= {"about": HOSTILE, "warnings": [HOSTILE]}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    path = tmp_path / "arms/sepo/seed-0/episodes.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["opponent"] = HOSTILE
        line["hands"][0]["moves"][0] |= {"action": HOSTILE, "text": HOSTILE}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with visit(browser, write_report(tmp_path).as_uri()) as seen:
        draw_all(seen.page)
        seen.page.locator("#episodes select[name=arm]").select_option("sepo")
        seen.page.locator("#episodes .episodes button").first.click()
        assert "<script>" in seen.page.locator("#episodes .episode").inner_text()
        assert seen.page.evaluate("window.harmed") is None
        assert seen.errors == []


def test_what_a_model_wrote_stands_below_its_moves_as_text(tmp_path: Path, browser: Browser) -> None:
    made_written(tmp_path, f"{HOSTILE}\nACTION: pass")
    for size in (None, PHONE):
        with visit(browser, write_report(tmp_path).as_uri(), **({"viewport": size} if size else {})) as seen:
            page = seen.page
            page.locator("#episodes select[name=arm]").select_option("sepo")
            page.locator("#episodes .episodes button").first.click()
            shown = page.locator("#episodes .episode")
            counted = shown.locator("td.counted").first.inner_text()
            assert "the policy wrote" in counted
            assert "<script>window.harmed = 1</script>\\u202e\\x1b[31m\nACTION: pass" in counted
            refused = shown.locator("td.refused").all_inner_texts()
            for fault, text in FAULTS:
                assert any("not counted" in cell and fault in cell and text in cell for cell in refused)
            assert any("no reply was legal" in cell for cell in refused)
            # a round's number and payoffs stand beside all rows of the round, and no row is wider than the table's head
            widths = shown.locator("table").first.evaluate(
                """table => [...table.tBodies[0].rows].map(row => {
                    const head = table.querySelector("tbody th").getBoundingClientRect();
                    const cell = [...row.cells].find(c => c.tagName === "TD").getBoundingClientRect();
                    return cell.left >= head.right - 1;
                })"""
            )
            assert all(widths)
            wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            assert not wide
            assert page.evaluate("window.harmed") is None
            assert seen.errors == []
            assert seen.faults() == []
