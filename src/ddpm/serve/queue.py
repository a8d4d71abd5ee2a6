"""The queue of tickets: bounded, in order, cancellable, and kept on disk."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator

from ddpm.serve.events import Events
from ddpm.serve.orders import StateName, Ticket
from ddpm.serve.store import Store

MOST_WAITING, MOST_OF_CLIENT = 256, 32
"""The tickets that may wait, in all and of one client."""


class Full(Exception):
    """No more tickets can wait now."""


class Queue:
    """Tickets waiting for pictures, first come, first served.

    Tickets that a killed server had not finished wait again, in their old order.
    """

    def __init__(self, store: Store, events: Events, most: int = MOST_WAITING, each: int = MOST_OF_CLIENT) -> None:
        self.store, self.events, self.most, self.each = store, events, most, each
        self._changed = threading.Condition(threading.RLock())
        self._tickets = {ticket.id: ticket for ticket in store.tickets()}
        self._waiting = deque(ticket.id for ticket in self._tickets.values() if not ticket.ended)
        self._running: set[str] = set()
        self._closed = False
        self._seconds: deque[float] = deque(maxlen=64)
        self.counts: Counter[StateName] = Counter()

    def put(self, ticket: Ticket, before: Callable[[], None] = lambda: None) -> None:
        """Queue a ticket.

        Args:
            before: called once it is certain that there is room: stores what the ticket needs.

        Raises:
            Full: too many wait already.
        """
        with self._changed:
            mine = sum(self._tickets[i].client == ticket.client for i in self._waiting)
            if len(self._waiting) >= self.most or mine >= self.each:
                raise Full
            before()
            self.store.keep(ticket)
            self._tickets[ticket.id] = ticket
            self._waiting.append(ticket.id)
            self._changed.notify_all()

    def get(self, id: str) -> Ticket | None:
        """A ticket that is remembered."""
        with self._changed:
            return self._tickets.get(id)

    def of_client(self, client: str) -> list[Ticket]:
        """The tickets of a client, newest first."""
        with self._changed:
            return sorted((t for t in self._tickets.values() if t.client == client), key=lambda t: t.id, reverse=True)

    def position(self, id: str) -> int:
        """How many are served before a ticket; 0 if it is being served, or has ended."""
        with self._changed:
            return self._waiting.index(id) + 1 if id in self._waiting else 0

    def remaining(self, id: str) -> float | None:
        """The seconds until a waiting ticket is likely served; None if no ticket was timed yet."""
        with self._changed:
            if not self._seconds:
                return None
            return (self.position(id) + len(self._running)) * sum(self._seconds) / len(self._seconds)

    @property
    def waiting(self) -> int:
        """The number of tickets that wait."""
        return len(self._waiting)

    def take(self) -> Ticket | None:
        """The next ticket, which then runs; waits for one. None once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return None if self._closed else self._start(self._waiting[0])

    def take_also(self, fits: Callable[[Ticket], bool], most: int) -> Iterator[Ticket]:
        """Further tickets that fit, in their order, of at most ``most`` pictures in all; each then runs."""
        with self._changed:
            for id in list(self._waiting):
                ticket = self._tickets[id]
                if ticket.order.n <= most and fits(ticket):
                    most -= ticket.order.n
                    yield self._start(id)

    def _start(self, id: str) -> Ticket:
        self._waiting.remove(id)
        self._running.add(id)
        ticket = self._tickets[id] = self._tickets[id].changed(state="running")
        return ticket

    def cancelled(self, id: str) -> bool:
        """Whether a running ticket was cancelled meanwhile."""
        with self._changed:
            return self._tickets[id].state == "cancelled"

    def cancel(self, id: str) -> Ticket | None:
        """Cancel a ticket that has not ended; returns it, or None if there is none."""
        with self._changed:
            ticket = self._tickets.get(id)
            if ticket is None or ticket.ended:
                return ticket
            if id in self._waiting:
                self._waiting.remove(id)
            return self._end(ticket, "cancelled")

    def add(self, id: str, picture: str) -> None:
        """Note a finished picture of a running ticket."""
        with self._changed:
            ticket = self._tickets[id]
            self._tickets[id] = ticket.changed(pictures=tuple(sorted({*ticket.pictures, picture})))

    def end(self, id: str, state: StateName, error: str | None = None, began: float | None = None) -> None:
        """End a running ticket, unless it was cancelled.

        Args:
            began: ``time.monotonic()`` when it started to run.
        """
        with self._changed:
            self._running.discard(id)
            ticket = self._tickets[id]
            if not ticket.ended:
                self._end(ticket, state, error)
            if began is not None:
                self._seconds.append(time.monotonic() - began)

    def _end(self, ticket: Ticket, state: StateName, error: str | None = None) -> Ticket:
        ended = self._tickets[ticket.id] = ticket.changed(state=state, error=error)
        self.store.keep(ended)
        self.counts[state] += 1
        self.events.tell(ticket.id, state, pictures=list(ended.pictures), error=error)
        return ended

    def close(self) -> None:
        """Let :meth:`take` return None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
