"""Events of tickets, sent to their listeners."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from ddpm.serve.orders import ENDED

WAITING = 32
"""The events that may wait for one listener; further progress and previews are left out."""


class Happened(NamedTuple):
    """An event of a ticket.

    Attributes:
        kind: "progress", "preview" or "picture"; at the end "done", "failed" or "cancelled"; "stopping" if the server
            stops.
        data: values that JSON can hold.
    """

    kind: str
    data: dict[str, Any]

    @property
    def last(self) -> bool:
        """Whether nothing more will happen."""
        return self.kind in ENDED


Listener = asyncio.Queue[Happened]


class Events:
    """Events by ticket, from any thread to listeners in an event loop; none is kept for those who do not listen."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, asyncio.AbstractEventLoop]] = defaultdict(dict)
        self._lock = threading.Lock()

    def heard(self, ticket: str) -> bool:
        """Whether anyone listens to a ticket."""
        with self._lock:
            return bool(self._listeners.get(ticket))

    def tell(self, ticket: str, kind: str, **data: Any) -> None:
        """Send an event to all listeners of a ticket."""
        with self._lock:
            listeners = list(self._listeners.get(ticket, {}).items())
        for listener, loop in listeners:
            with suppress(RuntimeError):  # the loop was closed, as the server stops
                loop.call_soon_threadsafe(_put, listener, Happened(kind, data))

    def stop(self) -> None:
        """Notify all listeners that the server is stopping."""
        with self._lock:
            tickets = list(self._listeners)
        for ticket in tickets:
            self.tell(ticket, "stopping")

    @contextmanager
    def listening(self, ticket: str) -> Iterator[Listener]:
        """A queue of the events of a ticket from now on, for the running event loop."""
        mine = Listener()
        with self._lock:
            self._listeners[ticket][mine] = asyncio.get_running_loop()
        try:
            yield mine
        finally:
            with self._lock:
                del self._listeners[ticket][mine]
                if not self._listeners[ticket]:
                    del self._listeners[ticket]


def _put(listener: Listener, event: Happened) -> None:
    if listener.qsize() < WAITING or event.kind not in ("progress", "preview"):
        listener.put_nowait(event)
