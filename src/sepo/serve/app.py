"""The application: which address does what. ``pages`` and templates say what is shown, the ``House`` does the work."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sepo.audit.ahead import QUESTIONS
from sepo.audit.debrief import Debrief, debrief
from sepo.errors import EndpointError, InputError
from sepo.play.session import Session, rehearse
from sepo.printable import json_printable
from sepo.serve import pages
from sepo.serve.explore import Explored, explored
from sepo.serve.guard import REPORT_POLICY, Door, Guard
from sepo.serve.house import House, Kind, Room
from sepo.serve.progress import Watched

BODY = 8_192
"""Bytes of the largest form."""
HANDS = 100
"""Most hands of a game in the browser."""
SEEDS = 2**31
STATIC = {"sepo.css": "text/css", "sepo.js": "text/javascript", "icon.svg": "image/svg+xml"}
Form = Mapping[str, Sequence[str]]


def application(house: House, door: Door) -> ASGIApp:
    """Return the server's application."""
    site = Site(house)
    routes = [
        Route("/", site.home),
        Route("/games/{slug}", site.game),
        Route("/play", site.begin_play, methods=["POST"]),
        Route("/play/{name}", site.play),
        Route("/play/{name}", site.act, methods=["POST"]),
        Route("/play/{name}/debrief", site.debrief),
        Route("/play/{name}/episode.jsonl", site.episode),
        Route("/watch", site.begin_watch, methods=["POST"]),
        Route("/watch/{name}", site.watch),
        Route("/watch/{name}", site.go_on, methods=["POST"]),
        Route("/explore", site.explore),
        Route("/runs/{number}", site.run),
        Route("/runs/{number}/report", site.report),
        Route("/static/{name}", site.static),
    ]
    handlers: dict[Any, Any] = {HTTPException: site.refused, InputError: site.failed, EndpointError: site.failed}
    return Guard(Starlette(routes=routes, exception_handlers=handlers, max_body_size=BODY), door)


