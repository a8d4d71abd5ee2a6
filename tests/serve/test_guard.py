"""Who may ask, from where, and how much at once."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from cases import cases
from ddpm.serve import guard
from ddpm.serve.app import create
from ddpm.serve.guard import COOKIE, Guard
from ddpm.serve.server import Server
from serve.conftest import TOKEN

MINE, BEARER = "http://127.0.0.1:7860", {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def anyone(server: Server) -> TestClient:
    """A client without a token, of a server on the loopback that is not started."""
    return TestClient(create(server, frozenset({"127.0.0.1", "localhost", "::1"})), MINE, follow_redirects=False)


@cases(
    ("headers", "status"),
    [
        ({}, 401),
        (BEARER, 200),
        ({"authorization": f"bearer {TOKEN}"}, 200),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer \xff"}, 401),
        ({"cookie": f"{COOKIE}={TOKEN[:-1]}"}, 401),
        ({"cookie": f"a/b=1; x; {COOKIE}={TOKEN}; =y"}, 200),  # of other servers on this machine
        (BEARER | {"host": "evil.example"}, 421),  # a name that resolves to this machine: DNS rebinding
        (BEARER | {"host": "127.0.0.1.evil.example"}, 421),
        (BEARER | {"host": "[::1"}, 421),
        (BEARER | {"host": "[::1]:7860"}, 200),
        (BEARER | {"host": "LOCALHOST"}, 200),
        ({"host": "localhost/health?"}, 401),  # the path is that of the request line
        ({"host": "localhost/health?", "x-forwarded-for": "127.0.0.1", "x-original-url": "/health"}, 401),
    ],
)
def test_who_may_read(anyone: TestClient, headers: dict[str, Any], status: int) -> None:
    given = {name: value.encode("latin-1") for name, value in headers.items()}
    assert anyone.get("/api/choices", headers=given).status_code == status  # type: ignore[arg-type]


@cases(
    ("headers", "status"),
    [
        (BEARER, 404),  # a program; no page of another origin can send this header
        ({"cookie": f"{COOKIE}={TOKEN}"}, 403),
        ({"cookie": f"{COOKIE}={TOKEN}", "origin": MINE}, 404),
        ({"cookie": f"{COOKIE}={TOKEN}", "origin": "http://evil.example"}, 403),
        ({"cookie": f"{COOKIE}={TOKEN}", "origin": "null"}, 403),
        ({"cookie": f"{COOKIE}={TOKEN}", "origin": "http://127.0.0.1:8000"}, 403),
        ({"cookie": f"{COOKIE}={TOKEN}", "origin": "http://127.0.0.1:7860.evil.example"}, 403),
        ({"cookie": f"{COOKIE}={TOKEN}", "origin": "http://[::1"}, 403),
        ({"cookie": f"{COOKIE}={TOKEN}", "referer": MINE}, 403),
    ],
)
def test_who_may_change(anyone: TestClient, headers: dict[str, str], status: int) -> None:
    """404 is that of an unknown job, which only those who may ask are told."""
    assert anyone.delete("/api/jobs/0", headers=headers).status_code == status


@cases(
    ("headers", "status"),
    [
        ({"host": "studio.example.org", "origin": "https://studio.example.org"}, 404),
        ({"host": "127.0.0.1:7860", "origin": "https://studio.example.org"}, 404),  # a proxy that does not pass it on
        ({"host": "studio.example.org", "origin": "http://studio.example.org"}, 403),
        ({"host": "studio.example.org", "origin": "https://evil.example"}, 403),
        ({"host": "studio.example.org", "origin": "https://studio.example.org.evil.example"}, 403),
        ({"host": "evil.example", "origin": "https://studio.example.org"}, 421),
    ],
)
def test_through_a_proxy(server: Server, headers: dict[str, str], status: int) -> None:
    client = TestClient(create(server, frozenset({"127.0.0.1"}), "studio.example.org"), MINE)
    answer = client.delete("/api/jobs/0", headers=headers | {"cookie": f"{COOKIE}={TOKEN}"})
    assert answer.status_code == status
    found = client.get(f"/?token={TOKEN}", headers=headers, follow_redirects=False).headers.get("set-cookie", "")
    assert ("Secure" in found) == (headers["host"] == "studio.example.org")


def test_no_page_of_another_origin_can_read(anyone: TestClient) -> None:
    for headers in ({"origin": "http://evil.example", **BEARER}, {"origin": "http://evil.example"}):
        for method in ("GET", "OPTIONS", "POST"):
            answer = anyone.request(method, "/api/jobs", headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control")]
    page = anyone.get("/", headers=BEARER)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"


def test_the_printed_address_signs_in(anyone: TestClient) -> None:
    assert anyone.get("/?token=another").status_code == 401
    found = anyone.get(f"/?token={TOKEN}")
    assert (found.status_code, found.headers["location"]) == (303, "/")
    cookie = found.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_browser_is_asked_for_the_token(anyone: TestClient) -> None:
    for path in ("/", "/?token=another"):
        page = anyone.get(path, headers={"accept": "text/html,*/*"})
        assert page.status_code == 401
        assert 'name="token"' in page.text
        assert TOKEN not in page.text
    for path, accept in (("/", "*/*"), ("/api/runs", "text/html")):
        assert "token" in anyone.get(path, headers={"accept": accept}).json()["error"]["message"]


def test_health_is_open_and_says_nothing_else(anyone: TestClient) -> None:
    assert anyone.get("/health").json() == {"status": "stopped"}
    assert anyone.get("/metrics").status_code == 401


def test_bodies_are_bounded(anyone: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what their head says, and where it says nothing by what arrives, in JSON and in forms."""
    monkeypatch.setattr(guard, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(guard, "MOST_UPLOAD", 2 << 20)

    def parts() -> Iterator[bytes]:
        yield b'{"prompt": "'
        for _ in range(100):
            yield b"x" * (1 << 16)

    json_type, form = {"content-type": "application/json"}, {"content-type": "multipart/form-data; boundary=x"}
    for path, headers in (("/api/jobs", json_type), ("/v1/images/generations", {}), ("/v1/images/edits", form)):
        for content in (parts(), b"x" * ((1 << 20) + 1)):
            answer = anyone.post(path, content=content, headers=BEARER | headers)
            assert answer.status_code == 413, (path, answer.text)
    claimed = {"content-length": str(1 << 30)}
    for path, status in (("/api/jobs", 413), ("/api/uploads", 413), ("/", 413)):
        assert anyone.put(path, content=b"", headers=BEARER | claimed).status_code == status
    assert anyone.put("/api/uploads?name=x", content=b"x" * (3 << 19), headers=BEARER).status_code == 409


async def _ask(app: Any, body: list[bytes], pause: float = 0) -> int:
    """The status of a request whose body arrives slowly, by an application that reads it."""
    status, waiting = 0, [*body]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [(b"authorization", BEARER["authorization"].encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/api/jobs", "query_string": b"",
        "headers": headers, "client": ("10.0.0.1", 1), "server": ("127.0.0.1", 7860), "scheme": "http",
    }  # fmt: skip
    await app(scope, receive, send)
    return status


def test_slow_bodies_and_many_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create(server)
    small = [json.dumps({"run": "nowhere"}).encode()]
    assert asyncio.run(_ask(app, small)) == 404
    assert asyncio.run(_ask(app, [b" "] * 5 + small, pause=0.01)) == 404
    monkeypatch.setattr(guard, "PATIENCE", 0.1)
    assert asyncio.run(_ask(app, [b" "] * 500, pause=0.01)) == 408

    async def together(n: int) -> list[int]:
        return await asyncio.gather(*(_ask(app, [b" ", *small], pause=0.02) for _ in range(n)))

    monkeypatch.setattr(guard, "PATIENCE", 20)
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 3)
    assert sorted(asyncio.run(together(5))) == [404, 404, 404, 429, 429]
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 64)
    monkeypatch.setattr(guard, "MOST_HELD", 3 * (len(small[0]) + 1))
    assert sorted(asyncio.run(together(5))) == [404, 404, 404, 429, 429]
    assert asyncio.run(together(2)) == [404, 404]  # nothing is held any more


def test_the_guard_forgets_clients() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    checked = Guard(app, TOKEN, None)
    assert asyncio.run(_ask(checked, [b"x" * 100])) == 200
    assert (dict(checked._busy), checked._held) == ({}, 0)


def test_long_messages_are_cut() -> None:
    assert len(json.loads(bytes(guard.answer(422, "x" * 10**6).body))["error"]["message"]) < 600
