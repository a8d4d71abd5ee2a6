"""What protects the server from strangers: a token, the origin of requests, and limits of bodies."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ddpm_token"
OPEN = ("/health",)
"""What anyone may read."""
FORM = "application/x-www-form-urlencoded"
SAFE = ("GET", "HEAD", "OPTIONS")
MOST_BYTES, MOST_UPLOAD = 32 << 20, 4 << 30
"""The largest body of a request, and of an upload of images to train on."""
PATIENCE, SLOWEST = 20.0, 8 << 10
"""Seconds that a body may take in any case, and the bytes per second that it must have after them."""
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer."""


class TooLarge(Exception):
    """A body is larger than allowed."""


class TooSlow(Exception):
    """A body arrives too slowly."""


class Guard:
    """Checks every request before the application sees it.

    Args:
        token: what clients send as a bearer token, or have as a cookie after opening ``/?token=…`` once.
        hosts: the names by which the server may be called; None for any. A page of another name that resolves to this
            machine can then not reach it.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str] | None) -> None:
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, _with_headers(send))
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            started = True
            await _with_headers(send)(message)

        if Headers(scope=scope).get("content-type") == FORM:  # what curl -d says, though all bodies here are JSON
            scope["headers"] = [
                (name, b"application/json" if name == b"content-type" else value) for name, value in scope["headers"]
            ]
        limit = MOST_UPLOAD if scope["path"] == "/api/uploads" else MOST_BYTES
        try:
            await self.app(scope, _limited(receive, limit), sent)
        except (TooLarge, TooSlow) as error:
            if not started:
                status = 413 if isinstance(error, TooLarge) else 408
                await answer(status, str(error))(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to a request that is not allowed; None to one that is."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host = headers.get("host", "")
        if self.hosts is not None and urlsplit(f"//{host}").hostname not in self.hosts:
            return answer(421, "this server is not called by that name")
        if path in OPEN:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if path == "/" and "token" in query:
            if not self._right(query["token"][0]):
                return answer(401, "the token is wrong; use the address that the server printed")
            found = RedirectResponse("/", 303)
            found.set_cookie(COOKIE, self.token, max_age=30 * 86400, httponly=True, samesite="strict")
            return found
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._right(given.strip()):
            return None
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        if cookie is None or not self._right(cookie.value):
            return answer(
                401, "a token is needed: open the address that the server printed, or send it as a bearer token"
            )
        origin = headers.get("origin")
        if method not in SAFE and (origin is None or urlsplit(origin).netloc != host):
            return answer(403, "the request comes from another page")
        return None

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())


def answer(status: int, message: str, code: str = "refused") -> JSONResponse:
    """An error as OpenAI's API words it, which its clients understand."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "code": code, "param": None}}
    headers = {"retry-after": "2"} if status == 429 else {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(body, status, headers)


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


def _limited(receive: Receive, most: int) -> Callable[[], Awaitable[Message]]:
    """Receive a body of at most ``most`` bytes that does not arrive too slowly."""
    began, size, ended = time.monotonic(), 0, False

    async def received() -> Message:
        nonlocal size, ended
        if ended:
            return await receive()
        left = began + PATIENCE + size / SLOWEST - time.monotonic()
        try:
            message = await asyncio.wait_for(receive(), max(0.01, left))
        except TimeoutError:
            raise TooSlow("the body arrives too slowly") from None
        size += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if size > most:
            raise TooLarge(f"the body is larger than {most >> 20} MiB")
        return message

    return received
