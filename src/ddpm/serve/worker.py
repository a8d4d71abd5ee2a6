"""The thread that draws."""

import base64
import logging
import threading
import time
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
from ddpm.serve.drawing import Cancelled, Resolved, Wanted
from ddpm.serve.orders import GIVEN, Ticket
from ddpm.serve.queue import Queue
from ddpm.serve.words import Words
from ddpm.system.errors import InputError

PREVIEWS = 12
"""The most previews of one batch."""
SIDE = 256
"""The longest side of a preview."""
GATHER = 0.1
"""The part of the time of a shared batch, and the most seconds, to wait for the next requests of its clients."""
FAULT = "internal server error"
"""The message to clients for errors that their requests did not cause."""
LOG = logging.getLogger(__name__)


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
            began, before, taken = time.monotonic(), self.pictures, [ticket]
            try:
                self._carry_out(taken)
            except Exception:  # the next order may succeed
                LOG.exception("while working on %s", ticket.id)
            took = time.monotonic() - began
            self.seconds += took
            self.queue.timed(took, self.pictures - before)
            if len(taken) > 1:  # their clients may ask again, and share the next batch as well
                self.queue.gather(len(taken), min(GATHER, took * GATHER))

    def _carry_out(self, taken: list[Ticket], *, share: bool = True) -> None:
        """Carry out an order, and others that can share its batch; if that fails, each by itself.

        Args:
            taken: the order, to which the others are added.
        """
        try:
            if taken[0].order.task == "sample":
                self._sample(taken, share=share)
            else:
                self._work(taken[0])
        except Cancelled:
            if not self.queue.closed:  # else the server stops, and carries them out when it starts again
                for one in taken:
                    self.queue.end(one.id, "cancelled")
            return
        except Exception as error:  # one order must not end the server, nor the orders of others
            if len(taken) > 1:
                for one in taken:
                    self._carry_out([one], share=False)
                return
            if isinstance(error, InputError):
                said = self.words.plain(str(error))
            else:
                said = FAULT
                LOG.exception("while working on %s", taken[0].id)
            self.queue.end(taken[0].id, "failed", said)
            return
        for one in taken:
            self.queue.end(one.id, "done")

    def _sample(self, taken: list[Ticket], *, share: bool) -> None:
        """Draw an order's pictures and those of others that fit in, in as many batches as they need."""
        ticket = taken[0]
        batch = drawing.resolve(self.catalog, ticket)
        resolved, size = {ticket.id: batch}, drawing.largest(batch)

        def fits(other: Ticket) -> bool:
            mine, its = ticket.order, other.order
            if (its.task, its.run, its.settings) != (mine.task, mine.run, mine.settings):
                return False
            try:
                resolved[other.id] = drawing.resolve(self.catalog, other)
            except Exception:  # reported when its turn comes
                return False
            return resolved[other.id].key == batch.key

        if share:
            taken += self.queue.take_also(fits, max(0, size - ticket.order.n))
        wanted = [w for one in taken for w in self._missing(one)]
        for first in range(0, len(wanted), size):
            part = wanted[first : first + size]
            self._draw(part, resolved, before=first / len(wanted), share=len(part) / len(wanted))

    def _missing(self, ticket: Ticket) -> list[Wanted]:
        """The unfinished pictures of a ticket; some may have been finished before the server was killed."""
        there = set(self.store.finished(ticket))
        for name in there:
            self.queue.add(ticket.id, name)
        return [Wanted(ticket, k) for k in range(ticket.order.n) if ticket.picture(k) not in there]

    def _draw(self, part: Sequence[Wanted], resolved: dict[str, Resolved], before: float, share: float) -> None:
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

    def _work(self, ticket: Ticket) -> None:
        """Carry out an order that starts from pictures."""
        run = self.catalog.get(ticket.order.run).run
        count, masked = GIVEN[ticket.order.task]
        given = [opened(self.store.given(ticket.given(k)))._replace(name="the picture") for k in range(count)]
        mask = opened(self.store.given(ticket.given("mask")))._replace(name="the mask") if masked else None

        def progress(done: int, of: int, what: str = "", /) -> None:
            self._report([(ticket.id, 0)], done / of)

        before = 0

        def watch(moment: Moment) -> None:
            nonlocal before
            self._preview(run, [(ticket.id, k) for k in range(before, before + len(moment.x0))], moment)
            if moment.number == moment.of:
                before += len(moment.x0)

        images = drawing.work(run, ticket, given, mask, progress, watch)
        for k, image in enumerate(images):
            self._finish(ticket, k, image)
        self.batches += 1

    def _report(self, rows: Sequence[tuple[str, int]], done: float) -> None:
        """Report the progress of a batch.

        Raises:
            Cancelled: all its tickets were cancelled, or the server stops.
        """
        tickets = dict.fromkeys(id for id, _ in rows)
        if self.queue.closed or all(self.queue.cancelled(id) for id in tickets):
            raise Cancelled
        for id in tickets:
            self.events.tell(id, "progress", done=round(done, 4))

    def _watch(
        self, run: LoadedRun, rows: Sequence[tuple[str, int]], before: float, share: float, moment: Moment
    ) -> None:
        """Report the progress of a batch, with previews for clients that listen."""
        self._report(rows, before + share * moment.number / moment.of)
        self._preview(run, rows, moment)

    def _preview(self, run: LoadedRun, rows: Sequence[tuple[str, int]], moment: Moment) -> None:
        """Show some of the moments of a batch to clients that listen."""
        every = max(1, moment.of // PREVIEWS)
        if moment.number % every or moment.number == moment.of:
            return
        heard = [i for i, (id, _) in enumerate(rows) if self.events.heard(id)]
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
