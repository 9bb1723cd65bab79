"""The pages in a real browser: every game is played to its end and to the right payoffs, by mouse and by keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from sepo.games.registry import GAMES
from sepo.printable import visible
from tests.browser import PHONE, Visit, chromium, visit
from tests.play.test_session import replayed
from tests.report.made_run import made_run
from tests.serve.server import Running, serving

BUNDLED = "bundled:smollm2"
QUICK = {"kuhn": "script:nash", "ipd": "script:generous_tit_for_tat", "auction": "script:truthful"} | dict.fromkeys(
    ("split", "items", "commons"), "uniform"
)
WAIT = 120_000
"""Milliseconds that a model may take on a busy machine."""
Play = Callable[[Page, int], None]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "made"
    made_run(folder)
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a policy with a name that would do harm."""
    name = "<img src=x onerror=alert(1)>\x1b[31m\u202etxt"
    file = tmp_path_factory.mktemp("tables") / f"{name}.json"
    row = {"": {"COOPERATE": 0.5, "DEFECT": 0.5}}
    file.write_text(json.dumps({"schema": "sepo.policy/1", "game": "ipd", "rules": {"rounds": 1}, "table": row}))
    return file


@pytest.fixture(scope="module")
def server(folder: Path, hostile: Path) -> Iterator[Running]:
    with serving([f"table:{hostile}"], [folder]) as running:
        yield running


def begin(page: Page, url: str, game: str, policy: str, seed: int = 7) -> None:
    """Choose an opponent on the game's page and sit down."""
    page.goto(f"{url}games/{game}")
    form = page.locator("form[action='/play']")
    form.get_by_label("Your opponent").select_option(policy)
    form.get_by_label("Seed").fill(str(seed))
    form.get_by_role("button", name="Play").click()
    page.wait_for_url("**/play/*", timeout=WAIT)


def over(page: Page) -> bool:
    return page.locator("#board").get_attribute("data-over") == "true"


def click(page: Page, number: int) -> None:
    """Choose by mouse, another action each time."""
    parts = page.locator("select[name=part]")
    for at in range(parts.count()):
        values = parts.nth(at).locator("option").all_inner_texts()
        parts.nth(at).select_option(values[(number + at) % len(values)])
    buttons = page.locator("form.choose button")
    buttons.nth(number % buttons.count()).click()


def play(page: Page, choose: Play) -> None:
    """Play to the end; each move is answered before the next."""
    for number in range(60):
        if over(page):
            return
        move = page.locator("input[name=move]").input_value()
        choose(page, number)
        expect(page.locator(f"input[name=move][value='{move}']")).to_have_count(0, timeout=WAIT)
    pytest.fail("the game does not end")


