"""The server's own API, which has every setting: jobs, and the pictures that they make."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from ddpm.config.options import flat
from ddpm.config.sampling import SamplingConfig
from ddpm.records.provenance import KEY, Provenance
from ddpm.serve.events import Happened
from ddpm.serve.guard import client_of
from ddpm.serve.orders import KEPT_BACK, Order, Ticket
from ddpm.serve.server import Server, from_url
from ddpm.system.errors import InputError
from ddpm.system.record import Strict

router = APIRouter(prefix="/api")
LONGEST_RECORD = 1 << 16
"""The characters of the record in a picture: two prompts of the greatest length, and the settings."""


class Ask(Order):
    """A request for pictures.

    Attributes:
        pictures: What the task starts from, as data URLs: one, or two to interpolate between.
        mask: The area to fill: white, or transparent.
    """

    pictures: Annotated[list[str], Field(max_length=2)] = Field(default_factory=list)
    mask: str | None = None


def of_request(request: Request) -> Server:
    """The server that a request is for."""
    server: Server = request.app.state.server
    return server


Its = Annotated[Server, Depends(of_request)]


@router.post("/jobs", status_code=202)
async def order(ask: Ask, request: Request, server: Its) -> dict[str, Any]:
    """Request pictures; returns at once with the job's id and place."""
    own = Order.model_validate(ask.model_dump(exclude={"pictures", "mask"}))

    def made() -> Ticket:
        given = [from_url(text, "the picture") for text in ask.pictures]
        mask = None if ask.mask is None else from_url(ask.mask, "the mask")
        return server.put(own, client_of(request), given, mask)

    return shown(server, await run_in_threadpool(made))


@router.get("/jobs")
def jobs(request: Request, server: Its) -> list[dict[str, Any]]:
    """The client's jobs, newest first."""
    return [shown(server, ticket) for ticket in server.queue.of_client(client_of(request))[:100]]


@router.get("/jobs/{id}")
def job(id: str, server: Its) -> dict[str, Any]:
    """A job: its state, place and pictures."""
    return shown(server, known(server, id))


@router.delete("/jobs/{id}")
def cancel(id: str, server: Its) -> dict[str, Any]:
    """Cancel a job that has not ended; its finished pictures stay."""
    known(server, id)
    server.queue.cancel(id)
    return shown(server, known(server, id))


@router.get("/jobs/{id}/events")
def events(id: str, server: Its) -> StreamingResponse:
    """The events of a job until it ends, as server-sent events."""
    known(server, id)

    async def lines() -> AsyncIterator[str]:
        async for event in server.follow(id):
            yield ": still here\n\n" if event is None else sse(event)

    return StreamingResponse(lines(), media_type="text/event-stream")


def sse(event: Happened) -> str:
    """An event in the format of server-sent events."""
    return f"event: {event.kind}\ndata: {json.dumps(event.data)}\n\n"


def known(server: Server, id: str) -> Ticket:
    """A ticket by its id.

    Raises:
        InputError: there is none.
    """
    ticket = server.queue.get(id)
    if ticket is None:
        raise InputError("unknown", f"unknown job {id!r}")
    return ticket


def shown(server: Server, ticket: Ticket) -> dict[str, Any]:
    """A ticket for clients."""
    return {
        "id": ticket.id,
        "state": ticket.state,
        "order": ticket.order.model_dump(mode="json"),
        "position": server.queue.position(ticket.id),
        "seconds": server.queue.remaining(ticket.id),
        "pictures": list(ticket.pictures),
        "error": ticket.error,
    }


@router.get("/pictures")
def gallery(server: Its, before: str | None = None, n: Annotated[int, Field(ge=1, le=200)] = 60) -> list[str]:
    """The names of the newest pictures, or of those before one."""
    return server.store.gallery(before, n)


@router.get("/pictures/{name}")
def finished(name: str, server: Its) -> FileResponse:
    """A finished picture, whose PNG has the record of how it was made."""
    return FileResponse(_picture(server, name), media_type="image/png")


@router.delete("/pictures/{name}")
def remove(name: str, server: Its) -> dict[str, str]:
    """Remove a finished picture."""
    _picture(server, name).unlink(missing_ok=True)
    return {"removed": name}


@router.get("/pictures/{name}/record")
def record(name: str, server: Its) -> dict[str, Any]:
    """The record of a finished picture."""
    return for_clients(Provenance.read(_picture(server, name)))


def _picture(server: Server, name: str) -> Path:
    path = server.store.path(name)
    if path is None:
        raise InputError("missing", f"no picture is named {name!r}")
    return path


class Sent(Strict):
    """A picture as a data URL."""

    picture: str


@router.post("/records")
def read_record(sent: Sent) -> dict[str, Any]:
    """The record in the PNG of a given picture."""
    text = from_url(sent.picture, "the picture").info.get(KEY)
    if not isinstance(text, str):
        raise InputError("missing", "the picture has no record of how it was made")
    if len(text) > LONGEST_RECORD:
        raise InputError(
            "invalid", f"the record in the picture has {len(text):,} characters, more than any record of ddpm"
        )
    return for_clients(Provenance.from_json(text, "the record in the picture"))


def for_clients(record: Provenance) -> dict[str, Any]:
    """A record with its settings by flag as well, as requests give them."""
    return {**record.model_dump(mode="json"), "settings": by_flag(record.sampling)}


def by_flag(how: SamplingConfig) -> dict[str, Any]:
    """Settings by flag, without those that are not set and those that clients may not choose."""
    found = flat(how) | {"grid": how.visits}
    return {name: value for name, value in found.items() if value is not None and name not in KEPT_BACK}
