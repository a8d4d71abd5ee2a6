"""The queue of tickets: bounded, in order, cancellable, and kept on disk."""

import logging
import threading
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Sequence

from PIL import Image

from ddpm.serve.events import Events
from ddpm.serve.orders import StateName, Ticket
from ddpm.serve.store import Store
from ddpm.system.errors import InputError

MOST_WAITING, MOST_OF_CLIENT = 256, 32
"""The tickets that may wait, in all and of one client."""
KEPT = 2000
"""The number of tickets that are remembered; ended ones beyond it are forgotten, but not their pictures."""
LOG = logging.getLogger(__name__)


class Full(Exception):
    """No more tickets can wait now."""


class Queue:
    """Tickets waiting for pictures; clients take turns, so that none waits for all the pictures of another.

    The order is start-time fair queueing (Goyal et al. 1996): a ticket's turn is the number of pictures that its client
    has asked for before it, counted from the turn now served. Tickets that a killed server had not finished wait again.
    Nothing is read or written while the lock is held, so that the event loop may ask at any time.
    """

    def __init__(self, store: Store, events: Events, most: int = MOST_WAITING, each: int = MOST_OF_CLIENT) -> None:
        self.store, self.events, self.most, self.each = store, events, most, each
        self._changed = threading.Condition(threading.RLock())
        self._tickets = {ticket.id: ticket for ticket in store.tickets()}
        self._waiting: list[str] = []
        self._turns: dict[str, int] = {}
        self._next: dict[str, int] = {}
        self._turn = 0
        for ticket in self._tickets.values():
            if not ticket.ended:
                self._line_up(ticket)
        self._entering: list[str] = []
        self._running: set[str] = set()
        self._timed: deque[tuple[float, int]] = deque(maxlen=64)
        self.closed = False
        self.counts: Counter[StateName] = Counter()

    def put(self, ticket: Ticket, given: Sequence[Image.Image] = (), mask: Image.Image | None = None) -> None:
        """Queue a ticket with the pictures that came with it.

        Raises:
            Full: too many wait already.
            InputError: the disk is full.
        """
        with self._changed:
            mine = sum(self._tickets[i].client == ticket.client for i in self._waiting)
            mine += self._entering.count(ticket.client)
            if len(self._waiting) + len(self._entering) >= self.most or mine >= self.each:
                raise Full
            self._entering.append(ticket.client)
        try:
            self.store.keep_new(ticket, given, mask)
        except BaseException:
            with self._changed:
                self._entering.remove(ticket.client)
            raise
        with self._changed:
            self._entering.remove(ticket.client)
            self._tickets[ticket.id] = ticket
            self._line_up(ticket)
            surplus = max(0, len(self._tickets) - KEPT)
            forgotten = [old for old in self._tickets.values() if old.ended and old.id not in self._running][:surplus]
            for old in forgotten:
                del self._tickets[old.id]
            self._changed.notify_all()
        for old in forgotten:
            self.store.forget(old)

    def _line_up(self, ticket: Ticket) -> None:
        turn = self._turns[ticket.id] = max(self._turn, self._next.get(ticket.client, 0))
        self._next[ticket.client] = turn + ticket.order.n
        insort(self._waiting, ticket.id, key=self._turns.__getitem__)

    def _leave(self, ticket: Ticket) -> None:
        """Take a ticket out of the line; later ones of its client move up."""
        self._waiting.remove(ticket.id)
        turn = self._turns.pop(ticket.id)
        for id in self._waiting:
            if self._tickets[id].client == ticket.client and self._turns[id] > turn:
                self._turns[id] = max(self._turn, self._turns[id] - ticket.order.n)
        self._next[ticket.client] = self._next.get(ticket.client, 0) - ticket.order.n
        self._waiting.sort(key=self._turns.__getitem__)

    def get(self, id: str) -> Ticket | None:
        """A ticket that is remembered."""
        with self._changed:
            return self._tickets.get(id)

    def of_client(self, client: str) -> list[Ticket]:
        """The tickets of a client, newest first."""
        with self._changed:
            return sorted((t for t in self._tickets.values() if t.client == client), key=lambda t: t.id, reverse=True)

    def position(self, id: str) -> int:
        """The place of a waiting ticket, from 1; 0 if it is being served, or has ended."""
        with self._changed:
            return self._waiting.index(id) + 1 if id in self._waiting else 0

    def remaining(self, id: str) -> float | None:
        """The seconds until a ticket is likely served, by the speed of the latest pictures; None if there were none."""
        with self._changed:
            pictures = sum(n for _, n in self._timed)
            if not pictures:
                return None
            unserved = {*self._running, *self._waiting[: self.position(id)]}
            seconds = sum(took for took, _ in self._timed) / pictures
            return seconds * sum(self._tickets[i].order.n for i in unserved) if id in unserved else 0.0

    def timed(self, seconds: float, pictures: int) -> None:
        """Note the time that pictures took."""
        with self._changed:
            self._timed.append((seconds, pictures))

    @property
    def waiting(self) -> int:
        """The number of tickets that wait."""
        return len(self._waiting)

    def take(self) -> Ticket | None:
        """The next ticket, which then runs; waits for one. None once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.closed)
            return None if self.closed else self._start(self._waiting[0])

    def gather(self, number: int, seconds: float) -> None:
        """Wait until this many tickets wait, for at most this many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= number or self.closed, seconds)

    def take_also(self, fits: Callable[[Ticket], bool], most: int) -> list[Ticket]:
        """Further tickets that fit, in their order, of at most ``most`` pictures in all; each then runs."""
        with self._changed:
            waiting = [self._tickets[id] for id in self._waiting]
        taken: list[Ticket] = []
        for ticket in waiting:
            if ticket.order.n <= most and fits(ticket):
                with self._changed:
                    if ticket.id in self._waiting:  # it may have been cancelled meanwhile
                        taken.append(self._start(ticket.id))
                        most -= ticket.order.n
        return taken

    def _start(self, id: str) -> Ticket:
        self._waiting.remove(id)
        self._turn = max(self._turn, self._turns.pop(id))
        self._next = {client: turn for client, turn in self._next.items() if turn > self._turn}
        self._running.add(id)
        ticket = self._tickets[id] = self._tickets[id].changed(state="running")
        return ticket

    def cancelled(self, id: str) -> bool:
        """Whether a running ticket was cancelled meanwhile."""
        with self._changed:
            return self._tickets[id].state == "cancelled"

    def cancel(self, id: str) -> None:
        """Cancel a ticket, unless it has ended."""
        self._end(id, "cancelled")

    def add(self, id: str, picture: str) -> None:
        """Note a finished picture of a running ticket."""
        with self._changed:
            ticket = self._tickets[id]
            self._tickets[id] = ticket.changed(pictures=tuple(sorted({*ticket.pictures, picture})))

    def end(self, id: str, state: StateName, error: str | None = None) -> None:
        """End a running ticket, unless it was cancelled."""
        self._end(id, state, error)
        with self._changed:
            self._running.discard(id)

    def _end(self, id: str, state: StateName, error: str | None = None) -> None:
        with self._changed:
            ticket = self._tickets.get(id)
            if ticket is None or ticket.ended:
                return
            if id in self._waiting:
                self._leave(ticket)
            ended = self._tickets[id] = ticket.changed(state=state, error=error)
            self.counts[state] += 1
        try:
            self.store.keep(ended)
        except (
            InputError,
            OSError,
        ) as full:  # the ticket has ended all the same; it is carried out again after a restart
            LOG.warning("%s", full)
        self.events.tell(id, state, pictures=list(ended.pictures), error=error)

    def close(self) -> None:
        """Let :meth:`take` return None."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