class Site:
    """The pages of one server."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._templates = pages.environment()
        self._static = {"sepo.css": _text("report", "templates/style.css") + _text("serve", "static/serve.css")}
        self._static |= {name: _text("serve", f"static/{name}") for name in ("sepo.js", "icon.svg")}

    async def home(self, request: Request) -> Response:
        """Show the games and the runs."""
        return self._page("home.html", games=self.house.menu.games, runs=self.house.runs)

    async def game(self, request: Request) -> Response:
        """Show what can be done with a game."""
        slug = request.path_params["slug"]
        try:
            game = self.house.menu.game(slug)
        except InputError:
            raise HTTPException(404, "There is no such game here.") from None
        offers = self.house.menu.offers(slug)
        return self._page("game.html", slug=slug, game=game, offers=offers, rules=pages.rules(game), most=HANDS)

    async def begin_play(self, request: Request) -> Response:
        """Sit a person down against a policy."""
        form = await _form(request)
        slug, menu = _one(form, "game"), self.house.menu
        policy = menu.policy(slug, _one(form, "policy"))
        seat = {"": None, "0": 0, "1": 1}.get(_one(form, "seat", ""))
        seed, hands = _number(form, "seed", SEEDS), _number(form, "hands", HANDS)
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        session = Session(menu.game(slug), policy, seat=seat, hands=hands, key=(seed,))
        await self.house.work(_ready, session)
        return self._opened("play", slug, session, seed)

    async def play(self, request: Request) -> Response:
        """Show a game to the person who plays it."""
        room = self._room(request, "play")
        async with room.lock:
            return self._page("play.html", **pages.board(room))

    async def act(self, request: Request) -> Response:
        """Take the person's action, if it is for the move that is due, and let the policy move."""
        room, form = self._room(request, "play"), await _form(request)
        async with room.lock:
            session = room.session
            due = not session.over and session.decision is None  # a policy that failed before is asked again
            if not due and _one(form, "move", "") == str(session.count):
                session.act(pages.action_of(form))
                due = True
            if due:
                await self.house.work(session.advance)
                room.said, room.told = pages.news(session, room.told), len(session.rounds)
        return _see(f"/play/{room.name}")

    async def debrief(self, request: Request) -> Response:
        """Show what the best response would have done."""
        room = self._room(request, "play")
        async with room.lock:
            if room.session.over and (room.debrief is None or room.debrief[0] != room.session.count):
                room.debrief = room.session.count, await self.house.work(_debrief, room.session)
        if room.debrief is None:
            raise HTTPException(409, "The game is not over: look back when it is.")
        return self._page("debrief.html", **pages.looked_back(room))

    async def episode(self, request: Request) -> Response:
        """Give the record of a game that is over."""
        room = self._room(request, "play")
        if not room.session.over:
            raise HTTPException(409, "The game is not over: its record would show what you have not seen.")
        record = room.session.episode() | {"seed": room.seed}
        line = json_printable(json.dumps(record, ensure_ascii=False, allow_nan=False)) + "\n"
        name = f"{room.session.game.name.replace(':', '-')}-{room.seed}.jsonl"
        return Response(
            line, media_type="application/x-ndjson", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )

    async def begin_watch(self, request: Request) -> Response:
        """Let two policies sit down."""
        form = await _form(request)
        slug, menu = _one(form, "game"), self.house.menu
        first, second = (menu.policy(slug, _one(form, name)) for name in ("first", "second"))
        seed, hands = _number(form, "seed", SEEDS), _number(form, "hands", HANDS)
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        session = Session(menu.game(slug), first, second, hands=hands, key=(seed,))
        await self.house.work(rehearse, session)
        return self._opened("watch", slug, session, seed)

    async def watch(self, request: Request) -> Response:
        """Show a game between two policies."""
        room = self._room(request, "watch")
        async with room.lock:
            return self._page("watch.html", **pages.watched(room))

    async def go_on(self, request: Request) -> Response:
        """Let the policies make a move, or all the rest."""
        room, form = self._room(request, "watch"), await _form(request)
        async with room.lock:
            await self.house.work(_rest if _one(form, "how", "") == "end" else _one_move, room.session)
            made = pages.moves(room.session)
            room.said = f"At {made[-1]['state']}: {made[-1]['did']}." if made else ""
            if room.session.over:
                room.said += " The game is over."
        return _see(f"/watch/{room.name}")

    async def explore(self, request: Request) -> Response:
        """Show a policy's situations."""
        asked = request.query_params
        slug, name = asked.get("game", ""), asked.get("policy", "")
        policy = self.house.menu.policy(slug, name)
        if (slug, name) not in self.house.tables:
            found: Explored = await self.house.work(explored, policy, self.house.menu.game(slug))
            self.house.remember(slug, name, found)
        page = asked.get("page", "1")
        text = asked.get("q", "")[:200]
        if len(page) > 9:
            raise HTTPException(404, "There is no such page.")
        shown = pages.table(self.house.tables[slug, name], text, int(page) if page.isascii() and page.isdigit() else 1)
        link = "/explore?" + urlencode({"game": slug, "policy": name, "q": text}) + "&page="
        return self._page("explore.html", slug=slug, game=self.house.menu.game(slug), policy=name, link=link, **shown)

    async def run(self, request: Request) -> Response:
        """Show how far a run is."""
        watched = self._watched(request)
        rows = pages.run(await self.house.work(watched.progress))
        return self._page(
            "run.html", number=request.path_params["number"], name=watched.name, rows=rows, reports=watched.reports()
        )

    async def report(self, request: Request) -> Response:
        """Give a run's finished report, in a sandbox."""
        path = self._watched(request).report(request.query_params.get("game", ""))
        if path is None:
            raise HTTPException(404, "There is no report yet.")
        return HTMLResponse(path.read_bytes(), headers={"Content-Security-Policy": REPORT_POLICY})

    async def static(self, request: Request) -> Response:
        """Give the style and the script."""
        name = request.path_params["name"]
        if name not in STATIC:
            raise HTTPException(404, "There is nothing here.")
        return Response(self._static[name], media_type=STATIC[name])

    async def refused(self, request: Request, error: Exception) -> Response:
        """Say why there is nothing to show."""
        assert isinstance(error, HTTPException)
        return self._page("message.html", status=error.status_code, text=error.detail)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Say what was wrong with what was asked, or that a policy failed."""
        status = 502 if isinstance(error, EndpointError) else 400
        return self._page("message.html", status=status, text=" ".join(str(error).split()))

    def _opened(self, kind: Kind, slug: str, session: Session, seed: int) -> Response:
        return _see(f"/{kind}/{self.house.open(kind, slug, session, seed).name}")

    def _room(self, request: Request, kind: Kind) -> Room:
        room = self.house.room(request.path_params["name"], kind)
        if room is None:
            raise HTTPException(404, "There is no such game, or no longer: games are kept until others need the room.")
        return room

    def _watched(self, request: Request) -> Watched:
        runs = {str(number): run for number, run in enumerate(self.house.runs, 1)}
        if (run := runs.get(request.path_params["number"])) is None:
            raise HTTPException(404, "There is no such run here.")
        return run

    def _page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(
            self._templates.get_template(template).render(**pages.BASE, status=status, **values), status
        )


def _text(room: str, path: str) -> str:
    return files(f"sepo.{room}").joinpath(path).read_text(encoding="utf-8")


def _see(path: str) -> Response:
    return RedirectResponse(path, 303)


def _ready(session: Session) -> None:
    rehearse(session)
    session.advance()


def _rest(session: Session) -> None:
    session.advance()


def _one_move(session: Session) -> None:
    """Go on until a policy has moved, or the end."""
    before = session.count
    while session.count == before and session.step():
        pass


def _debrief(session: Session) -> Debrief:
    return debrief(session, QUESTIONS)


async def _form(request: Request) -> Form:
    """Return a form's fields.

    Raises
    ------
    HTTPException
        If it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "A form is expected here.")
    body = await request.body()
    try:
        return parse_qs(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=50)
    except ValueError:
        raise HTTPException(400, "This is no form.") from None


def _one(form: Form, name: str, default: str | None = None) -> str:
    if name not in form:
        if default is None:
            raise HTTPException(400, f"The form lacks '{name}'.")
        return default
    return form[name][-1]


def _number(form: Form, name: str, most: int) -> int | None:
    """Return a whole number from a form, from 0 (a number of hands: from 1); None if it was left empty."""
    text = _one(form, name, "").strip()
    if not text:
        return None
    least = int(name == "hands")
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise InputError(f"'{name}' is a whole number from {least} to {most}, not '{text}'")
    return int(text)