def record(page: Page) -> dict[str, Any]:
    """Take the record of a finished game."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Record").click()
    return json.loads(Path(download.value.path()).read_text())


def check_payoffs(page: Page, running: Running, game: str) -> dict[str, Any]:
    """Hold what the page shows against the recorded moves, followed through the game by other code."""
    found = record(page)
    rules = running.house.menu.game(game)
    paid = [replayed(rules, hand) for hand in found["hands"]]
    own, other = sum(p[1] for p in paid), sum(p[0] for p in paid)
    assert page.locator("#over").inner_text() == f"The game is over: you {own:g}, they {other:g}"
    rows = page.locator("tr[data-round]")
    shown = [[float(rows.nth(i).locator("td.n").nth(k).inner_text()) for k in (0, 1)] for i in range(rows.count())]
    assert len(shown) == (len(paid) if rules.hands > 1 else rules.rounds)
    assert [sum(column) for column in zip(*shown, strict=True)] == [own, other]
    assert (found["other"], found["own"]) == (own, other)
    return found


def clean(seen: Visit, url: str) -> None:
    assert seen.errors == []
    assert seen.beyond(url) == []


@pytest.mark.parametrize("game", GAMES)
def test_a_whole_game_is_played_to_the_right_payoffs(browser: Browser, server: Running, game: str):
    with visit(browser, server.url) as seen:
        begin(seen.page, server.url, game, QUICK[game])
        assert seen.faults() == []
        play(seen.page, click)
        found = check_payoffs(seen.page, server, game)
        assert found["policy"] == QUICK[game]
        expect(seen.page.locator("#live")).to_contain_text("The game is over")
        assert seen.faults() == []
        seen.page.get_by_role("link", name="What the best response").click()
        expect(seen.page.locator("h1")).to_have_text("Looking back", timeout=WAIT)
        text = seen.page.locator("main").inner_text()
        assert f"You got {found['other']:g}, the policy {found['own']:g}." in text
        assert "in expectation." in text
        assert seen.page.locator("section", has_text="Your decisions").locator("tbody tr").count() == sum(
            m["by"] == "opponent" for h in found["hands"] for m in h["moves"]
        )
        assert seen.faults() == []
        clean(seen, server.url)


@pytest.fixture(scope="module")
def model_server() -> Iterator[Running]:
    with serving() as running:
        yield running


@pytest.mark.weights
@pytest.mark.no_cover
@pytest.mark.parametrize("game", GAMES)
def test_a_whole_game_is_played_against_the_bundled_model(browser: Browser, model_server: Running, game: str):
    with visit(browser, model_server.url) as seen:
        begin(seen.page, model_server.url, game, BUNDLED)
        play(seen.page, click)
        found = check_payoffs(seen.page, model_server, game)
        assert found["policy"] == BUNDLED
        theirs = [m for h in found["hands"] for m in h["moves"] if m["by"] == "learner"]
        assert theirs
        for move in theirs:
            assert sum(move["policy"].values()) == pytest.approx(1.0)
            assert 0 < move["probability"] < 1
        clean(seen, model_server.url)


def test_a_game_is_played_by_the_keyboard_alone(browser: Browser, server: Running):
    with visit(browser, server.url) as seen:
        page = seen.page

        def tab_to(what: str) -> None:
            for _ in range(40):
                page.keyboard.press("Tab")
                if page.evaluate("w => document.activeElement.matches(w)", what):
                    return
            pytest.fail(f"{what} is not reached by Tab")

        tab_to("a[href='#main']")
        tab_to("a[href='/games/kuhn']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/games/kuhn")
        tab_to("form[action='/play'] select[name=policy]")
        page.keyboard.type("script:nash")
        assert page.evaluate("() => document.activeElement.value") == "script:nash"
        tab_to("form[action='/play'] button")
        page.keyboard.press("Enter")
        page.wait_for_url("**/play/*")
        tab_to("form.choose button")

        def press(page: Page, number: int) -> None:
            assert page.evaluate("() => document.activeElement.closest('form.choose') !== null")  # where the focus went
            if number % 2:
                first = page.evaluate("() => document.activeElement.matches('button:first-of-type')")
                page.keyboard.press("Tab" if first else "Shift+Tab")
            page.keyboard.press("Enter" if number % 3 else "Space")

        play(page, press)
        assert page.evaluate("() => document.activeElement.id") == "over"
        assert "The game is over" in page.locator("#live").inner_text()
        check_payoffs(page, server, "kuhn")
        tab_to("a[href$='/debrief']")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Looking back")
        clean(seen, server.url)


def test_it_works_without_scripts(browser: Browser, server: Running):
    with visit(browser, server.url, java_script_enabled=False) as seen:
        begin(seen.page, server.url, "ipd", "script:tit_for_tat")
        for _ in range(8):
            seen.page.get_by_role("button", name="defect").click()
        assert seen.page.locator("#over").inner_text() == "The game is over: you 12, they 7"
        assert seen.beyond(server.url) == []


def test_what_the_other_side_did_is_read_out_and_the_focus_stays_with_the_choice(browser: Browser, server: Running):
    with visit(browser, server.url) as seen:
        begin(seen.page, server.url, "ipd", "script:tit_for_tat")
        seen.page.get_by_role("button", name="defect").click()
        live = seen.page.locator("#live[role=status][aria-live=polite]")
        expect(live).to_have_text(re.compile("Round 1: you defect; they cooperate. You get 5, they get 0. .*Round 2:"))
        assert seen.page.evaluate("() => document.activeElement.value") == "DEFECT"
        clean(seen, server.url)


def test_a_server_that_is_gone_is_said_to_be(browser: Browser):
    with visit(browser, "about:blank") as seen:
        with serving() as running:
            begin(seen.page, running.url, "ipd", "uniform")
            seen.page.get_by_role("button", name="defect").click()
            expect(seen.page.locator("tr[data-round]")).to_have_count(1)
        seen.page.get_by_role("button", name="defect").click()
        expect(seen.page.locator("#live")).to_have_text("The server does not answer.", timeout=20_000)
        expect(seen.page.get_by_role("button", name="defect")).to_be_enabled()


def test_two_policies_are_watched(browser: Browser, server: Running):
    with visit(browser, server.url) as seen:
        page = seen.page
        page.goto(f"{server.url}games/kuhn")
        form = page.locator("form[action='/watch']")
        form.get_by_label("One policy").select_option("script:nash")
        form.get_by_label("The other policy").select_option("uniform")
        form.get_by_role("button").click()
        page.wait_for_url("**/watch/*")
        page.get_by_role("button", name="Next move").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        assert page.evaluate("() => document.activeElement.value") == "next"
        assert seen.faults() == []
        page.get_by_role("button", name="To the end").click()
        expect(page.get_by_role("heading", name="The game is over")).to_be_focused()
        assert page.locator("tbody tr").count() >= 12
        assert page.locator(".bars .taken").count() == page.locator("tbody tr").count()
        assert seen.faults() == []
        clean(seen, server.url)


def test_a_table_is_explored(browser: Browser, server: Running):
    with visit(browser, server.url) as seen:
        page = seen.page
        page.goto(f"{server.url}games/ipd")
        form = page.locator("form[action='/explore']")
        form.get_by_label("A policy").select_option("script:tit_for_tat")
        form.get_by_role("button").click()
        expect(page.locator("caption")).to_contain_text("255 of 255 situations, page 1 of 6")
        assert seen.faults() == []
        page.get_by_role("link", name="Next").click()
        expect(page.locator("caption")).to_contain_text("page 2 of 6")
        page.get_by_label("Situation contains").fill("CD,DD,DD")
        page.keyboard.press("Enter")
        expect(page.locator("tbody th").first).to_contain_text("CD,DD,DD")
        clean(seen, server.url)


def test_a_run_is_followed_while_it_is_written(browser: Browser, server: Running, folder: Path):
    metrics = folder / "arms" / "sepo" / "seed-0" / "metrics.jsonl"
    whole = metrics.read_text()
    with visit(browser, f"{server.url}runs/1") as seen:
        page = seen.page
        row = page.locator("tbody tr", has_text="sepo").first
        expect(row.locator("td").nth(2)).to_have_text("3")
        assert seen.faults() == []
        line = json.loads(whole.splitlines()[-1])
        more = json.dumps(line | {"step": 4, "measures": {"sepo": {"J": 0.1234}}, "warnings": ["<b>dead</b> term"]})
        metrics.write_text(whole + more[:40])  # half a line
        (folder / "arms" / "sft" / "seed-0" / "done.json").write_text("{}")
        expect(page.locator("strong", has_text="done")).to_have_count(1, timeout=10_000)
        expect(page.locator("#live")).to_have_text("1 of 4 arms and seeds are done.")
        expect(row.locator("td").nth(2)).to_have_text("3")
        metrics.write_text(whole + more + "\n")
        expect(row.locator("td").nth(2)).to_have_text("4", timeout=10_000)
        expect(row).to_contain_text("0.1234")
        expect(row).to_contain_text("<b>dead</b> term")
        (folder / "report.html").write_text("<!doctype html><title>r</title><script>document.title = 'ran'</script>")
        page.get_by_role("link", name="Report").click(timeout=10_000)
        expect(page).to_have_title("ran")
        assert page.evaluate("() => origin") == "null"  # it is none of the server's own pages
        clean(seen, server.url)


def test_hostile_names_are_text(browser: Browser, server: Running, hostile: Path):
    with visit(browser, server.url) as seen:
        page = seen.page
        slug = next(s for s in server.house.menu.games if s.startswith("ipd-"))
        begin(page, server.url, slug, visible(f"table:{hostile}"))
        shown = "<img src=x onerror=alert(1)>\\x1b[31m\\u202etxt"
        expect(page.locator(".lead bdi")).to_contain_text(shown)
        page.get_by_role("button", name="defect").click()
        expect(page.locator("#over")).to_be_visible()
        page.get_by_role("link", name="What the best response").click()
        expect(page.locator(".lead bdi")).to_contain_text(shown)
        page.goto(f"{server.url}explore?game={slug}&policy={quote(visible(f'table:{hostile}'))}")
        expect(page.locator("h1")).to_contain_text(shown)
        assert "\\u202e" in page.title()
        assert page.locator("img").count() == 0
        clean(seen, server.url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_have_no_serious_fault(browser: Browser, server: Running, scheme: Any):
    with visit(browser, server.url, viewport=PHONE, color_scheme=scheme) as seen:
        page = seen.page
        pages = ["", "games/items", "explore?game=commons&policy=script:grim", "runs/1"]
        for path in pages:
            page.goto(server.url + path)
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), path
            assert seen.faults() == [], path
        begin(page, server.url, "items", "uniform")
        play(page, click)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("link", name="What the best response").click()
        expect(page.locator("h1")).to_have_text("Looking back", timeout=WAIT)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert seen.faults() == []
        clean(seen, server.url)
        page.goto(server.url + "nothing")
        assert seen.faults() == []


def test_from_elsewhere_the_printed_address_opens_the_pages(browser: Browser):
    with serving(token="a-token") as running, visit(browser, running.url) as seen:
        assert "A token is needed" in seen.page.content()
        seen.page.goto(running.url + "?token=a-token")
        assert seen.page.url == running.url
        begin(seen.page, running.url, "ipd", "uniform")
        assert seen.page.evaluate("() => document.cookie") == ""
