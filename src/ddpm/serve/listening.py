"""The HTTP server, with limits that uvicorn lacks: of silent connections, and of their number."""

import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

SILENT = 15.0
"""Seconds in which a new connection must have sent the head of a request."""
MOST_CONNECTIONS = 512


class ImpatientProtocol(H11Protocol):
    """Closes connections that send no request in time, and those beyond a number.

    uvicorn ends idle connections only after a first request.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._deadline = self.loop.call_later(SILENT, self._give_up)

    def _give_up(self) -> None:
        if getattr(self, "cycle", None) is None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if (deadline := getattr(self, "_deadline", None)) is not None:
            deadline.cancel()
        super().connection_lost(exc)


def serve(app: FastAPI, host: str, port: int, **options: Any) -> None:
    """Serve until interrupted."""
    config = uvicorn.Config(
        app,
        host,
        port,
        http=ImpatientProtocol,
        ws="none",
        log_level="warning",
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        server_header=False,
        h11_max_incomplete_event_size=64 << 10,
        **options,
    )
    uvicorn.Server(config).run()
