"""Connections that are slow, idle, unread or too many, on a real socket."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import pytest

from cases import cases
from ddpm.serve import drawing, guard, listening
from ddpm.serve.app import create
from ddpm.serve.listening import bound, http_server
from ddpm.serve.server import Server
from refusal import refuses
from serve.conftest import TOKEN, until

Address = tuple[str, int]
HEAD = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n".encode()


@contextmanager
def serving(server: Server, *, behind_proxy: bool = False) -> Iterator[Address]:
    """The address of a server while it runs."""
    with bound("127.0.0.1", 0) as found:
        running = http_server(create(server), server.stop, behind_proxy=behind_proxy)
        thread = threading.Thread(target=running.run, args=([found],))
        thread.start()
        try:
            yield found.getsockname()
        finally:
            running.should_exit = True
            thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def address(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """That of a server that waits half a second for heads and bodies, and has few connections."""
    monkeypatch.setattr(listening, "SILENT", 0.5)
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", 20)
    monkeypatch.setattr(guard, "PATIENCE", 0.5)
    with serving(server) as found:
        yield found


def answers(address: Address) -> bool:
    """Whether the server answers others, at once."""
    client = http.client.HTTPConnection(*address, timeout=5)
    client.request("GET", "/health")
    return client.getresponse().status == 200


def closed(client: socket.socket) -> bytes:
    """What the server said before it closed a connection, which it must do within seconds."""
    client.settimeout(10)
    said = b""
    try:
        while data := client.recv(1 << 16):
            said += data
    except ConnectionResetError:
        pass
    return said


def test_slow_heads(address: Address) -> None:
    """A connection without a request, half a request, one byte at a time, and the same after a first request."""
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    for sent in (b"", head, head + b"\r\n" + head):
        with socket.create_connection(address) as client:
            client.sendall(sent)
            began, said = time.monotonic(), b""
            client.settimeout(0.1)
            while True:
                assert time.monotonic() < began + 10
                try:
                    client.sendall(b"x")
                    if not (data := client.recv(1 << 16)):
                        break
                    said += data
                except TimeoutError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    break
            assert (b" 200 " in said) == (sent.count(b"GET") == 2)
    assert answers(address)


def test_slow_bodies_and_endless_ones(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = b"POST /api/jobs HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
    with socket.create_connection(address) as client:
        client.sendall(ask + b"Content-Length: 100\r\n\r\n{")
        assert b" 408 " in closed(client)
    with socket.create_connection(address) as client:
        client.sendall(ask + b"Content-Length: 1000000000\r\n\r\n")
        client.settimeout(10)
        assert b" 413 " in client.recv(1 << 16)  # before the body
    monkeypatch.setattr(guard, "MOST_BYTES", 1 << 18)
    with socket.create_connection(address) as client:
        client.sendall(ask + b"Transfer-Encoding: chunked\r\n\r\n")
        client.settimeout(10)
        try:
            for _ in range(64):
                client.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        except (ConnectionResetError, BrokenPipeError):
            pass
        else:
            assert b" 413 " in client.recv(1 << 16)
    assert answers(address)


def test_idle_connections_make_room(address: Address) -> None:
    process = psutil.Process()
    before = process.num_fds()
    with ExitStack() as idle:
        clients = [idle.enter_context(socket.create_connection(address)) for _ in range(60)]
        assert answers(address)
        until(lambda: process.num_fds() <= before + 60 + 20 + 1)  # here, those of the server, and the last
        assert closed(clients[0]) == b""


def test_answers_that_are_not_read(address: Address, server: Server) -> None:
    """More than fits into the buffers of a socket."""
    name = "0" * 23 + "-000.png"
    (server.store.pictures / name).write_bytes(bytes(32 << 20))
    with socket.create_connection(address) as client:
        client.sendall(b"GET /api/pictures/" + name.encode() + b" HTTP/1.1\r\n" + HEAD + b"\r\n")
        time.sleep(1.5)
        assert answers(address)
        assert 0 < len(closed(client)) < 32 << 20


def test_long_and_malformed_heads(address: Address) -> None:
    for sent in (b"GET / HTTP/1.1\r\nx: " + b"x" * (1 << 18), b"\0\xff\r\n\r\n", b"GET / HTTP/9\r\n\r\n"):
        with socket.create_connection(address) as client:
            client.sendall(sent)
            assert b" 400 " in closed(client) or sent[:1] == b"G"
    for path in (b"/../../etc/passwd", b"//etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/api/pictures/../../tickets"):
        with socket.create_connection(address) as client:
            client.sendall(b"GET " + path + b" HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
            assert b" 404 " in closed(client)
    assert answers(address)


def test_jobs_of_clients_that_leave_are_cancelled(
    address: Address, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of OpenAI's API, whose answer nobody could read any more; not those of our own."""
    begun, gate, draw = threading.Event(), threading.Event(), drawing.draw

    def held(*given: Any) -> Any:
        begun.set()
        assert gate.wait(30)
        return draw(*given)

    monkeypatch.setattr(drawing, "draw", held)
    sent = {
        "/api/jobs": {"run": "shapes"},
        "/v1/images/generations": {"model": "shapes", "prompt": "star"},
        "/v1/images/generations ": {"model": "shapes", "prompt": "star", "stream": True},
    }
    clients = []
    for waiting, (path, order) in enumerate(sent.items()):
        client = http.client.HTTPConnection(*address, timeout=30)
        head = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        client.request("POST", path.strip(), json.dumps(order), head)
        assert begun.wait(30)
        until(lambda waiting=waiting: server.queue.waiting >= waiting)  # type: ignore[misc]
        clients.append(client)
    until(lambda: server.queue.waiting == 2)
    for client in clients:
        client.close()
    until(lambda: server.queue.waiting == 0)
    gate.set()
    until(lambda: server.queue.counts == {"cancelled": 2, "done": 1})


@pytest.mark.parametrize(("behind_proxy", "address"), [(False, "127.0.0.1"), (True, "203.0.113.7")])
def test_only_a_named_proxy_says_whose_request_it_is(server: Server, behind_proxy: bool, address: str) -> None:
    with serving(server, behind_proxy=behind_proxy) as found:
        client = http.client.HTTPConnection(*found, timeout=30)
        head = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        head["X-Forwarded-For"] = "198.51.100.1, 203.0.113.7"
        client.request("POST", "/api/jobs", json.dumps({"run": "shapes"}), head)
        assert client.getresponse().status == 202
        assert [ticket.client for ticket in server.queue.of_client(address)] == [address]


def test_a_port_that_is_taken() -> None:
    with bound("127.0.0.1", 0) as found, refuses("conflict", str(found.getsockname()[1]), "--port"):
        bound("127.0.0.1", found.getsockname()[1])
    with refuses("conflict", "70000", "--port"):
        bound("127.0.0.1", 70000)


@cases("host", ("nowhere.invalid", "192.0.2.1", "a" * 70, "a..b"))
def test_a_host_that_is_not_this_machine(host: str) -> None:
    with refuses("conflict", f"--host {host}", "another --host"):
        bound(host, 0)
