"""The HTTP server, with limits that uvicorn lacks: on silent connections, on unread ones, and on their number."""

import asyncio
import errno
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from ddpm.system.errors import InputError

SILENT = 15.0
"""Seconds within which the head of a request must arrive, and the client must read more of an answer."""
MOST_CONNECTIONS, BACKLOG = 512, 128
"""The open connections, and those that wait to be accepted; together they need fewer files than any system allows."""
LONGEST_HEAD = 64 << 10
"""The bytes of the head of a request."""


class ImpatientProtocol(H11Protocol):
    """A connection that closes if no request arrives in time, or if an answer is not read.

    uvicorn ends idle connections only after a first request, and waits forever for the second half of a head. When
    there are too many, the one that has been idle for longest makes room, so that idle ones do not keep others out.
    """

    _deadline: asyncio.TimerHandle | None = None
    _idle_since = 0.0

    @property
    def idle(self) -> bool:
        """Whether no request is being served."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MOST_CONNECTIONS:
            every = [one for one in self.connections if isinstance(one, ImpatientProtocol)]
            remaining = [one for one in every if not one.transport.is_closing()]  # aborted ones are lost later
            if len(remaining) > MOST_CONNECTIONS:
                oldest = min(remaining, key=lambda one: (not one.idle, one._idle_since))
                (oldest if oldest.idle else self).transport.abort()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._wait()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read on."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Stop waiting for that."""
        super().resume_writing()
        if not self.idle:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop_waiting()
        self._idle_since = self.loop.time()
        self._deadline = self.loop.call_later(SILENT, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _give_up(self) -> None:
        if self.idle or self.flow.write_paused:
            self.transport.abort()


class HttpServer(uvicorn.Server):
    """uvicorn's server, which reports when it begins to stop, so that open streams end by themselves."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._stopping()
        await super().shutdown(sockets)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; any free port for 0.

    Raises:
        InputError: the port is taken, or the address is not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        flag = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
    except OverflowError as error:
        why, flag = str(error), "--port"
    except UnicodeError:
        why, flag = "it is not a host name", "--host"
    raise InputError("conflict", f"cannot listen on --host {host} and --port {port}: {why}; use another {flag}")


def http_server(app: FastAPI, stopping: Callable[[], None] = lambda: None, *, behind_proxy: bool = False) -> HttpServer:
    """A server of an application; ``run([socket])`` serves until interrupted.

    Args:
        stopping: called when it begins to stop.
        behind_proxy: whether to trust what requests from this machine say about the client's address.
    """
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        ws="none",
        proxy_headers=behind_proxy,
        forwarded_allow_ips=["127.0.0.1", "::1"],
        log_level="warning",
        backlog=BACKLOG,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=2,
        server_header=False,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
    return HttpServer(config, stopping)
