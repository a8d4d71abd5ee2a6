"""The thread that draws."""

import base64
import threading
import time
import traceback
from collections.abc import Sequence
from functools import partial
from io import BytesIO

from PIL import Image

from ddpm.engine.run import LoadedRun
from ddpm.images.photo import opened
from ddpm.images.sheets import opaque
from ddpm.sampling.follow import Moment
from ddpm.serve import drawing
from ddpm.serve.catalog import Catalog
from ddpm.serve.drawing import Batch, Cancelled, Wanted
from ddpm.serve.orders import GIVEN, Ticket
from ddpm.serve.queue import Queue
from ddpm.serve.words import Words
from ddpm.system.errors import InputError

PREVIEWS = 12
"""The most previews of one batch."""
SIDE = 256
"""The longest side of a preview."""


class Worker(threading.Thread):
    """Takes tickets from the queue and draws their pictures, those that can share a batch together."""

    def __init__(self, catalog: Catalog, queue: Queue, words: Words) -> None:
        super().__init__(name="ddpm-worker", daemon=True)
        self.catalog, self.queue, self.words = catalog, queue, words
        self.store, self.events = queue.store, queue.events
        self.pictures, self.batches, self.seconds = 0, 0, 0.0

    def run(self) -> None:
        """Work until the queue is closed."""
        while (ticket := self.queue.take()) is not None:
            began = time.monotonic()
            taken = [ticket]
            try:
                if ticket.order.task == "sample":
                    self._sample(ticket, taken, began)
                else:
                    self._work(ticket, began)
            except Cancelled:
                pass
            except Exception as error:
                # one order must not end the server: its client is told, and the operator sees where
                said = self.words.plain(str(error)) if isinstance(error, InputError) else "an error of the server"
                if not isinstance(error, InputError):
                    traceback.print_exc()
                for one in taken:
                    self.queue.end(one.id, "failed", said)
            for one in taken:
                self.queue.end(one.id, "done", began=began)
            self.seconds += time.monotonic() - began

    def _sample(self, ticket: Ticket, taken: list[Ticket], began: float) -> None:
        """Draw a ticket's pictures and those of others that fit in, in as many batches as they need."""
        batch = drawing.resolve(self.catalog, ticket)
        size = 1 if drawing.alone(batch) else drawing.BATCH
        resolved = {ticket.id: batch}

        def fits(other: Ticket) -> bool:
            if other.order.task != "sample" or other.order.run != ticket.order.run:
                return False
            try:
                resolved[other.id] = drawing.resolve(self.catalog, other)
            except InputError:
                return False  # reported when its turn comes
            return resolved[other.id].key == batch.key

        taken += self.queue.take_also(fits, max(0, size - ticket.order.n))
        wanted = [w for one in taken for w in self._missing(one)]
        for first in range(0, len(wanted), size):
            part = wanted[first : first + size]
            self._draw(part, resolved, before=first / len(wanted), share=len(part) / len(wanted))
        for one in taken:
            self.queue.end(one.id, "done", began=began)

    def _missing(self, ticket: Ticket) -> list[Wanted]:
        """The pictures of a ticket that are not there yet; of a killed server some may be."""
        there = set(self.store.finished(ticket))
        for name in there:
            self.queue.add(ticket.id, name)
        return [Wanted(ticket, k) for k in range(ticket.order.n) if ticket.picture(k) not in there]

    def _draw(self, part: Sequence[Wanted], resolved: dict[str, Batch], before: float, share: float) -> None:
        pairs = [(resolved[wanted.ticket.id], wanted) for wanted in part]
        run = pairs[0][0].run
        watch = partial(self._watch, run, [(wanted.ticket.id, wanted.k) for wanted in part], before, share)
        images = drawing.draw(pairs, watch, part[0].ticket.order.run)
        for wanted, image in zip(part, images, strict=True):
            self._finish(wanted.ticket, wanted.k, image)
        self.batches += 1

    def _finish(self, ticket: Ticket, k: int, image: Image.Image) -> None:
        if self.queue.cancelled(ticket.id):
            return
        name = ticket.picture(k)
        self.store.finish(name, image)
        self.queue.add(ticket.id, name)
        self.events.tell(ticket.id, "picture", name=name, index=k)
        self.pictures += 1

    def _work(self, ticket: Ticket, began: float) -> None:
        """Carry out an order that starts from pictures."""
        loaded = self.catalog.get(ticket.order.run)
        count, masked = GIVEN[ticket.order.task]
        given = [opened(self.store.given(ticket.given(str(k)))) for k in range(count)]
        mask = opened(self.store.given(ticket.given("mask"))) if masked else None
        named = [one._replace(name="the picture") for one in given]

        def progress(done: int, of: int, what: str = "", /) -> None:
            self._told([(ticket.id, 0)], done / of)

        watch = partial(self._watch, loaded.run, [(ticket.id, k) for k in range(ticket.order.n)], 0.0, 1.0)
        hidden = None if mask is None else mask._replace(name="the mask")
        images = drawing.work(loaded.run, ticket, named, hidden, progress, watch)
        for k, image in enumerate(images):
            self._finish(ticket, k, image)

    def _told(self, rows: Sequence[tuple[str, int]], done: float) -> None:
        """Tell how far a batch is.

        Raises:
            Cancelled: all its tickets were cancelled.
        """
        tickets = dict.fromkeys(id for id, _ in rows)
        if all(self.queue.cancelled(id) for id in tickets):
            raise Cancelled
        for id in tickets:
            self.events.tell(id, "progress", done=round(done, 4))

    def _watch(
        self, run: LoadedRun, rows: Sequence[tuple[str, int]], before: float, share: float, moment: Moment
    ) -> None:
        """Tell the progress of a batch, and show it to those who listen."""
        self._told(rows, before + share * moment.number / moment.of)
        every = max(1, moment.of // PREVIEWS)
        if moment.number % every or moment.number == moment.of:
            return
        heard = [i for i, (id, _) in enumerate(rows[: len(moment.x0)]) if self.events.heard(id)]
        if not heard:
            return
        for i, image in zip(heard, drawing.previews(run, moment, heard), strict=True):
            id, k = rows[i]
            self.events.tell(id, "preview", index=k, step=moment.number, of=moment.of, image=data_url(image))


def data_url(image: Image.Image) -> str:
    """A small picture as a URL that a page shows."""
    small = opaque(image)
    small.thumbnail((SIDE, SIDE))
    file = BytesIO()
    small.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
