"""The server's own API, which has every setting."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from ddpm.records.provenance import KEY, Provenance
from ddpm.records.run_folder import RunFolder
from ddpm.serve.events import Happened
from ddpm.serve.orders import Order, Ticket
from ddpm.serve.server import Server, from_url
from ddpm.serve.training import Training, Trainings, progress
from ddpm.system.errors import InputError
from ddpm.system.names import GridName, SolverName
from ddpm.system.record import Strict

router = APIRouter(prefix="/api")
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; sandbox allow-scripts"
)
"""A report's scripts and styles are inline."""


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


def client_of(request: Request) -> str:
    """Whose request it is, for limits."""
    return request.client.host if request.client is not None else "unknown"


Its = Annotated[Server, Depends(of_request)]


@router.get("/runs")
def runs(server: Its) -> list[dict[str, Any]]:
    """The runs that can be sampled, without loading them."""
    return [summary(server, name, folder) for name, folder in server.catalog.folders().items()]


def summary(server: Server, name: str, folder: RunFolder) -> dict[str, Any]:
    """What a run can do."""
    config = folder.config()
    return {
        "name": name,
        "classes": config.data.classes if "label" in config.conditions else [],
        "text": config.text is not None,
        "size": list(config.data.size),
        "mode": config.data.mode,
        "upscales": None if config.upscaling is None else config.upscaling.scale,
        "student": config.student if config.paths else None,
        "sampling": config.sampling.model_dump(mode="json"),
        "loaded": name in server.catalog.names(),
        "report": folder.report.exists(),
        "training": server.trainings is not None and server.trainings.running == name,
    }


@router.get("/choices")
def choices() -> dict[str, list[str]]:
    """The solvers and grids by name."""
    return {"solvers": list(get_args(SolverName)), "grids": list(get_args(GridName))}


@router.get("/runs/{name}/progress")
def run_progress(name: str, server: Its) -> dict[str, Any]:
    """What the log of a run says of its training."""
    return progress(_folder(server, name))


@router.get("/runs/{name}/report")
def report(name: str, server: Its) -> FileResponse:
    """The report of a run, if `ddpm report` wrote one."""
    path = _folder(server, name).report
    if not path.is_file():
        raise InputError("missing", f"{name} has no report; write it with `ddpm report`")
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})


@router.get("/runs/{name}/previews/{file}")
def run_preview(name: str, file: str, server: Its) -> FileResponse:
    """A preview drawn during training."""
    return _image(_folder(server, name).previews, file)


def _folder(server: Server, name: str) -> RunFolder:
    known = server.catalog.folders()
    if name in known:
        return known[name]
    if server.trainings is not None and name in server.trainings.names():
        return RunFolder(server.trainings.runs / name)
    raise InputError("unknown", f"unknown run {name!r}")


def _image(folder: Path, name: str) -> FileResponse:
    """A PNG of a folder, by a name that is one of its files."""
    path = folder / name
    if "/" in name or "\\" in name or path.suffix != ".png" or not path.is_file() or path.is_symlink():
        raise InputError("missing", f"there is no picture {name!r}")
    return FileResponse(path, media_type="image/png")


@router.post("/jobs", status_code=202)
async def order(ask: Ask, request: Request, server: Its) -> dict[str, Any]:
    """Ask for pictures; returns at once with the job's id and place."""
    own = Order.model_validate(ask.model_dump(exclude={"pictures", "mask"}))

    def made() -> Ticket:
        given = [from_url(text, "the picture") for text in ask.pictures]
        mask = None if ask.mask is None else from_url(ask.mask, "the mask")
        ticket = server.ticket(own, client_of(request), given, mask)
        server.put(ticket, given, mask)
        return ticket

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
    """What happens to a job, as server-sent events, until it ends."""
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
    """How a finished picture was made."""
    return Provenance.read(_picture(server, name)).model_dump(mode="json")


def _picture(server: Server, name: str) -> Path:
    path = server.store.path(name)
    if path is None:
        raise InputError("missing", f"there is no picture {name!r}")
    return path


class Sent(Strict):
    """A picture as a data URL."""

    picture: str


@router.post("/records")
def read_record(sent: Sent) -> dict[str, Any]:
    """How a picture was made, from the record in its PNG."""
    text = from_url(sent.picture, "the picture").info.get(KEY)
    if not isinstance(text, str):
        raise InputError("missing", "the picture has no record of how it was made")
    return Provenance.from_json(text, "the record in the picture").model_dump(mode="json")


def trainings_of(server: Its) -> Trainings:
    """The trainings of the server.

    Raises:
        InputError: it may not start any.
    """
    if server.trainings is None:
        raise InputError("conflict", "this server starts no trainings; start it with --data FOLDER")
    return server.trainings


Its_trainings = Annotated[Trainings, Depends(trainings_of)]


@router.get("/trainings")
def list_trainings(trainings: Its_trainings) -> dict[str, Any]:
    """What can be trained on, and the trainings started from here."""
    return {"sources": trainings.sources(), "trainings": [trainings.state(name) for name in trainings.names()]}


@router.post("/trainings", status_code=202)
def start_training(training: Training, trainings: Its_trainings) -> dict[str, Any]:
    """Start a training."""
    trainings.start(training)
    return trainings.state(training.name)


@router.get("/trainings/{name}")
def training(name: str, trainings: Its_trainings) -> dict[str, Any]:
    """How far a training is."""
    return trainings.state(name)


@router.post("/trainings/{name}/stop")
def stop_training(name: str, trainings: Its_trainings) -> dict[str, Any]:
    """Stop a training, with everything saved."""
    state = trainings.state(name)
    if state["state"] == "running":
        trainings.stop()
    return state


@router.post("/trainings/{name}/resume", status_code=202)
def resume_training(name: str, trainings: Its_trainings) -> dict[str, Any]:
    """Go on with a training that was stopped."""
    trainings.resume(name)
    return trainings.state(name)


@router.put("/uploads")
async def upload(name: str, request: Request, trainings: Its_trainings) -> dict[str, Any]:
    """Upload a .zip of images to train on, as the body."""
    path = trainings.upload(name)
    with path.open("wb") as file:
        async for chunk in request.stream():
            file.write(chunk)
    await run_in_threadpool(trainings.check_upload, path)
    return {"source": path.name}
