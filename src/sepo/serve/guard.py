"""Who may ask, and what a page may do: the checks before every request and the headers of every answer.

- On a loopback address anyone on this machine may ask, but only under a loopback name: a page elsewhere whose name was
  made to point here (DNS rebinding) is turned away by its ``Host``.
- On any other address a token is needed: at first as ``?token=``, then as a cookie that no script reads and no other
  site sends. Tokens are compared in constant time.
- What changes anything (POST) must come from a page of this very server, as its ``Origin`` says.
- Pages load nothing but this server's files, run no script but those, and stand in no frame.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; frame-ancestors 'none'"
)
"""Of a run's report, which carries its own scripts: in a sandbox, so it is none of this server's pages to a browser."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer a form's Origin would be 'null'
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SAFE = ("GET", "HEAD")


class Door(NamedTuple):
    """How the server is reached: whether by this machine alone, and the token, None where none is needed."""

    loopback: bool
    token: str | None


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own and nobody else's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """An application behind a door."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # there is nothing but pages: whatever else is asked for is not answered
        answer = self.refusal(scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (answer or self.app)(scope, receive, guarded)

    def refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not let through; None for one that is."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.door.loopback and not is_loopback(_name(host)):
            return PlainTextResponse("This server answers to its loopback address alone.", 421)
        if self.door.token is not None and (answer := self._identified(scope, headers, self.door.token)) is not None:
            return answer
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("Other sites may link here, and no more.", 403)
        if scope["method"] not in SAFE:
            scheme, _, name = headers.get("origin", "").partition("://")
            if not host or scheme.lower() not in ("http", "https") or name.lower() != host.lower():
                return PlainTextResponse("This request comes from another site, or does not say from where.", 403)
        return None

    def _identified(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        name = _cookie_name(scope)
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        offered = [value for key, value in pairs if key == "token"]
        if offered and scope["method"] in SAFE and _same(offered[-1], token):
            rest = urlencode([(key, value) for key, value in pairs if key != "token"])
            path = "/" + scope["path"].lstrip("/")  # a path that begins with // would be another site's address
            answer = RedirectResponse(path + ("?" + rest if rest else ""), 303)
            answer.set_cookie(name, token, httponly=True, samesite="strict", path="/")
            return answer
        cookies = cookie_parser(headers.get("cookie", ""))  # as lenient as browsers: other servers' are sent along
        if name in cookies and _same(cookies[name], token):
            return None
        return PlainTextResponse("A token is needed: open the address that `sepo serve` printed when it started.", 401)


def _same(offered: str, token: str) -> bool:
    return hmac.compare_digest(offered.encode(), token.encode())


def _cookie_name(scope: Scope) -> str:
    """Return the cookie's name: cookies are not told apart by port, so it says which server's it is."""
    server = scope.get("server") or ("", 0)
    return f"sepo-token-{server[1] or 0}"


def _name(host: str) -> str:
    """Return a Host header's name without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
