"""The server without a browser: who may ask, what may be chosen, what is bounded, and what is never shown too early."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sepo.errors import EndpointError
from sepo.games.base import Decision
from sepo.play.session import Session
from sepo.policies.script import UniformPolicy
from sepo.serve import house as house_module
from sepo.serve.app import application
from sepo.serve.explore import explored, searched
from sepo.serve.guard import Door, is_loopback
from sepo.serve.house import House
from sepo.serve.listen import address
from sepo.serve.menu import Menu
from sepo.serve.progress import Watched
from sepo.solve.tree import Floats
from tests.report.made_run import made_run

HOST = "http://127.0.0.1:8000"
OWN = {"Origin": HOST}


def client(house: House | None = None, token: str | None = None, loopback: bool = True, **settings: Any) -> TestClient:
    app = application(house or House(Menu()), Door(loopback, token))
    return TestClient(app, base_url=HOST, follow_redirects=False, **settings)


@pytest.fixture(scope="module")
def menu() -> Menu:
    return Menu()


@pytest.fixture
def here(menu: Menu) -> TestClient:
    return client(House(menu))


def begin(here: TestClient, game: str = "ipd", policy: str = "script:tit_for_tat", **fields: str) -> str:
    answer = here.post("/play", data={"game": game, "policy": policy, "seed": "1", **fields}, headers=OWN)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


# ---- who may ask


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "localhost:8000", "[::1]:8000", "127.8.9.1"])
def test_a_loopback_name_is_answered(here: TestClient, host: str):
    assert here.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "", "10.0.0.1"]
)
def test_a_name_that_only_points_here_is_not(here: TestClient, host: str):
    answer = here.get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert "Games" not in answer.text


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "https://127.0.0.1:8001", "http://127.0.0.1", "file://", "http://[bad"],
)
def test_what_changes_anything_must_come_from_this_server(here: TestClient, origin: str | None):
    headers = {} if origin is None else {"Origin": origin}
    data = {"game": "ipd", "policy": "uniform"}
    assert here.post("/play", data=data, headers=headers).status_code == 403
    assert here.post("/play", data=data, headers=OWN).status_code == 303


def test_other_sites_may_link_and_no_more(here: TestClient):
    frame = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert here.get("/", headers=frame).status_code == 403
    assert here.get("/", headers=frame | {"Sec-Fetch-Mode": "navigate"}).status_code == 200


def test_without_the_token_nothing_is_answered(menu: Menu):
    there = client(House(menu), token="secret-token", loopback=False)
    for path in ("/", "/games/ipd", "/static/sepo.js", "/explore?game=ipd&policy=uniform", "/nothing"):
        assert there.get(path).status_code == 401
        assert there.get(path + ("&" if "?" in path else "?") + "token=wrong").status_code == 401
    form = {"game": "ipd", "policy": "uniform"}
    assert there.post("/play?token=secret-token", data=form, headers=OWN).status_code == 401
    there.cookies.set("sepo-token-8000", "wrong")
    assert there.get("/").status_code == 401
    there.cookies.set("sepo-token-9000", "secret-token")  # another server's
    assert there.get("/").status_code == 401


def test_cookies_of_other_servers_lock_nobody_out(menu: Menu):
    there = client(House(menu), token="secret-token", loopback=False)
    for others in ('theme={"dark":true}; ', "a[b]=c; ", 'q="; ', "no value; "):
        headers = {"Cookie": f"{others}sepo-token-8000=secret-token"}
        assert there.get("/", headers=headers).status_code == 200, others
        assert there.get("/", headers={"Cookie": f"{others}sepo-token-8000=other"}).status_code == 401


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_uses(menu: Menu):
    there = client(House(menu), token="secret-token", loopback=False)
    answer = there.get("/games/ipd?a=1&token=secret-token")
    assert (answer.status_code, answer.headers["location"]) == (303, "/games/ipd?a=1")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert there.get("/games/ipd").status_code == 200
    assert there.post("/play", data={"game": "ipd", "policy": "uniform"}, headers=OWN).status_code == 303
    assert there.get(f"{HOST}//evil.example/?token=secret-token").headers["location"] == "/evil.example/"


def test_tokens_that_are_no_ascii_are_wrong_and_break_nothing(menu: Menu):
    there = client(House(menu), token="secret-token", loopback=False)
    assert there.get("/?token=%E2%82%AC").status_code == 401
    assert there.get("/", headers={"Cookie": b"sepo-token-8000=\xe4; ]]]["}).status_code == 401


def test_a_token_is_needed_as_soon_as_others_can_reach_the_server():
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "127.3.2.1")] == [True] * 4
    assert [is_loopback(h) for h in ("0.0.0.0", "::", "192.168.0.2", "example.org", "")] == [False] * 5
    assert address("::1", 80, Door(True, None)) == "http://[::1]:80/"
    assert address("0.0.0.0", 80, Door(False, "t")) == "http://0.0.0.0:80/?token=t"


def test_every_answer_forbids_what_a_page_does_not_need(here: TestClient):
    for path in ("/", "/static/sepo.css", "/nothing"):
        headers = here.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_no_page_holds_a_script_or_style_of_its_own(here: TestClient):
    place = begin(here)
    for path in ("/", "/games/kuhn", place, "/explore?game=kuhn&policy=uniform"):
        text = here.get(path).text
        assert re.findall(r"<script(?! src=\"/static/sepo.js\" defer></script>)", text) == []
        assert "<style" not in text
        assert re.search(r"\s(style|on\w+)=", text) is None


# ---- what may be chosen


@pytest.mark.parametrize(
    "policy", ["table:/etc/passwd", "hf:/etc", "openai:x@http://127.0.0.1:1", "human", "script:nash", "../x", ""]
)
def test_the_browser_chooses_from_the_menu_alone(here: TestClient, policy: str):
    for answer in (
        here.post("/play", data={"game": "ipd", "policy": policy}, headers=OWN),
        here.post("/watch", data={"game": "ipd", "first": "uniform", "second": policy}, headers=OWN),
        here.get("/explore", params={"game": "ipd", "policy": policy}),
    ):
        assert answer.status_code == 400
        assert "no such policy on this game" in answer.text
        assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/serve.css", "/runs/1", "/x"])
def test_no_other_file_is_given(here: TestClient, path: str):
    assert here.get(path).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hands": "0"}, "from 1 to 100"),
        ({"hands": "101"}, "from 1 to 100"),
        ({"hands": "two"}, "from 1 to 100"),
        ({"seed": "-1"}, "from 0 to"),
        ({"seed": "9" * 40}, "from 0 to"),
        ({"seed": "\u0663"}, "from 0 to"),
        ({"game": "chess"}, "no such game"),
    ],
)
def test_what_a_form_may_hold_is_bounded(here: TestClient, fields: dict[str, str], said: str):
    answer = here.post("/play", data={"game": "ipd", "policy": "uniform", **fields}, headers=OWN)
    assert answer.status_code == 400
    assert said in answer.text


def test_what_is_no_form_is_refused(here: TestClient):
    assert here.post("/play", content=b"{}", headers=OWN | {"Content-Type": "application/json"}).status_code == 415
    form = OWN | {"Content-Type": "application/x-www-form-urlencoded"}
    assert here.post("/play", content=b"a" * 10_000, headers=form).status_code == 413
    assert here.post("/play", content=b"\xff=1", headers=form).status_code == 400
    assert here.post("/play", content=b"x" * 100 + b"&y", headers=form).status_code == 400
    assert here.post("/play", content=b"", headers=form).status_code == 400
    assert here.get("/play").status_code == 405
    assert here.put("/play", headers=OWN).status_code == 405


def test_hostile_names_are_text_on_every_page(tmp_path: Path):
    name = "<script>alert(1)</script>\x1b[31m\u202etxt\"'&"
    file = tmp_path / (name.replace("/", "_") + ".json")
    row = {"": {"COOPERATE": 1.0}}
    file.write_text(json.dumps({"schema": "sepo.policy/1", "game": "ipd", "rules": {"rounds": 1}, "table": row}))
    house = House(Menu([f"table:{file}"]))
    there = client(house)
    slug = next(s for s in house.menu.games if s.startswith("ipd-"))
    policy = next(p for p in house.menu.offers(slug) if p.startswith("table:"))
    assert policy.endswith("\\u202etxt\"'&.json")
    place = begin(there, slug, policy)
    there.post(place, data={"move": "1", "action": "DEFECT"}, headers=OWN)
    watched = there.post("/watch", data={"game": slug, "first": policy, "second": policy}, headers=OWN)
    pages = [f"/games/{slug}", place, place + "/debrief", watched.headers["location"], "/explore"]
    for path in pages:
        answer = there.get(path, params={"game": slug, "policy": policy, "q": name} if path == "/explore" else None)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert(1)&lt;_script&gt;" in answer.text
        assert "\\x1b[31m\\u202etxt" in answer.text
        assert not {"\x1b", "\u202e"} & set(answer.text)


# ---- a game, and what is bounded


def test_a_game_is_played_step_by_step_and_a_move_counts_once(here: TestClient):
    place = begin(here)
    for number in range(8):
        text = here.get(place).text
        assert "DEFECT" in text
        move = re.search(r'name="move" value="(\d+)"', text)
        assert move is not None
        assert int(move[1]) == 2 * number + 1
        for _ in range(2):  # sent twice, as by a double click
            assert here.post(place, data={"move": move[1], "action": "DEFECT"}, headers=OWN).status_code == 303
    text = here.get(place).text
    assert "The game is over: you 12, they 7" in text
    assert here.post(place, data={"move": "16", "action": "DEFECT"}, headers=OWN).status_code == 400
    record = json.loads(here.get(place + "/episode.jsonl").text)
    assert (record["other"], record["own"], record["seed"]) == (12, 7, 1)
    back = here.get(place + "/debrief").text
    assert "The best response to this policy gets 26 in expectation." in back
    assert "Your moves gave away 14" in back


def test_before_the_end_nothing_is_given_away(here: TestClient):
    place = begin(here, "kuhn", "script:nash")
    assert here.get(place + "/debrief").status_code == 409
    assert here.get(place + "/episode.jsonl").status_code == 409
    assert "%" not in re.sub(r"<[^>]*>", "", here.get(place).text)


def test_an_illegal_action_is_refused_and_changes_nothing(here: TestClient):
    place = begin(here)
    answer = here.post(place, data={"move": "1", "action": "<b>"}, headers=OWN)
    assert answer.status_code == 400
    assert "&#39;&lt;b&gt;&#39; is no legal action" in answer.text
    assert 'name="move" value="1"' in here.get(place).text


def test_a_policy_that_has_no_answer_is_said_to_have_none_and_can_be_asked_again(tmp_path: Path):
    file = tmp_path / "short.json"
    rules = {"rounds": 8}
    table = {"schema": "sepo.policy/1", "game": "ipd", "rules": rules, "table": {"": {"COOPERATE": 1.0}}}
    file.write_text(json.dumps(table))
    there = client(House(Menu([f"table:{file}"])))
    place = begin(there, "ipd", f"table:{file}")
    answer = there.post(place, data={"move": "1", "action": "DEFECT"}, headers=OWN)
    assert answer.status_code == 400
    assert "lacks information state" in answer.text
    text = there.get(place).text
    assert "The policy has not answered." in text
    again = there.post(place, data={"move": "2"}, headers=OWN)
    assert again.status_code == 400
    assert "lacks information state" in again.text


class Model:
    """A policy that is no script: it counts what it is asked, and may be away."""

    name = "model"

    def __init__(self) -> None:
        self.asked, self.away = 0, False

    def probabilities(self, decisions: Sequence[Decision]) -> list[Floats]:
        if self.away:
            raise EndpointError("the server is away")
        self.asked += len(decisions)
        return UniformPolicy().probabilities(decisions)

    def legal_mass(self) -> Mapping[str, float] | None:
        return None

    def about(self) -> Mapping[str, Any]:
        return {}


def test_a_game_goes_on_when_a_policy_that_was_away_is_asked_again(menu: Menu):
    house, model = House(menu), Model()
    session = Session(menu.game("ipd"), model, key=(1,))
    session.advance()
    there, place = client(house), f"/play/{house.open('play', 'ipd', session, 1).name}"
    model.away = True
    for form in ({"move": "1", "action": "DEFECT"}, {"move": "2"}):
        answer = there.post(place, data=form, headers=OWN)
        assert (answer.status_code, "the server is away" in answer.text) == (502, True)
    assert "The policy has not answered." in there.get(place).text
    model.away = False
    assert there.post(place, data={"move": "2"}, headers=OWN).status_code == 303
    text = there.get(place).text
    assert 'name="move" value="3"' in text
    assert re.search(r'data-said="Round 1: you', text) is not None  # what came of the move is read out


def test_games_are_bounded_in_number_and_the_oldest_goes_first(menu: Menu, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(house_module, "ROOMS", 2)
    there = client(House(menu))
    first, second = begin(there), begin(there)
    assert there.get(first).status_code == 200  # looked at last
    third = begin(there)
    assert [there.get(place).status_code for place in (first, second, third)] == [200, 404, 200]


def test_a_room_is_of_one_kind(here: TestClient):
    place = begin(here)
    assert here.get(place.replace("/play/", "/watch/")).status_code == 404


def test_two_policies_are_watched_move_by_move(here: TestClient):
    data = {"game": "kuhn", "first": "script:nash", "second": "uniform", "hands": "2", "seed": "3"}
    place = here.post("/watch", data=data, headers=OWN).headers["location"]
    assert "tbody" not in here.get(place).text
    here.post(place, data={"how": "next"}, headers=OWN)
    assert here.get(place).text.count('<th scope="row">') == 1
    here.post(place, data={"how": "end"}, headers=OWN)
    text = here.get(place).text
    assert "The game is over" in text
    assert "50.0%" in text


def test_numbers_without_end_name_nothing(here: TestClient):
    for path in ("/explore?game=kuhn&policy=uniform&page=", "/runs/"):
        assert here.get(path + "9" * 5000).status_code == 404


def test_a_policy_is_explored_page_by_page_and_searched(here: TestClient):
    asked = {"game": "ipd", "policy": "script:tit_for_tat"}
    text = here.get("/explore", params=asked).text
    assert "All 255 situations" in text
    assert "page 1 of 6" in text
    assert "Page 6 of 6" in here.get("/explore", params=asked | {"page": "999"}).text
    found = here.get("/explore", params=asked | {"q": "cd,dd"}).text
    assert "CD,DD" in found
    assert ">CC<" not in found
    assert here.get("/explore", params=asked | {"q": "nowhere", "page": "x"}).status_code == 200


def test_reach_is_that_against_an_opponent_that_tries_everything(menu: Menu):
    found = explored(menu.policy("kuhn", "script:nash"), menu.game("kuhn"))
    reach = {row.key: row.reach for row in found.rows}
    assert found.whole
    assert reach["J:"] == pytest.approx(1 / 6)  # in one of two seats
    assert reach["J:p"] == pytest.approx(1 / 12)
    assert "J:pb" in reach
    assert reach["J:pb"] == pytest.approx(1 / 6 * 2 / 3 * 1 / 2)
    assert [row.key for row in searched(found.rows, "q:P")] == ["Q:p", "Q:pb"]


def test_a_model_of_any_kind_is_asked_about_few_situations(menu: Menu):
    model, game = Model(), menu.game("ipd")
    few, many = explored(model, game), explored(menu.policy("ipd", "uniform"), game)
    assert (model.asked, len(few.rows), few.whole) == (64, 64, False)
    assert len(many.rows) == 5_000


# ---- the menu


def test_policies_are_offered_in_the_games_that_they_can_play(tmp_path: Path, nash_table: Path):
    menu = Menu([f"table:{nash_table}", "script:grim_trigger"])
    assert f"table:{nash_table}" in menu.offers("kuhn")
    assert f"table:{nash_table}" not in menu.offers("ipd")
    assert next(iter(menu.offers("ipd"))) == "script:grim_trigger"
    assert "script:grim_trigger" not in menu.offers("kuhn")
    assert "human" not in " ".join(menu.offers("ipd"))


@pytest.fixture
def nash_table(tmp_path: Path) -> Path:
    row = {key: {"PASS": 0.5, "BET": 0.5} for key in ("J:", "Q:", "K:")}
    file = tmp_path / "nash.json"
    file.write_text(json.dumps({"schema": "sepo.policy/1", "game": "kuhn", "rules": {}, "table": row}))
    return file


# ---- runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "made<b>"
    made_run(folder)
    return folder


def test_a_run_is_shown_as_far_as_it_is_and_a_half_written_line_breaks_nothing(menu: Menu, folder: Path):
    there = client(House(menu, [folder]))
    metrics = folder / "arms" / "sepo" / "seed-0" / "metrics.jsonl"
    whole = metrics.read_text()
    text = there.get("/runs/1").text
    assert "made&lt;b&gt;" in text
    assert "0 of 4 arms and seeds are done." in text
    last = json.loads(whole.splitlines()[-1])
    assert f"{last['measures']['sepo']['J']:.4f}" in text
    for half in ('{"step": 4, "measures": {"se', '{"step": 4}'[:-1], "\x00\x00", "[1, 2]\n", '{"step": "four"}\n'):
        metrics.write_text(whole + half)
        (shown,) = [p for p in Watched(folder).progress() if (p.arm, p.seed) == ("sepo", "0")]
        assert shown.step in (3, None)
        assert there.get("/runs/1").status_code == 200
    metrics.write_bytes(whole.encode() + "\u20ac".encode()[:1])
    assert there.get("/runs/1").status_code == 200
    more = last | {"step": 4, "warnings": ["dead term <i>"], "measures": {"sepo": {"J": 0.5}}}
    metrics.write_text(whole + json.dumps(more) + "\n")
    text = there.get("/runs/1").text
    assert "0.5000" in text
    assert "dead term &lt;i&gt;" in text
    metrics.write_text(whole)


def test_the_report_is_given_when_it_is_there_in_a_sandbox(menu: Menu, folder: Path, tmp_path: Path):
    there = client(House(menu, [folder]))
    assert there.get("/runs/1/report").status_code == 404
    report = folder / "report.html"
    report.write_text("<p>the report</p>")
    assert "/runs/1/report" in there.get("/runs/1").text
    answer = there.get("/runs/1/report")
    assert "the report" in answer.text
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "same-origin" not in answer.headers["content-security-policy"]
    assert there.get("/runs/1/report", params={"game": "../made<b>"}).status_code == 404
    assert there.get("/runs/2").status_code == 404
    assert there.get("/runs/0/report").status_code == 404
    report.unlink()
    secret = tmp_path / "secret.html"
    secret.write_text("secret")
    report.symlink_to(secret)
    assert there.get("/runs/1/report").status_code == 404


def test_a_run_of_several_games_shows_each(menu: Menu, folder: Path, tmp_path: Path):
    (tmp_path / "kuhn").symlink_to(folder)  # a link leads out of the folder: it is not followed
    for game in ("ipd", "split"):
        made = tmp_path / game / "arms" / "sepo" / "seed-0"
        made.mkdir(parents=True)
        (made / "metrics.jsonl").write_text('{"step": 1, "measures": {"sepo": {"J": 1}}}\n')
    (tmp_path / "ipd" / "arms" / "sepo" / "seed-0" / "done.json").write_text("{}")
    found = Watched(tmp_path).progress()
    assert [(p.game, p.step, p.done) for p in found] == [("ipd", 1, True), ("split", 1, False)]
    assert "1 of 2 arms and seeds are done" in client(House(menu, [tmp_path])).get("/runs/1").text
