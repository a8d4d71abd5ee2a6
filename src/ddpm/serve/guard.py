"""Protection against strangers: a token, checks of the origin of requests, and limits on their bodies."""

import asyncio
import hmac
import time
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ddpm_token"
OPEN = ("/health",)
"""The paths that need no token."""
FORM = "application/x-www-form-urlencoded"
SAFE = ("GET", "HEAD", "OPTIONS")
UPLOADS = "/api/uploads"
MOST_BYTES, MOST_UPLOAD, MOST_HELD = 32 << 20, 4 << 30, 256 << 20
"""The bytes of the largest body of a request, of an upload of images to train on, and of all bodies held in memory."""
MOST_AT_ONCE = 64
"""The requests of one client that are answered at the same time."""
LONGEST_MESSAGE = 500
"""The characters of an error message, which may quote a request."""
PATIENCE, SLOWEST = 20.0, 8 << 10
"""The seconds that any body may take, and the received bytes that allow one second more."""
ASKING = """<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>ddpm</title>
<p>{message} Open the address that the server printed, or enter the token here.
<form action="/"><label>Token <input name="token" type="password" autofocus></label> <button>Open</button></form>
"""
"""The page for a browser that has no token."""
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""The headers of every answer."""


class Guard:
    """Checks every request before the application sees it.

    Args:
        token: what clients send as a bearer token, or have as a cookie after opening ``/?token=…`` once.
        hosts: the names by which the server may be called; None for any. This keeps out pages of other names that
            resolve to this machine.
        domain: the name, with its port if unusual, of a proxy in front of the server; another of its names, and the
            only other origin from which requests may come.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str] | None, domain: str | None = None) -> None:
        self.app, self.token, self.domain = app, token, domain
        self.hosts = hosts if hosts is None or domain is None else hosts | {_hostname(f"//{domain}")}
        self._busy: Counter[str] = Counter()
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, answering = Request(scope), _with_headers(send)
        refused = self._refused(request)
        if refused is not None:
            await refused(scope, receive, answering)
            return
        if request.headers.get("content-type") == FORM:  # what curl -d sends, although all bodies here are JSON
            scope["headers"] = [
                (name, b"application/json" if name == b"content-type" else value) for name, value in scope["headers"]
            ]
        client, body = client_of(request), Body(self, receive, scope["path"] == UPLOADS)
        self._busy[client] += 1
        try:
            await self.app(scope, body.receive, answering)
        finally:
            self._busy[client] -= 1
            self._busy += Counter()  # forgets those at 0
            self.hold(-body.held)

    def hold(self, size: int) -> None:
        """Count bytes of bodies that are held in memory.

        Raises:
            HTTPException: there are too many.
        """
        if size > 0 and self._held + size > MOST_HELD:
            raise HTTPException(429, "too many large requests at once; try again later")
        self._held += size

    def _refused(self, request: Request) -> Response | None:
        """The answer to a request that is not allowed; None to one that is."""
        headers, path = request.headers, request.scope["path"]  # the path of request.url trusts the host header
        host = headers.get("host", "")
        if self.hosts is not None and _hostname(f"//{host}") not in self.hosts:
            return answer(421, "this server is not called by that name")
        if path in OPEN:
            return None
        query = parse_qs(request.scope["query_string"].decode("latin-1"))
        if path == "/" and "token" in query:
            if not self._right(query["token"][0]):
                return _asking("The token is wrong.", request)
            found = RedirectResponse("/", 303)
            secure = host == self.domain or request.scope["scheme"] == "https"
            found.set_cookie(COOKIE, self.token, max_age=30 * 86400, httponly=True, samesite="strict", secure=secure)
            return found
        kind, _, given = headers.get("authorization", "").partition(" ")
        if not (kind.lower() == "bearer" and self._right(given.strip())):
            if not self._right(request.cookies.get(COOKIE, "")):
                return _asking("A token is needed.", request)
            origin = headers.get("origin", "")
            if request.method not in SAFE and not self._own(origin, host):
                return answer(403, "the request comes from another page")
        if self._busy[client_of(request)] >= MOST_AT_ONCE:
            return answer(429, f"more than {MOST_AT_ONCE} requests at once; try again later")
        length = headers.get("content-length", "0")
        most = MOST_UPLOAD if path == UPLOADS else MOST_BYTES
        if length.isdecimal() and int(length[:20]) > most:
            return answer(413, f"the body is larger than {most >> 20} MiB")
        return None

    def _own(self, origin: str, host: str) -> bool:
        """Whether a request comes from the server's own page."""
        scheme, _, name = origin.partition("://")
        return scheme == "https" if name == self.domain else bool(origin) and name == host

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())


def client_of(request: Request) -> str:
    """The client of a request, for limits."""
    return request.client.host if request.client is not None else "unknown"


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def answer(status: int, message: str, code: str = "refused") -> JSONResponse:
    """An error in the form of OpenAI's API, which its clients understand."""
    if len(message) > LONGEST_MESSAGE:
        message = message[:LONGEST_MESSAGE] + "…"
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "code": code, "param": None}}
    headers = {"retry-after": "2"} if status == 429 else {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(body, status, headers)


def _asking(message: str, request: Request) -> Response:
    """The answer to a request without the token; to a browser, a page that asks for it."""
    if request.scope["path"] != "/" or "text/html" not in request.headers.get("accept", ""):
        return answer(401, f"{message} Open the address that the server printed, or send the token as a bearer token.")
    return HTMLResponse(ASKING.format(message=message), 401)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message.setdefault("headers", [])}
            message["headers"] = [
                *message["headers"],
                *((n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in own),
            ]
        await send(message)

    return sent


class Body:
    """The body of a request, as it arrives.

    Args:
        streamed: whether it goes to a file as it arrives, rather than to memory.
    """

    def __init__(self, guard: Guard, receive: Receive, streamed: bool) -> None:
        self.held = 0
        self._guard, self._receive, self._streamed = guard, receive, streamed
        self._most = MOST_UPLOAD if streamed else MOST_BYTES
        self._began, self._size, self._ended = time.monotonic(), 0, False

    async def receive(self) -> Message:
        """The next part.

        Raises:
            HTTPException: it is too large, or arrives too slowly.
        """
        if self._ended:  # only the end of the connection follows, at any time
            return await self._receive()
        left = self._began + PATIENCE + self._size / SLOWEST - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.01, left))
        except TimeoutError:
            raise HTTPException(408, "the body arrives too slowly") from None
        size = len(message.get("body", b""))
        self._size += size
        self._ended = not message.get("more_body", False)
        if self._size > self._most:
            raise HTTPException(413, f"the body is larger than {self._most >> 20} MiB")
        if not self._streamed:
            self._guard.hold(size)
            self.held += size
        return message
