"""The parts of a running server."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ddpm.engine.options import settings
from ddpm.images.decode import BadImage, load
from ddpm.images.photo import opened
from ddpm.serve import drawing
from ddpm.serve.catalog import Catalog
from ddpm.serve.events import Events, Happened
from ddpm.serve.limits import MOST_PIXELS, check
from ddpm.serve.orders import GIVEN, Order, Ticket
from ddpm.serve.queue import Queue
from ddpm.serve.store import Store
from ddpm.serve.training import Trainings
from ddpm.serve.words import Words
from ddpm.serve.worker import Worker
from ddpm.system.errors import InputError
from ddpm.system.files import clear_drafts

STOPPING = 2.0
"""Seconds that the worker may take to notice that the server stops: a step of a batch."""
PAUSE = 10.0
"""Seconds between signs of life in a stream without events."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        token: what clients must send.
        trainings: those started from the page; None if it may not start any.
    """

    catalog: Catalog
    store: Store
    events: Events
    queue: Queue
    worker: Worker
    words: Words
    token: str
    trainings: Trainings | None = None

    @classmethod
    def of(
        cls, catalog: Catalog, folder: Path, token: str, trainings: Trainings | None = None, *, each: int | None = None
    ) -> "Server":
        """Make a server, whose worker is not started yet.

        Args:
            folder: where tickets and pictures are kept.
            each: the tickets of one client that may wait.

        Raises:
            InputError: the folder cannot be written.
        """
        store, events = Store(folder), Events()
        if trainings is not None:
            clear_drafts(trainings.folder)  # now that no other server uses it
        words = Words(catalog, folder, () if trainings is None else trainings.folders)
        queue = Queue(store, events) if each is None else Queue(store, events, each=each)
        return cls(catalog, store, events, queue, Worker(catalog, queue, words), words, token, trainings)

    def put(self, order: Order, client: str, given: Sequence[Image.Image], mask: Image.Image | None) -> Ticket:
        """Check an order and queue it.

        Raises:
            InputError: it cannot be carried out.
            Full: too many wait already.
        """
        ticket = self.ticket(order, client, given, mask)
        self.queue.put(ticket, given, mask)
        return ticket

    def ticket(self, order: Order, client: str, given: Sequence[Image.Image], mask: Image.Image | None) -> Ticket:
        """Check an order, as far as is possible without carrying it out, and make its ticket.

        Raises:
            InputError: it cannot be carried out.
        """
        count, masked = GIVEN[order.task]
        if len(given) != count:
            raise InputError("invalid", f"{order.task} takes {count} pictures, not {len(given)}")
        if masked != (mask is not None):
            raise InputError("invalid", f"{order.task} {'needs a' if masked else 'takes no'} mask")
        ticket = Ticket.of(order, client)
        run = self.catalog.get(order.run).run
        if order.task == "sample":
            how = drawing.resolve(self.catalog, ticket).how
        else:
            how = settings(run, dict(order.settings))
            run.subjects(*drawing.subject(run, order.label, order.prompt), len(given))
        check(run, how, order, given)
        return ticket

    def stop(self) -> None:
        """Stop drawing, and end the events that clients listen to."""
        self.queue.close()
        self.events.stop()

    def close(self) -> None:
        """Stop, and leave the folder to another server; what was not finished waits for it."""
        self.stop()
        if self.worker.is_alive():
            self.worker.join(STOPPING)
        if self.trainings is not None:
            self.trainings.stop()
        self.store.close()

    async def follow(self, id: str) -> AsyncIterator[Happened | None]:
        """The events of a ticket until it ends, starting with its current state; None as a sign of life."""
        with self.events.listening(id) as listener:
            ticket = self.queue.get(id)
            if ticket is None:
                return
            for k, name in enumerate(ticket.pictures):
                yield Happened("picture", {"name": name, "index": k})
            if ticket.ended:
                yield Happened(ticket.state, {"pictures": list(ticket.pictures), "error": ticket.error})
                return
            yield self.queued(id)
            seen = set(ticket.pictures)
            while not self.queue.closed:
                try:
                    event = await asyncio.wait_for(listener.get(), PAUSE if self.queue.position(id) == 0 else 1.0)
                except TimeoutError:
                    yield self.queued(id) if self.queue.position(id) else None
                    continue
                if event.kind == "stopping":
                    return
                if event.kind != "picture" or event.data["name"] not in seen:
                    yield event
                if event.last:
                    return

    def queued(self, id: str) -> Happened:
        """A ticket's place in the queue."""
        return Happened("queued", {"position": self.queue.position(id), "seconds": self.queue.remaining(id)})


def decoded(data: bytes, name: str) -> Image.Image:
    """A picture sent by a client, whose size is known before it is decoded.

    Raises:
        InputError: it is not a picture, or too large.
    """
    try:
        image = load(data, MOST_PIXELS)
    except BadImage as error:
        raise InputError("unreadable", f"{name} is not a usable picture ({error}); send a PNG or JPEG") from error
    return opened(image).image


def from_url(text: str, name: str) -> Image.Image:
    """A picture as a data URL, or as base64.

    Raises:
        InputError: it is another URL, which is never opened, or not a picture.
    """
    head, comma, rest = text.partition(",")
    if ":" in head and not (head.startswith("data:image/") and head.endswith(";base64")):
        raise InputError("invalid", f"{name} must be sent as data:image/png;base64,…; other URLs are not opened")
    try:
        data = base64.b64decode(rest if comma else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("invalid", f"{name} is not base64 ({error}); send data:image/png;base64,…") from error
    return decoded(data, name)
