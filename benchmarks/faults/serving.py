"""The parts of ``ddpm serve``, given a few orders, as a command that can be repeated."""

import logging
import sys
import time
from pathlib import Path

from PIL import Image

from ddpm.serve.catalog import Catalog
from ddpm.serve.orders import Options, Order, Ticket
from ddpm.serve.server import Server
from ddpm.system.errors import InputError

CLIENT = "a client"
PHOTO = Image.new("L", (8, 8), 100)
ORDERS = (
    (Order(run="run", n=2, seed=0, settings={"steps": 2}), ()),
    (Order(run="run", task="edit", n=2, seed=1, settings={"steps": 2}, options=Options(strength=0.5)), (PHOTO,)),
)


def serve() -> None:
    """Put the orders that were not carried out yet, and wait for their pictures.

    An error ends the process as it ends ``ddpm``: a server would tell its client, and log it.
    """
    logging.disable()
    try:
        catalog = Catalog([Path("run")], 1 << 30, "cpu")
        server = Server.of(catalog, Path("studio"), "a token that nobody needs")
        server.worker.start()
        try:
            tickets = [_latest(server, order) or server.put(order, CLIENT, given, None) for order, given in ORDERS]
            while "queued" in [_state(server, ticket) for ticket in tickets] and server.worker.is_alive():
                time.sleep(0.002)
        finally:
            server.close()
    except InputError as error:
        sys.exit(_said(str(error)))
    if failed := [error for ticket in tickets if (error := _error(server, ticket))]:
        sys.exit(_said(failed[0]))


def _latest(server: Server, order: Order) -> Ticket | None:
    """The ticket of an order, unless it failed; then what it had drawn is removed."""
    for ticket in server.queue.of_client(CLIENT):
        if ticket.order.seed != order.seed:
            continue
        if ticket.state != "failed":
            return ticket
        for name in server.store.finished(ticket):
            (server.store.pictures / name).unlink()
    return None


def _error(server: Server, ticket: Ticket) -> str | None:
    found = server.queue.get(ticket.id)
    assert found is not None
    return found.error


def _state(server: Server, ticket: Ticket) -> str:
    """queued, also while it is worked on, done or failed."""
    found = server.queue.get(ticket.id)
    assert found is not None
    return found.state if found.ended else "queued"


def _said(message: str) -> int:
    print(f"ddpm: {message}", file=sys.stderr)
    return 2
